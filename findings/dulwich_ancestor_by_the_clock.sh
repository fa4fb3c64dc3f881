#!/bin/sh
# dulwich 1.2.21. Guessed: which branches contain a commit follows from the parents, as with `git branch --contains`.
# Seen: in a line of three commits, whose second was made by a clock an hour behind, porcelain.branches_containing finds
# the first in no branch. It asks graph.can_fast_forward, which looks at no commit older than the one that it seeks, and
# so do merged_branches and a pull; is_ancestor, beside them, asks for the merge base and says yes. Whoever asks by
# the one whether main contains what is live is told of a branch that went ways of its own.
# Ours asks git for that (docs/decisions/0002-git-by-one-function.md).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dulwich==1.2.21
git init -q -b main "$folder/line"
cd "$folder/line"
for seconds in 1790003600 1790000000 1790007200; do
    GIT_COMMITTER_DATE="@$seconds +0000" git commit -q --allow-empty -m "at $seconds"
done
[ "$(git branch --format='%(refname:short)' --contains HEAD~2)" = main ]
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from dulwich import porcelain
from dulwich.graph import can_fast_forward
from dulwich.repo import Repo

repository = Repo(".")
newest = repository.head()
(middle,) = repository[newest].parents
(first,) = repository[middle].parents
asked = {"first": first, "middle": middle}
containing = {name: [*porcelain.branches_containing(".", sha.decode())] for name, sha in asked.items()}
ancestor = porcelain.is_ancestor(".", first, newest)
forward = can_fast_forward(repository, first, newest)
print("dulwich", version("dulwich"))
print("branches_containing:", containing, "of the first: is_ancestor", ancestor, "can_fast_forward", forward)
assert containing == {"first": [], "middle": [b"main"]}
assert ancestor and not forward
PYTHON
