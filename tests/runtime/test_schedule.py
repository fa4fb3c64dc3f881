"""When a monitor is due: by the clocks of a zone, also on the days on which they change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_gate.runtime.schedule import DAY, Schedule
from drift_gate.runtime.values import clock_time, time_zone

LOS_ANGELES = ZoneInfo("America/Los_Angeles")
#: Clocks that change at night, at midnight, by half an hour, never, and a day that one of them skipped.
ZONES = (
    "America/Los_Angeles",
    "Europe/Berlin",
    "America/Havana",
    "Australia/Lord_Howe",
    "UTC",
    "Pacific/Apia",
)
#: The days around each change of these clocks in 2026, and the one that Apia went without.
CHANGES = ("2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01", "2011-12-30")
DAYTIME = Schedule(timedelta(hours=2), timedelta(hours=8), timedelta(hours=20), LOS_ANGELES)

minutes = st.integers(0, 1440).map(lambda count: timedelta(minutes=count))
#: A day and a half before such a day, give or take.
moments = st.tuples(st.sampled_from(CHANGES), st.integers(-2 * 1440, 2 * 1440)).map(
    lambda each: datetime.fromisoformat(each[0]).replace(tzinfo=UTC) + timedelta(minutes=each[1])
)
schedules = (
    st.tuples(st.integers(20, 1440), minutes, minutes, st.sampled_from(ZONES))
    .filter(lambda each: each[1] < each[2])
    .map(lambda each: Schedule(timedelta(minutes=each[0]), each[1], each[2], ZoneInfo(each[3])))
)


def within(schedule: Schedule, moment: datetime) -> bool:
    """Whether clocks show the hours of the schedule then."""
    shown = moment.astimezone(schedule.zone).replace(tzinfo=None)
    since = shown - shown.replace(hour=0, minute=0, second=0, microsecond=0)
    return schedule.opens <= since <= schedule.closes or (schedule.closes == DAY and not since)


def due(schedule: Schedule, begin: datetime, until: datetime) -> list[datetime]:
    """Each time that it is due in between."""
    found = [schedule.after(begin)]
    while found[-1] <= until:
        found.append(schedule.after(found[-1]))
    return found[:-1]


@pytest.mark.parametrize("day", ["2026-02-05", "2026-03-08", "2026-11-01"])
def test_every_two_hours_of_the_day_as_clocks_show_it(day: str) -> None:
    """Seven times, from eight to eight: on a usual day and on the two on which clocks change."""
    begin = datetime.fromisoformat(day).replace(tzinfo=LOS_ANGELES)
    found = due(DAYTIME, begin, begin + timedelta(hours=23))
    assert [f"{each.astimezone(LOS_ANGELES):%H:%M}" for each in found] == [
        "08:00", "10:00", "12:00", "14:00", "16:00", "18:00", "20:00",
    ]  # fmt: skip


def test_a_night_has_as_many_hours_as_it_has() -> None:
    """Every hour around the clock: 23 times on the day that is short, 25 on the one that is long."""
    hourly = Schedule(timedelta(hours=1), zone=LOS_ANGELES)
    counts = []
    for day in ("2026-02-05", "2026-03-08", "2026-11-01"):
        begin = datetime.fromisoformat(day).replace(tzinfo=LOS_ANGELES)
        end = begin + DAY  # as clocks show it
        counts.append(len(due(hourly, begin.astimezone(UTC), end.astimezone(UTC))))
    assert counts == [24, 23, 25]


@given(schedules, moments)
def test_it_is_due_within_its_hours_and_no_later_than_promised(schedule: Schedule, now: datetime) -> None:
    """Always in the future and within the hours; and in them nobody waits longer than ``every``."""
    found = due(schedule, now, now + timedelta(days=2))
    assert found == sorted(set(found))
    assert all(each > now and within(schedule, each) for each in found)
    step = min(timedelta(minutes=10), schedule.every)
    for before, after in pairwise([now, *found]):
        waited, moment = timedelta(0), before
        while moment < after:
            waited = waited + step if within(schedule, moment) else timedelta(0)
            moment += step
        assert waited <= schedule.every + step


@given(schedules, moments, st.integers(0, 3000))
def test_the_answer_is_the_same_until_then(schedule: Schedule, now: datetime, later: int) -> None:
    """Whoever asks again before it is due, or was away meanwhile, is told no other time."""
    first, again = schedule.after(now), now + timedelta(minutes=later)
    assert schedule.after(again) == first if again < first else schedule.after(again) > again


@pytest.mark.parametrize(
    ("every", "opens", "closes"), [(0, 0, 24), (25, 0, 24), (2, 20, 8), (2, 8, 8), (2, 0, 25)]
)
def test_hours_that_make_no_sense_are_refused(every: int, opens: int, closes: int) -> None:
    with pytest.raises(ValueError, match="a day"):
        Schedule(timedelta(hours=every), timedelta(hours=opens), timedelta(hours=closes))


def test_what_a_person_writes() -> None:
    """A time of day, and a zone with its near misses; whatever else is told as such."""
    assert [clock_time(text) for text in ("00:00", "08:05", " 23:59", "24:00")] == [
        timedelta(hours=hours, minutes=minutes) for hours, minutes in ((0, 0), (8, 5), (23, 59), (24, 0))
    ]
    for text in ("8:00", "24:01", "25:00", "08:60", "", "eight"):
        with pytest.raises(ValueError, match="no time of day"):
            clock_time(text)
    assert time_zone("America/Los_Angeles") == LOS_ANGELES
    for name in ("America", "../etc/passwd", "", "Mars/Olympus", "America/Los_Angels\0"):
        with pytest.raises(ValueError, match="no time zone"):
            time_zone(name)
    with pytest.raises(ValueError, match="did you mean America/Los_Angeles"):
        time_zone("America/Los_Angels")
