#!/bin/sh
# git 2.39.5. Guessed: `git archive HEAD` in a folder packs what `git archive HEAD folder` packs at the top, under
# names without the folder. Seen: it does not read the .gitattributes above the folder: a file that is `export-ignore`
# there is in the archive, and in a file that is `export-subst` there `$Format:%H$` stays as it is, though the archive
# itself names the commit (git get-tar-commit-id), and `git check-attr` in the same folder says that both are set.
# gitattributes(5) has the folders above count, and names for export-subst one exception alone, a tree that is given
# in the place of a commit; git-archive(1) has "in the tree that is being archived", which turns out to be the folder.
# With --worktree-attributes both hold. In a repository of several services, the one that is packed from its folder
# goes out with what was to stay, and without the commit that it was to name.
# Ours writes the files of a commit without `git archive` (docs/decisions/0155-export-of-a-commit.md,
# tests/sources/git/test_export.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git --version
git init -q "$folder/repository"
mkdir "$folder/repository/worker"
cd "$folder/repository"
printf '%s\n' 'COMMIT export-subst' 'local.env export-ignore' >.gitattributes
# shellcheck disable=SC2016 # git expands it
echo '$Format:%H$' >worker/COMMIT
touch worker/local.env
git add . && git commit -q -m base
commit=$(git rev-parse HEAD)
git archive -o "$folder/named.tar" HEAD worker
cd worker
git archive -o "$folder/here.tar" HEAD
git archive -o "$folder/cured.tar" --worktree-attributes HEAD
attributes=$(git check-attr export-subst -- COMMIT && git check-attr export-ignore -- local.env)
files() {
    tar -tf "$1" | grep -v '/$' | xargs
}
echo "check-attr: $(echo "$attributes" | xargs)"
echo "HEAD worker: $(files "$folder/named.tar"), COMMIT is $(tar -xOf "$folder/named.tar" worker/COMMIT)"
echo "in worker:   $(files "$folder/here.tar"), COMMIT is $(tar -xOf "$folder/here.tar" COMMIT)"
echo "with --worktree-attributes: $(files "$folder/cured.tar"), COMMIT is $(tar -xOf "$folder/cured.tar" COMMIT)"
[ "$attributes" = "$(printf '%s\n' 'COMMIT: export-subst: set' 'local.env: export-ignore: set')" ]
[ "$(files "$folder/named.tar") $(tar -xOf "$folder/named.tar" worker/COMMIT)" = "worker/COMMIT $commit" ]
# shellcheck disable=SC2016
[ "$(files "$folder/here.tar") $(tar -xOf "$folder/here.tar" COMMIT)" = 'COMMIT local.env $Format:%H$' ]
[ "$(git get-tar-commit-id <"$folder/here.tar")" = "$commit" ]
[ "$(files "$folder/cured.tar") $(tar -xOf "$folder/cured.tar" COMMIT)" = "COMMIT $commit" ]
