"""Completions in the SQLite file: what each comes to, and all that they change, in one transaction."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from predictions.coordinator.batches.batch import ACTIVE, Applied, RequestState
from predictions.coordinator.store import rows
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
_ASKED = """
SELECT number, batches.state, player_id, requests.state, game_id
    FROM batches JOIN requests ON batch = number WHERE id = ? AND player_id IN"""
_HEARD_OF = """
UPDATE batches SET dispatched = dispatched + :dispatched, completed = completed + :completed,
        failed = failed + :failed, duplicates = duplicates + :duplicates, late = late + :late,
        heartbeat_at = CASE WHEN :alive THEN :now ELSE heartbeat_at END,
        state = CASE WHEN :alive AND state = 'stalled' THEN 'dispatched' ELSE state END
    WHERE number = :number"""


@dataclass(slots=True)
class _Asked:
    """The requests of one batch that are answered: state and game by player, and the answers that count."""

    number: int
    active: bool
    known: dict[str, tuple[RequestState, str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    settled: dict[str, Completion] = field(default_factory=dict)

    def judge(self, completion: Completion) -> Applied:
        """What ``completion`` comes to after those before it."""
        player, answer = completion.request_id, completion.prediction
        if player not in self.known:
            return "unknown"
        state, game = self.known[player]
        if answer is not None and answer.game_id != game:
            return "unknown"
        if player in self.settled:
            state = "completed" if self.settled[player].prediction else "failed"
        if state == "completed" or (state == "failed" and answer is None):
            self.counts["duplicates"] += 1
            return "duplicate"
        if not self.active:
            self.counts["late"] += 1
            return "late"
        self.settled[player] = completion
        return "counted"

    def changes(self) -> Counter[str]:
        """How the batch's counts change by all of it."""
        before: Counter[str] = Counter(self.known[player][0] for player in self.settled)
        completed = sum(each.prediction is not None for each in self.settled.values())
        failed = len(self.settled) - completed - before["failed"]
        more = Counter(self.counts)
        more.update(completed=completed, failed=failed, dispatched=before["pending"])
        return more


def count(connection: sqlite3.Connection, completions: Sequence[Completion], now: datetime) -> list[Applied]:
    """As ``Store.apply``, in the transaction that ``connection`` is in."""
    players: dict[str, list[str]] = {}
    for each in completions:
        players.setdefault(each.batch_id, []).append(each.request_id)
    asked = {batch: found for batch, who in players.items() if (found := _asked(connection, batch, who))}
    applied: list[Applied] = [
        asked[each.batch_id].judge(each) if each.batch_id in asked else "unknown" for each in completions
    ]
    for told in asked.values():
        _write(connection, told, now)
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


def _asked(connection: sqlite3.Connection, batch_id: str, players: Sequence[str]) -> _Asked | None:
    """None: nobody asked ``players`` of that batch."""
    asked: _Asked | None = None
    reading = connection.cursor()
    reading.row_factory = None
    for first in range(0, len(players), _AT_ONCE):
        some = players[first : first + _AT_ONCE]
        marks = ", ".join("?" * len(some))
        query = f"{_ASKED} ({marks})"
        reading.execute(query, (batch_id, *some))
        for number, batch_state, player, state, game in reading:
            asked = asked or _Asked(number, batch_state in ACTIVE)
            asked.known[player] = (state, game)
    return asked


def _write(connection: sqlite3.Connection, asked: _Asked, now: datetime) -> None:
    at, number = rows.text(now), asked.number
    completed: list[tuple[Any, ...]] = []
    failed: list[tuple[Any, ...]] = []
    for each in asked.settled.values():
        told = (each.revision, each.commit, each.attempt, each.message_id, at, number, each.request_id)
        if each.prediction is None:
            failed.append((each.error, *told))
        else:
            completed.append((each.prediction.points, *told))
    connection.executemany(_COMPLETED, completed)
    connection.executemany(_FAILED, failed)
    heard_of(connection, number, now, asked.changes())
