"""Batches, their requests and their predictions, in one SQLite file.

Every step is one transaction, so that a crash leaves a batch as it was before or after a step. Who may
work on a date is decided by a file lock beside the database and not by a row in it: the system frees
the lock when its holder dies, however it dies.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from filelock import FileLock, Timeout

from predictions.coordinator.exceptions import BatchRunningError, StateError
from predictions.worker.worker import Prediction, PredictionRequest

BatchState = Literal["pending", "completed", "failed"]

#: Written to ``user_version``; a file with another one was written by another version of this module.
SCHEMA_VERSION = 1
#: Seconds that a write waits for another process's transaction (another date in the same file).
BUSY_SECONDS = 10

_SCHEMA = (
    """
CREATE TABLE batches (
    id INTEGER PRIMARY KEY,
    game_date TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'completed', 'failed')),
    slate TEXT NOT NULL,
    set_aside INTEGER NOT NULL,
    decision TEXT NOT NULL,
    enforced INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    ended_at TEXT,
    error TEXT
)""",
    """
CREATE TABLE requests (
    batch_id INTEGER NOT NULL REFERENCES batches (id),
    player_id TEXT NOT NULL,
    player_name TEXT NOT NULL,
    game_id TEXT NOT NULL,
    recent_points TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'completed')),
    PRIMARY KEY (batch_id, player_id)
) WITHOUT ROWID""",
    """
CREATE TABLE predictions (
    batch_id INTEGER NOT NULL,
    player_id TEXT NOT NULL,
    points REAL NOT NULL,
    PRIMARY KEY (batch_id, player_id),
    FOREIGN KEY (batch_id, player_id) REFERENCES requests (batch_id, player_id)
) WITHOUT ROWID""",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """What a batch is created with: its date, its requests, and the verdict that let it start.

    ``set_aside`` counts the rows of the slate that could not be used.
    """

    game_date: date
    slate: str
    requests: Sequence[PredictionRequest]
    set_aside: int
    decision: str
    enforced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """A batch as it stands: ``predicted`` of ``requested`` are done.

    ``ended_at`` is None while it is pending, ``error`` unless it failed. Times are ISO, in UTC.
    """

    id: int
    game_date: str
    state: BatchState
    decision: str
    enforced: bool
    requested: int
    predicted: int
    set_aside: int
    created_at: str
    ended_at: str | None
    error: str | None


class Result(NamedTuple):
    """One player's prediction, with what is needed to read it."""

    player_id: str
    player_name: str
    game_id: str
    points: float


