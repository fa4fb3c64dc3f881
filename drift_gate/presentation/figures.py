"""The figures of a period beside their targets, for people and programs. Pure."""

from __future__ import annotations

import json as _json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from drift_gate.journal.figures import TARGETS, Figures, met
from drift_gate.journal.period import Period
from drift_gate.policy.verdict import duration
from drift_gate.presentation.plain_text import plain
from drift_gate.presentation.render import counted, steering_by_number
from drift_gate.presentation.sparkline import Blocks, bars

#: Days that the line of blocks shows, the last ones.
MOST_DAYS = 45


class Row(NamedTuple):
    """A figure beside its target, as a person says them. ``kept`` None: nobody knows."""

    name: str
    value: str
    target: str
    kept: bool | None

    @property
    def verdict(self) -> str:
        """Whether the target is met, in a word."""
        return {True: "met", False: "missed", None: "not known"}[self.kept]


class Line(NamedTuple):
    """A figure without a target."""

    name: str
    text: str


def json(period: Period) -> str:
    """The figures for a program, and of each target whether it is met (null: not known)."""
    return steering_by_number(_json.dumps({"schema_version": 1, **document(period)}, indent=2) + "\n")


def document(period: Period) -> dict[str, object]:
    """What ``json`` writes, before it is text."""
    told = period.figures
    return {
        "interval_s": period.interval_s,
        **told.model_dump(mode="json"),
        "targets": {name: {"at_most": most, "met": met(told, name)} for name, most in TARGETS.items()},
    }


def table(period: Period, draw: Blocks) -> RenderableType:
    """For a terminal: what was watched, the figures with targets, the drift of each day, who did what."""
    told = period.figures
    parts: list[RenderableType] = [
        Text(f"{span(told.since, told.until)}, {counted(len(told.services), 'service')}", style="bold"),
        "",
        _targets(told),
        "",
        _lines([*lines(period), *drift_lines(told, draw)]),
    ]
    people = list(people_lines(told))
    if people:
        parts += ["", _lines(people)]
    return Group(*parts)


def span(since: datetime, until: datetime) -> str:
    """The period in words; times are in UTC."""
    begin, end = (at.astimezone(UTC) for at in (since, until))
    return f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"


def _number(value: float) -> str:
    """Three digits: a small one is no zero, and a little more than 1 is not 1."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


_NAMES: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "incidents_a_week": ("incidents a week", _number),
    "mean_drift_age_s": ("mean drift age", duration),
    "mean_time_to_detect_s": ("mean time to detect", duration),
    "interventions_a_week": ("interventions a week", _number),
}


def rows(told: Figures) -> Iterator[Row]:
    """Each figure that has a target."""
    for name, most in TARGETS.items():
        words, shown = _NAMES[name]
        value: float | None = getattr(told, name)
        said = "none" if value is None else shown(value)
        target = f"at most {shown(most)}" if most else "0"
        yield Row(words, said, target, met(told, name))


def lines(period: Period) -> Iterator[Line]:
    """The figures that have no target."""
    told = period.figures
    yield Line("watched", watched(period))
    yield Line("incidents", _incidents(told))
    if told.p90_drift_age_s is not None:
        yield Line("drift age", f"90th percentile {duration(told.p90_drift_age_s)}")
    if told.mean_time_to_resolve_s is not None:
        yield Line("resolved", f"{duration(told.mean_time_to_resolve_s)} after detection, on average")
    if told.notifications_an_incident:
        yield Line("messages", f"{_number(told.notifications_an_incident)} an incident")


def watched(period: Period) -> str:
    """Which share of the time somebody looked, and what that means."""
    told, every = period.figures, duration(period.interval_s)
    if told.watched is None:
        return "no service is known, so nothing was watched"
    if told.watched == 1:
        return f"all of the time (a look at least every {duration(2 * period.interval_s)})"
    share = int(told.watched * 100)  # rounded down: 99.9 % is not all
    return f"{share} % of the time, by a look every {every}; nothing is known of the rest"


def _incidents(told: Figures) -> str:
    more = [
        (told.quiet, "over before it had to be told"),
        (told.false_alarms, "marked as a false alarm"),
        (told.acknowledgements, "acknowledged"),
    ]
    rest = [f"{count} {words}" for count, words in more if count]
    return f"{told.incidents}{''.join(f', {each}' for each in rest)}"


def drift_lines(told: Figures, draw: Blocks) -> Iterator[Line]:
    """The hours of drift of each day as blocks, from none to the most."""
    days = list(told.drift_hours.items())
    shown = days[-MOST_DAYS:]
    known = [(hours, day) for day, hours in shown if hours is not None]
    if not known:
        return
    most, worst = max(known)
    drawn = bars([hours for _, hours in shown], [0.0, most], draw) if most else ""
    if not most:
        yield Line("drift a day", "none, as far as was watched")
        return
    cut = draw.more if len(shown) < len(days) else ""
    yield Line("drift a day", f"{cut}{drawn}")
    gap = f"; {draw.missing} nobody looked" if any(hours is None for _, hours in shown) else ""
    yield Line("", f"{shown[0][0]} to {shown[-1][0]}, at most {duration(most * 3600)} on {worst}{gap}")


def people_lines(told: Figures) -> Iterator[Line]:
    """What was refused, and who went past the gate, by name."""
    refused = [f"{service}, {counted(times, 'time')}" for service, times in told.refusals.items()]
    bypassed = [
        f"{each.by}, {each.service}, {counted(each.times, 'time')}: {each.reason or 'no reason given'}"
        for each in told.bypasses
    ]
    for name, texts in (("refused", refused), ("bypassed", bypassed)):
        yield from (Line("" if number else name, text) for number, text in enumerate(texts))


def _targets(told: Figures) -> Table:
    grid = Table(show_header=True, header_style="dim", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in ("", "is", "target", ""):
        grid.add_column(name, no_wrap=True)
    style = {"met": "green", "missed": "bold red", "not known": "yellow"}
    for row in rows(told):
        grid.add_row(row.name, row.value, row.target, Text(row.verdict, style=style[row.verdict]))
    return grid


def _lines(told: Iterable[Line]) -> Table:
    grid = Table(show_header=False, box=None, pad_edge=False, padding=(0, 3, 0, 0))
    grid.add_column(style="dim", no_wrap=True, width=len("interventions a week"))
    grid.add_column(overflow="fold")
    for line in told:
        grid.add_row(line.name, Text(plain(line.text)))
    return grid
