"""A week of the journal as a report: for a terminal, as Markdown, as an HTML mail, as JSON. Pure.

Whatever a person or a commit wrote is text in each of them, never markup.
"""

from __future__ import annotations

import json as _json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from drift_gate.journal.message_text import Message
from drift_gate.journal.period import Period
from drift_gate.journal.records import Incident
from drift_gate.policy.verdict import duration
from drift_gate.presentation import figures, history
from drift_gate.presentation.plain_text import plain
from drift_gate.presentation.render import counted, escaped, steering_by_number
from drift_gate.presentation.sparkline import UNICODE, Blocks


class Weekly(NamedTuple):
    """The week ``name`` (such as ``2026-W48``) as ``period``; ``now``: when it is looked back on."""

    name: str
    period: Period
    now: datetime


class Section(NamedTuple):
    """A part of the report: a table of texts. ``empty``: what is said where it has no row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    empty: str


def title(weekly: Weekly) -> str:
    """The headline; of a week that is not over it says so."""
    told = weekly.period.figures
    last = (told.until - timedelta(seconds=1)).astimezone(UTC)
    over = "" if (told.until - told.since) >= timedelta(days=7) else ", so far"
    return f"Deployment drift, week {weekly.name} ({told.since:%Y-%m-%d} to {last:%Y-%m-%d}, UTC){over}"


def sections(weekly: Weekly, draw: Blocks = UNICODE) -> list[Section]:
    """The figures, then the incidents, their causes, who went past the gate, what was not watched."""
    return [
        _figures(weekly),
        _beside(weekly, draw),
        _incidents(weekly),
        *_by_name(weekly),
        _unwatched(weekly),
    ]


def _figures(weekly: Weekly) -> Section:
    rows = tuple(
        (row.name, row.value, row.target, row.verdict) for row in figures.rows(weekly.period.figures)
    )
    return Section("Figures", ("figure", "is", "target", ""), rows, "")


def _beside(weekly: Weekly, draw: Blocks) -> Section:
    told = weekly.period.figures
    lines = [*figures.lines(weekly.period), *figures.drift_lines(told, draw)]
    return Section("More figures", ("", ""), tuple((each.name, each.text) for each in lines), "")


def longest_first(weekly: Weekly) -> list[Incident]:
    """The incidents of the week, the one that production was stale for longest first."""
    return sorted(
        weekly.period.incidents,
        key=lambda each: (each.resolved_at or weekly.now) - each.began_at,
        reverse=True,
    )


def _incidents(weekly: Weekly) -> Section:
    columns = ("incident", "state", "severity", "how long", "course (UTC)", "causes")
    rows = tuple(
        (
            each.id,
            each.state if each.false_alarm is None else f"false alarm: {each.false_alarm}",
            each.severity,
            history.stale(each, weekly.now),
            ", ".join(history.course(each)),
            ", ".join(each.codes),
        )
        for each in longest_first(weekly)
    )
    return Section("Incidents, the longest first", columns, rows, "No incident, as far as was watched.")


def causes(weekly: Weekly) -> Counter[str]:
    """How many of the incidents had each reason code; those that opened and were no false alarm."""
    real = (each for each in weekly.period.incidents if each.opened_at and each.false_alarm is None)
    return Counter(code for each in real for code in each.codes)


def _by_name(weekly: Weekly) -> Iterator[Section]:
    told = weekly.period.figures
    rows = [(code, counted(times, "incident")) for code, times in causes(weekly).most_common()]
    yield Section("Causes", ("reason code", "in"), tuple(rows), "None.")
    rows = [(service, counted(times, "time")) for service, times in told.refusals.items()]
    yield Section("Refused", ("service", "batches that did not start"), tuple(rows), "No batch was refused.")
    passed = tuple(
        (each.by, each.service, counted(each.times, "time"), each.reason or "no reason given")
        for each in told.bypasses
    )
    yield Section("Bypassed", ("who", "service", "how often", "why"), passed, "Nobody went past the gate.")


def _unwatched(weekly: Weekly) -> Section:
    told = weekly.period.figures
    rows = tuple(
        (service, duration(whole.total_seconds()), _span(max(parts, key=lambda each: each[1] - each[0])))
        for service, parts in weekly.period.unwatched.items()
        if (whole := sum((end - begin for begin, end in parts), timedelta()))
    )
    columns = ("service", "in all", "the longest gap (UTC)")
    empty = "Each service was watched all the time." if told.services else "No service is known."
    return Section("Not watched", columns, rows, empty)


def _span(part: tuple[datetime, datetime]) -> str:
    begin, end = (at.astimezone(UTC) for at in part)
    return f"{begin:%a %H:%M} to {end:%a %H:%M}, {duration((end - begin).total_seconds())}"


def json(weekly: Weekly) -> str:
    """All of it for a program."""
    period = weekly.period
    told = {
        "schema_version": 1,
        "week": weekly.name,
        "figures": figures.document(period),
        "causes": dict(causes(weekly).most_common()),
        "incidents": [each.model_dump(mode="json") for each in longest_first(weekly)],
        "unwatched": period.model_dump(mode="json")["unwatched"],
    }
    return steering_by_number(_json.dumps(told, indent=2) + "\n")


def message(weekly: Weekly) -> Message:
    """The report for the channels that people are told on."""
    told = weekly.period.figures
    targets, *others = sections(weekly)
    kept = tuple(f"{name}: {value} (target {target}: {word})" for name, value, target, word in targets.rows)
    lines = [(each.title, tuple(map(_line, each.rows)) or (each.empty,)) for each in others]
    return Message(
        id=f"report:{weekly.name}",
        kind="report",
        at=weekly.now,
        title=title(weekly),
        services=told.services,
        incidents=tuple(longest_first(weekly)),
        sections=((targets.title, kept), *lines),
        page=html(weekly),
    )


def _line(row: tuple[str, ...]) -> str:
    """A row where there is no table: its first cell names it, unless it goes on with the row before."""
    rest = ", ".join(cell for cell in row[1:] if cell)
    return f"{row[0]}: {rest}" if row[0] else rest


def table(weekly: Weekly, draw: Blocks) -> RenderableType:
    """For a terminal: incidents by the block, since a table of them is too wide for one."""
    parts: list[RenderableType] = [Text(title(weekly), style="bold")]
    for section in sections(weekly, draw):
        parts += ["", Text(section.title, style="bold"), ""]
        if not section.rows:
            parts.append(Text(section.empty))
        elif section.columns[0] == "incident":
            parts += _blocks(weekly)
        else:
            parts.append(_grid(section))
    return Group(*parts)


def _blocks(weekly: Weekly) -> Iterator[RenderableType]:
    for number, incident in enumerate(longest_first(weekly)):
        if number:
            yield ""
        yield from history.incident_lines(incident, weekly.now)


def _grid(section: Section) -> Table:
    grid = Table(
        show_header=any(section.columns), header_style="dim", box=None, pad_edge=False, padding=(0, 3, 0, 0)
    )
    for name in section.columns:
        grid.add_column(name, overflow="fold")
    for row in section.rows:
        grid.add_row(*(Text(plain(cell)) for cell in row))
    return grid


def markdown(weekly: Weekly) -> str:
    """For a ticket or a chat that reads Markdown."""
    lines = [f"# {escaped(title(weekly))}"]
    for section in sections(weekly):
        lines += ["", f"## {section.title}", ""]
        if not section.rows:
            lines.append(section.empty)
            continue
        lines += [_pipes(section.columns), f"|{'---|' * len(section.columns)}"]
        lines += [_pipes([escaped(cell) for cell in row]) for row in section.rows]
    return "\n".join(lines) + "\n"


def _pipes(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_STYLE = (
    "body { font-family: sans-serif; font-size: 14px; color: #222 } "
    "h1 { font-size: 20px } h2 { font-size: 16px; margin: 20px 0 6px } "
    "table { border-collapse: collapse } "
    "th, td { text-align: left; vertical-align: top; padding: 2px 16px 2px 0 }"
)


def html(weekly: Weekly) -> str:
    """A whole page that a mail may carry: no script, no picture, nothing that is fetched."""
    head = escape(plain(title(weekly)))
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{head}</title>',
        f"<style>{_STYLE}</style></head>",
        f"<body><h1>{head}</h1>",
    ]
    for section in sections(weekly):
        parts.append(f"<h2>{escape(section.title)}</h2>")
        parts += _html_table(section) if section.rows else [f"<p>{escape(section.empty)}</p>"]
    return "\n".join([*parts, "</body></html>", ""])


def _html_table(section: Section) -> Iterator[str]:
    yield "<table>"
    if any(section.columns):
        yield _html_row("th", section.columns)
    yield from (_html_row("td", row) for row in section.rows)
    yield "</table>"


def _html_row(tag: str, cells: Sequence[str]) -> str:
    told = "".join(f"<{tag}>{escape(plain(cell))}</{tag}>" for cell in cells)
    return f"<tr>{told}</tr>"
