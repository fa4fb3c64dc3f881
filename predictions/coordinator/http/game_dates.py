"""What ``TODAY`` and ``TOMORROW`` mean to the league: calendar days in New York. Pure."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from predictions.coordinator.exceptions import ConfigError

#: The league dates a game by the day in New York on which it begins, wherever it is played.
ZONE = "America/New_York"
WORDS = ("TODAY", "TOMORROW")

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def game_date(text: str, now: datetime) -> date:
    """The date that ``text`` (an ISO date, ``TODAY`` or ``TOMORROW``) means at ``now`` (with a time zone).

    At 01:30 in New York, ``TODAY`` is the day that has just begun, though games of the day before may
    still be played: they began long ago, and nobody predicts them any more. ``TOMORROW`` is the next day
    of the calendar, not 24 hours on: two days a year have 23 and 25. Raises ``ValueError`` for anything else.
    """
    if text in WORDS:
        return now.astimezone(_zone()).date() + timedelta(days=WORDS.index(text))
    if not _ISO.fullmatch(text):
        raise ValueError(f"{text!r} is no date: write it as 2026-02-05, TODAY or TOMORROW")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no date: {error}") from error


def _zone() -> ZoneInfo:
    try:
        return ZoneInfo(ZONE)
    except ZoneInfoNotFoundError as error:
        raise ConfigError(f"this system has no time zones ({ZONE}): install its tzdata") from error
