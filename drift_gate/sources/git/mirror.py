"""The target and the history of a repository that is not on this machine, from a mirror in a cache folder.

A mirror is a bare repository with all commits of a branch and no file contents. Every check of every
process shares it; file contents are fetched, many at a time, when they are asked for.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from drift_gate.errors import SourceError
from drift_gate.facts import Commit, Entry, Patch, Target, Unknown
from drift_gate.runtime.deadline import Deadline, retrying
from drift_gate.runtime.memory import Borrowed
from drift_gate.sources.git.confirmed import KeptAnswers, Records
from drift_gate.sources.git.history import GITLINK, PATCHES_SHARE, GitHistory
from drift_gate.sources.git.mirror_store import Copy, Store
from drift_gate.sources.git.process import Git
from drift_gate.sources.git.refs import REF_NAME
from drift_gate.sources.git.remote import Remote, shown
from drift_gate.sources.lazy_answer import LazyAnswer

T = TypeVar("T")

#: Of the time that is left: what asking the remote may take, what fetching from it, and what fetching
#: single commits or file contents. An answer that never comes must leave time for the rest of the check.
REMOTE_SHARE, FETCH_SHARE, OBJECTS_SHARE = 0.5, 0.8, 0.8
#: How a damaged mirror reads: a command failed, answered nonsense, or lacks a commit that was there.
DAMAGE = frozenset({"history-unavailable", "invalid-response", "commit-not-in-history"})
#: File contents that are fetched to compare patches.
MOST_BLOBS = 1_000
#: Where the mirror keeps commits that were fetched by their id.
COMMITS = "refs/drift-gate/commits/"


class Mirror:
    """``facts.History`` of a remote repository, for the length of one check.

    ``repository`` is its address: ``https://…``, ``ssh://…``, ``user@host:path`` or ``file://…``.
    ``target_ref``: ``main`` and ``origin/main`` are the remote's branch, ``HEAD`` its default branch,
    ``refs/tags/v1`` and other full names are themselves. ``cache_dir`` is the folder of all mirrors, made
    where it is missing. ``environ`` is what git inherits, cleaned; ``GITHUB_TOKEN`` in it is told to
    https://github.com and to nobody else. ``now`` is the clock (UTC). ``stale_target_limit``: for how
    many seconds the last commit that the remote confirmed may serve when it cannot be asked.
    ``fetch_share`` is the part of the remaining time that making or refreshing the mirror may take. What
    the remote answers may be ``kept`` for later checks (None: it is asked each time).
    """

    def __init__(
        self,
        *,
        repository: str,
        target_ref: str,
        cache_dir: str | Path,
        deadline: Deadline,
        environ: Mapping[str, str],
        now: Callable[[], datetime],
        stale_target_limit: float,
        fetch_share: float = FETCH_SHARE,
        kept: KeptAnswers | None = None,
    ) -> None:
        self._address = repository
        self._ref = target_ref
        self._cache = Path(cache_dir)
        self._deadline = deadline
        self._environ = environ
        self._now = now
        self._limit = timedelta(seconds=stale_target_limit)
        self._share = fetch_share
        self._kept = kept or Borrowed()
        self._store = LazyAnswer(self._open_store)
        self._found = LazyAnswer(self._find_target)
        self._replaced = False
        self._healed: Copy | None = None

    def target(self) -> Target:
        """The commit that the target ref names at the remote now; found out once, also when that failed.

        Raises ``SourceError``: ``target-not-found`` with near misses; ``credentials``, ``unavailable``,
        ``rate-limited``, ``not-found`` or ``timeout`` where the remote did not answer; ``timeout`` that
        names `deployment-drift warm` where there is no mirror yet; ``shallow-history`` where the remote's
        own history is cut; ``history-unavailable`` where the cache folder cannot be used.
        """
        return self._found.get()[0]

    def resolve(self, ids: Collection[str]) -> Mapping[str, str | Unknown]:
        """As ``facts.History.resolve``. A commit that the branch does not hold is fetched by its full id.

        Where that fails, the answer for what is absent is the cause of the failure.
        """
        found = self._read(lambda history: history.resolve(ids))
        absent = [each for each, answer in found.items() if _is_absent(answer)]
        return {**found, **self._fetched(absent)}

    def files(self, commits: Collection[str]) -> Mapping[str, Mapping[str, Entry]]:
        """As ``facts.History.files``."""
        return self._read(lambda history: history.files(commits), commits)

    def walk(self, tips: Sequence[str]) -> Iterator[Commit]:
        """As ``facts.History.walk``.

        Damage that shows after the first commit ends the walk; the next check makes the mirror anew.
        """
        copy = self._in_use()
        begun = False
        try:
            for commit in copy.history.walk(tips):
                begun = True
                yield commit
            return
        except SourceError as error:
            if begun and error.cause in DAMAGE:
                copy.suspect()
            if begun or error.cause not in DAMAGE:
                raise
            healed = self._replace(copy, error, tips)
        yield from healed.walk(tips)

    def line(self, tip: str, most: int) -> Sequence[str]:
        """As ``facts.History.line``."""
        return self._read(lambda history: history.line(tip, most), [tip])

    def landings(self, tip: str) -> Iterator[int]:
        """As ``facts.History.landings``. It follows a walk, which has met whatever is damaged."""
        return self._in_use().history.landings(tip)

    def patches(self, commits: Collection[str]) -> Mapping[str, Patch]:
        """As ``facts.History.patches``. The contents that the mirror lacks are fetched in one request.

        Raises ``SourceError`` also where they are too many. No failure here speaks of damage.
        """
        history = self._in_use().history
        hurried = replace(history, git=history.git.within(PATCHES_SHARE))
        blobs = hurried.changed_blobs(commits)
        if len(blobs) > MOST_BLOBS:
            raise SourceError(f"{len(blobs)} contents would have to be fetched", "history-unavailable")
        self._fetch(hurried, hurried.missing(blobs))
        return history.patches(commits)

    def difference(self, old: str, new: str, paths: Collection[str], *, summary: bool, limit: int) -> bytes:
        """As ``facts.History.difference``. The contents that the mirror lacks are fetched in one request."""

        def read(history: GitHistory) -> bytes:
            listings = history.files([old, new]).values()
            entries = [each[path] for each in listings for path in paths if path in each]
            blobs = {entry.blob for entry in entries if entry.mode != GITLINK}
            self._fetch(history, history.missing(blobs))
            return history.difference(old, new, paths, summary=summary, limit=limit)

        return self._read(read, [old, new])

    def contents(self, blobs: Collection[str]) -> Mapping[str, bytes]:
        """As ``facts.History.contents``. All that the mirror lacks is fetched in one request."""

        def read(history: GitHistory) -> Mapping[str, bytes]:
            self._fetch(history, history.missing(blobs))
            return history.contents(blobs)

        return self._read(read)

    def kept_in(self) -> Path:
        """The folder in which the gate keeps what it learned of this repository: beside its copies."""
        return self._store.get().folder

    def _open_store(self) -> Store:
        return Store.at(self._cache, Remote(self._address), self._environ, self._deadline)

    @property
    def _remote(self) -> Remote:
        return self._store.get().remote

    def _in_use(self) -> Copy:
        _, copy = self._found.get()
        return self._healed or copy

    def _find_target(self) -> tuple[Target, Copy]:
        if not REF_NAME.fullmatch(self._ref):
            sentence = f"{self._ref!r} is no name of a ref: name a branch, a tag or HEAD"
            raise SourceError(sentence, "target-not-found")
        store = self._store.get()
        try:
            oid, confirmed_at = self._kept.get(
                (self._address, self._theirs), lambda: (self._asked(store), self._now())
            )
            copy, commit = self._obtain(store, oid)
        except SourceError as error:
            if error.cause == "target-not-found":
                raise
            return self._stand_in(store, error)
        earlier = self._records(store).write(commit, confirmed_at, copy.history.follows)
        ref = _our_name(self._theirs)
        return Target(ref=ref, commit=commit, confirmed_at=confirmed_at, earlier=earlier), copy

    @property
    def _theirs(self) -> str:
        """The full name of the target ref at the remote."""
        name = self._ref.removeprefix("refs/remotes/")
        if name.startswith("refs/"):
            return name
        name = name.removeprefix("origin/")
        return name if name == "HEAD" else f"refs/heads/{name}"

    def _asked(self, store: Store) -> str:
        """The object that the remote has under the target ref now."""
        git = store.git.within(REMOTE_SHARE)
        oid = retrying(lambda: store.remote.ask(git, self._theirs), git.deadline)
        if oid is None:
            raise self._not_found(store, git)
        return oid

    def _not_found(self, store: Store, git: Git) -> SourceError:
        name = self._theirs.removeprefix("refs/heads/")
        branches = store.remote.branches(git)
        near = difflib.get_close_matches(name, [each for each in branches if each != name], n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        if name in branches:
            hint = "; it was there a moment later: check again"
        elif not branches:
            hint = "; it names no branch at all: it is empty, or what answers there is no git host"
        return SourceError(f"{store.name} has no ref {self._theirs}{hint}", "target-not-found")

    def _obtain(self, store: Store, oid: str) -> tuple[Copy, str]:
        """A mirror that holds ``oid``, and the commit that this is (a tag is none)."""
        deadline = store.git.within(self._share).deadline
        copy = retrying(lambda: store.obtain(oid, self._theirs, deadline), deadline)
        commit = copy.history.commit_of(oid)
        if commit is None:
            raise SourceError(f"{self._theirs} of {store.name} is no commit", "target-not-found")
        return copy, commit

    def _records(self, store: Store) -> Records:
        return Records(store.folder / "confirmed.json", self._theirs)

    def _stand_in(self, store: Store, error: SourceError) -> tuple[Target, Copy]:
        """What the mirror last confirmed, where it may still serve; else ``error``."""
        copy = store.current()
        if copy is None:
            raise error
        target = self._records(store).stand_in(
            ref=_our_name(self._theirs),
            remote=store.name,
            error=error,
            now=self._now(),
            limit=self._limit,
            holds=copy.history.commit_of,
        )
        return target, copy

    def _read(self, question: Callable[[GitHistory], T], commits: Collection[str] = ()) -> T:
        """The answer of the mirror; where that is damaged, of one made anew. ``commits`` are needed."""
        copy = self._in_use()
        try:
            return question(copy.history)
        except SourceError as error:
            if error.cause not in DAMAGE:
                raise
            healed = self._replace(copy, error, commits)
        return question(healed)

    def _replace(self, damaged: Copy, error: SourceError, commits: Collection[str]) -> GitHistory:
        """A new mirror in place of ``damaged``, with ``commits`` in it; else raises ``error``.

        Once per check: what fails with a new mirror too is no damage.
        """
        if self._replaced:
            raise error
        self._replaced = True
        damaged.suspect()
        try:
            copy, _ = self._obtain(self._store.get(), self.target().commit)
            absent = copy.history.missing(commits)
            self._fetch(copy.history, absent, COMMITS)
        except SourceError:
            raise error from None
        self._healed = copy
        return copy.history

    def _fetch(self, history: GitHistory, ids: Sequence[str], into: str | None = None) -> None:
        """Has the objects ``ids`` in the mirror, but for those that the remote lacks too."""
        if not ids:
            return
        lacked = self._remote.fetch_objects(history.git.within(OBJECTS_SHARE), ids, into)
        unreadable = set(history.missing(ids)) - lacked
        if unreadable:  # listed in the index of a pack that is damaged, so that git does not fetch them
            message = f"the mirror of {shown(self._address)} cannot read {min(unreadable)[:12]}"
            raise SourceError(message, "history-unavailable")

    def _fetched(self, absent: Sequence[str]) -> Mapping[str, str | Unknown]:
        """The commits ``absent`` after those with a full id were fetched, or why they could not be."""
        length = self._in_use().history.id_length
        full = [each for each in absent if len(each) == length]
        if not full:
            return {each: self._not_on_branch(each) for each in absent}
        try:
            self._read(lambda history: self._fetch(history, full, COMMITS))
        except SourceError as error:
            why = f"the mirror lacks the commit, and it cannot be fetched: {error.message}"
            return dict.fromkeys(absent, Unknown(cause=error.cause, message=why, retryable=error.retryable))
        history = self._in_use().history
        return {
            each: self._not_on_branch(each) if _is_absent(answer) else answer
            for each, answer in history.resolve(absent).items()
        }

    def _not_on_branch(self, absent: str) -> Unknown:
        short = "" if len(absent) >= 40 else "; a commit elsewhere can be fetched by its full id only"
        message = f"{shown(self._address)} has no commit {absent}, or not on {self._theirs}{short}"
        return Unknown(cause="commit-not-in-history", message=message)


def _is_absent(answer: str | Unknown) -> bool:
    return isinstance(answer, Unknown) and answer.cause == "commit-not-in-history"


def _our_name(theirs: str) -> str:
    """How a report calls the remote's ref ``theirs``: as a checkout with one remote does."""
    if theirs == "HEAD" or theirs.startswith("refs/heads/"):
        return f"refs/remotes/origin/{theirs.removeprefix('refs/heads/')}"
    return theirs


def warm(
    *,
    repository: str,
    target_ref: str,
    cache_dir: str | Path,
    clone_timeout: float,
    environ: Mapping[str, str],
    now: Callable[[], datetime],
) -> Target:
    """Makes the mirror that checks of ``repository`` will use, or refreshes it; returns its target.

    For the build of an image or the start of a server. ``clone_timeout`` (seconds) bounds all of it; the
    other arguments are those of ``Mirror``. Raises ``SourceError`` as ``Mirror.target`` does, also where
    an older mirror could serve for a while.
    """
    return Mirror(
        repository=repository,
        target_ref=target_ref,
        cache_dir=cache_dir,
        deadline=Deadline(clone_timeout),
        environ=environ,
        now=now,
        stale_target_limit=-1,
        fetch_share=1,
    ).target()
