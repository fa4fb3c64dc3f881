"""What OpenTelemetry and the log hear of a batch, from its start to its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from coordinator.stores import a_request, failure
from coordinator.worlds import NOW, a_verdict
from support.telemetry import SPANS, counted, listen, more, spans

from predictions.coordinator import logs
from predictions.coordinator.batches.orders import Order
from predictions.coordinator.coordinator import Coordinator
from predictions.coordinator.dispatch.local import Local, Worker, local_worker
from predictions.coordinator.exceptions import BatchError
from predictions.coordinator.slate import Slate
from predictions.coordinator.store.sqlite import open_sqlite
from predictions.worker.worker import Prediction, PredictionRequest
from shared.utils.deployment_checker import Verdict

DAY = date(2026, 2, 5)
Made = Callable[..., Coordinator]
Points = dict[tuple[Any, ...], Any]
NAMES = ("started", "ended", "results", "completions", "duration", "stalled")


@pytest.fixture(autouse=True)
def before() -> dict[str, Points]:
    listen()
    SPANS.clear()
    return {name: counted(f"driftgate.batch.{name}") for name in NAMES}


def gate(**_: object) -> Verdict:
    return a_verdict("warn")


def slate(_: Order) -> Slate:
    return Slate(game_date=DAY, source="three", requests=tuple(map(a_request, ("P0", "P1", "P2"))))


def broken(_: Sequence[PredictionRequest]) -> Sequence[Prediction]:
    raise RuntimeError("no model")


@pytest.fixture
def coordinator_of(tmp_path: Path) -> Iterator[Callable[..., Coordinator]]:
    """Makes a coordinator with a worker and other parts; everything real but the gate."""
    with ExitStack() as stack:
        store = stack.enter_context(open_sqlite(tmp_path / "state.sqlite"))

        def made(worker: Worker = local_worker, **parts: Any) -> Coordinator:
            parts = {"live": lambda batch: "nobody looked", "gate": gate, "read": slate} | parts
            return Coordinator(store, Local(worker, at_a_time=2), **parts)

        yield made


class TestABatchThatCompletes:
    def test_is_counted_with_its_results_and_its_seconds(
        self, coordinator_of: Made, before: dict[str, Points]
    ) -> None:
        coordinator_of().start(Order(game_date=DAY))
        found = {name: more(f"driftgate.batch.{name}", before[name]) for name in NAMES}
        assert found == {
            "started": {("warn", True): 1},
            "ended": {("completed", "local", "unknown"): 1},
            "results": {("completed",): 3},
            "completions": {},
            "duration": {("completed", "local"): 1},
            "stalled": {},
        }

    def test_is_a_span_and_a_label_on_what_is_logged_meanwhile(self, coordinator_of: Made) -> None:
        said: list[str] = []

        def worker(requests: Sequence[PredictionRequest]) -> Sequence[Prediction]:
            record = logging.LogRecord("prediction_coordinator", 20, "f", 1, "asked", (), None)
            said.append(logs.CloudFormatter(None).format(record))
            return local_worker(requests)

        batch = coordinator_of(worker).start(Order(game_date=DAY)).batch
        assert batch is not None
        (span,) = spans("driftgate.batch.dispatch")
        attributes = dict(span.attributes or {})
        assert attributes["driftgate.batch.id"] == batch.id
        assert (attributes["driftgate.batch.requests"], attributes["driftgate.batch.rounds"]) == (3, 1)
        assert said
        assert all(f'"batch_id": "{batch.id}"' in line for line in said)


def test_a_batch_that_fails_and_what_comes_late_are_counted(
    coordinator_of: Made, before: dict[str, Points]
) -> None:
    coordinator = coordinator_of(broken)
    with pytest.raises(BatchError):
        coordinator.start(Order(game_date=DAY))
    (batch,) = coordinator.batches()
    assert coordinator.complete(failure(batch.id, "P0")) == "late"
    assert coordinator.complete(failure("no such batch", "P0")) == "unknown"
    assert more("driftgate.batch.ended", before["ended"]) == {("failed", "local", "unknown"): 1}
    assert more("driftgate.batch.completions", before["completions"]) == {("late",): 1, ("unknown",): 1}


def test_a_batch_that_was_cancelled_is_not_counted_again(
    coordinator_of: Made, before: dict[str, Points]
) -> None:
    now = [NOW]
    cancelled: list[str] = []

    def worker(requests: Sequence[PredictionRequest]) -> Sequence[Prediction]:
        (batch,) = coordinator.batches()
        for _ in range(2):
            cancelled.append(coordinator.cancel(batch.id).state)
            now[0] += timedelta(seconds=1)
        return local_worker(requests)

    coordinator = coordinator_of(worker, clock=lambda: now[0])
    coordinator.start(Order(game_date=DAY))
    assert set(cancelled) == {"cancelled"}
    assert more("driftgate.batch.ended", before["ended"]) == {("cancelled", "local", "unknown"): 1}
