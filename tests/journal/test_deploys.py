"""What is kept of deploys: with their lock in one step or not at all, the same in each store."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from journal.stores import MONDAY, SERVICE, at, firestore
from support.limits import ENOUGH_S

from drift_gate.journal.deploys import Claim, Deploy, Deploys, Lock, Step
from drift_gate.journal.firestore_deploys import FirestoreDeploys
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.journal.sqlite_deploys import SqliteDeploys
from drift_gate.settings.file import load
from drift_gate.wiring.journals import deploys


@pytest.fixture(params=["sqlite", "firestore"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Deploys:
    if request.param == "sqlite":
        return SqliteDeploys(tmp_path / "journal.sqlite", busy_s=ENOUGH_S)
    return FirestoreDeploys(firestore(request.getfixturevalue("firestore_emulator")))


def deploy(hours: float, service: str = SERVICE, **more: object) -> Deploy:
    return Deploy.model_validate(
        {"id": f"d{hours}", "service": service, "commit": "1" * 40, "by": "ann", "asked_at": at(hours)} | more
    )


def claim(of: Deploy) -> Claim:
    until = of.asked_at + timedelta(minutes=1)
    return Claim(deploy=of.id, commit=of.commit, by=of.by, since=of.asked_at, until=until, process="here")


def test_a_lock_is_taken_by_one(store: Deploys) -> None:
    """Whoever read it before somebody else wrote it changes nothing, not a deploy either."""
    free = store.lock(SERVICE)
    assert free == Lock(service=SERVICE)
    first, second = deploy(0), deploy(1)
    taken = Lock(service=SERVICE, holder=claim(first), mark="a")
    assert store.swap(free, taken, [first])
    assert not store.swap(free, Lock(service=SERVICE, holder=claim(second), mark="b"), [second])
    assert store.lock(SERVICE) == taken
    assert store.deploys() == [first]
    assert store.lock("front") == Lock(service="front")


def test_a_lock_that_was_given_back_is_not_the_one_that_never_was(store: Deploys) -> None:
    free, mine = store.lock(SERVICE), deploy(0)
    assert store.swap(free, Lock(service=SERVICE, holder=claim(mine), mark="a"))
    assert store.swap(store.lock(SERVICE), Lock(service=SERVICE, mark="b"))
    assert not store.swap(free, Lock(service=SERVICE, mark="c"))


def test_a_deploy_is_kept_once_as_it_became(store: Deploys) -> None:
    began = deploy(0).with_step(Step(name="lock", began_at=at(0)))
    assert store.swap(store.lock(SERVICE), Lock(service=SERVICE, holder=claim(began), mark="a"), [began])
    ended = began.with_step(Step(name="lock", began_at=at(0), ended_at=at(0.1), result="held")).model_copy(
        update={"state": "done", "ended_at": at(1), "before": {"worker-00001": 100}}
    )
    assert store.swap(store.lock(SERVICE), Lock(service=SERVICE, mark="b"), [ended])
    assert store.deploys(SERVICE) == [ended]


def test_deploys_by_service_and_time(store: Deploys) -> None:
    made = [deploy(0), deploy(1, "front"), deploy(2), deploy(3)]
    assert store.swap(store.lock(SERVICE), Lock(service=SERVICE, mark="a"), made)
    assert [each.id for each in store.deploys()] == ["d3", "d2", "d1", "d0"]
    assert [each.id for each in store.deploys(SERVICE, since=at(2))] == ["d3", "d2"]
    assert [each.id for each in store.deploys(SERVICE, limit=1)] == ["d3"]
    assert store.deploys("nobody") == []


def test_old_ones_are_forgotten_and_what_goes_on_is_not(tmp_path: Path) -> None:
    file = tmp_path / "journal.sqlite"
    store = SqliteDeploys(file, busy_s=ENOUGH_S)
    made = [deploy(0, ended_at=at(0.1), state="done"), deploy(1), deploy(5, ended_at=at(6), state="done")]
    assert store.swap(store.lock(SERVICE), Lock(service=SERVICE, mark="a"), made)
    SqliteJournal(file).prune(at(5))
    assert [each.id for each in store.deploys()] == ["d5", "d1"]


def test_old_ones_are_forgotten_in_firestore_too(firestore_emulator: str) -> None:
    journal = firestore(firestore_emulator)
    store = FirestoreDeploys(journal)
    made = [deploy(0, ended_at=at(0.1), state="done"), deploy(1)]
    assert store.swap(store.lock(SERVICE), Lock(service=SERVICE, mark="a"), made)
    journal.prune(MONDAY + timedelta(days=1))
    assert [each.id for each in store.deploys()] == ["d1"]


@pytest.mark.parametrize(
    ("store", "kind"),
    [(".drift/journal.sqlite", SqliteDeploys), ("firestore://example-project/drift", FirestoreDeploys)],
)
def test_they_are_kept_where_the_journal_is(store: str, kind: type, tmp_path: Path) -> None:
    text = f'[defaults]\nlive = "ledger"\n[journal]\nstore = "{store}"\n[services.worker]\n'
    (tmp_path / "drift.toml").write_text(text)
    assert isinstance(deploys(load(tmp_path, {}), busy_s=ENOUGH_S), kind)
