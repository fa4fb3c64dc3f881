"""A coordinator over a queue that is set by hand, for whatever follows on a start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

from coordinator.stores import COMMIT, DAY, STAMP, a_request
from coordinator.worlds import NOW, a_verdict

from predictions.coordinator.batches.batch import Batch, Result
from predictions.coordinator.batches.contracts import Handed
from predictions.coordinator.batches.orders import Order, Step
from predictions.coordinator.batches.stamp import Serving, Terms
from predictions.coordinator.coordinator import Coordinator
from predictions.coordinator.exceptions import (
    DispatchError,
)
from predictions.coordinator.slate import Slate
from predictions.coordinator.store.sqlite import SqliteStore
from predictions.worker.worker import PredictionRequest

PLAYERS = tuple(f"P{number:03}" for number in range(3))
HALF_AN_HOUR = timedelta(minutes=30)


class Queue:
    """A dispatcher that takes what it is given; it breaks at the request ``breaks_at``."""

    name = "pubsub"

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.breaks_at: str | None = None

    def dispatch(self, batch: Batch, requests: Iterable[PredictionRequest]) -> Iterator[Handed]:
        for each in requests:
            if each.player_id == self.breaks_at:
                raise DispatchError("the topic is gone")
            self.taken.append(each.player_id)
            yield Handed((each.player_id,))


class Desk:
    """A coordinator over a queue, whose clock and gate are set by hand."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.queue = Queue()
        self.now = NOW
        self.gate: BaseException | None = None
        self.asked = 0
        self.delivered: list[list[Result]] = []
        self.deliver: Callable[[Batch, Iterator[Result]], None] = self.keep
        self.terms, self.stamp = Terms(), STAMP
        self.steps: list[Step] = []
        self.coordinator = self.another(self.queue)

    def another(self, dispatcher: Any) -> Coordinator:
        return Coordinator(
            self.store,
            dispatcher,
            gate=self._gate,
            read=lambda order: Slate(
                game_date=order.game_date, source="s", requests=tuple(map(a_request, PLAYERS))
            ),
            stamp=lambda verdict: self.stamp,
            tell=lambda event: self.steps.append(event) if isinstance(event, Step) else None,
            live=lambda batch: Serving(("w-1",), (COMMIT,)),
            terms=lambda: self.terms,
            deliver=lambda batch, results: self.deliver(batch, results),
            clock=lambda: self.now,
        )

    def keep(self, batch: Batch, results: Iterator[Result]) -> None:
        self.delivered.append(list(results))

    def start(self, **more: Any) -> Batch:
        batch = self.coordinator.start(Order(game_date=DAY, **more)).batch
        assert batch is not None
        return batch

    def resumed(self, batch_id: str | None = None) -> list[str]:
        """The states of what was resumed."""
        return [each.batch.state for each in self.coordinator.resume(batch_id) if each.batch]

    def _gate(self, **_: Any) -> Any:
        self.asked += 1
        if self.gate:
            raise self.gate
        return a_verdict()


def slate() -> Slate:
    return Slate(game_date=DAY, source="s", requests=tuple(map(a_request, PLAYERS)))
