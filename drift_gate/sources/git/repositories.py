"""The repositories of a check, and where the questions about their contents are answered.

Whatever is read in one was written by others, so it is read in a process that can be ended
(``child_process``): the history, what is relevant in it, and what is remembered of both live there. A
question is a function of a module, which crosses with its arguments.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, TypeVarTuple

from drift_gate.errors import SourceError
from drift_gate.facts import History, Target
from drift_gate.runtime import child_process
from drift_gate.runtime.child_process import Child
from drift_gate.runtime.deadline import Deadline, gather, wait_logged
from drift_gate.runtime.memory import Borrowed, Kept
from drift_gate.sources.git.recalled import Recalled

if TYPE_CHECKING:
    from drift_gate.relevance.memory import Memory

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: By so much of the time that is left, and at most so many seconds, does a question end early, so that
#: what git did not answer is heard with its cause, and by half of it does the wait for the answer.
_HAND_OVER_SHARE, _HAND_OVER_S = 0.1, 0.1


def load_for_images() -> None:
    """In the process of its own: load what reads images, which takes longer than to read a small one."""
    from drift_gate.relevance.memory import load

    load()


def _no_memory() -> Memory:
    """What knows nothing yet; the asking process has no use for it."""
    from drift_gate.relevance.memory import Memory

    return Memory()


class _Stored(History, Protocol):
    """A history that has a folder on this machine."""

    def kept_in(self) -> Path:
        """The folder in which the gate keeps what it learned of it. Raises ``SourceError``."""
        ...


@dataclass(frozen=True, slots=True)
class DirectRepository:
    """A ``gate.Repository`` whose questions are answered by the caller, and end when they end."""

    history: History
    memory: Memory = field(default_factory=_no_memory)

    def target(self) -> Target:
        """As ``gate.Repository.target``."""
        return self.history.target()

    def ask(self, question: Callable[[History, Memory, *Ts], T], *args: *Ts) -> T:
        """As ``gate.Repository.ask``."""
        return question(self.history, self.memory, *args)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a repository is, and what is asked of it; each field as ``Checkout`` and ``Mirror`` take it.

    ``repository`` is the address of a mirror, or a path. ``cache_dir`` is the folder of all mirrors, and of
    what is learned of a repository (empty: one at a path keeps that itself). Answers of a remote serve for
    ``cache_ttl`` seconds, unless they are wanted ``fresh``.
    """

    mirrored: bool
    repository: str
    target_ref: str
    cache_dir: str
    environ: Mapping[str, str] = field(repr=False)
    stale_target_limit: float
    cache_ttl: float
    fresh: bool

    def learned_in(self, history: _Stored) -> Path:
        """The folder of what was learned of ``history``, opened here before. Raises ``SourceError``."""
        from drift_gate.sources.git.mirror_store import folder_name

        kept = history.kept_in()
        if self.cache_dir and not self.mirrored:
            kept = Path(self.cache_dir, folder_name(os.path.realpath(kept)))
        return kept / "learned"

    def open(self, deadline: Deadline, kept: Borrowed[Any, Any], recalled: Recalled) -> _Stored:
        """The history, for one check."""
        if self.mirrored:
            from drift_gate.sources.git.mirror import Mirror

            return Mirror(
                repository=self.repository,
                target_ref=self.target_ref,
                cache_dir=self.cache_dir,
                deadline=deadline,
                environ=self.environ,
                now=_utc_now,
                stale_target_limit=self.stale_target_limit,
                kept=kept,
            )
        from drift_gate.sources.git.checkout import Checkout

        return Checkout(
            path=self.repository,
            target_ref=self.target_ref,
            deadline=deadline,
            environ=self.environ,
            now=_utc_now,
            stale_target_limit=self.stale_target_limit,
            kept=kept,
            recalled=recalled,
        )


