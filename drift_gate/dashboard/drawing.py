"""A timeline as lines and places on a sheet of paper, for a template to write as SVG. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from drift_gate.dashboard.timeline import Kind, Lasting, Point, Span, Timeline
from drift_gate.policy.verdict import duration


class Sheet(NamedTuple):
    """The sheet, in units that are pixels where it is as wide as that.

    ``left`` to ``floor``: what of it the line may take. ``marks``: where the signs stand, ``lane`` where
    incidents lie, ``days`` where the days are named.
    """

    width: int = 960
    height: int = 268
    left: int = 52
    right: int = 936
    top: int = 14
    floor: int = 190
    marks: int = 206
    lane: int = 222
    days: int = 256


SHEET = Sheet()
#: The steps of the scale, in hours: the first that leaves few lines is taken.
_STEPS = (1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 720)
_LINES = 5
#: The shortest scale: below an hour everything would look like a mountain.
_LEAST_S = 2 * 3600


class Line(NamedTuple):
    """A line of the grid: where, and what it says."""

    at: float
    text: str


class Box(NamedTuple):
    """A part of the period: where it begins and how wide it is."""

    x: float
    width: float
    text: str
    name: str = ""


class Sign(NamedTuple):
    """A mark: where, of which kind, and what it says."""

    x: float
    kind: Kind
    text: str


class Drawing(NamedTuple):
    """The timeline as it is drawn on ``sheet``; ``lines`` and ``areas`` are paths of SVG."""

    sheet: Sheet
    lines: list[str]
    areas: list[str]
    scale: list[Line]
    days: list[Line]
    limit: Line | None
    unwatched: list[Box]
    unknown: list[Box]
    incidents: list[Box]
    signs: list[Sign]


def drawing(told: Timeline) -> Drawing:
    """How ``told`` is drawn."""
    paper = _Paper(told)
    limit = told.limit_s
    return Drawing(
        sheet=SHEET,
        lines=[paper.line(each) for each in told.stretches if len(each) > 1],
        areas=[paper.area(each) for each in told.stretches if any(point.stale_s for point in each)],
        scale=list(paper.scale()),
        days=list(paper.days()),
        limit=Line(paper.y(limit), f"limit {duration(limit)}") if limit and limit <= paper.most_s else None,
        unwatched=[paper.box(each, "nobody looked") for each in told.unwatched],
        unknown=[paper.box(each, "it could not be determined") for each in told.unknown],
        incidents=[paper.incident(each) for each in told.incidents],
        signs=[Sign(paper.x(each.at), each.kind, f"{_clock(each.at)}: {each.text}") for each in told.marks],
    )


class _Paper:
    """Where moments and ages lie on the sheet."""

    def __init__(self, told: Timeline) -> None:
        self._since = told.since
        self._whole = (told.until - told.since).total_seconds()
        self._until = told.until
        self.most_s = max(told.most_s, _LEAST_S) * 1.08

    def x(self, at: datetime) -> float:
        share = (at - self._since).total_seconds() / self._whole
        return round(SHEET.left + min(max(share, 0.0), 1.0) * (SHEET.right - SHEET.left), 1)

    def y(self, seconds: float) -> float:
        return round(SHEET.floor - seconds / self.most_s * (SHEET.floor - SHEET.top), 1)

    def line(self, stretch: Sequence[Point]) -> str:
        return "M" + "L".join(f"{self.x(each.at):g} {self.y(each.stale_s):g}" for each in stretch)

    def area(self, stretch: Sequence[Point]) -> str:
        first, last = self.x(stretch[0].at), self.x(stretch[-1].at)
        return f"{self.line(stretch)}L{last:g} {SHEET.floor}L{first:g} {SHEET.floor}Z"

    def scale(self) -> Iterator[Line]:
        hours = self.most_s / 3600
        step = next((each for each in _STEPS if hours / each <= _LINES), _STEPS[-1])
        for number in range(int(hours // step) + 1):
            yield Line(self.y(number * step * 3600), duration(number * step * 3600) if number else "0")

    def days(self) -> Iterator[Line]:
        """Some midnights of the period, in UTC."""
        whole = int(self._whole // 86_400)
        apart = timedelta(days=max(1, round(whole / 6)))
        midnight = self._until.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        while midnight > self._since:
            yield Line(self.x(midnight), f"{midnight.day} {midnight:%b}")
            midnight -= apart

    def box(self, part: Span, text: str) -> Box:
        begin, end = self.x(part.begin), self.x(part.end)
        length = duration((part.end - part.begin).total_seconds() // 60 * 60)
        return Box(begin, round(max(end - begin, 1.0), 1), f"{_clock(part.begin)}: {text} for {length}")

    def incident(self, each: Lasting) -> Box:
        begin, end = self.x(each.begin), self.x(each.end)
        lasted = duration((each.end - each.begin).total_seconds() // 60 * 60)
        words = f"{each.id}, {each.severity}, {lasted}{', goes on' if each.goes_on else ''}"
        return Box(
            begin, round(max(end - begin, 2.0), 1), words, name=each.severity if each.opened else "held"
        )


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
