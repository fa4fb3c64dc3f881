"""The journal, through each store: what is kept comes back, incidents are right at once and when rebuilt."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal.stores import SERVICE, at, bypassed, elsewhere, entry, firestore, look
from support.limits import dear

from drift_gate.errors import JournalError
from drift_gate.journal.incidents import incidents
from drift_gate.journal.records import Change, Incident, Journal, Notification, Sighting
from drift_gate.journal.sqlite import SqliteJournal

Make = Callable[[], Journal]


@pytest.fixture(params=["sqlite", "firestore"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """An empty one each time."""
    if request.param == "firestore":
        return partial(firestore, request.getfixturevalue("firestore_emulator"))
    return lambda: SqliteJournal(tmp_path / f"{uuid4().hex}.sqlite")


@pytest.fixture
def journal(make: Make) -> Journal:
    """An empty one."""
    return make()


def told(changes: list[Change]) -> list[tuple[str, str]]:
    """Which incidents had what happen to them."""
    return [(each.incident.id, each.transition.key) for each in changes]


class TestDecisions:
    """What was decided, as it was."""

    def test_they_come_back_whole_the_newest_first(self, journal: Journal) -> None:
        kept = [entry(0), entry(1, 5, door="start", batch="2026-02-02-ab"), entry(2, None), bypassed(3)]
        journal.record(kept[:2])
        journal.record(kept[2:], look(2))
        found = journal.entries()
        assert [each.id for each in found] == [each.id for each in reversed(kept)]
        assert [each.model_dump_json() for each in found] == [
            each.model_dump_json() for each in reversed(kept)
        ]
        assert journal.looks() == [look(2)]

    def test_twice_is_once(self, journal: Journal) -> None:
        assert told(journal.record([entry(0, 1)], look(0))) == [
            (f"{SERVICE}#1", "held"),
            (f"{SERVICE}#1", "opened"),
        ]
        assert journal.record([entry(0, 1)], look(0)) == []
        assert (len(journal.entries()), len(journal.looks())) == (1, 1)

    def test_they_are_asked_by_service_and_time(self, journal: Journal) -> None:
        journal.record([entry(hour, service=name) for hour in range(4) for name in ("a", "b")])
        assert [(each.at, each.verdict.service) for each in journal.entries("a", at(1), at(3))] == [
            (at(2), "a"),
            (at(1), "a"),
        ]
        assert [each.at for each in journal.entries("b", limit=1)] == [at(3)]
        assert journal.seen(at(2)) == {"a": [at(2), at(3)], "b": [at(2), at(3)]}

    def test_a_door_can_be_left_out(self, journal: Journal) -> None:
        """Of a thousand looks between two batches, what was asked for is found; nobody knows an old door."""
        old = entry(1).model_copy(update={"id": "old", "door": None, "by": None, "version": None})
        journal.record([old, *(entry(hour, door="monitor") for hour in range(2, 6)), entry(6, door="start")])
        found = journal.entries(without=["monitor"])
        assert [(each.door, each.at) for each in found] == [("start", at(6)), (None, at(1))]
        assert journal.entries(without=["monitor"], limit=1) == found[:1]
        assert journal.entries(without=["monitor", "start"], until=at(1)) == []

    def test_the_latest_of_each_service(self, journal: Journal) -> None:
        """What was held against another target says nothing; a service that nobody looks at stays known."""
        assert journal.latest() == []
        journal.record([entry(0, 1, "b"), *(entry(hour, service="a") for hour in range(9)), elsewhere(9)])
        assert [(each.verdict.service, each.at) for each in journal.latest()] == [("a", at(8)), ("b", at(0))]
        journal.record([entry(10, None, "b"), entry(1, 3)])
        assert [(each.verdict.service, each.at) for each in journal.latest()] == [
            ("a", at(8)),
            ("b", at(10)),
            (SERVICE, at(1)),
        ]

    def test_what_was_held_against_another_target_saw_nothing_of_the_declared_one(
        self, journal: Journal
    ) -> None:
        journal.record([entry(0), elsewhere(1), entry(2, None)])
        assert journal.seen() == {SERVICE: [at(0), at(2)]}
        assert [each.other_target for each in journal.entries()] == [None, "release", None]


class TestIncidents:
    """Right at every moment, whatever came late."""

    def test_what_happened_is_told_once(self, journal: Journal) -> None:
        one = f"{SERVICE}#1"
        assert told(journal.record([entry(0)])) == []
        assert told(journal.record([entry(2, 1, age_h=0.05)])) == [(one, "held")]
        assert told(journal.record([entry(4, 1, age_h=2.05)])) == [(one, "opened")]
        assert told(journal.record([entry(6, 2, age_h=4.05)])) == []
        assert told(journal.record([entry(12, 4, age_h=10.05)])) == [(one, "worsened")]
        assert told(journal.record([entry(14)])) == [(one, "resolved")]
        assert told(journal.record([entry(16, 1)])) == [(f"{SERVICE}#2", "held"), (f"{SERVICE}#2", "opened")]
        assert [each.id for each in journal.incidents(unresolved=True)] == [f"{SERVICE}#2"]
        assert [each.id for each in journal.incidents(since=at(15))] == [f"{SERVICE}#2"]
        assert [each.id for each in journal.incidents(since=at(13))] == [f"{SERVICE}#2", one]

    def test_a_look_without_the_service_ends_it(self, journal: Journal) -> None:
        journal.record([entry(0, 1)], look(0))
        assert told(journal.record([], look(2, ["other"]))) == [(f"{SERVICE}#1", "resolved")]
        assert journal.incidents()[0].ended_because == "undeclared"

    @pytest.mark.parametrize(("drift", "fine", "goes_on"), [("a", "b", False), ("b", "a", True)])
    def test_two_decisions_of_one_moment(
        self, journal: Journal, drift: str, fine: str, goes_on: bool
    ) -> None:
        """Their ids say which came first, now and when more comes."""
        journal.record([entry(2, 1, id=drift), entry(2, id=fine)])
        (kept,) = journal.incidents()
        assert (kept.state != "resolved") is goes_on
        journal.record([entry(3, 1 if goes_on else 0)])
        (later,) = journal.incidents()
        assert later.transitions == kept.transitions
        assert journal.rebuild() == [later]

    def test_what_is_forgotten_cuts_no_moment_in_two(self, journal: Journal) -> None:
        journal.record([entry(1, 1), entry(2, 1, id="a"), entry(2, id="b"), entry(3)])
        assert journal.prune(at(2.5)) == 2
        assert journal.rebuild() == []

    def test_a_false_alarm_stays_one_when_rebuilt(self, journal: Journal) -> None:
        journal.record([entry(0, 1), entry(1)])
        assert journal.mark(f"{SERVICE}#1", "a vendored file").false_alarm == "a vendored file"
        assert [each.false_alarm for each in journal.rebuild()] == ["a vendored file"]
        assert journal.mark(f"{SERVICE}#1", None).false_alarm is None
        with pytest.raises(JournalError, match="no incident 'x#9'"):
            journal.mark("x#9", "why")

    def test_one_that_comes_late_gets_the_next_number(self, journal: Journal) -> None:
        journal.record([entry(4, 1), entry(5)])
        journal.mark(f"{SERVICE}#1", "a vendored file")
        assert told(journal.record([entry(0, 1), entry(1), entry(3, 1)])) == [
            (f"{SERVICE}#2", "held"),
            (f"{SERVICE}#2", "opened"),
            (f"{SERVICE}#2", "resolved"),
        ]
        kept = [(f"{SERVICE}#1", at(3), "a vendored file"), (f"{SERVICE}#2", at(0), None)]
        assert [(each.id, each.detected_at, each.false_alarm) for each in journal.incidents()] == kept
        journal.record([entry(4.5)])
        assert told(journal.record([entry(4.7, 1)]))[0] == (f"{SERVICE}#3", "held")
        assert [each.id[-1] for each in journal.rebuild()] == ["3", "1", "2"]

    def test_two_that_turn_out_to_be_one_go_on_as_the_later(self, journal: Journal) -> None:
        """The earlier was told to be over."""
        journal.record([entry(0)], look(0))
        journal.record([entry(2.5, 1)])
        journal.record([], look(3, ["other"]))
        journal.record([entry(4, 1)])
        assert [each.id for each in journal.incidents()] == [f"{SERVICE}#2", f"{SERVICE}#1"]
        journal.record([], look(2, ["other"]))
        assert [(each.id, each.detected_at) for each in journal.incidents()] == [(f"{SERVICE}#2", at(2.5))]
        assert told(journal.record([entry(5), entry(6, 1)]))[0] == (f"{SERVICE}#2", "resolved")
        assert journal.incidents()[0].id == f"{SERVICE}#3"

    def test_what_is_forgotten_cuts_no_incident(self, journal: Journal) -> None:
        journal.record([entry(0, 1), entry(1), entry(2, 1), entry(3, 1), entry(4, service="other")])
        kept = journal.incidents()
        assert journal.prune(at(2.5)) == 1
        assert journal.incidents() == kept[:1]
        assert journal.rebuild() == kept[:1]
        assert told(journal.record([entry(5), entry(6, 1)])) == [
            (f"{SERVICE}#2", "resolved"),
            (f"{SERVICE}#3", "held"),
            (f"{SERVICE}#3", "opened"),
        ]


class TestNotifications:
    """Claimed before they are sent: once, whoever asks."""

    def a_notification(self, **more: Any) -> Notification:
        made: dict[str, Any] = {
            "subject": f"{SERVICE}#1",
            "key": "opened",
            "channel": "ops",
            "at": at(1),
            "by": "m1",
        }
        return Notification(**made | {"state": "claimed"} | more)

    def test_one_of_two_sends(self, journal: Journal) -> None:
        assert journal.claim(self.a_notification(), at(0))
        assert not journal.claim(self.a_notification(by="m2", at=at(1.01)), at(0))
        journal.settle(self.a_notification(state="sent", answer="ok", place="1700.1"))
        assert not journal.claim(self.a_notification(by="m2", at=at(9)), at(8))
        (kept,) = journal.notifications(f"{SERVICE}#1")
        assert (kept.state, kept.attempts, kept.answer, kept.place) == ("sent", 1, "ok", "1700.1")

    def test_what_failed_or_was_left_is_claimed_again(self, journal: Journal) -> None:
        assert journal.claim(self.a_notification(), at(0))
        journal.settle(self.a_notification(state="failed", answer="503"))
        assert journal.claim(self.a_notification(at=at(2)), at(1))
        assert not journal.claim(self.a_notification(at=at(3)), at(2))
        assert journal.claim(self.a_notification(at=at(4)), at(3))
        assert journal.notifications(f"{SERVICE}#1")[0].attempts == 3

    def test_another_channel_is_another(self, journal: Journal) -> None:
        assert journal.claim(self.a_notification(), at(0))
        assert journal.claim(self.a_notification(channel="mail"), at(0))
        assert journal.claim(self.a_notification(key="resolved"), at(0))


_ENTRIES = st.lists(
    st.builds(
        entry,
        st.integers(0, 60).map(lambda quarter: quarter / 4),
        st.sampled_from([0, 0, 1, 4, 7, None]),
        age_h=st.sampled_from([0.05, 1.0, 7.0, 13.0]),
        door=st.sampled_from(["check", "monitor"]),
    ),
    unique_by=lambda each: each.id,
    min_size=1,
    max_size=12,
)


_LOOKS = st.lists(
    st.builds(
        look,
        st.integers(0, 60).map(lambda quarter: quarter / 4),
        st.sampled_from([[SERVICE], ["other"], [SERVICE, "other"]]),
        scope=st.sampled_from(["here", "there"]),
    ),
    unique_by=lambda each: each.id,
    max_size=5,
)


@settings(max_examples=dear(), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_ENTRIES, _LOOKS, st.data())
def test_looks_that_come_late_count(make: Make, entries: Any, looks: Any, data: Any) -> None:
    """Whichever comes first: the incidents are those of all decisions and all looks."""
    journal = make()
    steps = [([each], None) for each in entries] + [([], each) for each in looks]
    for decisions, one in data.draw(st.permutations(steps)):
        journal.record(decisions, one)
    sightings = [seen for each in entries if (seen := Sighting.of(each))]
    assert _courses(journal.incidents()[::-1]) == _courses(incidents(SERVICE, sightings, looks))


@settings(max_examples=dear(), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_ENTRIES, st.data())
def test_kept_piece_by_piece_is_computed_as_a_whole(make: Make, entries: Any, data: Any) -> None:
    """In any order, some of them twice: the incidents are those of all decisions; a rebuild changes none.

    A mark stays on the incident that a person meant.
    """
    journal = make()
    begun: dict[str, str | None] = {}
    for each in data.draw(st.permutations(entries)):
        for change in journal.record([each]):
            name, first = change.incident.id, change.incident.transitions[0].sighting
            if name not in begun:
                begun[name] = first
                journal.mark(name, str(first))
    journal.record(data.draw(st.lists(st.sampled_from(entries), max_size=3)))
    sightings = [seen for each in entries if (seen := Sighting.of(each))]
    found = journal.incidents()[::-1]
    assert _courses(found) == _courses(incidents(SERVICE, sightings))
    assert journal.rebuild()[::-1] == found
    assert {each.id: each.false_alarm for each in found} == begun, "none is gone, each has its own mark"
    for each, run in zip(found, _runs(sightings), strict=True):
        assert each.false_alarm in run, "a name stays with the drift that it was given to"


def _courses(found: list[Incident]) -> list[Incident]:
    """Without what depends on the order in which they became known, or on a person."""
    return [each.model_copy(update={"id": "", "false_alarm": None}) for each in found]


def _runs(sightings: list[Sighting]) -> list[set[str]]:
    """The ids of each unbroken run of drift."""
    ordered = sorted(sightings, key=lambda each: (each.at, each.id))
    runs = groupby(ordered, key=lambda each: each.severity is not None)
    return [{each.id for each in run} for drift, run in runs if drift]
