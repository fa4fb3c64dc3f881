"""The target and the history from a repository on this machine: a checkout, a folder of one, a bare one.

Nothing of the user's is changed. What the gate keeps for itself lies in `refs/drift-gate/` and in
`drift-gate/` of the repository's common directory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from drift_gate.errors import SourceError
from drift_gate.facts import Commit, Entry, Finding, Patch, Target, Unknown
from drift_gate.runtime.deadline import Deadline
from drift_gate.runtime.memory import Borrowed
from drift_gate.sources.git import partial
from drift_gate.sources.git.confirmed import KeptAnswers
from drift_gate.sources.git.history import HEAD, GitHistory
from drift_gate.sources.git.local_repository import Ref, Repository, refs_of
from drift_gate.sources.git.opening import git_at, opened, opening
from drift_gate.sources.git.process import Git
from drift_gate.sources.git.recalled import Recalled
from drift_gate.sources.git.refs import REF_NAME
from drift_gate.sources.git.remote_branch import RemoteBranch
from drift_gate.sources.lazy_answer import LazyAnswer

T = TypeVar("T")


class Checkout:
    """``facts.History`` of a local repository, for the length of one check.

    ``path`` is a checkout, a folder of one, or a bare repository. ``target_ref``: ``origin/main`` (or
    ``refs/remotes/origin/main``) is the remote's branch, asked for now; ``main`` the local branch, or
    else the tag; ``HEAD`` and full names are themselves. ``environ`` is what git inherits, cleaned;
    ``now`` the clock (UTC). ``stale_target_limit``: for how many seconds the last commit that the
    remote confirmed may serve when the remote cannot be asked. What the remote answers may be ``kept`` for
    later checks (None: it is asked each time), and what they found is ``recalled`` (None: nothing is).
    """

    def __init__(
        self,
        *,
        path: str | Path,
        target_ref: str,
        deadline: Deadline,
        environ: Mapping[str, str],
        now: Callable[[], datetime],
        stale_target_limit: float,
        kept: KeptAnswers | None = None,
        recalled: Recalled | None = None,
    ) -> None:
        self._path = Path(os.path.abspath(path))
        self._ref = target_ref
        self._deadline = deadline
        self._environ = environ
        self._now = now
        self._limit = timedelta(seconds=stale_target_limit)
        self._kept = kept or Borrowed()
        self._recalled = recalled or Recalled()
        self._sought: Collection[str] = ()
        self._open_early: Repository | None = None
        self._opened = LazyAnswer(self._open)
        self._target = LazyAnswer(self._find_target)

    def target(self) -> Target:
        """The commit that the target ref names now; found out once, also when that failed.

        Raises ``SourceError``: ``target-not-found`` with near misses, for a remote ``credentials``,
        ``unavailable``, ``not-found`` or ``timeout``, and ``history-unavailable`` where the repository
        cannot be read, or not written although the target has to be fetched.
        """
        return self._target.get()

    def resolve(self, ids: Collection[str]) -> Mapping[str, str | Unknown]:
        """As ``facts.History.resolve``; whatever start of git opens the repository now looks for them too."""
        self._sought = ids
        self._recalled.sought.put(str(self._path), ids)
        return self._told(lambda history: history.resolve(ids))

    def files(self, commits: Collection[str]) -> Mapping[str, Mapping[str, Entry]]:
        """As ``facts.History.files``."""
        return self._told(lambda history: history.files(commits))

    def walk(self, tips: Sequence[str]) -> Iterator[Commit]:
        """As ``facts.History.walk``."""
        try:
            yield from self._history.walk(tips)
        except SourceError as error:
            raise self._explained(error) from None

    def line(self, tip: str, most: int) -> Sequence[str]:
        """As ``facts.History.line``."""
        return self._history.line(tip, most)

    def landings(self, tip: str) -> Iterator[int]:
        """As ``facts.History.landings``."""
        return self._history.landings(tip)

    def patches(self, commits: Collection[str]) -> Mapping[str, Patch]:
        """As ``facts.History.patches``."""
        return self._history.patches(commits)

    def difference(self, old: str, new: str, paths: Collection[str], *, summary: bool, limit: int) -> bytes:
        """As ``facts.History.difference``."""
        return self._told(lambda history: history.difference(old, new, paths, summary=summary, limit=limit))

    def contents(self, blobs: Collection[str]) -> Mapping[str, bytes]:
        """As ``facts.History.contents``.

        Raises ``history-unavailable`` where a partial clone lacks one: that is not what it holds.
        """
        found = self._told(lambda history: history.contents(blobs))
        absent = set(blobs) - found.keys()
        if absent and self._lacked(absent):
            raise self._explained(SourceError("file contents are missing", "history-unavailable"))
        return found

    def kept_in(self) -> Path:
        """The folder in which the gate keeps what it learned of this repository; all worktrees share it."""
        return self._opened.get().common_dir / "drift-gate"

    def _lacked(self, blobs: Collection[str]) -> bool:
        """Whether this is a partial clone that lacks one of ``blobs``."""
        git = self._history.git
        return partial.filter_of(git) is not None and partial.there(git, blobs) != set(blobs)

    def _told(self, question: Callable[[GitHistory], T]) -> T:
        try:
            return question(self._history)
        except SourceError as error:
            raise self._explained(error) from None

    def _explained(self, error: SourceError) -> SourceError:
        repository = self._opened.get()
        return partial.explained(repository.git, repository.name, error)

    @property
    def _history(self) -> GitHistory:
        return self._opened.get().history

    def _open(self) -> Repository:
        return self._open_early or opened(self._git, self._path, self._recalled, self._sought)

    @property
    def _git(self) -> Git:
        return git_at(self._path, self._environ, self._deadline)

    def _find_target(self) -> Target:
        if not REF_NAME.fullmatch(self._ref):
            sentence = f"{self._ref!r} is no name of a ref: name a branch, a tag or HEAD"
            raise SourceError(sentence, "target-not-found")
        if (target := self._target_at_once()) is not None:
            return target
        if self._ref == HEAD:
            self._sought = (HEAD, *self._sought_before)
        repository = self._opened.get()
        name = self._ref.removeprefix("refs/remotes/")
        if "/" in name and not name.startswith("refs/"):
            for remote, address in repository.remotes():
                if name.startswith(f"{remote}/"):
                    branch = name.removeprefix(f"{remote}/")
                    return RemoteBranch(
                        repository, remote, branch, address, self._now, self._limit, self._kept
                    ).target()
        return self._local_target(repository)

    def _target_at_once(self) -> Target | None:
        """A local branch or full name, by a start of git that finds the repository as well.

        None: it takes several starts to tell, or to tell why not. Beside it git opens the repository where
        the check before looked for commits there, which this one will look for, too.
        """
        full = self._ref.startswith("refs/") and not self._ref.startswith("refs/remotes/")
        if self._ref == HEAD or ("/" in self._ref and not full):
            return None
        now = self._now()
        branch, *tag = _full_names(self._ref)
        try:
            git = self._git
            with opening(git, self._path, self._recalled, self._sought_before) as answer:
                found = refs_of(git, [branch, *tag])
                self._open_early = answer()
        except SourceError as error:
            if error.cause == "timeout":
                raise
            return None
        at_once = found and found[0].kind == "commit" and found[0].name == branch
        return _local(found[0], found[0].oid, now) if at_once else None

    @property
    def _sought_before(self) -> Collection[str]:
        """The commits that the check before looked for here, as this one will; none where none is known."""
        return self._recalled.sought.get(str(self._path)) or ()

    def _local_target(self, repository: Repository) -> Target:
        now = self._now()
        if self._ref == HEAD:
            head = repository.history.commit_of(HEAD)
            if head is None and (oid := repository.head()):
                repository.require(HEAD, oid)
            if head is None:
                raise SourceError(f"{repository.name} has no commit at HEAD yet", "target-not-found")
            return Target(ref=HEAD, commit=head, confirmed_at=now)
        if not self._ref.startswith(
            "refs/remotes/"
        ):  # one that nobody confirms must not pass for the remote's
            names = _full_names(self._ref)
            found = repository.refs(names)
            if names[0] not in [ref.name for ref in found]:
                repository.require_no(names[0])  # or the tag of the name would stand in for the branch
            for ref in found:
                commit = ref.oid if ref.kind == "commit" else repository.history.commit_of(ref.oid)
                if commit:
                    return _local(ref, commit, now)
                repository.require(ref.name, ref.oid)
        raise repository.not_found(self._ref)


def _full_names(ref: str) -> list[str]:
    return [ref] if ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]


def _local(ref: Ref, commit: str, now: datetime) -> Target:
    return Target(ref=ref.name, commit=commit, confirmed_at=now, findings=_behind(ref.name, ref.track))


def _behind(ref: str, track: str) -> tuple[Finding, ...]:
    """What to say of a local branch whose upstream, as last fetched, has commits that it lacks."""
    behind = re.search(r"behind (\d+)", track)
    if behind is None:
        return ()
    message = f"the local {ref} lacks {behind[1]} commits of its upstream as last fetched"
    return (Finding(code="target-may-be-stale", message=message, data={"behind": int(behind[1])}),)
