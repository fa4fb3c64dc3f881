"""How the gate calls the outside: one deadline per check, retries inside it, threads nobody waits for."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import Future
from functools import cache
from typing import Generic, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from drift_gate.errors import DriftCheckError, SourceError

log = logging.getLogger("drift_gate")

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

#: A last attempt with less than this left (seconds) would only turn its real cause into `timeout`.
LAST_ATTEMPT_S = 0.25
#: First and longest pause between attempts, in seconds (full jitter between 0 and the bound).
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
#: How many outside calls run side by side; Cloud Run's read quota is per minute, not per connection.
AT_ONCE = 16
#: Seconds of silence after which whoever looks on is told what is waited for.
LOG_AFTER_S = 4.0


class Deadline:
    """A point in time that a whole check has to keep.

    ``seconds`` is counted from now on ``clock`` (monotonic seconds).
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.seconds = seconds
        self._ends = clock() + seconds

    def remaining(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, self._ends - self._clock())

    def require(self, what: str) -> float:
        """Seconds left; raises ``SourceError`` (``timeout``) when there are none for ``what``."""
        left = self.remaining()
        if left <= 0:
            raise SourceError(f"no time left for {what} (deadline {self.seconds:g} s)", "timeout", True)
        return left

    def ends_at(self) -> str:
        """The time of day, for whoever waits; by the system's clock, which may be set meanwhile."""
        return time.strftime("%H:%M:%S UTC", time.gmtime(time.time() + self.remaining()))

    def sooner(self, seconds: float) -> Deadline:
        """A deadline that ends ``seconds`` before this one, on the same clock.

        For work inside work: what is known when the inner deadline ends still reaches the caller, who
        would otherwise stop waiting at that very moment.
        """
        return Deadline(max(0.0, self.remaining() - seconds), self._clock)


@contextlib.contextmanager
def wait_logged(what: str, deadline: Deadline) -> Iterator[None]:
    """Say, where the block takes its time, that it waits for ``what``, and until when at the latest."""

    def tell() -> None:
        log.info("waiting for %s, until %s at the latest", what, deadline.ends_at())

    inside = contextvars.copy_context()
    log_of_waits = _wait_log_of(os.getpid())
    mark = log_of_waits.add(lambda: inside.run(tell))
    try:
        yield
    finally:
        log_of_waits.drop(mark)


class _WaitLog:
    """One thread for all that is waited for: a thread for each would cost what a short wait takes.

    It ends when nothing is left to tell.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[object, tuple[float, Callable[[], object]]] = {}
        self._wakes: float | None = None

    def add(self, tell: Callable[[], object]) -> object:
        """``tell`` after the silence, unless what is returned is dropped before."""
        mark, due = object(), time.monotonic() + LOG_AFTER_S
        with self._changed:
            self._due[mark] = due, tell
            if self._wakes is None:
                with contextlib.suppress(RuntimeError):  # no room for a thread: then nobody is told
                    threading.Thread(target=self._run, name="drift-gate wait log", daemon=True).start()
                    self._wakes = due
            elif due < self._wakes:
                self._changed.notify()
        return mark

    def drop(self, mark: object) -> None:
        """The wait is over."""
        with self._changed:
            self._due.pop(mark, None)

    def _run(self) -> None:
        while (late := self._next()) is not None:
            for tell in late:
                tell()

    def _next(self) -> list[Callable[[], object]] | None:
        """What is to be told now, after a wait; None: nothing is waited for."""
        with self._changed:
            if not self._due:
                self._wakes = None
                return None
            self._wakes = min(due for due, _ in self._due.values())
            self._changed.wait(max(0.0, self._wakes - time.monotonic()))
            late = {mark: each for mark, each in self._due.items() if each[0] <= time.monotonic()}
            for mark in late:
                del self._due[mark]
            return [tell for _, tell in late.values()]


@cache
def _wait_log_of(process_id: int) -> _WaitLog:
    """A thread does not survive a fork."""
    return _WaitLog()


def retrying(
    call: Callable[[], T],
    deadline: Deadline,
    sleep: Callable[[float], None] = time.sleep,
    attempts: int | None = None,
) -> T:
    """``call()`` until it answers, fails for good, or the deadline leaves no room for another attempt.

    ``call`` raises ``SourceError``; only a retryable one is tried again. A timeout is no exception:
    an attempt that had all the time there was leaves no room for another, and one that the other side
    gave up early does. Whoever asks to be left alone for a while (``retry_after``) is, and where the
    deadline is sooner than that, nobody waits for it. The last error is raised as it came, so that an
    early `rate-limited` never turns into a late `timeout`. ``sleep`` makes the pauses, in seconds.
    ``attempts``: how often ``call`` is made at most; None: as often as there is time.
    """

    def heals(error: BaseException) -> bool:
        return isinstance(error, SourceError) and error.retryable

    def no_room(state: RetryCallState) -> bool:
        enough = attempts is not None and state.attempt_number >= attempts
        return enough or state.upcoming_sleep + LAST_ATTEMPT_S >= deadline.remaining()

    return Retrying(
        sleep=sleep,
        retry=retry_if_exception(heals),
        wait=_pause,
        stop=no_room,
        reraise=True,
    )(call)


_jitter = wait_random_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S)


def _pause(state: RetryCallState) -> float:
    """Seconds to the next attempt: the jitter comes on top of what was asked for, never instead of it."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, SourceError) else None
    return _jitter(state) + (asked or 0.0)


