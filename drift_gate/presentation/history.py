"""What the journal remembers, for people and programs: incidents, deploys, decisions. Pure.

Whatever comes from outside is shown as plain text, as in ``render``.
"""

from __future__ import annotations

import csv as _csv
import io
import json as _json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from drift_gate.journal.deploys import BECAME, Deploy
from drift_gate.journal.records import Entry, Incident, Transition
from drift_gate.policy.verdict import Verdict, duration
from drift_gate.presentation.enforcement import why_not_enforced
from drift_gate.presentation.plain_text import plain
from drift_gate.presentation.render import COLOUR, counted, steering_by_number

#: How many incidents that are over, and rows of decisions, a table shows.
ROWS = 10
_BECAME_COLOUR = {
    "done": "green",
    "nothing": "green",
    "overtaken": "yellow",
    "failed": "bold red",
    "rolled-back": "bold red",
}
_STATE_COLOUR = {"held": "cyan", "open": "bold red", "acknowledged": "yellow", "resolved": "green"}


class History(NamedTuple):
    """What is asked for: ``service`` None means all; each list the newest first, times in UTC."""

    service: str | None
    since: datetime
    until: datetime
    incidents: Sequence[Incident]
    deploys: Sequence[Deploy]
    decisions: Sequence[Entry]


def json(history: History) -> str:
    """All of it for a program; a character that steers a terminal is written by its number."""
    told = {
        "schema_version": 1,
        "since": history.since.isoformat(),
        "until": history.until.isoformat(),
        "service": history.service,
        "incidents": [each.model_dump(mode="json") for each in history.incidents],
        "deploys": [each.model_dump(mode="json") for each in history.deploys],
        "decisions": [each.model_dump(mode="json") for each in history.decisions],
    }
    return steering_by_number(_json.dumps(told, indent=2) + "\n")


_COLUMNS = (
    "at",
    "service",
    "event",
    "incident",
    "enforced",
    "severity",
    "status",
    "commits_behind",
    "codes",
    "live_commits",
    "target_commit",
    "door",
    "by",
    "batch",
    "bypass_by",
    "bypass_reason",
    "false_alarm",
)


def csv(history: History) -> str:
    """One row for each decision and for each thing that happened to an incident, the newest first.

    ``event`` tells them apart: ``allow``, ``warn`` and ``deny`` are decisions.
    """
    rows = [_decision_cells(each) for each in history.decisions]
    rows += [
        _transition_cells(incident, each)
        for incident in history.incidents
        for each in reversed(incident.transitions)
        if history.since <= each.at
    ]
    stream = io.StringIO()
    writer = _csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in sorted(rows, key=lambda each: str(each["at"]), reverse=True):
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return stream.getvalue()


def _cell(value: object) -> str:
    """``value`` as plain text that no spreadsheet takes for a formula."""
    text = "" if value is None else plain(str(value))
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _decision_cells(entry: Entry) -> dict[str, object]:
    verdict, glass = entry.verdict, entry.verdict.break_glass
    report = verdict.report
    return {
        "at": entry.at.astimezone(UTC).isoformat(timespec="seconds"),
        "service": verdict.service,
        "event": verdict.decision,
        "enforced": str(verdict.enforced).lower(),
        "severity": verdict.severity,
        "status": report.status,
        "commits_behind": report.commits_behind,
        "codes": " ".join(_codes(verdict)),
        "live_commits": " ".join(dict.fromkeys(each.commit for each in report.live if each.commit)),
        "target_commit": report.target and report.target.commit,
        "door": entry.door,
        "by": entry.by,
        "batch": entry.batch,
        "bypass_by": glass and glass.actor,
        "bypass_reason": glass and glass.reason,
    }


def _transition_cells(incident: Incident, transition: Transition) -> dict[str, object]:
    return {
        "at": transition.at.astimezone(UTC).isoformat(timespec="seconds"),
        "service": incident.service,
        "event": transition.event,
        "incident": incident.id,
        "severity": transition.severity,
        "codes": " ".join(incident.codes),
        "live_commits": " ".join(incident.live_commits),
        "target_commit": incident.target,
        "false_alarm": incident.false_alarm,
    }


