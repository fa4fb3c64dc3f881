"""What a store keeps, as plain fields: batches and requests as rows, and rows as values. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Protocol

from pydantic_core import to_json

from drift_gate.policy.verdict import BreakGlass, Reason
from predictions.coordinator.batches.batch import Batch, NewBatch, Progress, Result
from predictions.coordinator.batches.stamp import Stamp
from predictions.worker.messages import Completion
from predictions.worker.worker import PredictionRequest

#: The fields of a request that nobody has, and those of a completed one that its result is made of.
REQUEST = ("player_id", "player_name", "game_id", "recent_points")
RESULT = ("player_id", "player_name", "game_id", "points", "worker_revision", "worker_commit", "attempt")


class Row(Protocol):
    """A row of whatever keeps requests: a field by its name."""

    def __getitem__(self, name: str, /) -> Any:
        """The field ``name``."""
        ...


def text(moment: datetime) -> str:
    """A point in time, such that text sorts as time does."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def batch_row(batch: NewBatch, now: datetime) -> dict[str, Any]:
    """The fields of a new batch, but for its state and counts."""
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
        "terms": batch.terms.model_dump_json(),
        "now": text(now),
    }


def batch_of(row: Mapping[str, Any]) -> Batch:
    """The batch that a row holds. Raises ``KeyError`` and ``ValueError`` where it holds none."""
    told = dict(row)
    progress = {name: told.pop(name) for name in Progress.model_fields}
    for name in ("stamp", "reasons", "break_glass", "ending", "terms"):
        told[name] = json.loads(told[name]) if told[name] else None
    told["resumed"] = json.loads(told["resumed"]) if told["resumed"] else []
    return Batch.model_validate({**told, "progress": progress})


def resumed_row(batch: Batch, stamp: Stamp | None) -> str:
    """The field of the verdicts that ``batch`` was resumed on, with ``stamp`` as the last."""
    return json.dumps([each.model_dump(mode="json") for each in (*batch.resumed, stamp) if each])


def judged_row(
    batch: Batch, stamp: Stamp, reasons: Sequence[Reason], break_glass: BreakGlass | None
) -> dict[str, str | None]:
    """The fields of the verdict of the last round of ``batch``, once it is known."""
    if batch.resumed:
        return {
            "resumed": json.dumps([each.model_dump(mode="json") for each in (*batch.resumed[:-1], stamp)])
        }
    return {
        "stamp": stamp.model_dump_json(),
        "reasons": json.dumps([each.model_dump(mode="json") for each in reasons]),
        "break_glass": break_glass.model_dump_json() if break_glass else None,
    }


def results_of(batch: Batch, rows: Iterable[Row]) -> Iterator[Result]:
    """The results that the rows of completed requests of ``batch`` hold."""
    verdicts: dict[int | None, tuple[str, ...]] = {}
    for row in rows:
        attempt = row["attempt"]
        if attempt not in verdicts:
            verdicts[attempt] = batch.stamp_of(attempt).columns()
        worker = row["worker_revision"] or "", row["worker_commit"] or ""
        told = row["player_id"], row["player_name"], row["game_id"], row["points"]
        yield Result(*told, *worker, *verdicts[attempt])


def request_of(row: Row) -> PredictionRequest:
    """The request that a row holds."""
    return PredictionRequest(
        player_id=row["player_id"],
        player_name=row["player_name"],
        game_id=row["game_id"],
        recent_points=tuple(json.loads(row["recent_points"])),
    )


def request_fields(request: PredictionRequest) -> tuple[str, str, str, str]:
    """What a request that nobody has holds: the values of ``REQUEST``."""
    points = to_json(request.recent_points).decode()
    return request.player_id, request.player_name, request.game_id, points


def settled_row(completion: Completion, now: datetime) -> dict[str, Any]:
    """The fields that change when ``completion`` counts."""
    answer = completion.prediction
    return {
        "state": "completed" if answer else "failed",
        "points": answer.points if answer else None,
        "error": completion.error,
        "worker_revision": completion.revision,
        "worker_commit": completion.commit,
        "attempt": completion.attempt,
        "message_id": completion.message_id,
        "settled_at": text(now),
    }


def day(game_date: date | None) -> str | None:
    """A date as the file has it."""
    return game_date.isoformat() if game_date else None
