"""What every store keeps of the rounds of a batch: the verdict of each, and who answered with an error."""

from __future__ import annotations

from dataclasses import replace

from coordinator.store.test_store import LATER, begun, store
from coordinator.stores import COMMIT, STAMP, a_batch, answer, failure
from coordinator.worlds import NOW

from predictions.coordinator.batches.contracts import Store
from predictions.coordinator.batches.ending import Share

__all__ = ["store"]  # the fixture: each store in its turn


def test_a_round_keeps_its_verdict_beside_the_first_and_its_results_carry_it(store: Store) -> None:
    batch_id = begun(store)
    store.apply([answer(batch_id, "P000"), failure(batch_id, "P001")], NOW)
    store.move(batch_id, "failed", NOW)
    again = STAMP.model_copy(update={"gate_decision": "allow", "target_commit": "c" * 40})
    batch = store.begin(batch_id, LATER, again)
    assert (batch.stamp, batch.resumed, batch.latest) == (STAMP, (again,), again)
    store.apply([replace(answer(batch_id, "P001"), attempt=2)], LATER)
    told = {each.player_id: (each.gate_decision, each.target_commit) for each in store.results(batch_id)}
    assert told == {"P000": ("warn", "b" * 40), "P001": ("allow", "c" * 40)}


def test_a_round_without_a_verdict_of_its_own_is_on_the_first(store: Store) -> None:
    batch_id = begun(store)
    assert store.begin(batch_id, LATER).stamps == (STAMP,)


def test_who_answered_with_an_error_is_counted_apart(store: Store) -> None:
    batch_id = begun(store, 3)
    strange = replace(failure(batch_id, "P001"), revision="other-1", commit="0" * 40)
    store.apply([answer(batch_id, "P000"), strange], NOW)
    assert store.shares(batch_id) == (Share(revision="w-1", commit=COMMIT, results=1),)
    assert store.shares(batch_id, "failed") == (Share(revision="other-1", commit="0" * 40, results=1),)


def test_the_terms_are_kept_as_they_were_ordered(store: Store) -> None:
    new = a_batch()
    terms = new.terms.model_copy(
        update={"caller": "ann", "slate": "s.csv", "min_minutes": 12.5, "tolerate": 3}
    )
    assert store.create(replace(new, terms=terms), NOW).terms == terms
