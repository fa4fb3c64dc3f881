"""Spans and metrics of a batch, and its id on what is logged meanwhile; where nobody listens, nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from drift_gate.journal.telemetry import count, measure, span
from predictions.coordinator.batches.batch import Applied, Batch
from predictions.coordinator.logs import labelled

if TYPE_CHECKING:
    from drift_gate.journal.telemetry import Attributes

#: How exactly the stores keep a time: a batch that ended this long before now was ended by somebody else.
_PRECISION = timedelta(milliseconds=1)


@contextmanager
def handing_out(batch: Batch) -> Iterator[None]:
    """The block hands out the requests of ``batch``: a span, and its id on each record of the log."""
    about: Attributes = {
        "driftgate.batch.id": batch.id,
        "driftgate.batch.dispatch": batch.dispatch,
        "driftgate.batch.rounds": batch.rounds,
        "driftgate.batch.requests": batch.progress.requested,
    }
    with labelled(batch_id=batch.id), span("driftgate.batch.dispatch", about):
        yield


def started(batch: Batch) -> None:
    """A batch exists that did not before."""
    stamp = batch.stamp
    about: Attributes = {"driftgate.decision": stamp.gate_decision, "driftgate.enforced": stamp.enforced}
    count("driftgate.batch.started", "batches that were begun", about)


def stalled(batch: Batch) -> None:
    """Nobody was heard of the batch for too long."""
    count("driftgate.batch.stalled", "batches that fell silent", {"driftgate.batch.dispatch": batch.dispatch})


def applied(what: Applied) -> None:
    """A worker's completion came to this."""
    count("driftgate.batch.completions", "completions by what they came to", {"driftgate.applied": what})


def ended(batch: Batch, now: datetime) -> None:
    """The batch ended at ``now``, unless it did before: several may end it, and one of them does."""
    if batch.active or batch.ended_at is None or now - batch.ended_at >= _PRECISION:
        return
    about = {"driftgate.batch.state": batch.state, "driftgate.batch.dispatch": batch.dispatch}
    mixed = (
        "unknown" if batch.ending is None or batch.ending.mixed is None else str(batch.ending.mixed).lower()
    )
    count("driftgate.batch.ended", "batches that ended", {**about, "driftgate.batch.mixed_revision": mixed})
    seconds = (batch.ended_at - batch.created_at).total_seconds()
    measure("driftgate.batch.duration", "how long a batch took", seconds, about)
    for result, number in (("completed", batch.progress.completed), ("failed", batch.progress.failed)):
        if number:
            count(
                "driftgate.batch.results", "requests by how they ended", {"driftgate.result": result}, number
            )
