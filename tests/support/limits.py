"""What a test gives: seconds by what they are for, never what it took, and examples by what they cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypothesis import settings

from drift_gate.errors import SourceError

T = TypeVar("T")

#: Something has to succeed within it, on a machine of any speed. Only a test that fails takes so long.
ENOUGH_S = 60.0
#: It is waited for until it is over, and nothing has to happen within it: the other side hangs until the test
#: lets go of it, so that whoever comes back has not waited for it.
OVER_S = 0.3
#: The same, where something has to happen first: see ``in_time``.
LONGER_S = (0.5, 2.0, 10.0, ENOUGH_S)


def dear() -> int:
    """Examples of hypothesis where each makes a repository: a third of what the profile says.

    That is 4 in `make test` and 33 in `make test-heavy`. To be asked by modules of tests: this one is loaded
    before the profile is.
    """
    return settings().max_examples // 3


def in_time(attempt: Callable[[float], T], late: Callable[[T], bool]) -> T:
    """What ``attempt`` comes to within a deadline (seconds) that is long enough for this machine.

    For what ends at its deadline, since something hangs or is tried again and again, and has something to do
    before. ``late`` says whether a result only tells that there was no time for that: it is attempted anew,
    with a longer deadline, at last with ``ENOUGH_S``.
    """
    for seconds in LONGER_S:
        if not late(found := attempt(seconds)):
            break
    return found


def told_in_time(fail: Callable[[float], SourceError]) -> SourceError:
    """The error that ``fail`` ends with, which had the time to be more than a timeout."""
    return in_time(fail, late=lambda error: error.cause == "timeout")
