"""Rows of the SQLite file as values, and values as rows. Pure."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, date, datetime
from typing import Any

from predictions.coordinator.batches import Batch, NewBatch, Progress
from predictions.worker.messages import Completion
from predictions.worker.worker import PredictionRequest

INSERT_BATCH = """
INSERT INTO batches (id, game_date, state, slate, dispatch, set_aside, stamp, reasons, break_glass,
        idempotency_key, created_at, heartbeat_at)
    VALUES (:id, :game_date, 'pending', :slate, :dispatch, :set_aside, :stamp, :reasons, :break_glass,
        :idempotency_key, :now, :now)
    RETURNING number"""
INSERT_REQUEST = """
INSERT INTO requests (batch, player_id, player_name, game_id, recent_points) VALUES (?, ?, ?, ?, ?)"""
SETTLE = """
UPDATE requests SET state = ?, points = ?, error = ?, worker_revision = ?, worker_commit = ?, attempt = ?,
        message_id = ?, settled_at = ?
    WHERE batch = ? AND player_id = ?"""


def text(moment: datetime) -> str:
    """A point in time, such that text sorts as time does."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def batch_row(batch: NewBatch, now: datetime) -> dict[str, Any]:
    """What ``INSERT_BATCH`` takes."""
    return {
        "id": batch.id,
        "game_date": batch.game_date.isoformat(),
        "slate": batch.slate,
        "dispatch": batch.dispatch,
        "set_aside": batch.set_aside,
        "stamp": batch.stamp.model_dump_json(),
        "reasons": json.dumps([each.model_dump(mode="json") for each in batch.reasons]),
        "break_glass": batch.break_glass and batch.break_glass.model_dump_json(),
        "idempotency_key": batch.idempotency_key,
        "now": text(now),
    }


def batch_of(row: sqlite3.Row) -> Batch:
    """The batch that a row of ``batches`` holds."""
    told = dict(row)
    told.pop("number")
    progress = {name: told.pop(name) for name in Progress.model_fields}
    for name in ("stamp", "reasons", "break_glass", "ending"):
        told[name] = json.loads(told[name]) if told[name] else None
    return Batch.model_validate({**told, "progress": progress})


def request_row(number: int, request: PredictionRequest) -> tuple[int, str, str, str, str]:
    """What ``INSERT_REQUEST`` takes, in the batch of that ``number``."""
    recent = json.dumps(request.recent_points)
    return number, request.player_id, request.player_name, request.game_id, recent


def request_of(row: sqlite3.Row) -> PredictionRequest:
    """The request that a row of ``requests`` holds."""
    return PredictionRequest(
        player_id=row["player_id"],
        player_name=row["player_name"],
        game_id=row["game_id"],
        recent_points=tuple(json.loads(row["recent_points"])),
    )


def settled_row(number: int, completion: Completion, now: datetime) -> tuple[Any, ...]:
    """What ``SETTLE`` takes, in the batch of that ``number``."""
    answer = completion.prediction
    return (
        "completed" if answer else "failed",
        answer.points if answer else None,
        completion.error,
        completion.revision,
        completion.commit,
        completion.attempt,
        completion.message_id,
        text(now),
        number,
        completion.request_id,
    )


def day(game_date: date | None) -> str | None:
    """A date as the file has it."""
    return game_date.isoformat() if game_date else None
