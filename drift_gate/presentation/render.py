"""Report and verdict for people and programs: table, Markdown, JSON, the refusal's message. Pure.

Whatever comes from outside (subjects, paths, platform messages) is shown as plain text: no control
character, no markup of the terminal or of Markdown gets through.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from drift_gate.comparison.report import NOT_YET, DriftReport, LiveReport
from drift_gate.comparison.tally import Undeployed
from drift_gate.policy.acknowledgements import BECAUSE
from drift_gate.policy.codes import DECISIONS
from drift_gate.policy.verdict import NO_START, Outcome, Policy, Start, Verdict, duration
from drift_gate.presentation import remedies
from drift_gate.presentation.enforcement import why_not_enforced
from drift_gate.presentation.json_text import json as json
from drift_gate.presentation.json_text import steering_by_number as steering_by_number
from drift_gate.presentation.plain_text import plain as plain
from drift_gate.presentation.remedies import Step, candidates
from drift_gate.settings.file import Settings

if TYPE_CHECKING:
    from drift_gate.relevance.selection import Selection

COLOUR: dict[str | None, str] = {
    "allow": "green",
    "warn": "yellow",
    "deny": "bold red",
    "info": "cyan",
    "warning": "yellow",
    "critical": "bold red",
}
#: Columns of a table that is not shown on a terminal: a pipe has no width, and a log folds by itself.
PIPED_WIDTH = 200
#: Columns that no drawing needs.
_WIDEST = 100_000
#: How many commits a refusal, and a table, names before it says "and N more".
_NAMED, _FIRST = 10, 5


def table(
    outcome: Outcome, settings: Settings | None = None, *, verbose: bool = False, start: Start = NO_START
) -> RenderableType:
    """The verdicts for a terminal, and what to do where one is denied.

    Several services come from the best to the worst, those to which there is nothing to say in a line each,
    and a sum at the end.
    ``settings`` None: nobody asks what to do. ``verbose``: every service in full, with each undeployed commit
    and its relevant paths. ``start``: how the caller would start the batch.
    """
    ordered = sorted(outcome.services, key=lambda each: DECISIONS.index(each.decision))
    several = len(ordered) > 1
    brief = [each for each in ordered if several and not verbose and each.decision == "allow"]
    blocks: list[Iterable[RenderableType]] = [[_brief(brief)]] if brief else []
    blocks += [_in_full(each, settings, start, verbose) for each in ordered if each not in brief]
    blocks += [[Text(_sum(outcome))]] if several else []
    parts = [part for block in blocks for part in ("", *block)]
    return Group(*parts[1:])


def text(outcome: Outcome, settings: Settings | None = None, *, verbose: bool = False) -> str:
    """What ``deployment-drift check`` prints where nothing is a terminal; arguments as those of ``table``."""
    return "".join(f"{line}\n" for line in drawn(table(outcome, settings, verbose=verbose)))


def drawn(drawing: RenderableType, width: int = PIPED_WIDTH) -> list[str]:
    """The lines of a drawing without colours, in ``width`` columns; a line to paste may be longer."""
    console = Console(file=io.StringIO(), highlight=False, width=width, color_system=None)
    with console.capture() as captured:
        console.print(drawing, crop=False)
    return [line.rstrip() for line in captured.get().splitlines()]


def least_width(console: Console, drawing: RenderableType) -> int:
    """The columns that ``drawing`` needs so that none of its words is cut."""
    return Measurement.get(console, console.options.update(max_width=_WIDEST), drawing).minimum


def _brief(verdicts: Iterable[Verdict]) -> Table:
    """A line for each service to which there is nothing to say."""
    grid = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for style in ("bold", COLOUR["allow"], None, None):
        grid.add_column(style=style, overflow="fold")
    for verdict in verdicts:
        lives = dict.fromkeys(live.commit[:12] for live in verdict.report.live if live.commit)
        grid.add_row(
            Text(plain(verdict.service)),
            Text(_ruling(verdict)),
            Text(", ".join(lives)),
            Text(_drift_line(verdict.report)),
        )
    return grid


def _sum(outcome: Outcome) -> str:
    """``12 services: 10 allow, 1 warn, 1 deny``; a denial that does not hold is counted apart."""
    lifted = "deny (not enforced)"
    words = Counter(
        lifted if each.decision == "deny" and not each.enforced else each.decision
        for each in outcome.services
    )
    counts = ", ".join(f"{words[word]:,} {word}" for word in (*DECISIONS, lifted) if words[word])
    return f"{counted(len(outcome.services), 'service')}: {counts}"


def _in_full(
    verdict: Verdict, settings: Settings | None, start: Start, verbose: bool
) -> Iterator[RenderableType]:
    grid = _service_table(verdict)
    denied = verdict.decision == "deny" and not _is_pending(verdict)
    advised = settings if denied and verdict.not_enforced_because != BECAUSE else None
    if advised and not verbose:
        for label, line in _missing(verdict.report, _FIRST):
            grid.add_row(label, Text(plain(line)))
    yield _title(verdict)
    yield grid
    if verbose:
        yield from _details(verdict)
    if advised:
        yield Text("\nWhat to do:")
        yield from map(_drawn_step, remedies.steps(verdict, advised, start))


def _drawn_step(step: Step) -> RenderableType:
    """A sentence is folded beside its label; a line to paste stays one line, however narrow the terminal."""
    if step.paste:
        return Text(_step_line(step), no_wrap=True, overflow="ignore")
    grid = Table(show_header=False, box=None, padding=0)
    grid.add_column(width=11)
    grid.add_column(overflow="fold")
    grid.add_row(f"  {step.label}", Text(plain(step.text)))
    return grid


def _step_line(step: Step) -> str:
    return plain(f"  {step.label:<8} {step.text}")


def _service_table(verdict: Verdict) -> Table:
    report = verdict.report
    grid = _grid()
    for live in report.live:
        grid.add_row("live", _live_line(live))
    if report.target:
        grid.add_row("target", Text(plain(f"{report.target.commit[:12]}  {report.target.ref}")))
    grid.add_row("drift", Text(_drift_line(report)))
    if by := _policy_line(verdict):
        grid.add_row("policy", Text(plain(by)))
    for tagged in report.tagged:
        grid.add_row("tagged", Text(plain(f"{tagged.tag} → {tagged.revision}, no traffic")))
    for reason in () if _is_pending(verdict) else verdict.reasons:
        grid.add_row(
            Text(reason.decision, style=COLOUR[reason.decision]),
            Text(f"{reason.code}: {plain(reason.message)}"),
        )
    if verdict.break_glass:
        grid.add_row(Text("bypass", style="bold yellow"), Text(plain(_bypass_line(verdict))))
    return grid


def _policy_line(verdict: Verdict) -> str:
    """Which policy judged; nothing where it is the built-in one."""
    by = verdict.policy
    if by is None or (by.hash == Policy().digest and not by.overrides):
        return ""
    overrides = f", after {', '.join(by.overrides)}" if by.overrides else ""
    return f"{by.hash} of {by.file}{overrides}"


def _grid() -> Table:
    """Two columns without a frame: a label and what it says."""
    grid = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _title(verdict: Verdict) -> Text:
    title = Text(plain(verdict.service), style="bold")
    title.append("  ")
    if _is_pending(verdict):
        title.append("not judged yet", style=COLOUR["info"])
        return title
    title.append(_ruling(verdict), style=COLOUR[verdict.decision])
    if verdict.severity:
        title.append("  ")
        title.append(verdict.severity, style=COLOUR[verdict.severity])
    return title


def _is_pending(verdict: Verdict) -> bool:
    """Whether its check goes on beside the start: it is denied by nothing that anybody knows."""
    return verdict.report.unknown == NOT_YET


def _ruling(verdict: Verdict) -> str:
    """The decision in capitals, and whether it holds."""
    because = why_not_enforced(verdict.not_enforced_because)
    return verdict.decision.upper() + ("" if verdict.enforced else f" (not enforced: {because})")


def _live_line(live: LiveReport) -> Text:
    commit = live.commit[:12] if live.commit else "unknown commit"
    where = f"  {live.percent} %  {live.called}" if live.called else ""
    return Text(plain(f"{commit}{where}  {live.status}"))


def _drift_line(report: DriftReport) -> str:
    """One sentence on what the comparison came to."""
    if report.unknown == NOT_YET:
        return f"not known yet: {NOT_YET.message}"
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
            lines += ["", f"**{escaped(verdict.service)}**", ""]
        lines += [
            f"- {reason.decision}: `{reason.code}`: {escaped(reason.message)}" for reason in verdict.reasons
        ]
        if verbose:
            lines += [f"- {escaped(_commit_line(commit))}" for commit in verdict.report.undeployed]
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
    return "| " + " | ".join(map(escaped, cells)) + " |"


def escaped(text: str) -> str:
    """``text`` with everything that Markdown or HTML would read as markup made harmless."""
    return "".join(f"\\{char}" if char in r"\`*_{}[]<>()#+!|~" else char for char in plain(text))


def refusal(verdict: Verdict, settings: Settings, start: Start = NO_START) -> str:
    """The message of a refusal: what is live, what should be, what is missing, since when, what to do."""
    report = verdict.report
    lines = [f"{verdict.service} must not start a batch: {_headline(verdict)}"]
    lines += [f"  live    {_live_line(live)}" for live in report.live]
    if report.target:
        lines.append(f"  target  {report.target.commit[:12]}  {report.target.ref}")
    if report.drift_age_s:
        lines.append(f"  age     {duration(report.drift_age_s)} since the oldest missing commit landed")
    lines += [f"  {label:<7} {line}" for label, line in _missing(report, _NAMED)]
    lines += [f"  {reason.decision:<7} {reason.code}: {reason.message}" for reason in verdict.reasons]
    steps = map(_step_line, remedies.steps(verdict, settings, start))
    return "\n".join([*map(plain, lines), "", "What to do:", *steps])


def _headline(verdict: Verdict) -> str:
    if verdict.refuses_unknown:
        return "it could not be determined whether it runs what it should"
    return "it does not run what the target says it should"


def _missing(report: DriftReport, most: int) -> Iterator[tuple[str, str]]:
    """A label and a line for each of the newest ``most`` commits that are missing, and one for the others."""
    shown = report.undeployed[:most]
    yield from (("missing", _commit_line(commit)) for commit in shown)
    if (more := (report.commits_behind or 0) - len(shown)) > 0 and shown:
        yield "", f"… and {more:,} more"


def reason_chain(path: str, because: Iterable[str], why_not: str = "") -> str:
    """Why a path counts, on one line: ``odds.py ← features.py ← worker.py``; or why it does not."""
    chain = " ← ".join((path, *because))
    return plain(f"{path}: does not count: {why_not}" if why_not else chain)


def file_list(commit: str, selected: Selection) -> Iterator[str]:
    """What counts at ``commit`` by folder, what the image copies for nothing, and remarks."""
    yield f"{counted(len(selected.because), 'file')} counted as relevant at {commit[:12]}"
    folder = None
    for path, because in sorted(selected.because.items(), key=lambda item: item[0].rpartition("/")):
        head, _, name = path.rpartition("/")
        if head != folder:
            folder = head
            yield plain(f"{head or '.'}/")
        yield "  " + reason_chain(name, because)
    if selected.unused:
        yield f"{counted(len(selected.unused), 'file')} copied into the image and never imported"
        yield from (plain(f"  {path}") for path in selected.unused)
    if selected.elsewhere:
        yield f"{counted(len(selected.elsewhere), 'file')} of data that nothing of the worker names"
        yield from (plain(f"  {path} ({', '.join(by)})") for path, by in selected.elsewhere.items())
    yield from (plain(f"remark: {remark}") for remark in selected.remarks)
    if selected.nothing:
        yield plain(f"nothing can be trusted here: {selected.nothing}")


def counted(count: int, noun: str) -> str:
    """``1 file``, ``12,345 files``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
