"""What follows on a start: completions, the end, cancelling, and going on with what was left behind."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from coordinator.desks import HALF_AN_HOUR, PLAYERS, Desk, Queue, slate
from coordinator.stores import COMMIT, DAY, STAMP, answer, failure
from coordinator.worlds import NOW, a_verdict

from predictions.coordinator.batches.batch import Batch, Result
from predictions.coordinator.batches.contracts import Handed
from predictions.coordinator.batches.orders import Order
from predictions.coordinator.batches.stamp import Terms
from predictions.coordinator.dispatch.local import Local
from predictions.coordinator.exceptions import (
    BatchError,
    BatchNotFoundError,
    BatchRunningError,
    DeploymentDriftError,
    DispatchError,
    TransitionError,
)
from predictions.worker.worker import PredictionRequest


class TestCompletions:
    def test_the_last_one_ends_the_batch_and_hands_its_results_over(self, desk: Desk) -> None:
        batch = desk.start()
        assert (batch.state, desk.queue.taken) == ("dispatched", list(PLAYERS))
        came_to = [desk.coordinator.complete(answer(batch.id, each)) for each in reversed(PLAYERS)]
        assert came_to == ["counted"] * 3
        batch = desk.coordinator.get(batch.id)
        assert (batch.state, batch.marks) == ("completed", ())
        assert [[result.player_id for result in each] for each in desk.delivered] == [list(PLAYERS)]
        assert list(desk.coordinator.results(batch.id)) == desk.delivered[0]

    def test_that_are_strange_change_nothing(self, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
        batch = desk.start()
        assert desk.coordinator.complete(answer("2026-02-05-00000000", "P000")) == "unknown"
        assert "2026-02-05-00000000, which nobody asked for" in caplog.text
        assert desk.coordinator.get(batch.id) == batch

    def test_of_another_commit_mark_the_batch_where_they_are_kept_and_are_told(
        self, desk: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        desk.terms = Terms(foreign_results="keep")
        batch = desk.start()
        for each in PLAYERS[:2]:
            desk.coordinator.complete(answer(batch.id, each))
        desk.coordinator.complete(answer(batch.id, PLAYERS[2], commit="c" * 40))
        batch = desk.coordinator.get(batch.id)
        assert (batch.state, batch.marks) == ("completed", ("mixed-revision",))
        assert f"mixed-revision: 67% by {COMMIT}, 33% by {'c' * 40}" in caplog.text

    def test_with_an_error_fail_the_batch_once_all_is_settled_and_name_who(self, desk: Desk) -> None:
        batch = desk.start()
        desk.coordinator.complete(failure(batch.id, "P001"))
        assert desk.coordinator.get(batch.id).state == "dispatched"
        for each in ("P000", "P002"):
            desk.coordinator.complete(answer(batch.id, each))
        batch = desk.coordinator.get(batch.id)
        assert (batch.state, batch.error) == ("failed", "1 of 3 requests failed: P001: no games")
        assert [[result.player_id for result in each] for each in desk.delivered] == [["P000", "P002"]]

    def test_once_more_end_a_batch_whose_coordinator_died_at_its_last_one(self, desk: Desk) -> None:
        """All was counted, and nobody was there to end it: the message comes again."""
        batch = desk.start()
        desk.store.apply([answer(batch.id, each) for each in PLAYERS], NOW)
        assert desk.coordinator.complete(answer(batch.id, "P001")) == "duplicate"
        assert desk.coordinator.get(batch.id).state == "completed"

    def test_that_come_before_their_request_is_noted_are_counted(self, desk: Desk) -> None:
        """Workers are quick: all answers are there before the dispatch has ended."""

        class Quick(Queue):
            def dispatch(self, batch: Batch, requests: Iterable[PredictionRequest]) -> Iterator[Handed]:
                for handed in super().dispatch(batch, requests):
                    for each in handed.request_ids:
                        assert desk.coordinator.complete(answer(batch.id, each)) == "counted"
                    yield handed

        started = desk.another(Quick()).start(Order(game_date=DAY))
        assert started.batch is not None
        assert (started.batch.state, started.batch.progress.dispatched) == ("completed", 3)
        assert len(desk.delivered) == 1


class TestASecondStart:
    def test_hears_of_the_batch_that_workers_are_at(self, desk: Desk) -> None:
        batch = desk.start()
        with pytest.raises(BatchRunningError, match="0 of 3 predicted") as caught:
            desk.start()
        assert caught.value.batch == batch
        assert desk.queue.taken == list(PLAYERS)

    def test_goes_on_with_a_batch_whose_dispatch_broke_off_and_hands_out_the_rest(self, desk: Desk) -> None:
        """Killed in the middle: what Pub/Sub has is with Pub/Sub."""
        desk.store.create(desk.coordinator._new(Order(game_date=DAY), slate(), a_verdict(), STAMP), NOW)
        (left,) = desk.store.active()
        desk.store.mark_dispatched(left.id, ["P000"], NOW)
        started = desk.coordinator.start(Order(game_date=DAY))
        assert (started.how, started.batch and started.batch.id) == ("resumed", left.id)
        assert desk.queue.taken == ["P001", "P002"]

    def test_goes_on_with_a_stalled_batch(self, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
        batch = desk.start()
        desk.coordinator.complete(answer(batch.id, "P001"))
        desk.now += HALF_AN_HOUR * 1.1
        started = desk.coordinator.start(Order(game_date=DAY))
        assert started.how == "resumed"
        assert desk.queue.taken == [*PLAYERS, "P000", "P002"]
        assert f"batch {batch.id} for 2026-02-05 is stalled: 1 of 3 predicted" in caplog.text
        assert started.batch is not None
        assert (started.batch.state, started.batch.rounds) == ("dispatched", 2)


class TestStalled:
    def test_is_told_once(self, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
        batch = desk.start()
        desk.now += HALF_AN_HOUR * 1.1
        assert [each.id for each in desk.coordinator.find_stalled()] == [batch.id]
        assert desk.coordinator.find_stalled() == []
        assert [record.levelno for record in caplog.records] == [logging.ERROR]

    def test_is_shown_by_the_look_that_finds_it(self, desk: Desk) -> None:
        desk.start()
        desk.now += HALF_AN_HOUR * 1.1
        assert [each.state for each in desk.coordinator.batches()] == ["stalled"]

    def test_is_what_the_alert_looks_for(self, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
        desk.start()
        desk.now += HALF_AN_HOUR * 1.1
        desk.coordinator.find_stalled()
        alert = (Path(__file__).parents[2] / "deploy" / "alerts" / "stalled.yaml").read_text()
        (pattern,) = re.findall(r'jsonPayload\.message=~"(.*)"', alert)
        assert [bool(re.search(pattern, record.message)) for record in caplog.records] == [True]

    def test_and_heard_of_again_comes_to_its_end(self, desk: Desk) -> None:
        batch = desk.start()
        desk.now += HALF_AN_HOUR * 1.1
        desk.coordinator.find_stalled()
        for each in PLAYERS:
            assert desk.coordinator.complete(answer(batch.id, each)) == "counted"
        assert desk.coordinator.get(batch.id).state == "completed"

    def test_is_not_who_moved_in_time(self, desk: Desk) -> None:
        batch = desk.start()
        for each in PLAYERS[:2]:
            desk.now += HALF_AN_HOUR * 0.9
            desk.coordinator.complete(answer(batch.id, each))
            assert desk.coordinator.find_stalled() == []


class TestResume:
    def test_of_nothing_asks_no_gate(self, desk: Desk) -> None:
        desk.gate = DeploymentDriftError("behind")
        assert desk.coordinator.resume() == []
        desk.gate = None
        desk.start()
        desk.gate = DeploymentDriftError("behind")
        assert desk.coordinator.resume() == []  # workers are at it

    def test_asks_the_gate_anew(self, desk: Desk) -> None:
        desk.start()
        desk.now += HALF_AN_HOUR * 1.1
        desk.gate = DeploymentDriftError("behind")
        with pytest.raises(DeploymentDriftError):
            desk.coordinator.resume()
        assert desk.queue.taken == list(PLAYERS)

    def test_hands_out_again_what_failed_to_go_out(self, desk: Desk) -> None:
        desk.queue.breaks_at = "P001"
        with pytest.raises(DispatchError):
            desk.start()
        (batch,) = desk.store.batches()
        assert (batch.state, batch.error) == ("failed", "the topic is gone")
        assert desk.coordinator.complete(answer(batch.id, "P000")) == "late"
        desk.queue.breaks_at = None
        assert desk.resumed(batch.id) == ["dispatched"]
        assert desk.queue.taken == ["P000", *PLAYERS]
        assert [desk.coordinator.complete(answer(batch.id, each)) for each in PLAYERS] == ["counted"] * 3
        assert desk.coordinator.get(batch.id).state == "completed"

    def test_leaves_a_failed_batch_alone_that_nobody_named(self, desk: Desk) -> None:
        desk.queue.breaks_at = "P001"
        with pytest.raises(DispatchError):
            desk.start()
        assert desk.resumed() == []

    def test_of_a_batch_that_workers_are_at_is_refused(self, desk: Desk) -> None:
        batch = desk.start()
        with pytest.raises(BatchRunningError, match="workers have the requests"):
            desk.coordinator.resume(batch.id)

    def test_ends_a_batch_that_only_lacked_its_end(self, desk: Desk) -> None:
        batch = desk.start()
        desk.store.apply([answer(batch.id, each) for each in PLAYERS], NOW)
        assert desk.resumed() == ["completed"]
        assert desk.queue.taken == list(PLAYERS)
        assert len(desk.delivered) == 1

    @pytest.mark.parametrize("state", ["completed", "cancelled"])
    def test_of_what_has_ended_for_good_is_refused(self, desk: Desk, state: Any) -> None:
        batch = desk.start()
        desk.store.move(batch.id, state, NOW)
        with pytest.raises(TransitionError, match=f"is {state} and cannot become pending"):
            desk.coordinator.resume(batch.id)

    def test_of_no_batch_says_so(self, desk: Desk) -> None:
        with pytest.raises(BatchNotFoundError, match="there is no batch 7"):
            desk.coordinator.resume("7")

    def test_leaves_a_date_alone_that_somebody_works_on(self, desk: Desk) -> None:
        local = desk.another(Local(at_a_time=1))
        new = local._new(Order(game_date=DAY), slate(), a_verdict(), STAMP)
        desk.store.create(new, NOW)
        with desk.store.claim(DAY, NOW):
            assert local.resume() == []
            with pytest.raises(BatchRunningError):
                local.resume(new.id)
        assert [each.batch.state for each in local.resume() if each.batch] == ["completed"]

    def test_of_a_local_batch_asks_again_whoever_may_have_been_at_work(self, desk: Desk) -> None:
        """The worker died with its coordinator: what it had is nobody's."""
        local = desk.another(Local(at_a_time=1))
        new = local._new(Order(game_date=DAY), slate(), a_verdict(), STAMP)
        desk.store.create(new, NOW)
        desk.store.mark_dispatched(new.id, ["P000", "P001"], NOW)
        desk.store.apply([answer(new.id, "P000", points=99.0)], NOW)
        (started,) = local.resume()
        assert started.batch is not None
        assert (started.batch.state, started.batch.progress.completed) == ("completed", 3)
        assert [result.points for result in desk.delivered[0]] == [99.0, 1.75, 1.75]


