"""Lets a fork wait until no call is under way: gRPC and SQLite do not survive one in the middle of a call.

Its own care for forks is skipped then, and in the child every later call, over a new channel too, may wait
for ever. A server that forks while a thread of it checks would have a worker that never gets an answer.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

# Its own hook lets no lock be taken from the fork on, so that a call which takes one could not end: hooks run
# in the opposite order to that in which they were registered, and ours has to be the first.
import filelock  # noqa: F401

#: Seconds that a fork waits at most: a call takes some milliseconds, and one that hangs must not hold it up.
PATIENCE_S = 1.0


class Calls:
    """The calls of this process that are under way."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._changed = threading.Condition()
        self._under_way = 0

    @property
    def under_way(self) -> int:
        """How many there are."""
        return self._under_way

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """One call: it begins after a fork that is under way, and one that comes then waits for its end."""
        with self._changed:
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def before_fork(self) -> None:
        """Waits for the calls to end; none begins until ``after_fork``."""
        self._changed.acquire()
        self._changed.wait_for(lambda: not self._under_way, timeout=PATIENCE_S)

    def after_fork(self) -> None:
        """In the parent: calls may begin."""
        self._changed.release()

    def in_child(self) -> None:
        """In the child: whoever was calling, or held the lock, is not there."""
        self._start()


CALLS = Calls()
os.register_at_fork(before=CALLS.before_fork, after_in_parent=CALLS.after_fork, after_in_child=CALLS.in_child)
