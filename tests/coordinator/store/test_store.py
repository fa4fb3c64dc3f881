"""What every store promises, whatever it keeps batches in."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from coordinator.stores import COMMIT, DAY, STAMP, a_batch, a_request, answer, failure
from coordinator.worlds import NOW
from support.heavy import light

from drift_gate.policy.verdict import BreakGlass, Reason
from predictions.coordinator.batches.batch import ACTIVE, STATES, TRANSITIONS, BatchState
from predictions.coordinator.batches.contracts import Store
from predictions.coordinator.batches.ending import Ending
from predictions.coordinator.exceptions import (
    BatchError,
    BatchNotFoundError,
    BatchRunningError,
    KeyReusedError,
    TransitionError,
)
from predictions.coordinator.store.firestore import open_firestore
from predictions.coordinator.store.sqlite import open_sqlite

LATER = NOW + timedelta(minutes=1)
KINDS = ("sqlite", "firestore")
#: To another state and to the same, and to one that a batch cannot become which has ended.
MOVES = [
    ("pending", "dispatched"),
    ("dispatched", "completed"),
    ("failed", "failed"),
    ("completed", "failed"),
]


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "firestore":
        host = request.getfixturevalue("firestore_emulator")
        with open_firestore(f"p{uuid4().hex[:12]}", "(default)", host) as opened:
            yield opened
        return
    with open_sqlite(tmp_path / "deep" / "store.sqlite") as opened:
        yield opened


def on_both(rows: Sequence[tuple[Any, ...]], kept: Sequence[tuple[Any, ...]]) -> list[Any]:
    """A table asked of SQLite; of its rows Firestore, which takes the same way, is asked ``kept``."""
    both = [*(("sqlite", *row) for row in rows), *(("firestore", *row) for row in kept)]
    return light([(name, *row) for name in KINDS for row in rows], both)


def begun(store: Store, players: int = 2) -> str:
    """The id of a batch whose requests are being handed out."""
    return store.create(a_batch(players), NOW).id


class TestCreation:
    def test_is_read_back_as_it_was_meant(self, store: Store) -> None:
        new = a_batch(2, key="k")
        batch = store.create(new, NOW)
        assert batch == store.get(new.id)
        assert (batch.state, batch.rounds, batch.progress.requested, batch.set_aside) == ("pending", 1, 2, 1)
        assert (batch.stamp, batch.slate, batch.dispatch, batch.idempotency_key) == (
            STAMP,
            "a file",
            "pubsub",
            "k",
        )
        assert (batch.created_at, batch.heartbeat_at, batch.ended_at) == (NOW, NOW, None)
        assert list(store.requests(new.id, ["pending"])) == [a_request("P000"), a_request("P001")]

    def test_is_all_or_nothing(self, store: Store) -> None:
        new = a_batch(3)

        def breaks() -> Iterator[object]:
            yield a_request("P0")
            raise RuntimeError("the slate ends in the middle")

        object.__setattr__(new, "requests", breaks())
        with pytest.raises(RuntimeError):
            store.create(new, NOW)
        assert store.get(new.id) is None
        assert store.batches() == store.active() == []
        assert store.create(a_batch(), NOW).state == "pending"

    def test_of_a_player_twice_is_none(self, store: Store) -> None:
        new = a_batch(1)
        object.__setattr__(new, "requests", [a_request("P0"), a_request("P0")])
        with pytest.raises(BatchError):
            store.create(new, NOW)
        assert store.batches() == []

    def test_beside_an_active_batch_of_the_date_is_refused_with_that_batch(self, store: Store) -> None:
        first = store.create(a_batch(), NOW)
        with pytest.raises(BatchRunningError) as caught:
            store.create(a_batch(), NOW)
        assert caught.value.batch == first
        assert store.create(a_batch(day=date(2026, 2, 6)), NOW).state == "pending"

    def test_under_a_key_that_was_used_is_refused(self, store: Store) -> None:
        first = store.create(a_batch(key="k"), NOW)
        assert store.by_key("k") == first
        assert store.by_key("other") is None
        with pytest.raises(KeyReusedError, match=first.id):
            store.create(a_batch(day=date(2026, 2, 6), key="k"), NOW)

    def test_of_many_requests_keeps_them_all_in_order(self, store: Store) -> None:
        batch = store.create(a_batch(1234), NOW)
        players = [each.player_id for each in store.requests(batch.id, ["pending"])]
        assert players == sorted(f"P{number:03}" for number in range(1234))

    @pytest.mark.parametrize(
        ("store", "player"),
        on_both(
            [(each,) for each in ("a/b", ".", "..", "__x__", "Öner 1", "%2F", "'; DROP", "x" * 300)],
            [("a/b",), ("..",), ("__x__",), ("x" * 300,)],
        ),
        indirect=["store"],
    )
    def test_takes_any_text_as_a_player(self, store: Store, player: str) -> None:
        new = a_batch(0)
        object.__setattr__(new, "requests", [a_request(player)])
        batch = store.create(new, NOW)
        assert store.apply([answer(batch.id, player)], NOW) == ["counted"]
        assert [result.player_id for result in store.results(batch.id)] == [player]

    def test_is_listed_by_date_the_newest_first(self, store: Store) -> None:
        ids: list[str] = []
        for minute in range(3):
            batch = store.create(a_batch(), NOW + timedelta(minutes=minute))
            store.move(batch.id, "cancelled", NOW)
            ids.insert(0, batch.id)
        assert [batch.id for batch in store.batches(DAY)] == ids
        assert [batch.id for batch in store.batches(DAY, limit=2)] == ids[:2]
        assert store.batches(date(2026, 2, 6)) == []
        assert store.active() == []


class TestStates:
    @pytest.mark.parametrize(
        ("store", "state", "to"),
        on_both([(state, to) for state in STATES for to in STATES if to != "pending"], MOVES),
        indirect=["store"],
    )
    def test_a_batch_goes_where_the_table_says_and_nowhere_else(
        self, store: Store, state: BatchState, to: BatchState
    ) -> None:
        batch_id = begun(store)
        if state != "pending":
            store.move(batch_id, state, NOW)
        if to == state or to in TRANSITIONS[state]:
            batch = store.move(batch_id, to, LATER)
            assert batch.state == to
            assert (batch.ended_at is None) == (to in ACTIVE)
        else:
            with pytest.raises(TransitionError, match=f"is {state} and cannot become {to}"):
                store.move(batch_id, to, LATER)
            assert store.batches()[0].state == state

    @pytest.mark.parametrize(
        ("store", "state"),
        on_both([(state,) for state in STATES], [("failed",), ("completed",)]),
        indirect=["store"],
    )
    def test_another_round_begins_where_the_table_allows_it(self, store: Store, state: BatchState) -> None:
        batch_id = begun(store)
        if state != "pending":
            store.move(batch_id, state, NOW, error="why")
        if state in {"completed", "cancelled"}:
            with pytest.raises(TransitionError):
                store.begin(batch_id, LATER)
        else:
            batch = store.begin(batch_id, LATER)
            assert (batch.state, batch.rounds, batch.error, batch.ended_at) == ("pending", 2, None, None)

    def test_a_failed_batch_cannot_go_on_beside_another_of_its_date(self, store: Store) -> None:
        failed = begun(store)
        store.move(failed, "failed", NOW)
        other = begun(store)
        with pytest.raises(BatchRunningError, match=other):
            store.begin(failed, NOW)

    def test_the_ending_is_kept(self, store: Store) -> None:
        batch_id = begun(store)
        end = Ending(live_revisions=("w-2",), live_commits=(None,), mixed=True)
        assert store.move(batch_id, "failed", LATER, error="why", ending=end).ending == end
        batch = store.get(batch_id)
        assert batch is not None
        assert (batch.error, batch.ended_at, batch.marks) == ("why", LATER, ("mixed-revision",))

    def test_a_batch_that_is_there_already_stays_as_it_is(self, store: Store) -> None:
        batch_id = begun(store)
        first = store.move(batch_id, "failed", NOW, error="the first")
        assert store.move(batch_id, "failed", LATER, error="the second") == first

    def test_of_no_batch_there_are_none(self, store: Store) -> None:
        assert store.get("none") is None
        for asked in (
            lambda: store.move("none", "failed", NOW),
            lambda: store.begin("none", NOW),
            lambda: store.mark_dispatched("none", ["P000"], NOW),
            lambda: store.settled("none"),
        ):
            with pytest.raises(BatchNotFoundError, match="there is no batch none"):
                asked()


class TestAVerdictThatComesLater:
    """A bypass lets a batch begin before anybody knows what it overrides."""

    def test_takes_the_place_of_the_one_that_was_not_known(self, store: Store) -> None:
        batch = store.create(a_batch(1), NOW)
        found = STAMP.model_copy(update={"live_commits": ("f" * 40,)})
        why = Reason(code="behind-within-limit", decision="warn", message="1 behind")
        glass = BreakGlass(actor="ann", reason=None, at=NOW, until=None, via="--skip-drift-check")
        store.judge(batch.id, found, [why], glass)
        assert store.get(batch.id) == batch.model_copy(
            update={"stamp": found, "reasons": (why,), "break_glass": glass}
        )

    def test_is_that_of_the_last_round_and_of_no_other(self, store: Store) -> None:
        """Also of a batch that has ended meanwhile."""
        batch = begun(store)
        unknown, found = (STAMP.model_copy(update={"live_commits": each}) for each in ((), ("f" * 40,)))
        store.begin(batch, NOW, unknown)
        store.move(batch, "completed", NOW)
        store.judge(batch, found, [], None)
        assert store.get(batch).stamps == (STAMP, found)  # type: ignore[union-attr]  # it is there

    def test_of_no_batch_is_an_error(self, store: Store) -> None:
        with pytest.raises(BatchNotFoundError):
            store.judge("nobody", STAMP, [], None)


class TestHandingOut:
    def test_moves_requests_from_pending_to_dispatched(self, store: Store) -> None:
        batch_id = begun(store, 3)
        assert store.mark_dispatched(batch_id, ["P000", "P002"], LATER) == "pending"
        assert [each.player_id for each in store.requests(batch_id, ["pending"])] == ["P001"]
        assert [each.player_id for each in store.requests(batch_id, ["dispatched"])] == ["P000", "P002"]
        batch = store.get(batch_id)
        assert batch is not None
        assert (batch.progress.dispatched, batch.heartbeat_at) == (2, LATER)

    def test_once_more_is_counted_once(self, store: Store) -> None:
        batch_id = begun(store)
        store.mark_dispatched(batch_id, ["P000"], NOW)
        store.begin(batch_id, NOW)
        store.mark_dispatched(batch_id, ["P000", "P001"], NOW)
        batch = store.get(batch_id)
        assert batch is not None
        assert (batch.progress.dispatched, batch.rounds) == (2, 2)

    def test_that_is_noted_after_the_answer_takes_nothing_back(self, store: Store) -> None:
        """A worker may be quicker than the note that it has the request."""
        batch_id = begun(store, 1)
        assert store.apply([answer(batch_id, "P000")], NOW) == ["counted"]
        store.mark_dispatched(batch_id, ["P000"], NOW)
        batch = store.get(batch_id)
        assert batch is not None
        assert (batch.progress.completed, batch.progress.dispatched) == (1, 1)
        assert list(store.requests(batch_id, ["pending", "dispatched"])) == []

    def test_tells_that_somebody_has_cancelled_meanwhile(self, store: Store) -> None:
        batch_id = begun(store)
        store.move(batch_id, "cancelled", NOW)
        assert store.mark_dispatched(batch_id, ["P000"], NOW) == "cancelled"


class TestCompletions:
    def test_the_first_counts_and_every_other_is_a_duplicate(self, store: Store) -> None:
        batch_id = begun(store)
        first, second = answer(batch_id, "P000"), answer(batch_id, "P000", points=99.0)
        assert store.apply([first, second], LATER) == ["counted", "duplicate"]
        assert store.apply([second, answer(batch_id, "P001")], LATER) == ["duplicate", "counted"]
        batch = store.get(batch_id)
        assert batch is not None
        assert (batch.progress.completed, batch.progress.duplicates, batch.heartbeat_at) == (2, 2, LATER)
        assert [result.points for result in store.results(batch_id)] == [7.5, 7.5]
        assert store.settled(batch_id)

    @pytest.mark.parametrize(
        ("store", "state"),
        on_both([("completed",), ("failed",), ("cancelled",)], [("failed",)]),
        indirect=["store"],
    )
    def test_after_the_end_are_late_and_not_kept(self, store: Store, state: BatchState) -> None:
        batch_id = begun(store)
        store.apply([answer(batch_id, "P000")], NOW)
        store.move(batch_id, state, NOW)
        assert store.apply([answer(batch_id, "P001"), answer(batch_id, "P000")], NOW) == ["late", "duplicate"]
        batch = store.get(batch_id)
        assert batch is not None
        assert (batch.progress.completed, batch.progress.late, batch.progress.duplicates) == (1, 1, 1)
        assert len(list(store.results(batch_id))) == 1

    def test_that_nobody_asked_for_are_unknown_and_counted(self, store: Store) -> None:
        batch_id = begun(store)
        strange = [
            answer("2026-02-05-00000000", "P000"),
            answer(batch_id, "P999"),
            answer(batch_id, "P000", game="another"),
        ]
        assert store.apply(strange, NOW) == ["unknown"] * 3
        assert store.strays() == 3
        assert list(store.results(batch_id)) == []

    def test_may_come_before_anything_is_noted_as_handed_out(self, store: Store) -> None:
        batch_id = begun(store)
        assert store.apply([answer(batch_id, "P001")], NOW) == ["counted"]
        assert [each.player_id for each in store.requests(batch_id, ["pending"])] == ["P000"]

    def test_an_error_settles_its_request_and_a_prediction_still_replaces_it(self, store: Store) -> None:
        batch_id = begun(store)
        assert store.apply([failure(batch_id, "P000"), failure(batch_id, "P000")], NOW) == [
            "counted",
            "duplicate",
        ]
        assert store.errors(batch_id, 5) == [("P000", "no games")]
        assert store.apply([answer(batch_id, "P001")], NOW) == ["counted"]
        assert store.settled(batch_id)
        assert store.apply([answer(batch_id, "P000"), failure(batch_id, "P000")], NOW) == [
            "counted",
            "duplicate",
        ]
        batch = store.get(batch_id)
        assert batch is not None
        assert (batch.progress.completed, batch.progress.failed) == (2, 0)
        assert store.errors(batch_id, 5) == []

    def test_that_arrive_together_come_to_the_same_as_one_after_the_other(self, store: Store) -> None:
        """Several of one request, and of two batches and of none, in one step."""
        first = begun(store, 3)
        other = store.create(a_batch(1, day=date(2026, 2, 6)), NOW).id
        together = [
            failure(first, "P000"),
            answer(other, "P000"),
            answer(first, "P000"),
            answer("nobody", "P000"),
            failure(first, "P000"),
            failure(first, "P001"),
            failure(first, "P001"),
        ]
        assert store.apply(together, NOW) == [
            *("counted", "counted", "counted", "unknown", "duplicate", "counted", "duplicate"),
        ]
        found = store.get(first)
        assert found is not None
        assert (found.progress.completed, found.progress.failed, found.progress.duplicates) == (1, 1, 2)
        assert (store.settled(first), store.settled(other), store.strays()) == (False, True, 1)

    def test_another_round_asks_again_what_failed(self, store: Store) -> None:
        batch_id = begun(store)
        store.apply([failure(batch_id, "P000")], NOW)
        batch = store.begin(batch_id, NOW)
        assert (batch.progress.failed, store.settled(batch_id)) == (0, False)
        assert [each.player_id for each in store.requests(batch_id, ["pending"])] == ["P000", "P001"]

    def test_of_several_workers_are_told_apart(self, store: Store) -> None:
        batch_id = begun(store, 3)
        other = "c" * 40
        store.apply(
            [answer(batch_id, "P000"), answer(batch_id, "P001"), answer(batch_id, "P002", commit=other)], NOW
        )
        assert [(share.commit, share.results) for share in store.shares(batch_id)] == [
            (COMMIT, 2),
            (other, 1),
        ]

    def test_results_carry_the_worker_and_the_verdict(self, store: Store) -> None:
        batch_id = begun(store)
        store.apply([answer(batch_id, "P000")], NOW)
        (result,) = store.results(batch_id)
        assert result == (
            "P000",
            "N",
            "G",
            7.5,
            "w-1",
            COMMIT,
            "warn",
            "w-1",
            COMMIT,
            "b" * 40,
            "0123456789ab",
        )

    def test_in_any_order_and_number_count_each_request_once(self, store: Store) -> None:
        """Out of order, doubled, from several threads at once: as many results as requests."""
        batch_id = begun(store, 20)
        told = [answer(batch_id, f"P{number:03}") for number in range(20) for _ in range(3)]
        random.Random(7).shuffle(told)  # noqa: S311 - an order, no secret
        with ThreadPoolExecutor(4) as pool:
            came_to = [each for (each,) in pool.map(lambda one: store.apply([one], NOW), told)]
        assert (came_to.count("counted"), came_to.count("duplicate")) == (20, 40)
        batch = store.get(batch_id)
        assert batch is not None
        assert (batch.progress.completed, batch.progress.duplicates) == (20, 40)
        assert len({result.player_id for result in store.results(batch_id)}) == 20


class TestStalled:
    def test_is_what_nobody_was_heard_of_and_nothing_else(self, store: Store) -> None:
        quiet = begun(store)
        loud = store.create(a_batch(day=date(2026, 2, 6)), NOW)
        store.mark_dispatched(loud.id, ["P000"], LATER)
        ended = store.create(a_batch(day=date(2026, 2, 7)), NOW)
        store.move(ended.id, "cancelled", NOW)
        assert [batch.id for batch in store.stall(LATER, LATER)] == [quiet]
        assert store.stall(LATER, LATER) == []
        assert [batch.state for batch in store.active(DAY)] == ["stalled"]

    def test_ends_when_a_worker_is_heard_of(self, store: Store) -> None:
        batch_id = begun(store)
        store.stall(LATER, LATER)
        assert store.apply([answer(batch_id, "P000")], LATER) == ["counted"]
        assert [batch.state for batch in store.active(DAY)] == ["dispatched"]

    def test_does_not_end_with_what_was_known(self, store: Store) -> None:
        """A message that is delivered again and again is no sign that the batch moves on."""
        batch_id = begun(store)
        store.apply([answer(batch_id, "P000")], NOW)
        store.stall(LATER, LATER)
        assert store.apply([answer(batch_id, "P000")], LATER) == ["duplicate"]
        assert [batch.state for batch in store.active(DAY)] == ["stalled"]


class TestTheClaim:
    def test_a_second_start_of_the_date_hears_which_batch_is_at_work(self, store: Store) -> None:
        with store.claim(DAY, NOW):
            batch = store.create(a_batch(), NOW)
            expected = f"at work on 2026-02-05: batch {batch.id}, 0 of 2 predicted"
            with pytest.raises(BatchRunningError, match=expected) as caught, store.claim(DAY, NOW):
                pytest.fail("two starts hold the same date")
            assert caught.value.batch == batch
            with store.claim(date(2026, 2, 6), NOW):
                assert store.batches(date(2026, 2, 6)) == []

    def test_without_a_batch_yet_is_told_as_well(self, store: Store) -> None:
        expected = "at work on 2026-02-05; `prediction"
        with store.claim(DAY, NOW):
            with pytest.raises(BatchRunningError, match=expected) as caught, store.claim(DAY, NOW):
                pytest.fail("two starts hold the same date")
            assert caught.value.batch is None

    def test_ends_with_its_block_however_that_ends(self, store: Store) -> None:
        def breaks() -> None:
            with store.claim(DAY, NOW) as claim:
                claim.renew(NOW)
                raise RuntimeError

        for _ in range(2):
            with pytest.raises(RuntimeError):
                breaks()

    def test_of_many_at_once_one_wins(self, store: Store) -> None:
        ready, winners = threading.Barrier(6), []

        def start() -> bool:
            ready.wait(timeout=30)
            try:
                with store.claim(DAY, NOW):
                    winners.append(store.create(a_batch(), NOW).id)
                    return True
            except BatchRunningError:
                return False

        with ThreadPoolExecutor(6) as pool:
            won = [each.result() for each in [pool.submit(start) for _ in range(6)]]
        assert won.count(True) == len(winners) == len(store.active(DAY)) == 1
