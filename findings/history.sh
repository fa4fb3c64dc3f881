#!/bin/sh
# How git (the program on the PATH; seen with Debian's 2.39.5) tells which objects a partial clone has.
#
# `git rev-list --missing=print` prints `?ID` for an object that it meets on its way and lacks, but ends with exit
# status 128 ("bad object") where that same object is named by the caller. With --ignore-missing it is left out
# without a word, and what is there is listed: the one way to ask for named objects without a fetch.
set -eu
git --version
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b

git init -q remote
(cd remote && echo one >run.sh && git add . && git commit -qm one && git config uploadpack.allowFilter true)
git clone -q --no-checkout --filter=blob:none "file://$folder/remote" clone
blob=$(git -C remote rev-parse HEAD:run.sh)
mv remote gone
cd clone

git rev-list --objects --missing=print HEAD | grep -qx "?$blob"
status=0
echo "$blob" | git rev-list --objects --missing=print --no-walk --stdin >out 2>err || status=$?
echo "named and missing: exit status $status, $(cat err)"
[ "$status" = 128 ]
[ ! -s out ]
there=$(echo here | git hash-object -w --stdin)
told=$(printf '%s\n' "$blob" "$there" | git rev-list --objects --missing=allow-any --ignore-missing --no-walk --stdin)
echo "with --ignore-missing: $told"
[ "${told% }" = "$there" ]

echo "as described"
