#!/bin/sh
# git 2.39.5: `foo**/bar` in an ignore file matches `foobar` and `foo/x/y/bar`. gitignore(5) says that two stars
# beside other characters are "regular asterisks"; `*o**/bar`, which begins with a wildcard, is read like that.
# What stands before the first wildcard is compared beforehand, and the stars then stand at a beginning.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git --version
git init -q "$folder"
cd "$folder"
asked() {
    printf '%s\n' "$1" >.git/info/exclude
    printf 'foobar\nfoo/bar\nfoo/x/bar\nfoo/x/y/bar\n' | git check-ignore --no-index --stdin | tr '\n' ' '
}
first=$(asked 'foo**/bar')
second=$(asked '*o**/bar')
echo "foo**/bar matches: $first"
echo "*o**/bar  matches: $second"
[ "$first" = "foobar foo/bar foo/x/bar foo/x/y/bar " ]
[ "$second" = "foo/bar " ]