class State:
    """The open file. Made by ``open_state``; every method raises ``StateError`` when SQLite fails."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    @contextmanager
    def claim(self, game_date: date, now: datetime) -> Iterator[None]:
        """Be the only one at work on ``game_date`` inside the ``with`` block.

        Raises ``BatchRunningError`` when another start is. A batch of that date that is pending when
        nobody is at work has lost its coordinator, and is marked as failed at ``now``.
        """
        lock = FileLock(self._path.with_name(f"{self._path.name}.{game_date.isoformat()}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise BatchRunningError(_running(game_date, self.batches(game_date))) from None
        except OSError as error:
            raise StateError(f"{lock.lock_file} cannot be locked: {error.strerror}") from error
        try:
            self._fail_orphans(game_date, now)
            yield
        finally:
            lock.release()

    def create(self, batch: NewBatch, now: datetime) -> int:
        """The id of the new batch; it and all of its requests are there, or nothing is."""
        with self._transaction() as connection:
            batch_id: int
            (batch_id,) = connection.execute(
                "INSERT INTO batches (game_date, state, slate, set_aside, decision, enforced, created_at)"
                " VALUES (?, 'pending', ?, ?, ?, ?, ?) RETURNING id",
                (
                    batch.game_date.isoformat(),
                    batch.slate,
                    batch.set_aside,
                    batch.decision,
                    batch.enforced,
                    _text(now),
                ),
            ).fetchone()
            connection.executemany(
                "INSERT INTO requests VALUES (?, ?, ?, ?, ?, 'pending')",
                (
                    (batch_id, each.player_id, each.player_name, each.game_id, json.dumps(each.recent_points))
                    for each in batch.requests
                ),
            )
        return batch_id

    def keep(self, batch_id: int, predictions: Sequence[Prediction]) -> None:
        """Store the predictions and mark their requests as completed, all of them or none."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO predictions VALUES (?, ?, ?)",
                ((batch_id, each.player_id, each.points) for each in predictions),
            )
            connection.executemany(
                "UPDATE requests SET state = 'completed' WHERE batch_id = ? AND player_id = ?",
                ((batch_id, each.player_id) for each in predictions),
            )

    def complete(self, batch_id: int, now: datetime) -> None:
        """Mark the batch as completed."""
        self._end(batch_id, "completed", None, now)

    def fail(self, batch_id: int, error: str, now: datetime) -> None:
        """Mark the batch as failed, with the reason."""
        self._end(batch_id, "failed", error, now)

    def batches(self, game_date: date | None = None) -> list[BatchRow]:
        """The batches of ``game_date`` (None: of all dates), the newest first."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT id, game_date, state, decision, enforced, set_aside, created_at, ended_at, error,"
                " (SELECT count(*) FROM requests WHERE batch_id = batches.id) AS requested,"
                " (SELECT count(*) FROM predictions WHERE batch_id = batches.id) AS predicted"
                " FROM batches WHERE :day IS NULL OR game_date = :day ORDER BY id DESC",
                {"day": game_date and game_date.isoformat()},
            ).fetchall()
        return [BatchRow(**{**dict(row), "enforced": bool(row["enforced"])}) for row in rows]

    def results(self, batch_id: int) -> list[Result]:
        """The predictions of a batch so far, by player."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT player_id, player_name, game_id, points FROM predictions"
                " JOIN requests USING (batch_id, player_id) WHERE batch_id = ? ORDER BY player_id",
                (batch_id,),
            ).fetchall()
        return [Result(*row) for row in rows]

    def _end(self, batch_id: int, state: BatchState, error: str | None, now: datetime) -> None:
        with self._transaction() as connection:
            connection.execute(
                "UPDATE batches SET state = ?, error = ?, ended_at = ? WHERE id = ?",
                (state, error, _text(now), batch_id),
            )

    def _fail_orphans(self, game_date: date, now: datetime) -> None:
        with self._transaction() as connection:
            connection.execute(
                "UPDATE batches SET state = 'failed', error = 'its coordinator ended before it', ended_at = ?"
                " WHERE state = 'pending' AND game_date = ?",
                (_text(now), game_date.isoformat()),
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._errors(), _transaction(self._connection) as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StateError(f"{self._path}: {error}") from error


@contextmanager
def open_state(path: Path) -> Iterator[State]:
    """The state in the file ``path``, which is created with its folder where it is missing.

    Raises ``StateError`` when it cannot be opened, is no SQLite file or was written by another version.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise StateError(f"{path} cannot be opened: {error}") from error
    with closing(connection):
        try:
            with FileLock(path.with_name(f"{path.name}.lock"), timeout=BUSY_SECONDS):
                _prepare(connection)
        except (OSError, sqlite3.Error) as error:  # the lock's Timeout is an OSError
            raise StateError(f"{path} cannot be used: {error}") from error
        yield State(path, connection)


def _prepare(connection: sqlite3.Connection) -> None:
    """Bring the file to our schema, one process at a time: SQLite does not wait its turn to switch to WAL."""
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")
    with _transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in _SCHEMA:
                connection.execute(statement)
        elif version != SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"it has schema {version}, this version knows {SCHEMA_VERSION}")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing; IMMEDIATE, since one that starts by reading cannot wait for a writer later."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _running(game_date: date, batches: Sequence[BatchRow]) -> str:
    known = next((batch for batch in batches if batch.state == "pending"), None)
    which = f": batch {known.id}, {known.predicted} of {known.requested} predicted" if known else ""
    return f"another start is at work on {game_date}{which}; `prediction-coordinator status` shows it"


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
