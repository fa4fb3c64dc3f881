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

_File = tuple[int, int]


class Open(NamedTuple):
    """A connection, and which files it has open: whoever begins anew moves them away, or the first alone.

    ``wal`` is None where it has none.
    """

    connection: sqlite3.Connection
    path: Path
    file: _File | None
    wal: _File | None

    @classmethod
    def of(cls, connection: sqlite3.Connection, path: Path) -> Open:
        """``connection``, which has just read ``path``."""
        return cls(connection, path, _identity(path), _identity(_beside(path, "-wal")))

    def is_there(self) -> bool:
        """Whether its files are still those of these names."""
        return (self.file, self.wal) == (_identity(self.path), _identity(_beside(self.path, "-wal")))

    def close(self) -> None:
        """Close it, with all that was written in its file, wherever that is now.

        Where a file has lost its name, or its ``-wal``, SQLite itself leaves in the ``-wal`` what is there,
        and the next file of that name would take it, and its index, for its own.
        """
        if not self.is_there():
            with suppress(sqlite3.Error):  # what cannot be written now never will be
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if self.file != _identity(self.path) and self.wal == _identity(_beside(self.path, "-wal")):
                for suffix in ("-wal", "-shm"):
                    with suppress(OSError):
                        _beside(self.path, suffix).unlink()
        self.connection.close()


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
        if found is None or found.is_there():
            return found
        found.close()
        return None

    def give(self, used: Open) -> None:
        """Keep ``used`` for the next caller, or close it."""
        with self._lock:
            if self._wanted and not self._forks and self._idle.setdefault(used.path, used) is used:
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
            each.close()


def _identity(path: Path) -> _File | None:
    """Which file is at ``path``; None: there is none to be seen."""
    with suppress(OSError):
        found = os.stat(path)
        return found.st_dev, found.st_ino
    return None


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")


#: Those of this process.
KEPT = Kept()
os.register_at_fork(
    before=KEPT.before_fork,
    after_in_parent=KEPT.after_fork,
    after_in_child=KEPT.__init__,  # type: ignore[misc]  # a child keeps nothing, and its lock is its own
)
