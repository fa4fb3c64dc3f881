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
from drift_gate.sources.git.errors import message_of
from drift_gate.sources.git.history import GitHistory
from drift_gate.sources.git.local_repository import Repository, lines, name_of
from drift_gate.sources.git.log import nonsense
from drift_gate.sources.git.process import Git
from drift_gate.sources.git.refs import REF_NAME
from drift_gate.sources.git.remote_branch import RemoteBranch
from drift_gate.sources.lazy_answer import LazyAnswer

T = TypeVar("T")

_EXTENSIONS = re.compile(r"unknown repository extensions? found:\n((?:\t.*\n?)+)")


class Checkout:
    """``facts.History`` of a local repository, for the length of one check.

    ``path`` is a checkout, a folder of one, or a bare repository. ``target_ref``: ``origin/main`` (or
    ``refs/remotes/origin/main``) is the remote's branch, asked for now; ``main`` the local branch, or
    else the tag; ``HEAD`` and full names are themselves. ``environ`` is what git inherits, cleaned;
    ``now`` the clock (UTC). ``stale_target_limit``: for how many seconds the last commit that the
    remote confirmed may serve when the remote cannot be asked. What the remote answers may be ``kept`` for
    later checks (None: it is asked each time).
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
    ) -> None:
        self._path = Path(os.path.abspath(path))
        self._ref = target_ref
        self._deadline = deadline
        self._environ = environ
        self._now = now
        self._limit = timedelta(seconds=stale_target_limit)
        self._kept = kept or Borrowed()
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
        """As ``facts.History.resolve``."""
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
        return _open_repository(self._path, self._environ, self._deadline)

    def _find_target(self) -> Target:
        if not REF_NAME.fullmatch(self._ref):
            sentence = f"{self._ref!r} is no name of a ref: name a branch, a tag or HEAD"
            raise SourceError(sentence, "target-not-found")
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

    def _local_target(self, repository: Repository) -> Target:
        now = self._now()
        if self._ref == "HEAD":
            head = repository.history.commit_of("HEAD")
            if head is None and (oid := repository.head()):
                repository.require("HEAD", oid)
            if head is None:
                raise SourceError(f"{repository.name} has no commit at HEAD yet", "target-not-found")
            return Target(ref="HEAD", commit=head, confirmed_at=now)
        if not self._ref.startswith(
            "refs/remotes/"
        ):  # one that nobody confirms must not pass for the remote's
            for ref in repository.refs(_full_names(self._ref)):
                commit = ref.oid if ref.kind == "commit" else repository.history.commit_of(ref.oid)
                if commit:
                    behind = _behind(ref.name, ref.track)
                    return Target(ref=ref.name, commit=commit, confirmed_at=now, findings=behind)
                repository.require(ref.name, ref.oid)
        raise repository.not_found(self._ref)


def _open_repository(path: Path, environ: Mapping[str, str], deadline: Deadline) -> Repository:
    """Finds the repository that ``path`` lies in. Raises ``SourceError`` (``history-unavailable``)."""
    if not os.path.exists(path):
        raise SourceError(f"{path} does not exist, or may not be looked at", "history-unavailable")
    folder = os.path.realpath(path if path.is_dir() else path.parent)
    git = Git(cwd=folder, environ=environ, deadline=deadline)
    # Git looks for it by itself first: only then does it check who owns the repository.
    asked = ("--is-shallow-repository", "--show-object-format", "--absolute-git-dir", "--git-common-dir")
    answer = git.run("rev-parse", *asked, "--show-cdup", failure=lambda _, stderr: _cannot_open(path, stderr))
    told = lines(answer)
    if not len(asked) <= len(told) <= len(asked) + 1:
        raise SourceError(f"{name_of(path)} has a line break in its path", "history-unavailable")
    shallow, algorithm, git_dir, common_dir = told[:4]
    if shallow not in ("true", "false") or algorithm not in ("sha1", "sha256") or b"\0" in answer:
        raise nonsense("rev-parse")
    # A bare repository has no top folder. Git runs in it, as remotes may be relative paths.
    top = os.path.join(folder, told[4]) if len(told) > 4 else git_dir
    git = Git(cwd=top, git_dir=git_dir, environ=environ, deadline=deadline)
    history = GitHistory(git=git, shallow=shallow == "true", id_length=64 if algorithm == "sha256" else 40)
    return Repository(path, Path(folder, common_dir), history)


def _cannot_open(path: Path, stderr: str) -> SourceError:
    name = name_of(path)
    if "dubious ownership" in stderr:
        line = re.search(r"git config --global --add safe\.directory .+", stderr)
        todo = line[0] if line else f"git config --global --add safe.directory {name}"
        message = f"{name} belongs to another user; if you trust it, run `{todo}`"
    elif "not a git repository" in stderr:
        message = f"{name} is no git repository, nor inside one"
    elif extensions := _EXTENSIONS.search(stderr):
        names = ", ".join(extensions[1].split())
        message = (
            f"{name} needs what this git does not know: the repository extension {names}; use a newer git"
        )
    else:
        message = f"{name} cannot be opened: {message_of(stderr)}"
    return SourceError(message, "history-unavailable")


def _full_names(ref: str) -> list[str]:
    return [ref] if ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]


def _behind(ref: str, track: str) -> tuple[Finding, ...]:
    """What to say of a local branch whose upstream, as last fetched, has commits that it lacks."""
    behind = re.search(r"behind (\d+)", track)
    if behind is None:
        return ()
    message = f"the local {ref} lacks {behind[1]} commits of its upstream as last fetched"
    return (Finding(code="target-may-be-stale", message=message, data={"behind": int(behind[1])}),)
