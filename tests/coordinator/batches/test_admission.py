"""Which answers are results of a batch, how many it may lack, and that it ends once."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from coordinator.desks import PLAYERS, Desk, Queue
from coordinator.stores import COMMIT, DAY, STAMP, a_batch, answer, failure
from coordinator.worlds import NOW

from predictions.coordinator.batches.batch import Batch
from predictions.coordinator.batches.contracts import Handed
from predictions.coordinator.batches.orders import Order
from predictions.coordinator.batches.stamp import Terms
from predictions.worker.worker import PredictionRequest


class TestForeignResults:
    """Results of a commit that nobody judged are no results of this batch."""

    OTHER = "0" * 40

    def test_fail_the_batch_and_nothing_is_delivered(self, desk: Desk) -> None:
        batch = desk.start()
        for each in PLAYERS:
            desk.coordinator.complete(answer(batch.id, each, commit=self.OTHER))
        batch = desk.coordinator.get(batch.id)
        assert (batch.state, desk.delivered, list(desk.coordinator.results(batch.id))) == ("failed", [], [])
        assert batch.error is not None
        for said in (f"3 of 3 requests were answered by a worker of commit {self.OTHER}", COMMIT, batch.id):
            assert said in batch.error
        assert batch.ending is not None
        assert [(share.commit, share.results) for share in batch.ending.foreign] == [(self.OTHER, 3)]

    def test_even_one_of_them(self, desk: Desk) -> None:
        desk.terms = Terms(tolerate=3)
        batch = desk.start()
        desk.coordinator.complete(answer(batch.id, "P001", commit=self.OTHER))
        for each in ("P000", "P002"):
            desk.coordinator.complete(answer(batch.id, each))
        assert (desk.coordinator.get(batch.id).state, desk.delivered) == ("failed", [])

    def test_of_a_worker_that_answers_at_once_too(self, desk: Desk) -> None:
        """The whole batch went to another service over HTTP."""

        class Elsewhere(Queue):
            name = "http"

            def dispatch(self, batch: Batch, requests: Iterable[PredictionRequest]) -> Iterator[Handed]:
                for each in requests:
                    told = answer(batch.id, each.player_id, commit=TestForeignResults.OTHER)
                    yield Handed((each.player_id,), (told,))

        started = desk.another(Elsewhere()).start(Order(game_date=DAY))
        assert started.batch is not None
        assert (started.batch.state, started.batch.progress.completed) == ("failed", 0)
        assert desk.delivered == []

    def test_are_asked_for_again_when_the_batch_is_resumed(self, desk: Desk) -> None:
        batch = desk.start()
        for each in PLAYERS:
            desk.coordinator.complete(answer(batch.id, each, commit=self.OTHER))
        assert desk.resumed(batch.id) == ["dispatched"]
        for each in PLAYERS:
            assert desk.coordinator.complete(answer(batch.id, each)) == "counted"
        assert desk.coordinator.get(batch.id).state == "completed"

    def test_are_none_where_the_resumption_judged_their_commit(self, desk: Desk) -> None:
        """The fix was deployed in between: what was judged last may answer, whoever remembers the first."""
        batch = desk.start()
        desk.coordinator.complete(failure(batch.id, "P000"))
        for each in PLAYERS[1:]:
            desk.coordinator.complete(answer(batch.id, each))
        fixed = "f" * 40
        desk.stamp = STAMP.model_copy(update={"live_commits": (fixed,)})
        desk.another(desk.queue).resume(batch.id)
        assert desk.coordinator.complete(answer(batch.id, "P000", commit=fixed)) == "counted"
        batch = desk.coordinator.get(batch.id)
        assert (batch.state, batch.marks) == ("completed", ("mixed-revision",))

    @pytest.mark.parametrize("points", [-1.0, 200.5, 1e300, float("nan"), float("inf")])
    def test_a_value_that_no_slate_may_hold_is_the_error_of_its_request(
        self, desk: Desk, points: float
    ) -> None:
        batch = desk.start()
        assert desk.coordinator.complete(answer(batch.id, "P001", points=points)) == "counted"
        ((player, error),) = desk.store.errors(batch.id, 5)
        assert player == "P001"
        assert "which is not between 0 and 200" in error


class TestTolerated:
    def test_requests_fail_in_a_batch_that_is_completed_and_names_them(self, desk: Desk) -> None:
        desk.terms = Terms(tolerate=1)
        batch = desk.start()
        desk.coordinator.complete(failure(batch.id, "P001"))
        for each in ("P000", "P002"):
            desk.coordinator.complete(answer(batch.id, each))
        batch = desk.coordinator.get(batch.id)
        assert (batch.state, batch.error) == ("completed", "1 of 3 requests failed: P001: no games")
        assert [[result.player_id for result in each] for each in desk.delivered] == [["P000", "P002"]]

    def test_are_no_more_than_was_said(self, desk: Desk) -> None:
        desk.terms = Terms(tolerate=1)
        batch = desk.start()
        for each in ("P001", "P002"):
            desk.coordinator.complete(failure(batch.id, each))
        desk.coordinator.complete(answer(batch.id, "P000"))
        assert desk.coordinator.get(batch.id).state == "failed"
        assert [[result.player_id for result in each] for each in desk.delivered] == [["P000"]]


def test_the_last_results_at_once_end_the_batch_once(desk: Desk) -> None:
    """24 pushes bring the last results together: each is counted, and one of them hands the results over."""
    everybody, delivered, together = 24, [], threading.Barrier(24)
    desk.deliver = lambda batch, results: delivered.append(len(list(results)))
    new = dataclasses.replace(a_batch(everybody), id="2026-02-05-00000001")
    desk.store.create(new, NOW)

    def last(number: int) -> str:
        together.wait()
        return desk.coordinator.complete(answer(new.id, f"P{number:03}"))

    with ThreadPoolExecutor(everybody) as pool:
        assert list(pool.map(last, range(everybody))) == ["counted"] * everybody
    assert delivered == [everybody]
    assert desk.coordinator.get(new.id).state == "completed"
