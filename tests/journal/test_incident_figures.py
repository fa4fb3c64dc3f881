"""Incidents out of looks: the same in whatever order the looks come, never more nor fewer than there were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_gate.journal.incidents import incidents
from drift_gate.journal.records import Incident, Look, Sighting

MONDAY = datetime(2026, 2, 2, 8, tzinfo=UTC)
SERVICE = "prediction-worker"


def at(hours: float) -> datetime:
    """So many hours after Monday, eight o'clock."""
    return MONDAY + timedelta(hours=hours)


def seen(hours: float, severity: Any = "info", *, age_h: float | None = 1.0, **more: Any) -> Sighting:
    """A look at the service: drift of this severity that is ``age_h`` hours old, or (None) none."""
    known: dict[str, Any] = {
        "id": f"look at {hours}",
        "at": at(hours),
        "service": SERVICE,
        "status": "behind" if severity else "identical",
        "decision": "warn" if severity else "allow",
        "severity": severity,
        "drift_age_s": None if age_h is None else int(age_h * 3600),
    }
    return Sighting(**known | more)


def fine(hours: float) -> Sighting:
    """A look that finds nothing missing."""
    return seen(hours, None, age_h=0.0)


def look(hours: float, *declared: str, scope: str = "monitor") -> Look:
    """A monitor's look at all that it declares."""
    return Look(id=f"{scope} {hours}", at=at(hours), by="m", scope=scope, declared=declared, read=declared)


def keys(incident: Incident) -> list[str]:
    """What happened to it, in order."""
    return [each.key for each in incident.transitions]


class TestOneIncident:
    """From the first look that finds drift to the first that finds it gone."""

    def test_it_keeps_its_three_times(self) -> None:
        (one,) = incidents(SERVICE, [fine(0), seen(2, age_h=1.5), seen(4, age_h=3.5), fine(6)])
        assert (one.landed_at, one.detected_at, one.resolved_at) == (at(0.5), at(2), at(6))
        assert (one.state, one.ended_because) == ("resolved", "fixed")
        assert keys(one) == ["held", "opened", "resolved"]

    def test_what_is_denied_though_no_commit_is_missing_has_landed_nowhere(self) -> None:
        """A variable that a deploy dropped, say: when that was nobody knows, and it was not at the look."""
        (one,) = incidents(
            SERVICE, [seen(2, "warning", age_h=0.0, status="identical", decision="deny"), fine(4)]
        )
        assert (one.landed_at, one.began_at) == (None, at(2))

    def test_what_landed_within_the_hold_opens_at_a_later_look(self) -> None:
        (one,) = incidents(SERVICE, [seen(2, age_h=0.1), seen(2.05, age_h=0.15), seen(3, age_h=1.1)])
        assert (one.state, one.opened_at, keys(one)) == ("open", at(3), ["held", "opened"])

    def test_a_normal_deploy_is_nobodys_concern(self) -> None:
        (one,) = incidents(SERVICE, [seen(2, age_h=0.1), fine(2.1)])
        assert (one.opened_at, keys(one)) == (None, ["held", "resolved"])

    def test_an_unknown_counts_from_when_it_was_found(self) -> None:
        unknown = [seen(hour, "critical", age_h=None, status="unknown", decision="deny") for hour in (2, 2.5)]
        (one,) = incidents(SERVICE, unknown)
        assert (one.landed_at, one.began_at, one.opened_at) == (None, at(2), at(2.5))

    def test_a_rollout_that_is_under_way_holds_it(self) -> None:
        (one,) = incidents(SERVICE, [seen(2, rollout=True), seen(3, rollout=True), seen(4)])
        assert one.opened_at == at(4)

    def test_a_worse_severity_is_told_once_each(self) -> None:
        looks = [
            seen(hour, severity) for hour, severity in enumerate(("info", "warning", "info", "critical"), 2)
        ]
        (one,) = incidents(SERVICE, [*looks, seen(9, "critical")])
        assert keys(one) == ["held", "opened", "worsened", "worsened-2"]
        assert [each.severity for each in one.transitions] == ["info", "info", "warning", "critical"]
        assert one.severity == "critical"

    def test_another_commit_is_the_same_incident(self) -> None:
        (one,) = incidents(
            SERVICE,
            [
                seen(2, live_commits=("a" * 40,), target="1" * 40, codes=("behind-within-limit",)),
                seen(4, live_commits=("b" * 40,), target="2" * 40, codes=("drift-too-old",), age_h=0.5),
            ],
        )
        assert (one.live_commits, one.target) == (("b" * 40,), "2" * 40)
        assert one.codes == ("behind-within-limit", "drift-too-old")
        assert one.landed_at == at(1)

    def test_an_acknowledgement_that_ends_before_the_drift_opens_it_again(self) -> None:
        (one,) = incidents(
            SERVICE, [seen(2), seen(3, acknowledged=True), seen(4, acknowledged=True), seen(5)]
        )
        assert keys(one) == ["held", "opened", "acknowledged", "opened-2"]
        assert (one.state, one.opened_at, one.acknowledged_at) == ("open", at(2), at(3))

    def test_what_was_acknowledged_beforehand_never_opens(self) -> None:
        (one,) = incidents(SERVICE, [seen(2, acknowledged=True), fine(9)])
        assert keys(one) == ["held", "acknowledged", "resolved"]
        assert one.opened_at is None

    def test_a_second_drift_is_a_second_incident(self) -> None:
        found = incidents(SERVICE, [seen(2), fine(3), seen(4), fine(5)], numbered=4)
        assert [one.id for one in found] == [f"{SERVICE}#5", f"{SERVICE}#6"]

    def test_what_is_begun_keeps_its_id(self) -> None:
        looks = [seen(2), fine(3), seen(4), seen(5), fine(6)]
        found = incidents(SERVICE, looks, begun={seen(5).id: f"{SERVICE}#1"}, numbered=1)
        assert [(one.id, one.detected_at) for one in found] == [
            (f"{SERVICE}#2", at(2)),
            (f"{SERVICE}#1", at(4)),
        ]

    def test_another_service_is_not_this_one(self) -> None:
        assert incidents("other", [seen(2)]) == []


