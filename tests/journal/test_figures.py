"""The figures of a period, and which share of it nobody looked at."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from journal.stores import SERVICE, at, bypassed, entry

from drift_gate.journal.figures import Figures, figures, gaps
from drift_gate.journal.incidents import incidents
from drift_gate.journal.records import Entry, Incident, Sighting

EVERY = timedelta(hours=2)


def of(entries: list[Entry], hours: float = 168, marks: dict[str, str] | None = None, **more: Any) -> Figures:
    """The figures of the first ``hours`` hours."""
    sightings = [seen for each in entries if (seen := Sighting.of(each))]
    found = [
        each.model_copy(update={"false_alarm": (marks or {}).get(each.id)})
        for each in incidents(SERVICE, sightings)
    ]
    looks = {SERVICE: sorted(each.at for each in entries)}
    return figures(at(0), at(hours), incidents=found, entries=entries, seen=looks, interval=EVERY, **more)


def test_a_week() -> None:
    """Two drifts of four and ten hours, one deploy that nobody had to hear of, one refusal, one bypass."""
    told = of(
        [
            entry(0),
            entry(10, 1, age_h=1.0),
            entry(13),
            entry(20, 1, age_h=0.05),
            entry(20.2),
            entry(30, 4, age_h=2.0, door="start"),
            entry(30.5, 4, age_h=2.5),
            bypassed(31),
            entry(38),
        ],
        notifications=6,
    )
    assert (told.incidents, told.quiet, told.false_alarms, told.incidents_a_week) == (2, 1, 0, 2)
    assert (told.mean_drift_age_s, told.p90_drift_age_s) == (7 * 3600, 10 * 3600)
    assert (told.mean_time_to_detect_s, told.mean_time_to_resolve_s) == (1.5 * 3600, 5.5 * 3600)
    assert told.refusals == {SERVICE: 1}
    assert [(each.by, each.reason, each.times) for each in told.bypasses] == [("bob", "the fix is in", 1)]
    assert (told.interventions_a_week, told.notifications_an_incident) == (1, 3)
    assert told.drift_hours[date(2026, 2, 2)] == 4
    assert told.drift_hours[date(2026, 2, 3)] == 10
    assert sum(filter(None, told.drift_hours.values())) == 14


def test_a_false_alarm_is_no_incident() -> None:
    told = of([entry(0, 4, age_h=2.0), entry(4)], marks={f"{SERVICE}#1": "a vendored file"})
    assert (told.incidents, told.false_alarms, told.mean_drift_age_s) == (0, 1, None)
    assert told.drift_hours[date(2026, 2, 2)] == 0
    assert told.drift_hours[date(2026, 2, 4)] is None, "nobody looked"


def test_what_goes_on_is_stale_until_the_end() -> None:
    told = of([entry(1, 1, age_h=3.0)], hours=24)
    assert (told.mean_drift_age_s, told.mean_time_to_resolve_s) == (26 * 3600, None)
    assert told.drift_hours == {date(2026, 2, 2): 16.0, date(2026, 2, 3): 8.0}


class TestWatched:
    """Between two looks that lie further apart than twice the interval nothing is known."""

    def test_the_share_of_the_time(self) -> None:
        looks = [entry(hour) for hour in (0, 2, 4, 8, 13, 15)]
        assert of(looks, hours=16).watched == 1 - 5 / 16
        assert list(gaps([each.at for each in looks], at(0), at(16), EVERY)) == [(at(8), at(13))]

    def test_nobody_ever_looked(self) -> None:
        assert list(gaps([], at(0), at(16), EVERY)) == [(at(0), at(16))]
        nothing: list[Incident] = []
        none = figures(at(0), at(16), incidents=nothing, entries=[], seen={}, interval=EVERY)
        assert (none.watched, none.services, none.incidents) == (None, (), 0)

    @given(st.lists(st.integers(0, 64).map(lambda quarter: at(quarter / 4)), max_size=20).map(sorted))
    def test_each_moment_is_watched_or_in_a_gap(self, seen: list[Any]) -> None:
        told = list(gaps(seen, at(0), at(16), EVERY))
        for begin, end in told:
            assert end - begin > 2 * EVERY
            assert not any(begin < each < end for each in seen)
        edges = [at(0), *seen, at(16)]
        near = [(one, other) for one, other in pairwise(edges) if other - one <= 2 * EVERY]
        assert sum(((end - begin) for begin, end in [*told, *near]), timedelta()) == timedelta(hours=16)
