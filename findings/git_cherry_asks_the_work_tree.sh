#!/bin/sh
# git 2.39.5. Guessed: whether `git cherry` takes a commit for picked follows from the commits. Seen: it follows from
# the files that lie in the work tree, too. Where a .gitattributes there says `-diff` of a path (lock files, tables,
# what is generated), the whole contents before and after stand for the patch, so that a line that was picked onto a
# branch with another line of its own is `+`, not there. A bare clone of the same repository has no work tree, reads no
# attributes, and says `-`, there. git-cherry(1) speaks of the diff alone. Of the same two commits a developer's
# checkout and a server's mirror give different answers; `git log --cherry-pick` goes by the same.
# Ours has sums of its own (docs/decisions/0090-picked-commits.md), of a diff that git makes away from the work tree
# (tests/comparison/test_picks.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git --version
git init -q -b main "$folder/checkout"
cd "$folder/checkout"
seq 40 >odds.csv
git add . && git commit -q -m base
git checkout -q -b live
sed -i 's/^5$/own/' odds.csv && git commit -qam own
sed -i 's/^30$/fixed/' odds.csv && git commit -qam "the fix, picked"
git checkout -q main
sed -i 's/^30$/fixed/' odds.csv && git commit -qam "the fix"
git clone -q --bare . ../bare
asked() {
    git -C "$1" cherry -v live main | cut -d ' ' -f 1,3-
}
without=$(asked .)
echo '*.csv -diff' >.gitattributes
with=$(asked .)
bare=$(asked ../bare)
echo "in the checkout: $without; with .gitattributes there: $with; in the bare clone: $bare"
[ "$without" = "- the fix" ]
[ "$with" = "+ the fix" ]
[ "$bare" = "- the fix" ]
left=$(git log --format=%s --cherry-pick --right-only live...main)
echo "left by --cherry-pick in the checkout: $left"
[ "$left" = "the fix" ]