def table(history: History) -> RenderableType:
    """For a terminal: what is going on, what is over, then the newest deploys and decisions."""
    days = duration((history.until - history.since).total_seconds())
    of = f" of {plain(history.service)}" if history.service else ""
    parts: list[RenderableType] = [Text(_incidents_line(history, of, days), style="bold")]
    going_on = [each for each in history.incidents if each.state != "resolved"]
    over = [each for each in history.incidents if each.state == "resolved"]
    for incident in [*going_on, *over[:ROWS]]:
        parts += ["", *incident_lines(incident, history.until)]
    if len(over) > ROWS:
        parts += ["", Text(f"{len(over) - ROWS:,} older ones: --format json", style="dim")]
    if history.deploys:
        parts += ["", *_deploys(history.deploys)]
    if rows := _rows(history.decisions):
        rest = ", the newest first (all: --format csv)" if len(rows) > ROWS else ", the newest first"
        parts += ["", Text(f"{counted(len(history.decisions), 'decision')}{rest}", style="bold"), ""]
        parts.append(_decisions(rows[:ROWS]))
    return Group(*parts)


def _incidents_line(history: History, of: str, days: str) -> str:
    if not history.incidents:
        return f"no incident{of} in {days}"
    on = sum(each.state != "resolved" for each in history.incidents)
    going = f", {on:,} going on" if on else ""
    return f"{counted(len(history.incidents), 'incident')}{of} in {days}{going}; times are in UTC"


def incident_lines(incident: Incident, now: datetime) -> Iterator[RenderableType]:
    """An incident in a few lines: how it stands, what happened when, why, and what runs where it goes on."""
    head = Text()
    head.append(plain(incident.id), style="bold")
    head.append("  ")
    head.append(incident.state, style=_STATE_COLOUR[incident.state])
    head.append("  ")
    head.append(incident.severity, style=COLOUR[incident.severity])
    head.append(f"  {stale(incident, now)}")
    yield head
    yield _indented(", ".join(course(incident)))
    yield _indented(", ".join(incident.codes) or "no reason is known")
    if incident.state != "resolved":
        yield _indented(runs(incident))
    if incident.false_alarm is not None:
        yield _indented(f"false alarm: {incident.false_alarm}", style="yellow")


def _indented(text: str, style: str = "") -> Padding:
    return Padding(Text(plain(text), style=style), (0, 0, 0, 2))


def stale(incident: Incident, now: datetime) -> str:
    """For how long production was stale; where nothing dates the landing, since it was found."""
    age = duration(max(((incident.resolved_at or now) - incident.began_at).total_seconds(), 0))
    since = f"stale for {age}" if incident.landed_at else f"for {age}"
    return f"{since}{'' if incident.resolved_at else ' so far'}"


def course(incident: Incident) -> Iterator[str]:
    """What happened to it in order, each with its time; the day where it is another than the one before."""
    told = [(incident.landed_at, "landed")] if incident.landed_at else []
    told += [(each.at, _said(incident, each)) for each in incident.transitions]
    day = None
    for at, together in groupby(told, key=lambda each: each[0].astimezone(UTC)):
        said = " and ".join(words for _, words in together)
        yield f"{said} {at:%H:%M}" if at.date() == day else f"{said} {at:%Y-%m-%d %H:%M}"
        day = at.date()


def _said(incident: Incident, transition: Transition) -> str:
    if transition.event == "held":
        return "found"
    if transition.event == "worsened":
        return f"worsened to {transition.severity}"
    if transition.event == "resolved" and incident.ended_because == "undeclared":
        return "declared no more"
    return transition.event


def runs(incident: Incident) -> str:
    """What ran at the last look, and what should."""
    lives = ", ".join(each[:12] for each in incident.live_commits) or "an unknown commit"
    return f"runs {lives}, should run {incident.target[:12] if incident.target else 'an unknown commit'}"


