"""A SQLite file as a ``Source``: opened for reading alone, and interrupted at the deadline."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path

from drift_gate.errors import Cause, SourceError
from drift_gate.runtime.deadline import Deadline
from drift_gate.runtime.regular_files import require
from predictions.coordinator.readiness.facts import MOST_ROWS

#: Steps of SQLite's machine between two looks at the clock: well under a millisecond.
_STEPS = 10_000

#: What the codes of SQLite that a reader can meet mean here; any other: the query or the file is wrong.
_CAUSES: Mapping[int, Cause] = {
    sqlite3.SQLITE_CANTOPEN: "not-found",
    sqlite3.SQLITE_PERM: "permission-denied",
    sqlite3.SQLITE_AUTH: "permission-denied",
    sqlite3.SQLITE_READONLY: "permission-denied",
    sqlite3.SQLITE_BUSY: "unavailable",
    sqlite3.SQLITE_LOCKED: "unavailable",
    sqlite3.SQLITE_IOERR: "unavailable",
    sqlite3.SQLITE_INTERRUPT: "timeout",
}
_RETRYABLE: frozenset[Cause] = frozenset({"unavailable", "timeout"})


def _require(file: Path) -> None:
    try:
        require(file)
    except FileNotFoundError:
        return  # SQLite says so itself
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror}", "unavailable") from error


class Sqlite:
    """The database in ``file``; its queries name days as ``:day`` and get them as ISO text."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def rows(self, query: str, days: Mapping[str, date], deadline: Deadline) -> Sequence[Sequence[object]]:
        """As ``Source.rows``."""
        left = deadline.require(str(self._file))
        values = {name: day.isoformat() for name, day in days.items()}
        _require(self._file)
        try:
            # Another writer's lock is waited for; without mode=ro a missing file would be made.
            uri = f"{self._file.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=left)) as connection:
                connection.execute("PRAGMA query_only = ON")
                connection.set_progress_handler(lambda: deadline.remaining() <= 0, _STEPS)
                found = connection.execute(query, values).fetchmany(MOST_ROWS + 1)
        except sqlite3.Error as error:
            raise self._failed(error, deadline) from error
        if len(found) > MOST_ROWS:
            raise SourceError(f"{self._file}: the query gave more than {MOST_ROWS} rows", "invalid-response")
        return found

    def _failed(self, error: sqlite3.Error, deadline: Deadline) -> SourceError:
        # The low byte of an extended code is the plain one.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        cause = _CAUSES.get(code, "invalid-response")
        said = f"interrupted after {deadline.seconds:g} s" if cause == "timeout" else str(error)
        return SourceError(f"{self._file}: {said}", cause, cause in _RETRYABLE)
