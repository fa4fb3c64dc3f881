"""Firestore: leases, what a coordinator that died leaves, and a database that cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from uuid import uuid4

import pytest
from coordinator.stores import DAY, a_batch, a_request, answer
from coordinator.worlds import NOW

from predictions.coordinator.batches.batch import Batch
from predictions.coordinator.exceptions import BatchRunningError, StateError
from predictions.coordinator.store.firestore import FirestoreStore, open_firestore
from predictions.coordinator.store.firestore_claims import LEASE_SECONDS, Lease
from predictions.worker.worker import PredictionRequest

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
        batch = store.begin(store.create(a_batch(), NOW).id, NOW)
        assert other.get(batch.id) == batch
        assert other.apply([answer(batch.id, "P000")], NOW) == ["counted"]
        assert store.apply([answer(batch.id, "P000")], NOW) == ["duplicate"]
        seen = [each.get(batch.id) for each in (store, other)]
    assert seen[0] == seen[1]
    assert isinstance(seen[0], Batch)
    assert seen[0].progress.completed == 1


def test_the_counts_of_an_ended_batch_are_kept_with_it(store: FirestoreStore) -> None:
    batch = store.begin(store.create(a_batch(), NOW).id, NOW)
    store.apply([answer(batch.id, "P000")], NOW)
    ended = store.move(batch.id, "cancelled", NOW)
    assert store._all.document(batch.id).get().get("counts")["completed"] == 1
    assert (ended.progress.completed, ended.progress.dispatched) == (1, 1)
    assert store.batches(date(2026, 2, 5)) == [ended]


def test_without_credentials_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "no such file")
    with pytest.raises(StateError, match="DefaultCredentialsError"), open_firestore("p", "(default)"):
        pytest.fail("there are no credentials")
