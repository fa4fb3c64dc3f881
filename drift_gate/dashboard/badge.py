"""How a service stands as a small picture, for a README or a chat. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from drift_gate.dashboard.pages import page, span
from drift_gate.dashboard.rows import Row, Standing
from drift_gate.dashboard.words import STANDING

#: White text has a contrast of at least 4.5:1 on each of them.
_COLOURS: dict[Standing, str] = {
    "denied": "#a8170d",
    "lifted": "#7a4b00",
    "warned": "#7a4b00",
    "current": "#0b6436",
    "unknown": "#48525e",
    "unlooked": "#48525e",
}
#: Pixels of a character, about, in the font that most have; and on each side of a text.
_CHARACTER, _SIDE = 6.6, 7.0
_LONGEST = 60


class Half(NamedTuple):
    """One side of the badge: its text, where it begins and how wide it is."""

    text: str
    x: float
    width: float


def words(row: Row, now: datetime) -> str:
    """What the badge says: ``current``, ``3 behind · 2 h``, ``not looked at``."""
    if row.standing in ("unlooked", "unknown", "current") or row.status in (None, "identical"):
        return STANDING[row.standing]
    count = f"{row.commits_behind} " if row.status == "behind" and row.commits_behind else ""
    age = f" · {span((now - row.since).total_seconds())}" if row.since and row.commits_behind else ""
    return f"{count}{row.status}{age}"


def badge(row: Row, now: datetime) -> str:
    """The badge as SVG."""
    said = words(row, now)
    name = row.service if len(row.service) <= _LONGEST else f"{row.service[:_LONGEST]}…"
    first = _width(name)
    halves = Half(name, 0.0, first), Half(said, first, _width(said))
    return page("badge.svg", root="", now=now, halves=halves, colour=_COLOURS[row.standing])


def _width(text: str) -> float:
    return round(len(text) * _CHARACTER + 2 * _SIDE, 1)
