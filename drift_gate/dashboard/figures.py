"""The figures of the last seven days beside their targets and the seven before. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from drift_gate.facts import Fact
from drift_gate.journal.period import Period
from drift_gate.policy.verdict import duration
from drift_gate.presentation import figures as shown

WEEK = timedelta(days=7)


class Measured(Fact):
    """A figure that has a target, in words; ``kept`` None: nobody knows."""

    name: str
    value: str
    before: str
    target: str
    kept: bool | None
    verdict: str


class Beside(Fact):
    """A figure without one."""

    name: str
    text: str


class Day(Fact):
    """For how many hours production was stale on a day (UTC), over all services; None: nobody looked."""

    day: date
    hours: float | None


class FiguresPage(Fact):
    """The seven days up to ``at``. ``period`` and ``before`` hold the figures themselves."""

    schema_version: int = 1
    at: datetime
    measured: tuple[Measured, ...]
    beside: tuple[Beside, ...]
    people: tuple[Beside, ...]
    days: tuple[Day, ...]
    period: Period
    before: Period


def figures(period: Period, before: Period, now: datetime) -> FiguresPage:
    """The page at ``now``, of the last seven days and the seven ``before``."""
    told = period.figures
    was = {each.name: each.value for each in shown.rows(before.figures)}
    hours = {**before.figures.drift_hours, **told.drift_hours}
    return FiguresPage(
        at=now,
        measured=tuple(
            Measured(
                name=each.name,
                value=each.value,
                before=was[each.name],
                target=each.target,
                kept=each.kept,
                verdict=each.verdict,
            )
            for each in shown.rows(told)
        ),
        beside=_beside(shown.lines(period)),
        people=_beside(shown.people_lines(told)),
        days=tuple(Day(day=day, hours=hours[day]) for day in sorted(hours)),
        period=period,
        before=before,
    )


def _beside(lines: Iterable[shown.Line]) -> tuple[Beside, ...]:
    return tuple(Beside(name=each.name, text=each.text) for each in lines)


class Bar(NamedTuple):
    """A day of the chart: where its bar begins, how high it is, and what that is in hours and in words."""

    x: float
    y: float
    height: float
    label: str
    short: str
    text: str
    known: bool


class Chart(NamedTuple):
    """Days as bars; ``bar`` is how wide each is, ``floor`` where they stand."""

    bars: list[Bar]
    bar: float
    width: int
    height: int
    floor: int


#: The sheet that bars are drawn on: its size, where they stand, and how high the highest one is.
_WIDTH, _HEIGHT, _FLOOR, _MOST = 960, 210, 180, 156
#: The shortest scale, in hours: an hour alone is no mountain.
_LEAST_HOURS = 4.0


def chart(days: Sequence[Day]) -> Chart:
    """The days as bars, the most stale one the highest."""
    apart = _WIDTH / max(len(days), 1)
    most = max([_LEAST_HOURS, *(each.hours or 0.0 for each in days)])
    drawn = []
    for number, each in enumerate(days):
        share = 1.0 if each.hours is None else each.hours / most
        height = round(_MOST * share, 1)
        said = "nobody looked" if each.hours is None else duration(each.hours * 3600 // 60 * 60)
        drawn.append(
            Bar(
                x=round((number + 0.15) * apart, 1),
                y=round(_FLOOR - height, 1),
                height=height,
                label=f"{each.day.day} {each.day:%b}",
                short=f"{each.hours:.0f} h" if each.hours else "0",
                text=f"{each.day}: {said}",
                known=each.hours is not None,
            )
        )
    return Chart(drawn, round(0.7 * apart, 1), _WIDTH, _HEIGHT, _FLOOR)
