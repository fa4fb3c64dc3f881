"""A readiness verdict for people and programs: table, JSON, the message of a refusal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from drift_gate.policy.codes import CAUSE_MEANINGS, Decision
from drift_gate.presentation.enforcement import why_not_enforced
from drift_gate.presentation.render import COLOUR, plain, steering_by_number
from predictions.coordinator.readiness.reasons import REASONS, UNKNOWN
from predictions.coordinator.readiness.sparkline import Glyphs, gauge, line
from predictions.coordinator.readiness.thresholds import normally, shown
from predictions.coordinator.readiness.verdict import CheckVerdict, Measure, Readiness

#: Wider than any line: how wide a table would like to be.
_UNBOUND = 10_000


class Format(Enum):
    """What ``--format`` offers."""

    table = "table"
    json = "json"


def json(readiness: Readiness) -> str:
    """The verdict for a program; a character that steers a terminal is written by its number."""
    return steering_by_number(readiness.model_dump_json(indent=2) + "\n")


def table(readiness: Readiness, draw: Glyphs) -> RenderableType:
    """The verdict for a terminal: a line for each number, its past and where it lies; then the reasons."""
    parts: list[RenderableType] = [_title(readiness), "", _Numbers(readiness, draw)]
    reasons = _reasons(readiness)
    if reasons.row_count:
        parts += ["", reasons]
    if readiness.other_phases:
        names = ", ".join(readiness.other_phases)
        parts += ["", Text(plain(f"not asked, they hold for another phase: {names}"), style="dim")]
    return Group(*parts)


def _title(readiness: Readiness) -> Text:
    title = Text(f"readiness for {readiness.game_date}, {readiness.phase}", style="bold")
    title.append("  ")
    title.append(_ruling(readiness), style=COLOUR[readiness.decision])
    return title


def _ruling(readiness: Readiness) -> str:
    because = why_not_enforced(readiness.not_enforced_because)
    return readiness.decision.upper() + ("" if readiness.enforced else f" (not enforced: {because})")


class _Numbers:
    """One line for each number, or two where the terminal is too narrow for one."""

    def __init__(self, readiness: Readiness, draw: Glyphs) -> None:
        rows = [row for check in readiness.checks for row in _rows(check, draw)]
        self._wide, self._narrow = _wide(rows), _narrow(rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unbound = options.update(max_width=_UNBOUND)
        fits = Measurement.get(console, unbound, self._wide).maximum <= options.max_width
        yield self._wide if fits else self._narrow


class _Row(NamedTuple):
    """A number, drawn in parts; each may be empty."""

    name: Text
    said: Text
    detail: Text
    value: Text
    past: Text
    gauge: Text
    normal: Text


def _wide(rows: Sequence[_Row]) -> Table:
    grid = Table(show_header=True, header_style="dim", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("check", "says", "", "value", "history, then now", "where it lies", "normal"):
        grid.add_column(name, justify="right" if name in ("", "value") else "left", no_wrap=True)
    for row in rows:
        grid.add_row(*row)
    return grid


def _narrow(rows: Sequence[_Row]) -> Table:
    grid = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for row in rows:
        told = Text("  ").join(part for part in (row.detail, row.value, row.normal) if part)
        grid.add_row(row.name, row.said, told)
        for drawn in (row.past, row.gauge):
            if drawn:
                grid.add_row("", "", drawn)
    return grid


def _rows(check: CheckVerdict, draw: Glyphs) -> Iterator[_Row]:
    """The numbers of ``check``; its name has a line of its own where there is not exactly one."""
    name, said = Text(check.name), Text(check.decision, style=COLOUR[check.decision])
    if len(check.measures) == 1:
        yield _row(name, said, check.measures[0], check.decision, draw)
        return
    unknown = Text("unknown", style="bold yellow") if check.unknown else Text()
    yield _Row(name, said, Text(), unknown, Text(), Text(), Text())
    for measure in check.measures:
        yield _row(Text(f"  {measure.label}"), Text(), measure, check.decision, draw)


def _row(name: Text, said: Text, measure: Measure, decision: Decision, draw: Glyphs) -> _Row:
    usual = normally(measure.normal, measure.unit) if measure.normal else "nobody can say yet"
    return _Row(
        name=name,
        said=said,
        detail=Text(measure.detail, style="dim"),
        value=Text("none" if measure.value is None else shown(measure.value, measure.unit), style="bold"),
        past=_past(measure, decision, draw),
        gauge=_gauge(measure, draw),
        normal=Text(usual, style="dim" if measure.normal else "yellow"),
    )


def _past(measure: Measure, decision: Decision, draw: Glyphs) -> Text:
    if measure.history is None:
        return Text()
    past, today = line(measure.history, measure.value, draw)
    text = Text(past, style="cyan")
    if today:
        text.append(f" {today}", style=_outside(measure, decision))
    return text


def _outside(measure: Measure, decision: Decision) -> str:
    """The colour of a value: green where it is normal, else that of what it decides."""
    if measure.value is None or measure.normal is None:
        return COLOUR["warn"]
    outside = measure.normal.below(measure.value) or measure.normal.above(measure.value)
    return COLOUR[decision if outside else "allow"]


def _gauge(measure: Measure, draw: Glyphs) -> Text:
    """Only where there is a past: a fixed limit and a number say all there is."""
    if measure.value is None or measure.normal is None or measure.history is None:
        return Text()
    drawn = Text(gauge(measure.value, measure.normal, measure.history.values, draw), style="dim")
    at = drawn.plain.index(draw.today)
    drawn.stylize(f"{_outside(measure, 'deny')} not dim", at, at + 1)
    return drawn


def _reasons(readiness: Readiness) -> Table:
    grid = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for check in readiness.checks:
        for reason in check.reasons:
            said = Text(reason.decision, style=COLOUR[reason.decision])
            grid.add_row(said, Text(check.name), Text(plain(f"{reason.code}: {reason.message}")))
    if readiness.break_glass:
        glass = readiness.break_glass
        why = plain(f"{glass.via} by {glass.actor}: {glass.reason or 'no reason given'}")
        grid.add_row(Text("bypass", style="bold yellow"), Text(), Text(why))
    return grid


def refusal(readiness: Readiness) -> str:
    """The message of a refusal: which checks deny and why, and lines to paste."""
    day, phase = readiness.game_date, readiness.phase
    what = "could not be judged" if readiness.refuses_unknown else "are not ready"
    lines = [f"the data for a batch of {day} {what}"]
    lines += [f"  deny    {name}: {reason.code}: {reason.message}" for name, reason in readiness.denials]
    lines += ["", "What to do:", *(f"  {line}" for line in dict.fromkeys(_cures(readiness)))]
    start = f"prediction-coordinator start --game-date {day}"
    lines += [
        f"  look    prediction-coordinator readiness --game-date {day} --phase {phase}",
        f"  again   {start}",
        f'  bypass  {start} --skip-readiness-checks --reason "WHY"',
    ]
    return "\n".join(plain(line) for line in lines)


def _cures(readiness: Readiness) -> Iterator[str]:
    for name, reason in readiness.denials:
        todo = REASONS[reason.code].todo
        if reason.code == UNKNOWN:
            todo = CAUSE_TODO.get(str(reason.data.get("cause")), todo)
        yield f"cure    {name}: {todo}"


#: Where the drift gate's advice on a cause fits a source of metrics as well.
CAUSE_TODO = {
    cause: CAUSE_MEANINGS[cause][1] for cause in ("timeout", "unavailable", "rate-limited", "credentials")
}
