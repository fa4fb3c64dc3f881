"""SQLite files that stay open between two calls, where the process wants that; none across a fork.

With each connection SQLite forgets what it knows of the tables and of our statements, and as the last one
closes it moves what was written into the file: ten times what it takes to write a row.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple


class Open(NamedTuple):
    """A connection, and which file it has open: whoever begins anew moves that away."""

    connection: sqlite3.Connection
    file: tuple[int, int]

    @classmethod
    def of(cls, connection: sqlite3.Connection, path: Path) -> Open:
        """``connection``, which has just opened ``path``. Raises ``OSError``."""
        return cls(connection, _identity(path))

    def is_at(self, path: Path) -> bool:
        """Whether its file is still the one at ``path``."""
        with suppress(OSError):
            return self.file == _identity(path)
        return False


class Kept:
    """Those that nobody uses now, at most one for each path."""

    def __init__(self) -> None:
        self._wanted = False
        self._forks = 0
        self._lock = threading.Lock()
        self._idle: dict[Path, Open] = {}

    @contextmanager
    def wanted(self) -> Iterator[None]:
        """What is used in the block stays open, until its end."""
        self._wanted = True
        try:
            yield
        finally:
            self._wanted = False
            self._close()

    def take(self, path: Path) -> Open | None:
        """The one at ``path``, for the caller alone; None: there is none."""
        with self._lock:
            found = self._idle.pop(path, None)
        if found is None or found.is_at(path):
            return found
        found.connection.close()
        return None

    def give(self, path: Path, used: Open) -> None:
        """Keep ``used`` for the next caller, or close it."""
        with self._lock:
            if self._wanted and not self._forks and self._idle.setdefault(path, used) is used:
                return
        used.connection.close()

    def before_fork(self) -> None:
        """Nothing is kept until the fork is over."""
        self._forks += 1
        self._close()

    def after_fork(self) -> None:
        """In the parent."""
        self._forks -= 1

    def _close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, {}
        for each in idle.values():
            each.connection.close()


def _identity(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


#: Those of this process.
KEPT = Kept()
os.register_at_fork(
    before=KEPT.before_fork,
    after_in_parent=KEPT.after_fork,
    after_in_child=KEPT.__init__,  # type: ignore[misc]  # a child keeps nothing, and its lock is its own
)
