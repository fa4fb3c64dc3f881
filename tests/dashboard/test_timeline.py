"""How stale a service was, as looks told it: what is known, what is not, and what nobody looked at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from journal.stores import SERVICE, at, bypassed, entry

from drift_gate.dashboard.drawing import SHEET, drawing
from drift_gate.dashboard.timeline import Timeline, happenings, timeline
from drift_gate.journal.incidents import incidents
from drift_gate.journal.records import Entry, Sighting

EVERY = timedelta(hours=2)


def told(*entries: Entry, until: float, since: float = 0, limit_s: float | None = None) -> Timeline:
    """The timeline of these decisions, which come the oldest first."""
    sightings = [found for each in entries if (found := Sighting.of(each))]
    return timeline(
        entries[::-1],
        incidents(SERVICE, sightings)[::-1],
        at(since),
        at(until),
        interval=EVERY,
        limit_s=limit_s,
    )


def corners(one: Timeline) -> list[list[tuple[float, float]]]:
    """Each stretch as hours since its beginning and hours stale."""
    return [
        [((each.at - at(0)).total_seconds() / 3600, each.stale_s / 3600) for each in stretch]
        for stretch in one.stretches
    ]


class TestLine:
    """A line of corners, from landing to deploy."""

    def test_it_rises_from_the_landing_and_falls_where_a_look_finds_it_gone(self) -> None:
        """The landing is dated; when it was deployed nobody knows but for the look that found it so."""
        one = told(
            entry(0), entry(2), entry(4, 1, age_h=1), entry(6, 1, age_h=3), entry(8), entry(10), until=11
        )
        assert corners(one) == [[(0, 0), (3, 0), (8, 5), (8, 0), (11, 0)]]
        assert one.most_s == 5 * 3600

    def test_a_rollback_is_as_old_as_what_it_lacks(self) -> None:
        one = told(entry(0), entry(2, 3, age_h=9), until=3)
        assert corners(one) == [[(0, 0), (2, 0), (2, 9), (3, 10)]]

    def test_where_nobody_looked_there_is_no_line(self) -> None:
        one = told(entry(0, 1, age_h=1), entry(2, 1, age_h=3), entry(9), entry(11), until=16)
        assert corners(one) == [[(0, 1), (2, 3)], [(9, 0), (11, 0)]]
        assert [(each.begin, each.end) for each in one.unwatched] == [(at(2), at(9)), (at(11), at(16))]

    def test_where_nobody_could_tell_there_is_none_either(self) -> None:
        one = told(entry(0), entry(2, None), entry(4, None), entry(6), until=7)
        assert corners(one) == [[(0, 0), (2, 0)], [(6, 0), (7, 0)]]
        assert [(each.begin, each.end) for each in one.unknown] == [(at(2), at(6))]
        assert one.unwatched == ()

    def test_an_unknown_lasts_no_longer_than_a_look_counts(self) -> None:
        one = told(entry(0), entry(2, None), until=9)
        assert [(each.begin, each.end) for each in one.unknown] == [(at(2), at(2))]
        assert [(each.begin, each.end) for each in one.unwatched] == [(at(2), at(9))]

    def test_nothing_at_all(self) -> None:
        one = told(until=5)
        assert (one.stretches, one.marks, one.most_s) == ((), (), 0)
        assert [(each.begin, each.end) for each in one.unwatched] == [(at(0), at(5))]


class TestMarks:
    """What happened on the way."""

    COURSE = (
        entry(0),
        entry(2, 4, age_h=1),
        entry(3, 4, age_h=2, door="start"),
        bypassed(3.5),
        entry(4, 4, age_h=3, door="monitor"),
        entry(6),
    )

    def test_deploys_refusals_and_bypasses(self) -> None:
        one = told(*self.COURSE, until=7)
        assert [(each.kind, each.at) for each in one.marks] == [
            ("deploy", at(2)),
            ("refusal", at(3)),
            ("bypass", at(3.5)),
            ("deploy", at(6)),
        ]
        assert one.marks[0].text == "aaaaaaaaaaaa went live, in place of bbbbbbbbbbbb"
        assert one.marks[1].text == "a batch was refused: too-many-commits-behind"
        assert one.marks[2].text == "bypassed by bob: the fix is in"

    def test_all_that_happened_the_newest_first(self) -> None:
        one = told(*self.COURSE, until=12)
        found = incidents(SERVICE, [seen for each in self.COURSE if (seen := Sighting.of(each))])
        lines = happenings(one, found)
        assert [each.at for each in lines] == sorted((each.at for each in lines), reverse=True)
        assert f"{found[0].id} resolved after 5 h" in [each.text for each in lines]
        assert "nobody looked for 6 h" in [each.text for each in lines]


class TestDrawing:
    """The same on a sheet of paper."""

    def test_all_of_it_lies_on_the_sheet(self) -> None:
        drawn = drawing(told(*TestMarks.COURSE, until=7, since=1, limit_s=3600 * 2.0))
        numbers = [float(each) for path in drawn.lines for each in _numbers(path)]
        assert all(0 <= each <= SHEET.width for each in numbers)
        assert all(SHEET.left <= sign.x <= SHEET.right for sign in drawn.signs)
        assert all(SHEET.left <= each.x <= each.x + each.width <= SHEET.width for each in drawn.incidents)
        assert drawn.limit is not None
        assert SHEET.top <= drawn.limit.at <= SHEET.floor

    def test_a_limit_above_all_is_not_drawn(self) -> None:
        assert drawing(told(entry(0), until=1, limit_s=3600 * 12.0)).limit is None

    def test_the_scale_has_few_lines_whatever_the_age(self) -> None:
        for age in (0.1, 1, 3, 11, 49, 300, 4000):
            scale = drawing(told(entry(0, 5, age_h=age), until=1)).scale
            assert 2 <= len(scale) <= 7, age

    def test_a_sign_says_what_and_when(self) -> None:
        signs = drawing(told(*TestMarks.COURSE, until=7)).signs
        assert signs[2].text == "2026-02-02 11:30 UTC: bypassed by bob: the fix is in"


def _numbers(path: str) -> Sequence[str]:
    return path.replace("M", " ").replace("L", " ").split()