def _deploys(deploys: Sequence[Deploy]) -> Iterator[RenderableType]:
    """The newest that did anything, and how many did not."""
    shown = [each for each in deploys if each.state != "nothing"]
    idle = len(deploys) - len(shown)
    count = f"{len(shown):,} {'deploy or rollback' if len(shown) == 1 else 'deploys and rollbacks'}"
    order = ", the newest first" if len(shown) > 1 else ""
    rest = " (all: --format json)" if len(shown) > ROWS else ""
    more = f"; {idle:,} more had nothing to do" if idle else ""
    yield Text(f"{count}{order}{rest}{more}", style="bold")
    grid = _by_time()
    width = max((len(plain(each.service)) for each in shown[:ROWS]), default=0)
    for each in shown[:ROWS]:
        told = Text(f"{plain(each.service):<{width}}  {each.kind} ")
        told.append(BECAME.get(each.state, "has not ended"), style=_BECAME_COLOUR.get(each.state, "cyan"))
        until = f", meant until {each.until.astimezone(UTC):%Y-%m-%d %H:%M}" if each.until else ""
        commit = each.commit[:12] or "an unknown commit"
        told.append(f"\n{plain(f'{commit} by {each.by}{until}')}", style="dim")
        if each.message:
            told.append(f"\n{plain(each.message)}")
        grid.add_row(Text(f"{each.asked_at.astimezone(UTC):%Y-%m-%d %H:%M}"), told)
    if shown:
        yield from ("", grid)


def _by_time() -> Table:
    """A table of what happened when."""
    grid = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


class _Row(NamedTuple):
    """Decisions that follow on each other and say the same."""

    newest: Entry
    oldest: Entry
    times: int


def _rows(entries: Sequence[Entry]) -> list[_Row]:
    """The newest first; what says the same again of its service stands in one row."""
    services = dict.fromkeys(each.verdict.service for each in entries)
    rows = []
    for service in services:
        own = (each for each in entries if each.verdict.service == service)
        for _, run in groupby(own, key=_alike):
            same = list(run)
            rows.append(_Row(same[0], same[-1], len(same)))
    return sorted(rows, key=lambda row: row.newest.at, reverse=True)


def _alike(entry: Entry) -> tuple[object, ...]:
    verdict = entry.verdict
    glass = verdict.break_glass
    return (
        ruling(verdict),
        _codes(verdict),
        entry.door,
        entry.by,
        entry.batch,
        entry.other_target,
        glass and (glass.actor, glass.reason),
    )


def _decisions(rows: Sequence[_Row]) -> Table:
    grid = _by_time()
    width = max(len(row.newest.verdict.service) for row in rows)
    for row in rows:
        verdict = row.newest.verdict
        told = Text(f"{plain(verdict.service):<{width}}  ")
        told.append(ruling(verdict), style=COLOUR[verdict.decision])
        if codes := _codes(verdict):
            told.append(f"\n{', '.join(codes)}")
        told.append(f"\n{plain(_asked(row))}", style="dim")
        grid.add_row(Text(f"{row.newest.at.astimezone(UTC):%Y-%m-%d %H:%M}"), told)
    return grid


def _asked(row: _Row) -> str:
    """Where it was asked for, by whom, for which batch, who went past it, and how often."""
    entry, glass = row.newest, row.newest.verdict.break_glass
    door = entry.door or "an earlier version of the gate"
    parts = [f"{door} by {entry.by}" if entry.by and entry.door != "monitor" else door]
    if entry.batch:
        parts.append(f"batch {entry.batch}")
    if entry.other_target:
        parts.append(f"held against another target, {entry.other_target}")
    if glass:
        parts.append(f"bypassed by {glass.actor}: {glass.reason or 'no reason given'}")
    if row.times > 1:
        parts.append(f"{row.times:,} times since {row.oldest.at.astimezone(UTC):%Y-%m-%d %H:%M}")
    return ", ".join(parts)


def ruling(verdict: Verdict) -> str:
    """The decision, and why it was not enforced where it was not."""
    because = why_not_enforced(verdict.not_enforced_because)
    return verdict.decision + ("" if verdict.enforced else f", not enforced: {because}")


def _codes(verdict: Verdict) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reason.code for reason in verdict.reasons))
