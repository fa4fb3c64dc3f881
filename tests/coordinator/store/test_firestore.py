"""Firestore: leases, what a coordinator that died leaves, and a database that cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from coordinator.stores import DAY, a_batch, a_request, answer, failure
from coordinator.worlds import NOW

from predictions.coordinator.batches.batch import Batch
from predictions.coordinator.exceptions import BatchRunningError, StateError
from predictions.coordinator.store.firestore import FirestoreStore, open_firestore
from predictions.coordinator.store.firestore_claims import LEASE_SECONDS, Lease
from predictions.coordinator.store.firestore_requests import counted
from predictions.coordinator.store.firestore_tallies import first_of
from predictions.worker.worker import PredictionRequest

LATER = NOW + timedelta(minutes=1)
SOON = NOW + timedelta(seconds=LEASE_SECONDS - 1)
OVER = NOW + timedelta(seconds=LEASE_SECONDS + 1)


@pytest.fixture
def project() -> str:
    return f"p{uuid4().hex[:12]}"


@pytest.fixture
def store(firestore_emulator: str, project: str) -> Iterator[FirestoreStore]:
    with open_firestore(project, "(default)", firestore_emulator) as opened:
        yield opened


class TestTheLease:
    def test_of_a_coordinator_that_died_is_over_after_its_time(self, store: FirestoreStore) -> None:
        dead = Lease(store._client, store._client.collection("claims").document(DAY.isoformat()))
        assert dead.take(NOW)
        with pytest.raises(BatchRunningError), store.claim(DAY, SOON):
            pytest.fail("the lease is not over")
        with store.claim(DAY, OVER):
            pass

    def test_lasts_as_long_as_it_is_renewed(self, store: FirestoreStore) -> None:
        with store.claim(DAY, NOW) as claim:
            claim.renew(SOON)
            with pytest.raises(BatchRunningError), store.claim(DAY, OVER):
                pytest.fail("the lease was renewed")

    def test_that_another_took_over_stops_whoever_had_it_and_stays_the_others(
        self, store: FirestoreStore
    ) -> None:
        with store.claim(DAY, NOW) as slow:
            with store.claim(DAY, OVER) as other:
                with pytest.raises(BatchRunningError, match="taken the date over"):
                    slow.renew(OVER)
                other.renew(OVER + timedelta(seconds=60))
            with store.claim(DAY, OVER):
                pass

    def test_of_a_coordinator_that_is_told_to_end_is_given_back_while_it_works(
        self, firestore_emulator: str, project: str, store: FirestoreStore
    ) -> None:
        """The thread that hands out goes down with its process; it cannot wait for a lot to be answered."""
        with store.claim(DAY, NOW) as claim:
            store.close()
            with open_firestore(project, "(default)", firestore_emulator) as other, other.claim(DAY, SOON):
                with pytest.raises(BatchRunningError, match="about to end"):
                    claim.renew(SOON)
                with pytest.raises(BatchRunningError), store.claim(DAY, SOON):
                    pytest.fail("what was given back is another's now")


@pytest.mark.heavy
def test_what_was_written_of_a_batch_that_nobody_saw_is_forgotten(store: FirestoreStore) -> None:
    """The coordinator died between the requests and the batch; the next one clears up behind it."""

    def dies() -> Iterator[PredictionRequest]:
        for number in range(900):
            yield a_request(f"P{number}")
        raise KeyboardInterrupt

    unfinished = a_batch()
    object.__setattr__(unfinished, "requests", dies())
    with pytest.raises(KeyboardInterrupt):
        store.create(unfinished, NOW)
    assert store.batches() == store.active() == store.batches(DAY) == []
    assert store.apply([answer(unfinished.id, "P1")], NOW) == ["unknown"]
    made = store.create(a_batch(), NOW)
    assert [found.id for found in store._all.stream()] == [made.id]
    assert not list(store._all.document(unfinished.id).collection("requests").stream())


def test_two_coordinators_see_the_same(firestore_emulator: str, project: str, store: FirestoreStore) -> None:
    with open_firestore(project, "(default)", firestore_emulator) as other:
        batch = store.create(a_batch(), NOW)
        assert other.get(batch.id) == batch
        assert other.apply([answer(batch.id, "P000")], NOW) == ["counted"]
        assert store.apply([answer(batch.id, "P000")], NOW) == ["duplicate"]
        seen = [each.get(batch.id) for each in (store, other)]
    assert seen[0] == seen[1]
    assert isinstance(seen[0], Batch)
    assert seen[0].progress.completed == 1


def test_the_counts_of_an_ended_batch_are_kept_with_it(store: FirestoreStore) -> None:
    batch = store.create(a_batch(), NOW)
    store.apply([answer(batch.id, "P000")], NOW)
    ended = store.move(batch.id, "cancelled", NOW)
    assert store._all.document(batch.id).get().get("counts")["completed"] == 1
    assert (ended.progress.completed, ended.progress.dispatched) == (1, 1)
    assert store.batches(date(2026, 2, 5)) == [ended]


class Calls:
    """Google's client as it is, and the names of the calls that were made."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self.made: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.made.append(name)
        return getattr(self._api, name)