class RepositoryProcess:
    """The repositories of one check, read in one process of their own, which nobody else has meanwhile.

    ``reused`` says whether any target was kept from an earlier check.
    """

    def __init__(self) -> None:
        self.reused = False
        self._check = secrets.token_hex(8)
        self._places: list[Location] = []
        self._targets: Mapping[int, Target | SourceError] = {}
        self._begun: Callable[[], tuple[Mapping[int, Target | SourceError], bool]] | None = None
        self._lease = _ProcessLease()
        self._asking = threading.Lock()
        self._close = weakref.finalize(self, self._lease.give_back)

    def at(self, place: Location, deadline: Deadline) -> ProcessRepository:
        """The repository at ``place``, to be asked until ``deadline``."""
        self._places.append(place)
        return ProcessRepository(self, len(self._places) - 1, deadline)

    def close(self) -> None:
        """Let others have the process; one that is still busy is ended."""
        self._close()

    def begin(self, deadline: Deadline) -> None:
        """Ask for all targets now, if there is a process to be had at once; ``target`` hears the answer."""
        with self._asking, contextlib.suppress(SourceError):
            self._lease.child(Deadline(0.0))
            self._begun = self._ask_targets(deadline)

    def target(self, number: int, deadline: Deadline) -> Target:
        """The target of one repository; the first who asks makes all of them be asked, side by side."""
        with self._asking:
            if number not in self._targets:
                begun, self._begun = self._begun or self._ask_targets(deadline), None
                self._targets, reused = begun()
                self.reused = self.reused or reused
        answer = self._targets[number]
        if isinstance(answer, SourceError):
            raise answer
        return answer

    def ask(self, number: int, question: Callable[..., T], args: Sequence[object], deadline: Deadline) -> T:
        """The answer to a question about one repository."""
        with self._asking:
            asked = (self._check, number, self._places[number], question, args)
            with wait_logged("the repository to be read", deadline):
                answer: T = self._ask(_answer, asked, deadline)()
            return answer

    def _ask_targets(
        self, deadline: Deadline
    ) -> Callable[[], tuple[Mapping[int, Target | SourceError], bool]]:
        return self._ask(_targets, (self._check, list(self._places)), deadline)

    def _ask(
        self, function: Callable[..., T], args: tuple[object, ...], deadline: Deadline
    ) -> Callable[[], T]:
        """Who waits for the answer of ``function``, which is asked for now."""
        child = self._lease.child(deadline)
        early = min(_HAND_OVER_S, _HAND_OVER_SHARE * deadline.remaining())
        until = deadline.sooner(early / 2)
        child.ask(function, (deadline.sooner(early).remaining(), *args), until)
        return partial(child.answer, until)


class _ProcessLease:
    """The process that a check has to itself, from its first question on."""

    def __init__(self) -> None:
        self._child: Child | None = None

    def child(self, deadline: Deadline) -> Child:
        if self._child is not None and not self._child.alive:
            self.give_back()
        if self._child is None:
            self._child = child_process.pool().take(deadline)
        return self._child

    def give_back(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child_process.pool().give(child)


@dataclass(frozen=True, slots=True)
class ProcessRepository:
    """A ``gate.Repository`` of ``RepositoryProcess``."""

    elsewhere: RepositoryProcess
    number: int
    deadline: Deadline

    def target(self) -> Target:
        """As ``gate.Repository.target``."""
        return self.elsewhere.target(self.number, self.deadline)

    def ask(self, question: Callable[[History, Memory, *Ts], T], *args: *Ts) -> T:
        """As ``gate.Repository.ask``."""
        return self.elsewhere.ask(self.number, question, args, self.deadline)


class _ProcessState:
    """What the process of its own keeps: what is known for ever, and the histories of the check at hand."""

    def __init__(self) -> None:
        self.memory = _no_memory()
        self._kept: dict[float, Kept[Any, Any]] = {}
        self._recalled = Recalled()
        self._check = ""
        self._histories: dict[int, _Stored] = {}
        self._borrowed: list[Borrowed[Any, Any]] = []

    def history(self, check: str, number: int, place: Location, deadline: Deadline) -> _Stored:
        """The history at ``place``; the same one for all questions of a check."""
        if check != self._check:
            self._check, self._histories, self._borrowed = check, {}, []
        if number not in self._histories:
            kept = self._kept.setdefault(place.cache_ttl, Kept(place.cache_ttl))
            self._borrowed.append(Borrowed(kept, fresh=place.fresh))
            self._histories[number] = place.open(deadline, self._borrowed[-1], self._recalled)
        return self._histories[number]

    @property
    def reused(self) -> bool:
        return any(each.reused for each in self._borrowed)


@cache
def _process_state() -> _ProcessState:
    """Of the process of its own; elsewhere nobody asks for it."""
    return _ProcessState()


def _targets(
    seconds: float, check: str, places: Sequence[Location]
) -> tuple[dict[int, Target | SourceError], bool]:
    deadline = Deadline(seconds)
    histories = [
        _process_state().history(check, number, place, deadline) for number, place in enumerate(places)
    ]
    jobs = {number: each.target for number, each in enumerate(histories)}
    # One alone needs no thread: whoever asks ends this process where it does not end in time.
    targets = gather(jobs, deadline) if len(jobs) > 1 else gather({}, deadline, here=jobs)
    return targets, _process_state().reused


def _answer(
    seconds: float,
    check: str,
    number: int,
    place: Location,
    question: Callable[..., Any],
    args: Sequence[Any],
) -> Any:
    from drift_gate.relevance.written import code_version
    from drift_gate.runtime.disk_cache import DiskCache

    history = _process_state().history(check, number, place, Deadline(seconds))
    # A question that asks the disk for nothing leaves the repository to be opened by what it does ask.
    with DiskCache(lambda: place.learned_in(history), code_version()) as disk:
        return question(history, _process_state().memory.on(disk), *args)


def _utc_now() -> datetime:
    return datetime.now(UTC)