class TestCancel:
    def test_ends_a_batch_as_it_is(self, desk: Desk) -> None:
        batch = desk.start()
        desk.coordinator.complete(answer(batch.id, "P000"))
        batch = desk.coordinator.cancel(batch.id)
        assert (batch.state, batch.progress.completed, batch.error) == ("cancelled", 1, "cancelled by hand")
        assert desk.coordinator.complete(answer(batch.id, "P001")) == "late"
        assert desk.start().state == "dispatched"

    def test_in_the_middle_of_the_dispatch_stops_it(self, desk: Desk) -> None:
        class Cancelled(Queue):
            def dispatch(self, batch: Batch, requests: Iterable[PredictionRequest]) -> Iterator[Handed]:
                for handed in super().dispatch(batch, requests):
                    if handed.request_ids == ("P001",):
                        desk.coordinator.cancel(batch.id)
                    yield handed

        queue = Cancelled()
        started = desk.another(queue).start(Order(game_date=DAY))
        assert started.batch is not None
        assert (started.batch.state, queue.taken) == ("cancelled", ["P000", "P001"])

    def test_of_what_has_ended_is_refused(self, desk: Desk) -> None:
        batch = desk.start()
        desk.store.move(batch.id, "completed", NOW)
        with pytest.raises(TransitionError):
            desk.coordinator.cancel(batch.id)


def test_a_batch_whose_results_cannot_be_handed_over_does_not_count_as_completed(desk: Desk) -> None:
    """A message that ends it comes again, and the next time it may work."""

    def broken(batch: Batch, results: Iterator[Result]) -> None:
        raise BatchError("the disk is full")

    batch = desk.start()
    for each in PLAYERS[:2]:
        desk.coordinator.complete(answer(batch.id, each))
    desk.deliver = broken
    with pytest.raises(BatchError, match="the disk is full"):
        desk.coordinator.complete(answer(batch.id, "P002"))
    assert desk.coordinator.get(batch.id).state == "dispatched"
    desk.deliver = desk.keep
    assert desk.coordinator.complete(answer(batch.id, "P002")) == "duplicate"
    assert desk.coordinator.get(batch.id).state == "completed"