def test_a_look_costs_as_many_calls_for_ten_batches_as_for_one(store: FirestoreStore) -> None:
    def begin(number: int) -> None:
        batch = store.create(a_batch(day=DAY + timedelta(number)), NOW)
        store.mark_dispatched(batch.id, ["P000"], NOW)
        store.apply([answer(batch.id, "P000")], NOW)

    def look() -> list[str]:
        calls = Calls(store._client._firestore_api_internal)
        store._client._firestore_api_internal = calls
        assert store.stall(NOW - timedelta(minutes=30), NOW) == []
        assert {each.progress.completed for each in store.batches()} == {1}
        store._client._firestore_api_internal = calls._api
        return calls.made

    begin(0)
    one = look()
    for number in range(1, 10):
        begin(number)
    assert look() == one


@pytest.mark.heavy
def test_tallies_are_what_the_requests_say_whoever_writes_them_at_once(
    firestore_emulator: str, project: str, store: FirestoreStore
) -> None:
    """Handed out, answered twice and by error, and in part asked again, by three coordinators."""
    made = store.create(a_batch(40), NOW)
    players = [f"P{number:03}" for number in range(40)]
    told = [
        *(answer(made.id, each) for each in players[:25]),
        *(failure(made.id, each) for each in players[20:]),
    ]
    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        others = [
            stack.enter_context(open_firestore(project, "(default)", firestore_emulator)) for _ in range(3)
        ]
        handing = pool.submit(store.mark_dispatched, made.id, players, NOW)
        for applied in [pool.submit(other.apply, told, NOW) for other in others]:
            applied.result()
        handing.result()

    def as_counted() -> None:
        found = store.get(made.id)
        assert found is not None
        counts = counted(store._all.document(made.id))
        progress = found.progress
        assert [progress.dispatched, progress.completed, progress.failed] == [
            *(counts["dispatched"], counts["completed"], counts["failed"])
        ]

    as_counted()
    store.begin(made.id, NOW)
    as_counted()
    store.apply([failure(made.id, players[39]), answer(made.id, players[39])], NOW)
    as_counted()


def test_a_batch_of_a_version_without_tallies_is_counted_to_its_end(store: FirestoreStore) -> None:
    made = store.create(a_batch(3), NOW)
    reference = store._all.document(made.id)
    first_of(reference).delete()
    store.mark_dispatched(made.id, ["P000", "P001"], NOW)
    store.apply([answer(made.id, "P000"), failure(made.id, "P002")], LATER)
    found = store.get(made.id)
    assert found is not None
    assert (found.progress.dispatched, found.progress.completed, found.progress.failed) == (3, 1, 1)
    assert found.heartbeat_at == LATER
    assert not list(reference.collection("tallies").stream())
    assert store.begin(made.id, LATER).progress.failed == 0


def test_without_credentials_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "no such file")
    with pytest.raises(StateError, match="DefaultCredentialsError"), open_firestore("p", "(default)"):
        pytest.fail("there are no credentials")
