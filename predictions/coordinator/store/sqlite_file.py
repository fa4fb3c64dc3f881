"""An open SQLite file that never crosses a fork.

SQLite takes the locks of a connection that did for its own, in the parent and in the child, and rows are lost
without an error: https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_file_across_a_fork_.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

from predictions.coordinator.store.sqlite_schema import connect

_OPEN: weakref.WeakSet[OpenFile] = weakref.WeakSet()


class OpenFile:
    """The file at ``path``, open from the first question on; ``lock`` is held while it is asked."""

    def __init__(self, path: Path) -> None:
        self.lock = threading.RLock()
        self._path = path
        self._connection: sqlite3.Connection | None = None
        _OPEN.add(self)

    @property
    def connection(self) -> sqlite3.Connection:
        """Its connection. Raises ``StateError`` where it cannot be opened."""
        with self.lock:
            if self._connection is None:
                self._connection = connect(self._path)
            return self._connection

    def close(self) -> None:
        """Close it, once nobody is in the middle of something; the next question opens it again."""
        with self.lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def before_fork(self) -> None:
        """Nobody opens it until the fork is over."""
        self.lock.acquire()
        self.close()

    def after_fork(self) -> None:
        """In the parent: it may be asked again."""
        self.lock.release()

    def in_child(self) -> None:
        """In the child: whoever waited for the lock is not there."""
        self.lock = threading.RLock()


def _each(step: Callable[[OpenFile], None]) -> Callable[[], None]:
    """``step`` for all of them."""

    def all_of_them() -> None:
        for file in tuple(_OPEN):
            step(file)

    return all_of_them


os.register_at_fork(
    before=_each(OpenFile.before_fork),
    after_in_parent=_each(OpenFile.after_fork),
    after_in_child=_each(OpenFile.in_child),
)
