"""A local repository that is open: its remotes and refs, and the names that come close to one."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from drift_gate.errors import SourceError
from drift_gate.sources.git.history import GitHistory
from drift_gate.sources.git.log import nonsense
from drift_gate.sources.git.process import Git

_OBJECT_ID = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_REF = "%(refname)%00%(objectname)%00%(objecttype)%00%(upstream:track,nobracket)"
#: How many refs are searched for near misses.
NEAR_MISS_REFS = 5000


class Ref(NamedTuple):
    """A ref by its full name: the object that it points to, and how it stands to its upstream.

    ``kind`` is the type of the object; empty: not known.
    """

    name: str
    oid: str
    kind: str
    track: str


@dataclass(frozen=True, slots=True)
class Repository:
    """An open repository, found from ``path``; ``common_dir`` is shared by its worktrees."""

    path: Path
    common_dir: Path
    history: GitHistory

    @property
    def name(self) -> str:
        """Its folder, for people."""
        return name_of(self.path)

    @property
    def git(self) -> Git:
        """Git, in this repository."""
        return self.history.git

    def remotes(self) -> list[tuple[str, str]]:
        """Name and address of each remote, longest name first: a remote may be called ``a/b``."""
        told = lines(self.git.run("remote", "-v"))
        found = (re.fullmatch(r"([^\t]+)\t(.*) \(fetch\).*", line) for line in told)
        return sorted(((each[1], each[2]) for each in found if each), key=lambda pair: -len(pair[0]))

    def refs(self, names: Sequence[str]) -> list[Ref]:
        """Those of ``names`` that exist, in that order."""
        try:
            return refs_of(self.git, names)
        except SourceError:  # an object that is not there, and so has no type, ends the answer
            return refs_of(self.git, names, _REF.replace("%(objecttype)", ""))

    def head(self) -> str | None:
        """The id that HEAD points to, whether or not it is there; None for a branch not born yet."""
        answer = self.git.run("rev-parse", "--verify", "--quiet", "HEAD", accept=(0, 1))
        return answer.decode("ascii", "replace").strip() or None

    def require(self, ref: str, oid: str) -> None:
        """Raises ``SourceError`` where the object of ``ref`` is not there: the ref is no wrong name then."""
        if self.history.object_at(oid) is None:
            raise SourceError(
                f"{self.name} has {ref} at {oid[:12]}, and no such object: it is damaged, or borrows objects "
                f"from a folder that is gone (see {self.common_dir}/objects/info/alternates)",
                "history-unavailable",
            )

    def require_no(self, ref: str) -> None:
        """Raises ``SourceError`` where ``ref``, which git does not list, has a file: it is damaged."""
        if os.path.isfile(self.common_dir / ref):
            raise SourceError(
                f"{self.name} has {ref}, which says no commit: it is damaged, or leads to a ref that is gone",
                "history-unavailable",
            )

    def not_found(self, ref: str) -> SourceError:
        """The error for a target ref that does not exist, with the names that come close."""
        args = (f"--count={NEAR_MISS_REFS}", "refs/heads", "refs/tags", "refs/remotes")
        full = lines(self.git.run("for-each-ref", "--format=%(refname)", *args))
        shown = full if ref.startswith("refs/") else [name.split("/", 2)[-1] for name in full]
        near = [name for name in difflib.get_close_matches(ref, shown, n=4) if name != ref][:3]
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        known = [remote for remote, _ in self.remotes()]
        if "/" in ref and not known:
            hint += "; the repository has no remote"
        return SourceError(f"{self.name} has no ref {ref}{hint}", "target-not-found")


def refs_of(git: Git, names: Sequence[str], form: str = _REF) -> list[Ref]:
    """Those of ``names`` that exist, in that order; one process. Raises ``SourceError``."""
    told = [line.split("\0") for line in lines(git.run("for-each-ref", f"--format={form}", *names))]
    if not all(len(line) == 4 and _OBJECT_ID.fullmatch(line[1]) for line in told):
        raise nonsense("for-each-ref")
    found = {line[0]: Ref(*line) for line in told}
    return [found[name] for name in names if name in found]


def name_of(path: Path) -> str:
    """The folder of the repository at or above ``path``, as GitPython finds it: the name of it in an error.

    GitPython loads here and nowhere before, since it runs git while it does. What it does not take for a
    repository has the name that was given: it looks at `GIT_OBJECT_DIRECTORY` and its kin in the process, and
    at settings that git reads in another way.
    """
    try:
        import git as gitpython

        with gitpython.Repo(path, search_parent_directories=True, expand_vars=False) as found:
            return str(found.working_tree_dir or found.git_dir)
    except Exception:  # its errors have no common root, and none of them is the last word
        return str(path)


def lines(answer: bytes) -> list[str]:
    """The lines of an answer of git's, other bytes than UTF-8 kept as Python keeps those of paths."""
    return os.fsdecode(answer).split("\n")[:-1]
