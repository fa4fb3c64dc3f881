"""Which batch of before a start goes on with, in place of making another."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime

from predictions.coordinator.batches.batch import ANSWERING, Batch, running
from predictions.coordinator.batches.contracts import Store
from predictions.coordinator.batches.orders import Order
from predictions.coordinator.exceptions import BatchRunningError, ConfigError, TransitionError


class Predecessors:
    """The batches of ``store``, as a start by the way ``dispatch`` to the workers finds them."""

    def __init__(self, store: Store, dispatch: str, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._dispatch = dispatch
        self._clock = clock

    def of_key(self, order: Order) -> Batch | None:
        """The batch that the idempotency key has made and that the order may be answered with, or go on with.

        None: there is none. Raises ``KeyReusedError`` where that was another order, and ``TransitionError``
        where the batch has ended without its results, unless it failed and the order is to go on with it.
        """
        batch = self._store.by_key(order.idempotency_key) if order.idempotency_key else None
        if batch is None:
            return None
        order.require_same(batch)
        if batch.state == "cancelled" or (batch.state == "failed" and not order.resume):
            again = " send it with resume to go on with that batch, or" if batch.state == "failed" else ""
            why = f": {batch.error}" if batch.error else ""
            raise TransitionError(
                f"this idempotency key made batch {batch.id}, which is {batch.state}{why};{again} give a new "
                "start a key of its own",
                batch,
            )
        return batch

    def of_date(self, game_date: date) -> Batch | None:
        """The batch of the date that nobody works on any more; its claim must be held.

        None: there is none. Raises ``BatchRunningError`` where workers still have its requests.
        """
        for batch in self._store.active(game_date):
            if not self.abandoned(batch):
                raise BatchRunningError(running(game_date, batch), batch)
            return batch
        return None

    def abandoned(self, batch: Batch) -> bool:
        """Whether nothing more would come of the batch by itself, if nobody holds its date."""
        if batch.state == "dispatched" and batch.dispatch not in ANSWERING:
            return self._store.settled(batch.id)
        return batch.state not in ("completed", "cancelled")

    def unattended(self, batch: Batch) -> bool:
        """Whether nobody works on ``batch``, or it failed: only whoever has its date knows."""
        if not self.abandoned(batch):
            return False
        with suppress(BatchRunningError), self._store.claim(batch.game_date, self._clock()):
            now = self._store.get(batch.id)
            return now is not None and self.abandoned(now)
        return False

    def require_same_way(self, batch: Batch) -> None:
        """Raise ``ConfigError`` where this coordinator's way to the workers is not the batch's."""
        if batch.dispatch != self._dispatch:
            raise ConfigError(
                f"batch {batch.id} was started with COORDINATOR_DISPATCH={batch.dispatch}, and this is "
                f"{self._dispatch}: set COORDINATOR_DISPATCH={batch.dispatch} and what it needs, as "
                "where the batch was started"
            )
