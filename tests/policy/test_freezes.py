"""Freeze windows: when they are on, what they note, and which of them make no sense."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journal.stores import MONDAY, SERVICE, verdict

from drift_gate.errors import DriftConfigError
from drift_gate.policy.freezes import Freeze, noted
from drift_gate.settings.file import load

LEDGER = '[defaults]\nlive = "ledger"\n[services.worker]\n'
LOS_ANGELES = ZoneInfo("America/Los_Angeles")
WEEKEND = Freeze.model_validate(
    {"on": ["fri 16:00", "mon 07:00"], "time_zone": "America/Los_Angeles", "reason": "weekend"}
)


def shown(text: str) -> datetime:
    """When clocks in Los Angeles show it."""
    return datetime.fromisoformat(text).replace(tzinfo=LOS_ANGELES)


@pytest.mark.parametrize(
    ("moment", "on"),
    [
        ("2026-02-06 15:59", False),  # a Friday
        ("2026-02-06 16:00", True),
        ("2026-02-08 12:00", True),
        ("2026-02-09 06:59", True),
        ("2026-02-09 07:00", False),
        ("2026-03-08 03:30", True),  # the night in which clocks are set forward
        ("2026-03-09 06:59", True),
        ("2026-03-09 07:00", False),
        ("2026-11-02 06:59", True),
        ("2026-11-02 07:00", False),
    ],
)
def test_a_weekend_by_the_clocks_of_its_zone(moment: str, on: bool) -> None:
    assert (WEEKEND.ends(shown(moment)) is not None) is on


@given(st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)))
def test_what_is_on_ends_when_it_says(now: datetime) -> None:
    """In the future, within four days, and then it is over."""
    if ends := WEEKEND.ends(now):
        assert now < ends <= now + timedelta(days=4)
        assert WEEKEND.ends(ends) is None
        assert WEEKEND.ends(ends - timedelta(minutes=1)) == ends


def test_one_that_happens_once_is_in_its_zone() -> None:
    """Its begin counts, its end does not; a time that names a zone is in that one."""
    freeze = Freeze.model_validate(
        {
            "from": datetime(2026, 12, 24, 18),
            "until": "2027-01-02T08:00:00Z",
            "time_zone": "America/Los_Angeles",
            "reason": "holidays",
        }
    )
    begin, end = shown("2026-12-24 18:00"), datetime(2027, 1, 2, 8, tzinfo=UTC)
    assert [freeze.ends(at) for at in (begin - timedelta(seconds=1), begin, end)] == [None, end, None]


def test_a_verdict_stays_and_names_the_freeze_that_ends_last() -> None:
    """Only one for its service; nothing but a note is added."""
    judged = verdict(5)

    def until(days: int, *services: str) -> Freeze:
        ends = MONDAY + timedelta(days=days)
        told = {"from": MONDAY, "until": ends, "services": services, "reason": f"{days} days"}
        return Freeze.model_validate(told)

    frozen = noted(judged, [until(1), until(2, SERVICE), until(3, "other")], MONDAY)
    assert frozen.reasons[:-1] == judged.reasons
    assert frozen.model_copy(update={"reasons": judged.reasons}) == judged
    note = frozen.reasons[-1]
    assert (note.code, note.decision) == ("freeze", "allow")
    assert note.message == "a freeze is on until 2026-02-04 08:00 UTC: 2 days"
    assert noted(judged, [until(3, "other")], MONDAY) is judged


def test_every_mistake_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    """An end is required, and what a person means has to be there."""
    (tmp_path / "drift.toml").write_text(
        LEDGER
        + """\
[[freeze]]
from = 2026-12-24
reason = "holidays"
[[freeze]]
on = ["fri 16:00"]
reason = "weekend"
[[freeze]]
on = ["fri 16:00", "someday 07:00"]
reason = " "
time_zone = "Mars/Olympus"
[[freeze]]
from = 2026-12-24
until = 2026-12-23
services = ["workr"]
reason = "holidays"
[[freeze]]
until = 2026-12-24
on = ["fri 16:00", "mon 07:00"]
reason = "both"
"""
    )
    with pytest.raises(DriftConfigError) as caught:
        load(tmp_path, {})
    told = [each.removeprefix(f"{tmp_path / 'drift.toml'}:") for each in caught.value.args]
    assert told == [
        "4: [[freeze]] 1: a freeze has an end: give from and until, or on for one in each week",
        '8: [[freeze]] 2 on: a weekly freeze has a begin and an end, such as ["fri 16:00", "mon 07:00"]',
        '11: [[freeze]] 3 on: must be a list of two times of the week such as ["fri 16:00", "mon 07:00"]',
        "12: [[freeze]] 3 reason: must be a text that says why",
        "13: [[freeze]] 3 time_zone: no time zone 'Mars/Olympus'; write one such as America/Los_Angeles",
        "14: [[freeze]] 4: it ends before it begins",
        "17: [[freeze]] 4 services: no service 'workr'; did you mean worker?",
        "19: [[freeze]] 5: a freeze is weekly (on) or has one begin and end (from, until), not both",
    ]


def test_no_policy_decides_about_the_note(tmp_path: Path) -> None:
    """A freeze that refused batches would be another setting."""
    (tmp_path / "drift.toml").write_text(LEDGER + '[policy]\nreasons = {freeze = "deny"}\n')
    with pytest.raises(DriftConfigError, match="freeze is a note"):
        load(tmp_path, {})
