"""Plans of deploys, for people and programs. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from drift_gate.comparison.tally import Undeployed
from drift_gate.delivery.plan import Action
from drift_gate.presentation.github import command
from drift_gate.presentation.json_text import steering_by_number
from drift_gate.presentation.plain_text import plain
from drift_gate.presentation.plans import Missing, Plan, Plans
from drift_gate.presentation.render import counted, escaped, reason_chain

_COLOUR: dict[Action, str] = {
    "deploy": "bold yellow",
    "nothing": "green",
    "wait": "cyan",
    "stop": "bold red",
    "unknown": "bold red",
}
_WORD: dict[Action, str] = {
    "deploy": "to deploy",
    "nothing": "nothing to do",
    "wait": "to wait for",
    "stop": "not to be deployed",
    "unknown": "unknown",
}
_LEVEL: dict[Action, str] = {
    "deploy": "notice",
    "nothing": "notice",
    "wait": "notice",
    "stop": "warning",
    "unknown": "warning",
}
#: What is said where nothing is declared to deploy with.
NO_BUILDER = 'deploy it as before: no builder is declared for it ([deploy] builder = "…")'
#: How many commits, and paths of each, are shown before it says how many more there are.
_COMMITS, _PATHS = 5, 3


def table(plans: Plans) -> RenderableType:
    """The plans for a terminal; those without anything to do come first, in a line each."""
    quiet = [each for each in plans.services if each.action == "nothing"]
    loud = [each for each in plans.services if each.action != "nothing"]
    blocks: list[list[RenderableType]] = [[_brief(quiet)]] if quiet else []
    blocks += [[_title(each), _details(each)] for each in loud]
    if len(plans.services) > 1:
        blocks.append([Text(_sum(plans.services))])
    parts: list[RenderableType] = [part for block in blocks for part in ("", *block)]
    return Group(*parts[1:])


def _brief(plans: Sequence[Plan]) -> Table:
    grid = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for style in ("bold", _COLOUR["nothing"], None):
        grid.add_column(style=style, overflow="fold")
    for each in plans:
        lives = ", ".join(dict.fromkeys(one.commit[:12] for one in each.serving if one.commit))
        grid.add_row(Text(plain(each.service)), _WORD["nothing"], Text(lives))
    return grid


def _title(plan: Plan) -> Text:
    title = Text(plain(plan.service), style="bold")
    title.append("  ")
    title.append(_WORD[plan.action], style=_COLOUR[plan.action])
    return title


def _details(plan: Plan) -> Table:
    grid = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, line in _lines(plan):
        grid.add_row(label, Text(plain(line)))
    return grid


def _lines(plan: Plan) -> Iterator[tuple[str, str]]:
    """A label and a line each; a label stands for the lines below it as well."""
    yield "why", plan.why
    for one in plan.serving:
        where = f"  {one.percent} %  {one.revision}" if one.revision else ""
        yield "live", f"{one.commit[:12] if one.commit else 'unknown commit'}{where}"
    if plan.commit:
        yield "target", plan.commit[:12] + (f"  {plan.ref}" if plan.ref != plan.commit else "")
    missing = list(commit_lines(plan.missing, plan.commits_behind))
    yield from zip(("missing", *[""] * len(missing)), missing, strict=False)
    if plan.compare_url:
        yield "compare", plan.compare_url
    yield from zip(("would", *[""] * len(plan.steps)), plan.steps, strict=False)
    if plan.steps:
        yield "run", f"deployment-drift deploy {plan.service}"
    elif plan.action == "deploy":
        yield "run", NO_BUILDER


def commit_lines(commits: Sequence[Undeployed], count: int | None) -> Iterator[str]:
    """The newest of ``commits`` with the paths that count, and how many of ``count`` are not shown."""
    shown = commits[:_COMMITS]
    for each in shown:
        yield f"{each.sha[:12]}  {each.committed_at:%Y-%m-%d %H:%M}  {each.subject}  ({each.author})"
        yield from (f"    {chain}" for chain in _chains(each))
    if shown and (more := (count or 0) - len(shown)) > 0:
        yield f"… and {more:,} more"


def _chains(commit: Undeployed) -> Iterator[str]:
    shown = commit.paths[:_PATHS]
    yield from (reason_chain(path.path, path.because) for path in shown)
    if more := len(commit.paths) + commit.paths_omitted - len(shown):
        yield f"… and {counted(more, 'more path')}"


def _sum(plans: Sequence[Plan]) -> str:
    words = Counter(each.action for each in plans)
    counts = ", ".join(f"{words[action]:,} {word}" for action, word in _WORD.items() if words[action])
    return f"{counted(len(plans), 'service')}: {counts}"


def json_of(plans: Plans) -> str:
    """The plans for a program."""
    return steering_by_number(plans.model_dump_json(indent=2) + "\n")


def markdown(plans: Plans) -> str:
    """The plans for a pull request or a ticket."""
    return "\n".join(line for each in plans.services for line in _markdown(each)).strip() + "\n"


def _markdown(plan: Plan) -> Iterator[str]:
    yield f"**{escaped(plan.service)}**: {_WORD[plan.action]}: {escaped(plan.why)}"
    yield ""
    if plan.missing:
        yield "| commit | | author | why it counts |"
        yield "|---|---|---|---|"
        yield from map(_row, plan.missing)
        if (more := (plan.commits_behind or 0) - len(plan.missing)) > 0:
            yield f"| … | {more:,} more | | |"
        yield ""
    if plan.compare_url:
        yield f"[Compare]({plan.compare_url}), from what serves to what should"
        yield ""
    if plan.action == "deploy" and not plan.steps:
        yield escaped(NO_BUILDER)
        yield ""
    if plan.steps:
        yield "A deploy would"
        yield ""
        yield from (f"{number}. {escaped(step)}" for number, step in enumerate(plan.steps, 1))
        yield ""


def _row(commit: Missing) -> str:
    short = f"[`{commit.sha[:12]}`]({commit.url})" if commit.url else f"`{commit.sha[:12]}`"
    chains = "<br>".join(escaped(chain) for chain in _chains(commit))
    return f"| {short} | {escaped(commit.subject)} | {escaped(commit.author)} | {chains} |"


def workflow_commands(plans: Plans) -> str:
    """A line for each service, as GitHub's annotations."""
    return "".join(_annotation(each) + "\n" for each in plans.services)


def _annotation(plan: Plan) -> str:
    link = f" {plan.compare_url}" if plan.compare_url else ""
    title = f"drift plan: {plan.service}"
    return command(_LEVEL[plan.action], title, f"{_WORD[plan.action]}: {plan.why}{link}")
