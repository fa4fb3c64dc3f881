#!/bin/sh
# git 2.39.5. Guessed: `git diff-tree A B` compares two commits, so that a file beside them changes nothing; of
# `diff.ignoreSubmodules` git-config(1) says that it is for porcelain alone, of `ignore = all` gitmodules(5) that it
# tells how a submodule shows up as modified. Seen: where the .gitmodules of the work tree, committed or not, says
# `ignore = all`, a submodule that moved between the two commits is in neither diff-tree, nor `git diff --quiet`, nor
# the paths of `git log`, while `git rev-list -- lib` finds the commit. A bare clone, whose HEAD has no such line,
# shows it. `--ignore-submodules=none` does everywhere.
# Ours says so with every question (tests/sources/git/test_git_hostile_settings.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git --version
git init -q "$folder/checkout"
cd "$folder/checkout"
printf '[submodule "lib"]\n\tpath = lib\n\turl = ../lib\n' >.gitmodules
git add .gitmodules
for commit in 1111111111111111111111111111111111111111 2222222222222222222222222222222222222222; do
    git update-index --add --cacheinfo "160000,$commit,lib"
    git commit -q -m "lib at $commit"
done
git clone -q --bare . ../bare
printf '\tignore = all\n' >>.gitmodules
asked() {
    git -C "$1" diff-tree -r --name-only HEAD~ HEAD
}
here=$(asked .)
there=$(asked ../bare)
walked=$(git rev-list --count HEAD~..HEAD -- lib)
named=$(git log --format= --name-only HEAD~..HEAD)
all=$(git diff-tree -r --name-only --ignore-submodules=none HEAD~ HEAD)
quiet=0
git diff --quiet HEAD~ HEAD || quiet=$?
echo "diff-tree in the checkout: '$here', in a bare clone: '$there', with --ignore-submodules=none: '$all'"
echo "in the checkout: diff --quiet: exit status $quiet, paths of log: '$named', commits of rev-list -- lib: $walked"
[ "$here" = "" ]
[ "$there" = lib ]
[ "$all" = lib ]
[ "$quiet" = 0 ]
[ "$named" = "" ]
[ "$walked" = 1 ]
