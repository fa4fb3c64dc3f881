"""Completions in the SQLite file: what each comes to, and all that they change, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from predictions.coordinator.batches.batch import ACTIVE, Applied
from predictions.coordinator.store import rows
from predictions.coordinator.store.judging import Asked, players_of
from predictions.worker.messages import Completion

#: Requests of one read: SQLite takes 999 values in a statement where it is older than 3.32.
_AT_ONCE = 500
_COMPLETED = """
UPDATE requests SET state = 'completed', points = ?, error = NULL, worker_revision = ?, worker_commit = ?,
        attempt = ?, message_id = ?, settled_at = ?
    WHERE batch = ? AND player_id = ?"""
_FAILED = """
UPDATE requests SET state = 'failed', points = NULL, error = ?, worker_revision = ?, worker_commit = ?,
        attempt = ?, message_id = ?, settled_at = ?
    WHERE batch = ? AND player_id = ?"""
#: For a request that is as it is thought to be: the change itself looks at it.
_FIRST = f"{_COMPLETED} AND game_id = ? AND state = ?"
_BATCH = "SELECT number, state, dispatched > completed + failed AS waits FROM batches WHERE id = ?"
_ASKED = "SELECT player_id, state, game_id FROM requests WHERE batch = ? AND player_id IN"
_NOTHING = dict.fromkeys(("dispatched", "completed", "failed", "duplicates", "late"), 0)
_HEARD_OF = """
UPDATE batches SET dispatched = dispatched + :dispatched, completed = completed + :completed,
        failed = failed + :failed, duplicates = duplicates + :duplicates, late = late + :late,
        heartbeat_at = CASE WHEN :alive THEN :now ELSE heartbeat_at END,
        state = CASE WHEN :alive AND state = 'stalled' THEN 'dispatched' ELSE state END
    WHERE number = :number"""


def count(connection: sqlite3.Connection, completions: Sequence[Completion], now: datetime) -> list[Applied]:
    """As ``Store.apply``, in the transaction that ``connection`` is in."""
    if _all_first(connection, completions, now):
        return ["counted"] * len(completions)
    asked = {each: _asked(connection, each, who) for each, who in players_of(completions).items()}
    applied = [asked[each.batch_id][1].judge(each) for each in completions]
    for number, told in asked.values():
        if number is not None:
            _write(connection, number, told, now)
    if strays := applied.count("unknown"):
        connection.execute(
            "INSERT INTO counters VALUES ('strays', ?1) ON CONFLICT (name) DO UPDATE SET value = value + ?1",
            (strays,),
        )
    return applied


def _all_first(connection: sqlite3.Connection, completions: Sequence[Completion], now: datetime) -> bool:
    """Count ``completions`` where each is the first for its request, and a prediction; else change nothing.

    They nearly always are, and to look at the requests before takes as long as half of the change.
    """
    ids = {each.batch_id for each in completions}
    batch = connection.execute(_BATCH, (*ids,)).fetchone() if len(ids) == 1 else None
    if batch is None or batch["state"] not in ACTIVE:
        return False
    number, at, state = batch["number"], rows.text(now), "dispatched" if batch["waits"] else "pending"
    changes = [
        (
            *(answer.points, each.revision, each.commit, each.attempt, each.message_id),
            *(at, number, each.request_id, answer.game_id, state),
        )
        for each in completions
        if (answer := each.prediction)
    ]
    if len(changes) < len(completions):
        return False
    connection.execute("SAVEPOINT one_step")
    first = connection.executemany(_FIRST, changes).rowcount == len(changes)
    if first:
        fresh = len(changes) if state == "pending" else 0
        heard_of(connection, number, at, {"completed": len(changes), "dispatched": fresh})
    else:
        connection.execute("ROLLBACK TO one_step")
    connection.execute("RELEASE one_step")
    return first


def heard_of(connection: sqlite3.Connection, number: int, at: str, more: Mapping[str, int]) -> None:
    """Add ``more`` to the batch's counts, ``at`` a time. What only repeats itself is no sign of life."""
    told: dict[str, Any] = {**_NOTHING, **more, "now": at, "number": number}
    told["alive"] = bool(told["dispatched"] or told["completed"] or told["failed"])
    connection.execute(_HEARD_OF, told)


def _asked(connection: sqlite3.Connection, batch_id: str, players: Sequence[str]) -> tuple[int | None, Asked]:
    """The batch's number, and what it asked of ``players``; None: there is no such batch."""
    batch = connection.execute("SELECT number, state FROM batches WHERE id = ?", (batch_id,)).fetchone()
    if batch is None:
        return None, Asked(active=False)
    number, asked = batch["number"], Asked(active=batch["state"] in ACTIVE)
    reading = connection.cursor()
    reading.row_factory = None
    for first in range(0, len(players), _AT_ONCE):
        some = players[first : first + _AT_ONCE]
        marks = ", ".join("?" * len(some))
        found = reading.execute(f"{_ASKED} ({marks})", (number, *some)).fetchall()
        asked.known |= {row[0]: row for row in found}
    return number, asked


def _write(connection: sqlite3.Connection, number: int, asked: Asked, now: datetime) -> None:
    completed: list[tuple[Any, ...]] = []
    failed: list[tuple[Any, ...]] = []
    at = rows.text(now)
    for each in asked.settled.values():
        answer = each.prediction
        same, what = (failed, each.error) if answer is None else (completed, answer.points)
        same.append(
            (what, each.revision, each.commit, each.attempt, each.message_id, at, number, each.request_id)
        )
    for change, settled in ((_COMPLETED, completed), (_FAILED, failed)):
        if settled:
            connection.executemany(change, settled)
    heard_of(connection, number, at, asked.changes())