class TestUndeclared:
    """A service that a monitor declares no more: nobody looks, nothing is known."""

    def test_its_incident_ends_and_says_why(self) -> None:
        looks = [look(2, SERVICE), look(4, "renamed")]
        (one,) = incidents(SERVICE, [seen(2)], looks)
        assert (one.resolved_at, one.ended_because) == (at(4), "undeclared")

    def test_a_monitor_of_other_services_ends_nothing(self) -> None:
        looks = [look(2, SERVICE), look(4, "theirs", scope="theirs"), look(5, SERVICE)]
        (one,) = incidents(SERVICE, [seen(2)], looks)
        assert one.state == "open"

    def test_declared_again_it_begins_again(self) -> None:
        looks = [look(2, SERVICE), look(4), look(6, SERVICE), look(8)]
        found = incidents(SERVICE, [seen(2), seen(6)], looks)
        assert [one.resolved_at for one in found] == [at(4), at(8)]


_SIGHTINGS = st.lists(
    st.builds(
        seen,
        st.integers(0, 400).map(lambda quarter: quarter / 4),
        st.sampled_from([None, None, "info", "warning", "critical"]),
        age_h=st.sampled_from([None, 0.05, 1.0, 30.0]),
        acknowledged=st.booleans(),
        rollout=st.booleans(),
    ),
    unique_by=lambda each: each.at,
    max_size=40,
)


class TestWhateverTheOrder:
    """The clock of each look decides, not when it was written down, nor how often."""

    @given(_SIGHTINGS, st.randoms(use_true_random=False), st.data())
    def test_any_order_and_any_number_of_times(self, sightings: Any, chance: Any, data: Any) -> None:
        again = [*sightings, *data.draw(st.lists(st.sampled_from(sightings or [fine(0)]), max_size=9))]
        chance.shuffle(again)
        kept = sightings or again[:1]
        assert incidents(SERVICE, again) == incidents(SERVICE, kept)

    @given(_SIGHTINGS)
    def test_one_for_each_unbroken_run_of_drift(self, sightings: list[Sighting]) -> None:
        ordered = sorted(sightings, key=lambda each: each.at)
        runs = [
            list(run) for drift, run in groupby(ordered, key=lambda each: each.severity is not None) if drift
        ]
        found = incidents(SERVICE, sightings)
        assert [(one.detected_at, one.seen_at) for one in found] == [(run[0].at, run[-1].at) for run in runs]
        assert [one.state == "resolved" for one in found[:-1]] == [True] * (len(found) - 1 if found else 0)
        assert all(one.began_at <= one.detected_at for one in found)

    @given(_SIGHTINGS, st.integers(0, 400))
    def test_what_comes_after_a_fine_look_is_computed_alone(
        self, sightings: list[Sighting], cut: int
    ) -> None:
        """So a store need not read the whole past for one more look."""
        whole = incidents(SERVICE, [*sightings, fine(cut / 4 + 0.01)])
        early = incidents(
            SERVICE, [each for each in sightings if each.at <= at(cut / 4)] + [fine(cut / 4 + 0.01)]
        )
        late = [each for each in sightings if each.at > at(cut / 4)]
        assert whole == early + incidents(SERVICE, late, numbered=len(early))

    @given(_SIGHTINGS)
    def test_what_happened_to_it_has_a_name_of_its_own(self, sightings: list[Sighting]) -> None:
        for one in incidents(SERVICE, sightings):
            assert len(set(keys(one))) == len(one.transitions)
            assert [each.at for each in one.transitions] == sorted(each.at for each in one.transitions)
            assert keys(one)[0] == "held"


@pytest.mark.parametrize("gap_h", [1, 100])
def test_a_gap_in_the_looking_ends_nothing(gap_h: float) -> None:
    (one,) = incidents(SERVICE, [seen(2), seen(2 + gap_h, age_h=gap_h + 1)])
    assert (one.state, one.seen_at) == ("open", at(2 + gap_h))
