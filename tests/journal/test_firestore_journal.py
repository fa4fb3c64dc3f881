"""The journal in Firestore: writers side by side, answers that are lost, a database that says nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import pytest
from journal.stores import SERVICE, at, entry, firestore, look
from support.fault_server import FaultServer, dead_port, deaf_port, silence
from support.limits import ENOUGH_S, OVER_S
from support.world import WORKER, World

from drift_gate.errors import JournalError
from drift_gate.journal import firestore_state as state
from drift_gate.journal import sink
from drift_gate.journal.firestore import Database, FirestoreJournal
from drift_gate.journal.firestore_calls import Session, answer, connected
from drift_gate.journal.firestore_record import Recording
from drift_gate.journal.incidents import HOLD, incidents
from drift_gate.journal.records import Change, Entry, Notification, Sighting
from drift_gate.runtime import background
from drift_gate.runtime.deadline import Deadline
from drift_gate.runtime.forks import CALLS
from drift_gate.settings.file import Settings
from drift_gate.wiring import checks
from drift_gate.wiring.journals import opened
from shared.utils.deployment_checker import require_current_worker


@pytest.fixture
def journal(firestore_emulator: str) -> FirestoreJournal:
    """An empty one."""
    return firestore(firestore_emulator)


class TestSideBySide:
    """Several processes write at once: nothing is lost."""

    def test_incidents_are_those_of_all_decisions(self, journal: FirestoreJournal) -> None:
        written = [entry(hour, 3 if hour % 3 else 0, age_h=1) for hour in range(12)]
        with ThreadPoolExecutor(4) as pool:
            changes = [change for found in pool.map(_recorded(journal), written) for change in found]
        sightings = [seen for each in written if (seen := Sighting.of(each))]
        expected = journal.incidents()[::-1]
        whole = incidents(SERVICE, sightings)
        assert [each.transitions for each in expected] == [each.transitions for each in whole]
        assert sorted(each.id for each in expected) == sorted(each.id for each in whole)
        assert len(journal.entries()) == len(written)
        told = {(each.incident.id, each.transition.key) for each in changes}
        assert told >= {(one.id, each.key) for one in expected for each in one.transitions}

    def test_one_of_many_sends(self, journal: FirestoreJournal) -> None:
        def claimed(number: int) -> bool:
            asked = Notification(
                subject=f"{SERVICE}#1",
                key="opened",
                channel="ops",
                at=at(1),
                by=f"m{number}",
                state="claimed",
            )
            return journal.claim(asked, at(0))

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(claimed, range(8))) == [False] * 7 + [True]


def _recorded(journal: FirestoreJournal) -> Callable[[Entry], Sequence[Change]]:
    return lambda each: journal.record([each])


class TestALostAnswer:
    """What was written and not confirmed is not written twice, and its changes are told."""

    def test_of_a_record(self, journal: FirestoreJournal) -> None:
        database = journal._database
        client, work = connected(*database), Recording([entry(0, 1)], look(0), HOLD)
        first = answer(client, work, Deadline(ENOUGH_S))
        assert [each.transition.key for each in first] == ["held", "opened"]
        before = _state(client)
        assert answer(client, work, Deadline(ENOUGH_S)) == first
        assert _state(client) == before


def _state(client: Any) -> Any:
    def work(session: Session) -> Any:
        found = session.get(session.place("drift_journal", "state"))
        return found.update_time, json.loads(found.get("body"))

    return answer(client, work, Deadline(ENOUGH_S))


class TestNobodyThere:
    """A journal that does not answer is an error in time, with its name and the next step."""

    @pytest.mark.parametrize("port", [dead_port, deaf_port], ids=["refuses", "deaf"])
    def test_no_connection(self, port: Callable[[], AbstractContextManager[int]]) -> None:
        with port() as number, pytest.raises(JournalError, match=r"firestore://p-nobody/\(default\) cannot"):
            _asked(f"127.0.0.1:{number}")

    def test_no_answer(self) -> None:
        with FaultServer(silence) as server, pytest.raises(JournalError, match="cannot be used: no answer"):
            _asked(f"127.0.0.1:{server.port}")

    def test_a_client_that_is_late_is_no_lack_of_credentials(self) -> None:
        """An emulator asks for none; what holds the client up here is a fork that is under way."""
        CALLS.before_fork()
        try:
            with pytest.raises(JournalError, match="Google's library and credentials were not ready within"):
                _asked("127.0.0.1:1")
        finally:
            CALLS.after_fork()

    def test_no_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "drift_gate.journal.firestore_calls")
        monkeypatch.setitem(sys.modules, "google.cloud.firestore", None)
        with pytest.raises(JournalError, match=r"pip install 'prediction-drift-gate\[firestore\]'"):
            _asked("127.0.0.1:1")


def _asked(emulator: str) -> None:
    FirestoreJournal(Database("p-nobody", emulator=emulator), busy_s=OVER_S).looks()


class TestNames:
    """Whatever a service, an id or a channel is called."""

    def test_with_slashes_and_letters_of_any_script(self, journal: FirestoreJournal) -> None:
        odd = entry(0, 1, "a/b", id="/srv/ä #1 __x__")
        same = entry(0, 1, "a", id="." * 3_000)
        journal.record([odd, same], look(0, ["a/b", "a"], scope="../x"))
        assert {each.id for each in journal.entries()} == {odd.id, same.id}
        assert [each.id for each in journal.entries("a")] == [same.id]
        assert {each.id for each in journal.incidents()} == {"a/b#1", "a#1"}
        assert journal.mark("a/b#1", "why").false_alarm == "why"
        journal.record([], look(2, [], scope="../x"))
        assert journal.incidents(unresolved=True) == []


class TestALaterVersion:
    """What it wrote and we do not know is an error with its name, and stays as it is."""

    def test_of_the_state(self, journal: FirestoreJournal) -> None:
        journal.record([entry(0, 1)])
        _write(journal, "drift_journal", "state", {"body": '{"writer": "x", "epoch": 2}'})
        with pytest.raises(
            JournalError, match=r"firestore://p\w+/\(default\) holds what this version cannot"
        ):
            journal.record([entry(1)])
        assert [each.at for each in journal.entries()] == [at(0)]

    def test_of_an_incident(self, journal: FirestoreJournal) -> None:
        journal.record([entry(0, 1)])
        name = state.name(f"{SERVICE}#1")
        _write(journal, "drift_incidents", name, {"body": '{"id": "x", "mood": "bad"}'})
        with pytest.raises(JournalError, match="was a later one here"):
            journal.incidents()


def _write(journal: FirestoreJournal, collection: str, name: str, fields: dict[str, str]) -> None:
    def work(session: Session) -> None:
        write = session.write()
        write.update(session.place(collection, name), fields)
        session.commit(write)

    answer(connected(*journal._database), work, Deadline(ENOUGH_S))


class TestCost:
    """What a look costs that finds nothing."""

    def test_a_look_is_cheap_where_all_is_well(self, journal: FirestoreJournal) -> None:
        """It reads the state and what is going on, whatever the past holds."""
        journal.record([entry(hour) for hour in range(4)])
        client = connected(*journal._database)
        Recording([entry(5)], look(5), HOLD)(_Noting(client, Deadline(ENOUGH_S)))
        assert _Noting.asked == ["get", "rows"]
        assert [each.at for each in journal.entries(limit=1)] == [at(5)]


class _Noting(Session):
    """Notes which calls are made."""

    asked: ClassVar[list[str]] = []

    def get(self, place: Any) -> Any:
        self.asked.append("get")
        return super().get(place)

    def rows(self, *args: Any, **named: Any) -> list[Any]:
        self.asked.append("rows")
        return super().rows(*args, **named)


class TestThroughTheGate:
    """A verdict is kept there, and does not wait for it."""

    def test_a_verdict_is_kept(
        self, world: World, firestore_emulator: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in (checks, sink):
            monkeypatch.setattr(module, "WRITE_S", ENOUGH_S)
        settings = _told(world, "firestore://p-verdicts/verdicts", firestore_emulator)
        world.cloud.deploy(WORKER, commit=world.first)
        require_current_worker(settings=settings)
        background.finish()
        journal = opened(settings, busy_s=ENOUGH_S)
        assert journal is not None
        (kept,) = journal.entries()
        assert (kept.door, kept.verdict.decision) == ("start", "allow")

    def test_one_that_says_nothing_changes_no_verdict(
        self, world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in (checks, sink):
            monkeypatch.setattr(module, "WRITE_S", OVER_S)
        with FaultServer(silence) as server:
            settings = _told(world, "firestore://p-silent", f"127.0.0.1:{server.port}")
            world.cloud.deploy(WORKER, commit=world.first)
            assert require_current_worker(settings=settings).decision == "allow"
            background.finish()
        assert "the verdict on prediction-worker is not in the journal" in caplog.text
        told = json.loads(caplog.messages[-1])
        assert (told["event"], told["verdict"]["decision"]) == ("drift_decision", "allow")


def _told(world: World, store: str, emulator: str) -> Settings:
    world.toml = f'[journal]\nstore = "{store}"\n' + world.toml
    world.environ = {"FIRESTORE_EMULATOR_HOST": emulator}
    return world.settings()
