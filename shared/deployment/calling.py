"""How the gate calls the outside: one deadline per check, retries inside it, threads nobody waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from shared.deployment.errors import SourceError

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

#: A last attempt with less than this left (seconds) would only turn its real cause into `timeout`.
LAST_ATTEMPT_S = 0.25
#: First and longest pause between attempts, in seconds (full jitter between 0 and the bound).
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
#: How many outside calls run side by side; Cloud Run's read quota is per minute, not per connection.
AT_ONCE = 16


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

    def sooner(self, seconds: float) -> Deadline:
        """A deadline that ends ``seconds`` before this one, on the same clock.

        For work inside work: what is known when the inner deadline ends still reaches the caller, who
        would otherwise stop waiting at that very moment.
        """
        return Deadline(max(0.0, self.remaining() - seconds), self._clock)


def retrying(call: Callable[[], T], deadline: Deadline) -> T:
    """``call()`` until it answers, fails for good, or the deadline leaves no room for another attempt.

    ``call`` raises ``SourceError``; only a retryable one is tried again. A timeout is no exception:
    an attempt that had all the time there was leaves no room for another, and one that the other side
    gave up early does. The last error is raised as it came, so that an early `rate-limited` never
    turns into a late `timeout`.
    """

    def heals(error: BaseException) -> bool:
        return isinstance(error, SourceError) and error.retryable

    def no_room(state: RetryCallState) -> bool:
        return state.upcoming_sleep + LAST_ATTEMPT_S >= deadline.remaining()

    return Retrying(
        retry=retry_if_exception(heals),
        wait=wait_random_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S),
        stop=no_room,
        reraise=True,
    )(call)


def gather(jobs: Mapping[K, Callable[[], T]], deadline: Deadline) -> dict[K, T | SourceError]:
    """All ``jobs`` side by side, each with its answer or the ``SourceError`` that it ended with.

    Returns at the deadline at the latest: what is still running then is `timeout`. The threads are
    daemons and not waited for, since some calls (a DNS look-up, the metadata server) cannot be
    interrupted. Any other exception is raised here.
    """
    answers: dict[K, T | BaseException] = {}
    changed = threading.Condition()
    slots = threading.BoundedSemaphore(AT_ONCE)

    def run(key: K, job: Callable[[], T]) -> None:
        with slots:
            try:
                deadline.require(f"{key}")  # whoever waited for a slot until now is not waited for any more
                answer: T | BaseException = job()
            except BaseException as error:  # handed to the caller, who raises it
                answer = error
        with changed:
            answers[key] = answer
            changed.notify()

    for key, job in jobs.items():
        threading.Thread(target=run, args=(key, job), name=f"drift-gate {key}", daemon=True).start()
    with changed:
        changed.wait_for(lambda: len(answers) == len(jobs), timeout=deadline.remaining())
        done = dict(answers)
    results: dict[K, T | SourceError] = {}
    for key in jobs:
        answer = done.get(key, SourceError(f"no answer within {deadline.seconds:g} s", "timeout", True))
        if isinstance(answer, BaseException) and not isinstance(answer, SourceError):
            raise answer
        results[key] = answer
    return results
