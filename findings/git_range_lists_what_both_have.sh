#!/bin/sh
# git 2.39.5. Guessed: `git log live..main` is what main has and live has not, whatever clocks said when the commits
# were made; git-rev-list(1) says so without a reservation. Seen: where the last seven commits of live are dated before
# the first commit of the history (a machine without a clock, a bot that dates all by the epoch, old patches replayed
# upon a new repository), all that both have is listed as well, to the first commit, though `git merge-base
# --is-ancestor` finds it in live; after six such commits it is not. `live...main` and the `behind` of branches count
# right, until a branch from below those commits is merged. The walk goes by date, and ends five commits after the last
# that it wants. With --topo-order and a commit-graph it goes by generation, and is right. Whoever counts by a range
# what a service lacks counts what it runs.
# Ours walks the symmetric difference, and refuses one that went down to a first commit which both sides have, as
# `history-unavailable` with the command that cures it (tests/sources/git/test_git_history.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git --version
commit() {
    GIT_COMMITTER_DATE="@$2 +0000" git commit -q --allow-empty -m "$1"
}
# Three commits, as many upon them as $1 says, dated before those, on live or ($2) on main too; then one more on main.
history() {
    cd "$folder"
    git init -q -b main "after-$1"
    cd "after-$1"
    for number in 1 2 3; do commit "base-$number" $((1790000000 + number)); done
    git branch side
    [ "$2" = live ] && git checkout -q -b live
    for number in $(seq "$1"); do commit "early-$number" $((1780000000 + number)); done
    [ "$2" = live ] || git branch live
    git checkout -q main
    commit fix 1790000010
}
asked() {
    git log "$@" --topo-order --format=%s | sort | tr '\n' ' '
}
history 6 live
six=$(asked live..main)
history 7 live
seven=$(asked live..main)
counted=$(git rev-list --right-only --count live...main)
echo "six early commits:   live..main is $six"
echo "seven early commits: live..main is $seven; live...main counts $counted for main"
git merge-base --is-ancestor main~1 live
[ "$six" = "fix " ]
[ "$seven" = "base-1 base-2 base-3 fix " ]
[ "$counted" = 1 ]

history 8 main
git checkout -q side
commit side 1790000020
git checkout -q main
GIT_COMMITTER_DATE="@1790000030 +0000" git merge -q --no-edit -m merge side
both=$(asked live...main)
git commit-graph write --reachable --no-progress
graph=$(asked live...main)
echo "a branch from before them merged: live...main is $both; with a commit-graph $graph"
[ "$both" = "base-1 base-2 base-3 fix merge side " ]
[ "$graph" = "fix merge side " ]
