"""Report and verdict for people and programs: table, Markdown, JSON, the refusal's message. Pure.

Whatever comes from outside (subjects, paths, platform messages) is shown as plain text: no control
character, no markup of the terminal or of Markdown gets through.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from shared.deployment.acknowledging import may_cover
from shared.deployment.keys import ServiceSettings
from shared.deployment.report import DriftReport, LiveReport
from shared.deployment.tally import Undeployed
from shared.deployment.verdict import Outcome, Verdict, duration

if TYPE_CHECKING:
    from shared.deployment.questions import Liveness
    from shared.deployment.relevance.selection import Selection

COLOUR: dict[str | None, str] = {
    "allow": "green",
    "warn": "yellow",
    "deny": "bold red",
    "info": "cyan",
    "warning": "yellow",
    "critical": "bold red",
}
#: How many commits and paths a refusal names before it says "and N more".
_NAMED = 10


def plain(text: str) -> str:
    """``text`` on one line without control characters: what a stranger wrote must not steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def table(outcome: Outcome, *, verbose: bool = False) -> RenderableType:
    """The verdicts for a terminal; ``verbose`` lists each undeployed commit with its relevant paths."""
    parts: list[RenderableType] = []
    for verdict in outcome.services:
        parts.append(_service_table(verdict))
        if verbose:
            parts += _details(verdict)
    return Group(*parts)


def _service_table(verdict: Verdict) -> Table:
    report = verdict.report
    grid = _grid(_title(verdict))
    for live in report.live:
        grid.add_row("live", _live_line(live))
    if report.target:
        grid.add_row("target", Text(plain(f"{report.target.commit[:12]}  {report.target.ref}")))
    grid.add_row("drift", Text(_drift_line(report)))
    for tagged in report.tagged:
        grid.add_row("tagged", Text(plain(f"{tagged.tag} → {tagged.revision}, no traffic")))
    for reason in verdict.reasons:
        grid.add_row(
            Text(reason.decision, style=COLOUR[reason.decision]),
            Text(f"{reason.code}: {plain(reason.message)}"),
        )
    if verdict.break_glass:
        grid.add_row(Text("bypass", style="bold yellow"), Text(plain(_bypass_line(verdict))))
    return grid


def _grid(title: Text) -> Table:
    """Two columns without a frame: a label and what it says."""
    grid = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _title(verdict: Verdict) -> Text:
    title = Text(plain(verdict.service), style="bold")
    title.append("  ")
    title.append(_ruling(verdict), style=COLOUR[verdict.decision])
    if verdict.severity:
        title.append("  ")
        title.append(verdict.severity, style=COLOUR[verdict.severity])
    return title


def _ruling(verdict: Verdict) -> str:
    """The decision in capitals, and whether it holds."""
    because = f" (not enforced: {verdict.not_enforced_because})" if not verdict.enforced else ""
    return verdict.decision.upper() + because


def _live_line(live: LiveReport) -> Text:
    commit = live.commit[:12] if live.commit else "unknown commit"
    where = f"  {live.percent} %  {live.called}" if live.called else ""
    return Text(plain(f"{commit}{where}  {live.status}"))


def _drift_line(report: DriftReport) -> str:
    """One sentence on what the comparison came to."""
    if report.unknown:
        return f"unknown: {report.unknown.cause}"
    parts = [
        f"{count:,} {what}"
        for count, what in (
            (report.commits_behind, "missing"),
            (report.commits_ahead, "live only"),
            (report.commits_neutral, "without net effect"),
            (report.commits_picked, "live under another id"),
        )
        if count
    ]
    if report.drift_age_s:
        parts.append(f"for {duration(report.drift_age_s)}")
    return report.status + (f": {', '.join(parts)}" if parts else "")


def _bypass_line(verdict: Verdict) -> str:
    glass = verdict.break_glass
    if glass is None:
        return ""
    return f"{glass.via} by {glass.actor}: {glass.reason or 'no reason given'}"


def _details(verdict: Verdict) -> Iterator[RenderableType]:
    """The undeployed commits, and the git command that lists the candidates again."""
    for commit in verdict.report.undeployed:
        yield Text(f"  {_commit_line(commit)}")
        for path in commit.paths:
            yield Text(f"      {reason_chain(path.path, path.because)}", style="dim")
        if commit.paths_omitted:
            yield Text(f"      … and {commit.paths_omitted:,} more paths", style="dim")
    for line in candidates(verdict.report):
        yield Text(f"  {line}", style="dim")


