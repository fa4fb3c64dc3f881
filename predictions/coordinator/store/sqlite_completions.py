"""Completions in the SQLite file: what each comes to, and all that they change, in one transaction."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from predictions.coordinator.batches.batch import ACTIVE, Applied
from predictions.coordinator.store import rows
from predictions.coordinator.store.judging import Asked, players_of
from predictions.worker.messages import Completion

#: Requests of one read: SQLite takes 999 values in a statement where it is older than 3.32.
_AT_ONCE = 500
_COMPLETED = """
UPDATE requests SET state = 'completed', points = ?1, error = NULL, worker_revision = ?2, worker_commit = ?3,
        attempts = max(attempts, ?4), attempt = ?4, message_id = ?5, settled_at = ?6
    WHERE batch = ?7 AND player_id = ?8"""
_FAILED = """
UPDATE requests SET state = 'failed', points = NULL, error = ?1, worker_revision = ?2, worker_commit = ?3,
        attempts = max(attempts, ?4), attempt = ?4, message_id = ?5, settled_at = ?6
    WHERE batch = ?7 AND player_id = ?8"""
_ASKED = """
SELECT number, batches.state, player_id, requests.state, game_id
    FROM batches JOIN requests ON batch = number WHERE id = ? AND player_id IN"""
_HEARD_OF = """
UPDATE batches SET dispatched = dispatched + :dispatched, completed = completed + :completed,
        failed = failed + :failed, duplicates = duplicates + :duplicates, late = late + :late,
        heartbeat_at = CASE WHEN :alive THEN :now ELSE heartbeat_at END,
        state = CASE WHEN :alive AND state = 'stalled' THEN 'dispatched' ELSE state END
    WHERE number = :number"""


def count(connection: sqlite3.Connection, completions: Sequence[Completion], now: datetime) -> list[Applied]:
    """As ``Store.apply``, in the transaction that ``connection`` is in."""
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


def heard_of(connection: sqlite3.Connection, number: int, now: datetime, more: Counter[str]) -> None:
    """Add ``more`` to the batch's counts. What only repeats itself is no sign of life."""
    told = {name: more[name] for name in ("dispatched", "completed", "failed", "duplicates", "late")}
    alive = any(more[name] for name in ("dispatched", "completed", "failed"))
    connection.execute(_HEARD_OF, {**told, "alive": alive, "now": rows.text(now), "number": number})


def _asked(connection: sqlite3.Connection, batch_id: str, players: Sequence[str]) -> tuple[int | None, Asked]:
    """The batch's number, and what it asked of ``players``; None: nothing."""
    number: int | None = None
    asked = Asked(active=False)
    reading = connection.cursor()
    reading.row_factory = None
    for first in range(0, len(players), _AT_ONCE):
        some = players[first : first + _AT_ONCE]
        marks = ", ".join("?" * len(some))
        reading.execute(f"{_ASKED} ({marks})", (batch_id, *some))
        for found, batch_state, player, state, game in reading:
            number, asked.active = found, batch_state in ACTIVE
            asked.known[player] = (state, game)
    return number, asked


def _write(connection: sqlite3.Connection, number: int, asked: Asked, now: datetime) -> None:
    completed: list[tuple[Any, ...]] = []
    failed: list[tuple[Any, ...]] = []
    at = rows.text(now)
    for each in asked.settled.values():
        told = (each.revision, each.commit, each.attempt, each.message_id, at, number, each.request_id)
        if each.prediction is None:
            failed.append((each.error, *told))
        else:
            completed.append((each.prediction.points, *told))
    connection.executemany(_COMPLETED, completed)
    connection.executemany(_FAILED, failed)
    heard_of(connection, number, now, asked.changes())
