"""A game is dated by the day in New York, whatever the clock of the server says."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions.coordinator.http.game_dates import game_date


@pytest.mark.parametrize(
    ("utc", "today"),
    [
        ("2026-02-06T04:59:59", "2026-02-05"),  # a minute to midnight there
        ("2026-02-06T05:00:00", "2026-02-06"),
        ("2026-02-06T06:30:00", "2026-02-06"),  # 01:30: last night's games may still be played
        ("2026-03-08T06:59:59", "2026-03-08"),  # 01:59:59, the last second before the clocks jump
        ("2026-03-08T07:00:00", "2026-03-08"),  # 03:00
        ("2026-03-09T03:59:59", "2026-03-08"),  # 23:59:59 in summer time: the day had 23 hours
        ("2026-11-01T05:30:00", "2026-11-01"),  # 01:30 in summer time
        ("2026-11-01T06:30:00", "2026-11-01"),  # 01:30 again, in winter time
        ("2026-11-02T04:59:59", "2026-11-01"),  # the day had 25 hours
        ("2026-12-31T23:00:00", "2026-12-31"),
        ("2027-01-01T04:30:00", "2026-12-31"),
    ],
)
def test_today_is_the_day_of_the_calendar_in_new_york(utc: str, today: str) -> None:
    now = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert game_date("TODAY", now) == date.fromisoformat(today)
    assert game_date("TOMORROW", now) == date.fromisoformat(today) + timedelta(days=1)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.integers(-12, 14))
def test_where_the_server_stands_does_not_matter(moment: datetime, hours: int) -> None:
    now = moment.replace(tzinfo=UTC)
    assert game_date("TODAY", now) == game_date("TODAY", now.astimezone(timezone(timedelta(hours=hours))))


def test_an_iso_date_is_itself() -> None:
    assert game_date("2024-02-29", datetime.now(UTC)) == date(2024, 2, 29)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "today",
        "YESTERDAY",
        "20260205",
        "2026-2-5",
        "2026-02-30",
        "2026-W06-4",
        "２０２６-02-05",
        "0000-01-01",
    ],
)
def test_anything_else_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match="is no date"):
        game_date(text, datetime.now(UTC))
