"""Batches in one SQLite file, on one machine.

Every step is one transaction, so that a crash leaves a batch as it was before or after a step. Who may
work on a date is decided by a file lock beside the database and not by a row in it: the system frees
the lock when its holder dies, however it dies.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from drift_gate.policy.verdict import BreakGlass, Reason
from drift_gate.runtime.sqlite_file import transaction
from predictions.coordinator.batches.batch import (
    ACTIVE,
    Applied,
    Batch,
    BatchState,
    NewBatch,
    Progress,
    RequestState,
    Result,
    may_become,
    running,
)
from predictions.coordinator.batches.contracts import Claim
from predictions.coordinator.batches.ending import Ending, Share
from predictions.coordinator.batches.stamp import Stamp
from predictions.coordinator.exceptions import (
    BatchNotFoundError,
    BatchRunningError,
    KeyReusedError,
    StateError,
)
from predictions.coordinator.store import rows
from predictions.coordinator.store.judging import settled_by
from predictions.coordinator.store.sqlite_completions import count, heard_of
from predictions.coordinator.store.sqlite_file import OpenFile
from predictions.worker.messages import Completion
from predictions.worker.worker import PredictionRequest

#: Rows per read, so that a batch of any size is read in little memory.
_PAGE = 1000


_BATCH = ", ".join(name for name in (*Batch.model_fields, *Progress.model_fields) if name != "progress")
_INSERT_BATCH = """
INSERT INTO batches (id, game_date, state, slate, dispatch, set_aside, rounds, stamp, reasons, break_glass,
        idempotency_key, terms, created_at, heartbeat_at)
    VALUES (:id, :game_date, 'pending', :slate, :dispatch, :set_aside, 1, :stamp, :reasons, :break_glass,
        :idempotency_key, :terms, :now, :now)
    RETURNING number"""
_INSERT_REQUEST = """
INSERT INTO requests (batch, player_id, player_name, game_id, recent_points) VALUES (?, ?, ?, ?, ?)"""


class SqliteStore:
    """The open file; a ``Store`` for all threads of a process. Made by ``open_sqlite``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = OpenFile(path)

    def close(self) -> None:
        """Close the file; nothing may be asked of it afterwards."""
        self._file.close()

    @property
    def _connection(self) -> sqlite3.Connection:
        """Open from the first question on: a refused start leaves no file behind."""
        return self._file.connection

    @contextmanager
    def claim(self, game_date: date, now: datetime) -> Iterator[Claim]:
        """As ``Store.claim``; a holder that died is rid of it at once."""
        lock = FileLock(self._path.with_name(f"{self._path.name}.{game_date.isoformat()}.lock"))
        self._read("SELECT 1")  # makes the folder, which the lock file needs
        try:
            lock.acquire(timeout=0)
        except Timeout:
            active = next(iter(self.active(game_date)), None)
            raise BatchRunningError(running(game_date, active), active) from None
        except OSError as error:
            raise StateError(f"{lock.lock_file} cannot be locked: {error.strerror}") from error
        try:
            yield _Held()
        finally:
            lock.release()

    def create(self, batch: NewBatch, now: datetime) -> Batch:
        """As ``Store.create``."""
        with self._transaction() as connection:
            self._check_new(batch)
            (number,) = connection.execute(_INSERT_BATCH, rows.batch_row(batch, now)).fetchone()
            requests = ((number, *rows.request_fields(each)) for each in batch.requests)
            requested = max(connection.executemany(_INSERT_REQUEST, requests).rowcount, 0)
            connection.execute("UPDATE batches SET requested = ? WHERE number = ?", (requested, number))
            return self._need(batch.id)

    def begin(self, batch_id: str, now: datetime, stamp: Stamp | None = None) -> Batch:
        """As ``Store.begin``."""
        with self._transaction() as connection:
            batch = self._need(batch_id)
            may_become(batch_id, batch.state, "pending")
            for other in self.active(batch.game_date):
                if other.id != batch_id:
                    raise BatchRunningError(running(batch.game_date, other), other)
            connection.execute(
                "UPDATE batches SET state = 'pending', rounds = rounds + 1, heartbeat_at = ?, failed = 0,"
                " dispatched = dispatched - failed, ended_at = NULL, error = NULL, ending = NULL, resumed = ?"
                " WHERE id = ?",
                (rows.text(now), rows.resumed_row(batch, stamp), batch_id),
            )
            connection.execute(
                "UPDATE requests SET state = 'pending', error = NULL WHERE state = 'failed' AND batch ="
                " (SELECT number FROM batches WHERE id = ?)",
                (batch_id,),
            )
            return self._need(batch_id)

    def judge(
        self, batch_id: str, stamp: Stamp, reasons: Sequence[Reason], break_glass: BreakGlass | None
    ) -> None:
        """As ``Store.judge``."""
        with self._transaction() as connection:
            known = rows.judged_row(self._need(batch_id), stamp, reasons, break_glass)
            for name, value in known.items():  # names of ours
                connection.execute(f"UPDATE batches SET {name} = ? WHERE id = ?", (value, batch_id))  # noqa: S608 - as said

    def requests(self, batch_id: str, states: Sequence[RequestState]) -> Iterator[PredictionRequest]:
        """As ``Store.requests``."""
        return map(rows.request_of, self._request_rows(batch_id, rows.REQUEST, states))

    def mark_dispatched(
        self, batch_id: str, request_ids: Sequence[str], now: datetime, answers: Sequence[Completion] = ()
    ) -> BatchState:
        """As ``Store.mark_dispatched``."""
        with self._transaction() as connection:
            row = self._find(batch_id)
            settled = settled_by(answers, count(connection, answers, now))
            players = [each for each in request_ids if each not in settled]
            fresh = connection.executemany(
                "UPDATE requests SET state = 'dispatched'"
                " WHERE batch = ? AND player_id = ? AND state = 'pending'",
                [(row["number"], each) for each in players],
            ).rowcount
            heard_of(connection, row["number"], rows.text(now), {"dispatched": max(fresh, 0)})
            state: BatchState = row["state"]
        return state

    def apply(self, completions: Sequence[Completion], now: datetime) -> list[Applied]:
        """As ``Store.apply``."""
        with self._transaction() as connection:
            return count(connection, completions, now)

    def move(
        self,
        batch_id: str,
        to: BatchState,
        now: datetime,
        *,
        error: str | None = None,
        ending: Ending | None = None,
    ) -> Batch:
        """As ``Store.move``."""
        with self._transaction() as connection:
            batch = self._need(batch_id)
            if batch.state == to:
                return batch
            may_become(batch_id, batch.state, to)
            ended = None if to in ACTIVE else rows.text(now)
            kept = ending and ending.model_dump_json()
            connection.execute(
                "UPDATE batches SET state = ?, error = ?, ending = ?, ended_at = ?, heartbeat_at = ?"
                " WHERE id = ?",
                (to, error, kept, ended, rows.text(now), batch_id),
            )
            return self._need(batch_id)

    def stall(self, silent_since: datetime, now: datetime) -> list[Batch]:
        """As ``Store.stall``; writes nothing where none is, which is nearly always."""
        silent = "state IN ('pending', 'dispatched', 'stalled') AND state <> 'stalled' AND heartbeat_at < ?"
        since = rows.text(silent_since)
        if not self._read(f"SELECT 1 FROM batches WHERE {silent} LIMIT 1", since):  # noqa: S608 - our own words
            return []
        with self._transaction() as connection:
            change = f"UPDATE batches SET state = 'stalled' WHERE {silent} RETURNING id"  # noqa: S608 - our own words
            found = connection.execute(change, (since,)).fetchall()
            return [self._need(row["id"]) for row in found]

    def get(self, batch_id: str) -> Batch | None:
        """As ``Store.get``."""
        return next(iter(self._batches("id = ?", batch_id)), None)

    def batches(self, game_date: date | None = None, limit: int = 100) -> list[Batch]:
        """As ``Store.batches``."""
        day = rows.day(game_date)
        return self._batches("(? IS NULL OR game_date = ?) ORDER BY number DESC LIMIT ?", day, day, limit)

    def active(self, game_date: date | None = None) -> list[Batch]:
        """As ``Store.active``; asked before the gate has spoken, it makes no file."""
        if not self._path.exists():
            return []
        day = rows.day(game_date)
        where = "state IN ('pending', 'dispatched', 'stalled') AND (? IS NULL OR game_date = ?)"
        # The plus: in the order of the numbers themselves SQLite would read through all that have ended.
        return self._batches(f"{where} ORDER BY +number DESC", day, day)

    def by_key(self, idempotency_key: str) -> Batch | None:
        """As ``Store.by_key``."""
        return next(iter(self._batches("idempotency_key = ?", idempotency_key)), None)

    def results(self, batch_id: str) -> Iterator[Result]:
        """As ``Store.results``."""
        completed = self._request_rows(batch_id, rows.RESULT, ("completed",))
        return rows.results_of(self._need(batch_id), completed)

    def shares(self, batch_id: str, state: RequestState = "completed") -> tuple[Share, ...]:
        """As ``Store.shares``."""
        found = self._read(
            'SELECT worker_revision AS revision, worker_commit AS "commit", count(*) AS results'
            " FROM requests WHERE batch = ? AND state = ? GROUP BY 1, 2 ORDER BY results DESC, 1, 2",
            self._find(batch_id)["number"],
            state,
        )
        return tuple(Share(**dict(row)) for row in found)

    def settled(self, batch_id: str) -> bool:
        """As ``Store.settled``."""
        found = self._read("SELECT completed + failed >= requested FROM batches WHERE id = ?", batch_id)
        if not found:
            raise BatchNotFoundError(f"there is no batch {batch_id}")
        return bool(found[0][0])

    def errors(self, batch_id: str, limit: int) -> list[tuple[str, str]]:
        """As ``Store.errors``."""
        found = self._read(
            "SELECT player_id, error FROM requests WHERE batch = ? AND state = 'failed'"
            " ORDER BY player_id LIMIT ?",
            self._find(batch_id)["number"],
            limit,
        )
        return [(row["player_id"], row["error"]) for row in found]

    def strays(self) -> int:
        """As ``Store.strays``."""
        return sum(row["value"] for row in self._read("SELECT value FROM counters WHERE name = 'strays'"))

    def _check_new(self, batch: NewBatch) -> None:
        """Why the batch cannot be there beside those that are; the indexes would say it in SQLite's words."""
        for active in self.active(batch.game_date):
            raise BatchRunningError(running(batch.game_date, active), active)
        if batch.idempotency_key and (made := self.by_key(batch.idempotency_key)):
            raise KeyReusedError(f"this idempotency key made batch {made.id} for {made.game_date} before")

    def _request_rows(
        self, batch_id: str, fields: Sequence[str], states: Sequence[RequestState]
    ) -> Iterator[sqlite3.Row]:
        number, last = self._find(batch_id)["number"], ""
        marks = ", ".join("?" * len(states))
        query = (
            f"SELECT {', '.join(fields)} FROM requests"  # noqa: S608 - names of ours, and marks alone
            f" WHERE batch = ? AND player_id > ? AND state IN ({marks})"
            " ORDER BY player_id LIMIT ?"
        )
        while page := self._read(query, number, last, *states, _PAGE):
            yield from page
            last = page[-1]["player_id"]

    def _find(self, batch_id: str) -> sqlite3.Row:
        found = self._read("SELECT number, state FROM batches WHERE id = ?", batch_id)
        if not found:
            raise BatchNotFoundError(f"there is no batch {batch_id}")
        return found[0]

    def _need(self, batch_id: str) -> Batch:
        batch = self.get(batch_id)
        if batch is None:
            raise BatchNotFoundError(f"there is no batch {batch_id}")
        return batch

    def _batches(self, where: str, *values: Any) -> list[Batch]:
        query = f"SELECT {_BATCH} FROM batches WHERE {where}"  # noqa: S608 - our own words, no value among them
        try:
            return [rows.batch_of(dict(row)) for row in self._read(query, *values)]
        except (KeyError, ValueError) as error:  # somebody changed the file by hand
            raise StateError(f"{self._path} holds a batch that cannot be read: {error}") from error

    def _read(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._errors():
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._errors(), transaction(self._connection) as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """One thread at a time: a transaction belongs to the connection, not to the thread."""
        with self._file.lock:
            try:
                yield
            except sqlite3.Error as error:
                raise StateError(f"{self._path}: {error}") from error


class _Held:
    """A file lock needs no renewal."""

    def renew(self, now: datetime) -> None:
        """As ``Claim.renew``."""


@contextmanager
def open_sqlite(path: Path) -> Iterator[SqliteStore]:
    """The store in the file ``path``; the file and its folder are made when something is first asked of it.

    What is then asked raises ``StateError`` when the file cannot be opened, is no SQLite file or was
    written by a later version.
    """
    store = SqliteStore(path)
    try:
        yield store
    finally:
        store.close()