class Lookup(Generic[T]):
    """A question that nothing can interrupt, asked on a daemon thread: at most one, whoever waits for it.

    ``ask`` is called anew only after the time before has failed, or has answered and the answer is not
    for keeping (``keep``). ``name`` names the thread. One per process: a thread does not survive a fork.
    """

    def __init__(self, ask: Callable[[], T], name: str, *, keep: bool = True) -> None:
        self._ask = ask
        self._name = f"drift-gate {name}"
        self._keep = keep
        self._lock = threading.Lock()
        self._pending: Future[T] | None = None

    def begin(self) -> None:
        """Ask now, for whoever wants the answer later. Raises ``RuntimeError`` without room for a thread."""
        self._begun()

    def result(self, deadline: Deadline) -> T:
        """The answer. Raises what ``ask`` raised, and ``TimeoutError`` at the deadline.

        The thread is left behind then. The next caller waits for the same answer; it starts no second
        thread.
        """
        return self._begun().result(deadline.remaining())

    @property
    def busy(self) -> bool:
        """Whether it holds a thread now."""
        with self._lock:
            return self._pending is not None and not self._pending.done()

    def _begun(self) -> Future[T]:
        with self._lock:
            if self._pending is None or self._over(self._pending):
                pending = Future[T]()
                work = (pending, self._ask)
                threading.Thread(target=_fulfil, args=work, name=self._name, daemon=True).start()
                self._pending = pending  # only now: without a thread nobody would ever fulfil it
            return self._pending

    def _over(self, pending: Future[T]) -> bool:
        return pending.done() and not (self._keep and pending.exception() is None)


def _fulfil(pending: Future[T], ask: Callable[[], T]) -> None:
    try:
        pending.set_result(ask())
    except BaseException as error:  # handed to whoever waits for it
        pending.set_exception(error)


def gather(
    jobs: Mapping[K, Callable[[], T]], deadline: Deadline, here: Mapping[K, Callable[[], T]] | None = None
) -> dict[K, T | SourceError]:
    """All ``jobs`` side by side, each with its answer or the ``SourceError`` that it ended with.

    ``here`` are jobs that end at the deadline by themselves (None: there are none): this thread does them
    meanwhile, one after the other.
    Returns at the deadline at the latest: what is still running then is `timeout`. The threads are
    daemons and not waited for, since some calls (a DNS look-up, the metadata server) cannot be
    interrupted. Any other exception is raised here.
    """
    answers: dict[K, T | BaseException] = {}
    changed = threading.Condition()
    # What is logged there belongs to the same trace and batch.
    left = deque((key, job, contextvars.copy_context()) for key, job in jobs.items())

    def work() -> None:
        while (each := _first(left)) is not None:
            key, job, inside = each
            threading.current_thread().name = f"drift-gate {key}"
            try:
                deadline.require(f"{key}")  # whoever waited for a thread until now is not waited for any more
                answer: T | BaseException = inside.run(job)
            except BaseException as error:  # handed to the caller, who raises it
                answer = error
            with changed:
                answers[key] = answer
                changed.notify()

    for _ in range(AT_ONCE):
        if left:  # else those that were begun have done the rest meanwhile
            threading.Thread(target=work, daemon=True).start()
    ours = _one_by_one(here or {}, deadline)
    with changed:
        changed.wait_for(lambda: len(answers) == len(jobs), timeout=deadline.remaining())
        done = answers | ours
    results: dict[K, T | SourceError] = {}
    for key in (*jobs, *(here or {})):
        answer = done.get(key, SourceError(f"no answer within {deadline.seconds:g} s", "timeout", True))
        if isinstance(answer, BaseException) and not isinstance(answer, SourceError):
            raise answer
        results[key] = answer
    return results


def _first(left: deque[T]) -> T | None:
    """Takes it from what is ``left``; None: nothing is."""
    try:
        return left.popleft()
    except IndexError:
        return None


def _one_by_one(jobs: Mapping[K, Callable[[], T]], deadline: Deadline) -> dict[K, T | BaseException]:
    """The answers of those ``jobs`` that there was time for."""
    answers: dict[K, T | BaseException] = {}
    for key, job in jobs.items():
        if deadline.remaining() > 0:
            try:
                answers[key] = job()
            except SourceError as error:
                answers[key] = error
    return answers


def attempt(job: Callable[[], T], deadline: Deadline, name: str) -> T | DriftCheckError:
    """``job()``, or why it gave no answer by the ``deadline``; raises nothing but ``KeyboardInterrupt``.

    For work that must not stop what it stands before, whatever a library does: exit, panic, hang. It runs
    on a thread that nobody waits for, which ``name`` names.
    """
    try:
        return gather({name: job}, deadline)[name]
    except DriftCheckError as error:
        return error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also those that are meant to end a process
        return DriftCheckError(f"{type(error).__name__}: {error}", "gate-error")