def candidates(report: DriftReport) -> list[str]:
    """For each live commit that differs, the git command that lists the candidates of the count."""
    target = report.target.commit if report.target else None
    lives = dict.fromkeys(live.commit for live in report.live if live.commit and live.commit != target)
    if target is None:
        return []
    return [f"git log -c --no-renames --name-only {live[:12]}..{target[:12]}" for live in lives if live]


def _commit_line(commit: Undeployed) -> str:
    return plain(
        f"{commit.sha[:12]}  {commit.committed_at:%Y-%m-%d %H:%M}  {commit.subject}  ({commit.author})"
    )


def markdown(outcome: Outcome, *, verbose: bool = False) -> str:
    """The verdicts for a pull request or a ticket."""
    lines = [
        "| service | decision | status | behind | ahead | live | target |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_markdown_row(verdict) for verdict in outcome.services]
    for verdict in outcome.services:
        if verdict.reasons:
            lines += ["", f"**{_escaped(verdict.service)}**", ""]
        lines += [
            f"- {reason.decision}: `{reason.code}`: {_escaped(reason.message)}" for reason in verdict.reasons
        ]
        if verbose:
            lines += [f"- {_escaped(_commit_line(commit))}" for commit in verdict.report.undeployed]
    return "\n".join(lines) + "\n"


def _markdown_row(verdict: Verdict) -> str:
    report = verdict.report
    lives = ", ".join(live.commit[:12] if live.commit else "unknown" for live in report.live) or "unknown"
    cells = [
        verdict.service,
        _ruling(verdict),
        report.status,
        "?" if report.commits_behind is None else str(report.commits_behind),
        "?" if report.commits_ahead is None else str(report.commits_ahead),
        lives,
        report.target.commit[:12] if report.target else "unknown",
    ]
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _escaped(text: str) -> str:
    """``text`` with everything that Markdown or HTML would read as markup made harmless."""
    return "".join(f"\\{char}" if char in r"\`*_{}[]<>()#+!|~" else char for char in plain(text))


#: Valid inside JSON as they are, and yet what a terminal or a reader of lines obeys.
_STEERING = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def json(outcome: Outcome, *, verbose: bool = False) -> str:
    """The verdicts for a program; everything is in it, so ``verbose`` adds nothing.

    A character that steers is written by its number: the same text for a program, harmless elsewhere.
    """
    return steering_by_number(outcome.model_dump_json(indent=2) + "\n")


def steering_by_number(text: str) -> str:
    """JSON in which every character that steers is written by its number."""
    return _STEERING.sub(lambda char: f"\\u{ord(char[0]):04x}", text)


class Format(Enum):
    """What ``--format`` offers; a text format brings its function, the table is drawn by a console."""

    table = "table"
    json = "json"
    markdown = "markdown"


TEXT: dict[Format, Callable[..., str]] = {Format.json: json, Format.markdown: markdown}


def refusal(verdict: Verdict, service: ServiceSettings) -> str:
    """The message of a refusal: what is live, what should be, what is missing, since when, what to do."""
    report = verdict.report
    lines = [f"{verdict.service} must not start a batch: {_headline(verdict)}"]
    lines += [f"  live    {_live_line(live)}" for live in report.live]
    if report.target:
        lines.append(f"  target  {report.target.commit[:12]}  {report.target.ref}")
    if report.drift_age_s:
        lines.append(f"  age     {duration(report.drift_age_s)} since the oldest missing commit landed")
    lines += _missing(report)
    lines += [f"  {reason.decision:<7} {reason.code}: {reason.message}" for reason in verdict.reasons]
    lines += ["", "What to do:", *(f"  {line}" for line in _next_steps(verdict, service))]
    return "\n".join(plain(line) for line in lines)


def _headline(verdict: Verdict) -> str:
    if verdict.refuses_unknown:
        return "it could not be determined whether it runs what it should"
    return "it does not run what the target says it should"


def _missing(report: DriftReport) -> list[str]:
    total = report.commits_behind or 0
    shown = report.undeployed[:_NAMED]
    lines = [f"  missing {_commit_line(commit)}" for commit in shown]
    if total > len(shown):
        lines.append(f"          … and {total - len(shown):,} more")
    return lines


def _next_steps(verdict: Verdict, service: ServiceSettings) -> Iterator[str]:
    """Lines to paste, the cure first and the emergency exit last."""
    name, report = verdict.service, verdict.report
    if not verdict.refuses_unknown:
        yield from _deploy(name, report, service)
    for line in candidates(report):
        yield f"look     {line}"
    codes = dict.fromkeys(
        str(reason.data.get("cause", reason.code)) for reason in verdict.reasons if reason.decision == "deny"
    )
    yield from (f"explain  deployment-drift explain {code}" for code in codes)
    yield f"check    deployment-drift check {shlex.quote(name)} --verbose"
    if report.undeployed:
        yield f"why      deployment-drift why {shlex.quote(name)} {report.undeployed[0].sha[:12]}"
    if may_cover(verdict):
        yield f'accept   deployment-drift acknowledge {shlex.quote(name)} --until DATE --reason "WHY"'
    yield "again    prediction-coordinator start --game-date DATE"
    yield 'bypass   prediction-coordinator start --game-date DATE --skip-drift-check --reason "WHY"'


def _deploy(name: str, report: DriftReport, service: ServiceSettings) -> Iterator[str]:
    commit = report.target.commit if report.target else "SHA"
    if service.live == "ledger":
        yield f"deploy   deploy {commit[:12]}, then: deployment-drift record {name} --commit {commit}"
        return
    # Worker pools take labels in the beta commands only (gcloud 528).
    verb = {"service": "run deploy", "worker-pool": "beta run worker-pools deploy", "job": "run jobs deploy"}
    yield (
        f"deploy   gcloud {verb[report.kind]} {name} --project {service.project} --region {service.region} "
        f"--image IMAGE:{commit} --labels commit-sha={commit}"
    )


def explained(code: str, meaning: Iterable[tuple[str, str]]) -> RenderableType:
    """What a code means and what to do, for a terminal."""
    grid = _grid(Text(code, style="bold"))
    for label, text in meaning:
        grid.add_row(label, Text(text))
    return grid


def reason_chain(path: str, because: Iterable[str], why_not: str = "") -> str:
    """Why a path counts, on one line: ``odds.py ← features.py ← worker.py``; or why it does not."""
    chain = " ← ".join((path, *because))
    return plain(f"{path}: does not count: {why_not}" if why_not else chain)


def file_list(commit: str, selected: Selection) -> Iterator[str]:
    """What counts at ``commit`` by folder, what the image copies for nothing, and remarks."""
    yield f"{_number(len(selected.because), 'file')} counted as relevant at {commit[:12]}"
    folder = None
    for path, because in sorted(selected.because.items(), key=lambda item: item[0].rpartition("/")):
        head, _, name = path.rpartition("/")
        if head != folder:
            folder = head
            yield plain(f"{head or '.'}/")
        yield "  " + reason_chain(name, because)
    if selected.unused:
        yield f"{_number(len(selected.unused), 'file')} copied into the image and never imported"
        yield from (plain(f"  {path}") for path in selected.unused)
    if selected.elsewhere:
        yield f"{_number(len(selected.elsewhere), 'file')} of data that only such modules name"
        yield from (plain(f"  {path} ({', '.join(by)})") for path, by in selected.elsewhere.items())
    yield from (plain(f"remark: {remark}") for remark in selected.remarks)
    if selected.nothing:
        yield plain(f"nothing can be trusted here: {selected.nothing}")


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def liveness(service: str, commit: str, found: Liveness) -> Iterator[str]:
    """Whether a commit is live on one revision, and what is missing where it is not."""
    share = found.share
    where = f"{service}  {share.percent} %  {share.revision or ''}".rstrip()
    if found.live is None:
        yield plain(f"{where}: it could not be determined whether {commit} is live: {found.why}")
        return
    yield plain(f"{where}: {commit} is {'live' if found.live else 'not live'}")
    if not found.live:
        yield f"  {_number(found.count, 'relevant commit')} up to it missing"
        yield from (plain(f"  {line}") for line in found.missing)
