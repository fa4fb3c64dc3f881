"""SQLite files that several processes write: made with WAL where the file system has it, and in one step."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from drift_gate.runtime import own_folder

#: What SQLite raises (primary codes), having answered ``wal``, where it cannot map the shared memory of WAL.
_UNMAPPED = (
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
)


def connect(
    path: Path, prepare: Callable[[sqlite3.Connection], object], *, busy_s: float, log: logging.Logger
) -> sqlite3.Connection:
    """The file at ``path``, made where there is none, once ``prepare`` has brought it to its schema.

    ``busy_s``: seconds that it waits for another process, here and in each later statement. A new file has
    WAL, or a rollback journal where its file system cannot map WAL's shared memory; a WARNING on ``log`` says
    so. One that was there keeps its journal and is never removed. Raises ``OSError`` and ``sqlite3.Error``.
    """
    own_folder.make(path.parent)
    with FileLock(path.with_name(f"{path.name}.lock"), timeout=busy_s):
        if not _claim(path):
            return _open(path, prepare, busy_s)
        _clear_beside(path)
        try:
            return _open(path, prepare, busy_s, new=True)
        except sqlite3.OperationalError as error:
            if not is_unmapped(error):
                raise
            refusal = error
        # The header says WAL by then, and SQLite cannot take that back without the memory that it lacks.
        _throw_away(path)
        connection = _open(path, prepare, busy_s)
    log.warning(
        "%s has a rollback journal, since WAL cannot be used there (%s): who reads it and who writes it wait"
        " for each other. A local file system has WAL.",
        path,
        refusal,
    )
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing; IMMEDIATE, since one that starts by reading cannot wait for a writer later."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")  # which may find the file busy, or its disk full
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def is_unmapped(error: BaseException) -> bool:
    """Whether it may be WAL's shared memory that is missing; the low byte is the primary code."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _UNMAPPED


def _claim(path: Path) -> bool:
    """Whether the file at ``path`` is new: made by this call, and empty."""
    try:
        path.touch(mode=0o644, exist_ok=False)
    except FileExistsError:
        return False
    return True


def _open(
    path: Path, prepare: Callable[[sqlite3.Connection], object], busy_s: float, *, new: bool = False
) -> sqlite3.Connection:
    """Only one process at a time may be here: SQLite does not wait its turn to switch to WAL."""
    connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        if new:
            connection.execute("PRAGMA journal_mode = WAL")
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _throw_away(path: Path) -> None:
    """A new file, and what SQLite laid beside it: a ``-wal`` that is left makes the next one fail too."""
    path.unlink()
    _clear_beside(path)


def _clear_beside(path: Path) -> None:
    """What another file of that name has left, which a new one must not take for its own.

    Where one was moved away that is open somewhere, WAL could not be used any more.
    """
    for beside in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if beside.is_file():
            beside.unlink(missing_ok=True)  # whoever had it open may be faster
