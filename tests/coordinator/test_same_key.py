"""Who may go on with a batch: by the way that it was started, and by the order that made it."""

from __future__ import annotations

from typing import Any

import pytest
from coordinator.desks import HALF_AN_HOUR, Desk, slate
from coordinator.stores import DAY, STAMP
from coordinator.worlds import NOW, a_verdict

from predictions.coordinator.batches.orders import Order
from predictions.coordinator.dispatch.local import Local
from predictions.coordinator.exceptions import (
    ConfigError,
    DispatchError,
    KeyReusedError,
    TransitionError,
)


class TestAnotherWay:
    """A batch is resumed by the way that it was started, or refused with the variable to set."""

    def test_by_name_or_not_is_refused_before_the_gate_is_asked(self, desk: Desk) -> None:
        batch = desk.start()
        desk.now += HALF_AN_HOUR * 1.1
        asked = desk.asked
        for name in (batch.id, None):
            with pytest.raises(ConfigError, match="COORDINATOR_DISPATCH=pubsub"):
                desk.another(Local(at_a_time=1)).resume(name)
        assert (desk.asked, desk.store.get(batch.id).state) == (asked, "stalled")  # type: ignore[union-attr]

    def test_by_a_start_that_would_go_on_with_it_too(self, desk: Desk) -> None:
        desk.start()
        desk.now += HALF_AN_HOUR * 1.1
        with pytest.raises(ConfigError, match="COORDINATOR_DISPATCH=pubsub"):
            desk.another(Local(at_a_time=1)).start(Order(game_date=DAY))
        (batch,) = desk.store.batches()
        assert (batch.state, batch.progress.completed) == ("stalled", 0)

    def test_no_bar_says_more_than_there_is(self, desk: Desk) -> None:
        desk.start()
        desk.now += HALF_AN_HOUR * 1.1
        desk.steps.clear()
        desk.resumed()
        assert [(step.done, step.total) for step in desk.steps] == [(1, 3), (2, 3), (3, 3)]


class TestTheSameKey:
    def test_of_a_batch_that_workers_are_at_is_that_batch(self, desk: Desk) -> None:
        batch, asked = desk.start(idempotency_key="k"), desk.asked
        again = desk.coordinator.start(Order(game_date=DAY, idempotency_key="k"))
        assert (again.how, again.batch, desk.asked) == ("existing", batch, asked)

    def test_of_a_batch_that_nobody_works_on_goes_on_with_it(self, desk: Desk) -> None:
        """Its coordinator was killed in the middle of the dispatch."""
        order = Order(game_date=DAY, idempotency_key="k")
        new = desk.coordinator._new(order, slate(), a_verdict(), STAMP)
        desk.store.create(new, NOW)
        desk.store.mark_dispatched(new.id, ["P000"], NOW)
        again = desk.coordinator.start(order)
        assert (again.how, again.batch and again.batch.id) == ("resumed", new.id)
        assert (desk.queue.taken, desk.asked) == (["P001", "P002"], 1)

    def test_while_somebody_works_on_its_date_is_that_batch_and_asks_no_gate(self, desk: Desk) -> None:
        order = Order(game_date=DAY, idempotency_key="k")
        new = desk.coordinator._new(order, slate(), a_verdict(), STAMP)
        desk.store.create(new, NOW)
        with desk.store.claim(DAY, NOW):
            again = desk.coordinator.start(order)
        assert (again.how, again.batch and again.batch.id, desk.asked) == ("existing", new.id, 0)

    def test_of_a_failed_batch_is_refused_with_it_or_goes_on_by_resume(self, desk: Desk) -> None:
        desk.queue.breaks_at = "P001"
        with pytest.raises(DispatchError):
            desk.start(idempotency_key="k")
        (batch,) = desk.store.batches()
        with pytest.raises(
            TransitionError, match="which is failed: the topic is gone; send it with resume"
        ) as caught:
            desk.start(idempotency_key="k")
        assert caught.value.batch == batch
        desk.queue.breaks_at = None
        again = desk.coordinator.start(Order(game_date=DAY, idempotency_key="k", resume=True))
        assert (again.how, again.batch and again.batch.id) == ("resumed", batch.id)
        assert again.batch is not None
        assert again.batch.state == "dispatched"

    def test_of_a_cancelled_batch_is_refused_for_good(self, desk: Desk) -> None:
        batch = desk.start(idempotency_key="k")
        desk.coordinator.cancel(batch.id)
        for resume in (False, True):
            with pytest.raises(TransitionError, match="which is cancelled"):
                desk.start(idempotency_key="k", resume=resume)

    @pytest.mark.parametrize(
        ("other", "named"),
        [
            ({"slate": "another.csv"}, "slate"),
            ({"min_minutes": 12.0}, "min_minutes"),
            ({"dry_run": True}, "dry run"),
            ({"actor": "somebody@example.com"}, "caller"),
        ],
    )
    def test_with_another_order_is_refused_with_the_batch(
        self, desk: Desk, other: dict[str, Any], named: str
    ) -> None:
        batch = desk.start(idempotency_key="k")
        with pytest.raises(KeyReusedError, match=f"with another {named}:") as caught:
            desk.coordinator.start(Order(game_date=DAY, idempotency_key="k", **other))
        assert caught.value.batch == batch

    def test_past_a_check_is_the_same_order(self, desk: Desk) -> None:
        """A bypass is how something is started, not what."""
        batch = desk.start(idempotency_key="k")
        order = Order(game_date=DAY, idempotency_key="k", skip_drift_check=True, reason="tip-off", wait=3.0)
        assert desk.coordinator.start(order).batch == batch
