"""Completions as they come in: judged, counted in one step of the store, and what follows on each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from drift_gate.runtime.memory import Recent
from predictions.coordinator.batches import telemetry
from predictions.coordinator.batches.batch import Applied, Batch
from predictions.coordinator.batches.contracts import Store
from predictions.coordinator.batches.finalizer import Finalizer
from predictions.coordinator.batches.result_filter import admitted
from predictions.worker.messages import Completion

log = logging.getLogger("prediction_coordinator")


class Counted(NamedTuple):
    """What a completion came to, and whether its batch waits for nothing more."""

    applied: Applied
    settled: bool


class Completions:
    """Counts what workers report, and ends batches with their last results; for all threads."""

    def __init__(self, store: Store, finish: Finalizer, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._finish = finish
        self._clock = clock
        self._known: Recent[str, Batch] = Recent()

    def count(self, completions: Sequence[Completion]) -> list[Counted]:
        """Count ``completions``, all in one step of the store; what each came to, in their order.

        Raises ``StateError``; the same completions may then come again, and are counted once.
        """
        applied = self._store.apply([self._admitted(each) for each in completions], self._clock())
        pairs = list(zip((each.batch_id for each in completions), applied, strict=True))
        # A duplicate too: the first one may have been counted by a coordinator that died of it.
        heard = {batch_id for batch_id, what in pairs if what in ("counted", "duplicate")}
        settled = {batch_id for batch_id in heard if self._store.settled(batch_id)}
        for what in applied:
            telemetry.applied(what)
        return [Counted(what, what in ("counted", "duplicate") and each in settled) for each, what in pairs]

    def follow_up(self, completion: Completion, counted: Counted) -> None:
        """Tell of what nobody asked for, and end the batch with its last result; of several who do, one does.

        Raises ``BatchError`` where the results cannot be handed over: the batch has not ended then.
        """
        if counted.applied == "unknown":
            log.warning("completion for batch %s, which nobody asked for", completion.batch_id)
        if counted.settled:
            self._finish.end(completion.batch_id)

    def _admitted(self, completion: Completion) -> Completion:
        """What of ``completion`` counts; a verdict that came meanwhile may have judged its commit."""
        batch = self._known.get(completion.batch_id)
        if batch is not None and admitted(batch, completion) is completion:
            return completion
        batch = self._store.get(completion.batch_id)
        if batch is None:
            return completion
        if batch.latest.live_commits:  # under a bypass they become known later
            self._known.put(batch.id, batch)
        return admitted(batch, completion)
