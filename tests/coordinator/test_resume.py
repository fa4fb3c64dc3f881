"""What follows on a start: completions, the end, cancelling, and going on with what was left behind."""

from __future__ import annotations

import dataclasses
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from coordinator.stores import COMMIT, DAY, STAMP, a_batch, a_request, answer, failure
from coordinator.worlds import NOW, a_verdict

from predictions.coordinator.batches import Batch, Result
from predictions.coordinator.contracts import Handed
from predictions.coordinator.coordinator import Coordinator
from predictions.coordinator.dispatch.local import Local
from predictions.coordinator.exceptions import (
    BatchError,
    BatchNotFoundError,
    BatchRunningError,
    ConfigError,
    DeploymentDriftError,
    DispatchError,
    KeyReusedError,
    TransitionError,
)
from predictions.coordinator.orders import Order, Step
from predictions.coordinator.slate import Slate
from predictions.coordinator.stamp import Serving, Terms
from predictions.coordinator.store.sqlite import SqliteStore, open_sqlite
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


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_sqlite(tmp_path / "store.sqlite") as store:
        yield Desk(store)


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
        desk.store.begin(left.id, NOW)
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


def slate() -> Slate:
    return Slate(game_date=DAY, source="s", requests=tuple(map(a_request, PLAYERS)))


class TestStalled:
    def test_is_told_once(self, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
        batch = desk.start()
        desk.now += HALF_AN_HOUR * 1.1
        assert [each.id for each in desk.coordinator.find_stalled()] == [batch.id]
        assert desk.coordinator.find_stalled() == []
        assert [record.levelno for record in caplog.records] == [logging.ERROR]

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
        desk.store.begin(new.id, NOW)
        desk.store.mark_dispatched(new.id, ["P000", "P001"], NOW)
        desk.store.apply([answer(new.id, "P000", points=99.0)], NOW)
        (started,) = local.resume()
        assert started.batch is not None
        assert (started.batch.state, started.batch.progress.completed) == ("completed", 3)
        assert [result.points for result in desk.delivered[0]] == [99.0, 1.75, 1.75]


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
    desk.store.begin(new.id, NOW)

    def last(number: int) -> str:
        together.wait()
        return desk.coordinator.complete(answer(new.id, f"P{number:03}"))

    with ThreadPoolExecutor(everybody) as pool:
        assert list(pool.map(last, range(everybody))) == ["counted"] * everybody
    assert delivered == [everybody]
    assert desk.coordinator.get(new.id).state == "completed"


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
        desk.store.begin(new.id, NOW)
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
