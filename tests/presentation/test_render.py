"""What people and programs see: nothing hostile gets through, nothing that matters is missing."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console
from support.world import WORKER, World

from drift_gate.comparison.report import DriftReport, unknown_report
from drift_gate.comparison.tally import RelevantPath, Undeployed
from drift_gate.facts import Unknown
from drift_gate.policy.verdict import BreakGlass, Outcome, Policy, Verdict, judge
from drift_gate.presentation import remedies, render

NOW = datetime(2026, 2, 5, 16, 37, tzinfo=UTC)
HOSTILE = "fix \x1b[31mred\x1b[0m [bold]x[/bold] \r\n| <script>alert(1)</script> `code` \u202e"


def hostile_verdict() -> Verdict:
    unknown = Unknown(cause="not-found", message=HOSTILE)
    report = unknown_report(WORKER, "service", unknown)
    commit = Undeployed(
        sha="c" * 40,
        subject=HOSTILE,
        author=HOSTILE,
        committed_at=NOW,
        paths=(RelevantPath(path=HOSTILE),),
        paths_omitted=7,
    )
    report = report.model_copy(update={"undeployed": (commit,)})
    glass = BreakGlass(actor=HOSTILE, reason=HOSTILE, at=NOW, until=None, via="--skip-drift-check")
    return judge(report, Policy(), NOW).bypassed(glass)


def outcome(*verdicts: Verdict) -> Outcome:
    return Outcome.of(verdicts, NOW, 12)


def drawn(each: Outcome, **more: Any) -> str:
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    console.print(render.table(each, **more))
    text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO from above
    return str(text)


def test_no_control_character_reaches_a_terminal() -> None:
    """Colours, line breaks and direction marks in a subject or a path are shown as replacement characters."""
    text = drawn(outcome(hostile_verdict()), verbose=True)
    assert not {"\x1b", "\r", "\u202e"} & set(text)
    assert "[bold]x[/bold]" in text


def test_no_markup_reaches_markdown() -> None:
    """Pipes, backticks, tags and brackets are escaped; a subject stays on its line."""
    text = render.markdown(outcome(hostile_verdict()), verbose=True)
    assert "<script>" not in text.replace(r"\<", "")
    assert "`code`" not in text
    assert "\r" not in text
    assert r"\|" in text


def test_json_keeps_everything_and_parses() -> None:
    """Programs get the untouched text; it is the contract's shape, and reads back."""
    data = json.loads(render.json(outcome(hostile_verdict())))
    assert data["schema_version"] == 1
    assert data["services"][0]["report"]["undeployed"][0]["subject"] == HOSTILE


CONTRACT = {
    "": {"schema_version", "checked_at", "elapsed_ms", "decision", "services"},
    "service": {
        "service",
        "decision",
        "enforced",
        "not_enforced_because",
        "severity",
        "reasons",
        "break_glass",
        "policy",
        "report",
    },
    "reason": {"code", "decision", "message", "data"},
    "report": {
        "kind",
        "project",
        "region",
        "status",
        "commits_behind",
        "commits_ahead",
        "commits_neutral",
        "commits_picked",
        "content_differs",
        "drift_age_s",
        "target",
        "live",
        "tagged",
        "undeployed",
        "unknown",
    },
    "target": {"ref", "commit", "confirmed_at"},
    "live": {
        "revision",
        "container",
        "percent",
        "status",
        "commit",
        "commits_behind",
        "commits_ahead",
        "commits_picked",
        "image",
        "created_at",
        "unknown",
        "evidence",
        "sidecars",
    },
    "evidence": {"carrier", "key", "value"},
    "undeployed": {"sha", "subject", "author", "committed_at", "paths", "paths_omitted"},
    "path": {"path", "because"},
}


def test_the_json_has_exactly_the_published_fields(world: World) -> None:
    """Field by field, on a real check; others build on it."""
    world.cloud.deploy(WORKER, commit=world.first)
    world.change()
    data = json.loads(render.json(world.outcome()))
    service = data["services"][0]
    report = service["report"]
    found = {
        "": data,
        "service": service,
        "reason": service["reasons"][0],
        "report": report,
        "target": report["target"],
        "live": report["live"][0],
        "evidence": report["live"][0]["evidence"][0],
        "undeployed": report["undeployed"][0],
        "path": report["undeployed"][0]["paths"][0],
    }
    assert {name: set(value) for name, value in found.items()} == CONTRACT
    assert data["checked_at"].endswith("Z")
    assert report["undeployed"][0]["committed_at"].endswith("Z")


def test_the_table_says_what_a_person_asks(world: World) -> None:
    """Decision, live commit with its share, target, drift, reasons; verbose adds the commits."""
    revision = world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.set_traffic(WORKER, {revision: 100}, tags={"canary": revision})
    shas = [world.change() for _ in range(2)]
    short, long = (drawn(world.outcome(), verbose=verbose) for verbose in (False, True))
    live, target = f"{world.first[:12]}  100 %  {revision}", shas[-1][:12]
    for words in ("WARN", live, target, "behind: 2 missing", "behind-within-limit"):
        assert words in short
    assert "change 1" not in short
    assert "change 1" in long
    assert "predictions/worker/worker.py" in long
    assert f"git log -c --no-renames --name-only {world.first[:12]}..{shas[-1][:12]}" in long


def test_the_git_command_reproduces_the_candidates(world: World) -> None:
    """The line that verbose prints, pasted into a shell, lists the commits that were counted."""
    world.cloud.deploy(WORKER, commit=world.first)
    shas = {world.change() for _ in range(3)}
    (line,) = remedies.candidates(world.verdict().report)
    listed = world.history.git(*line.split()[1:], "--format=%H")
    assert shas <= set(listed.splitlines())


def test_a_bypass_and_a_soft_start_are_seen(world: World) -> None:
    """A denial that does not hold says why, beside the decision."""
    text = drawn(outcome(hostile_verdict()))
    assert "DENY (not enforced: break-glass)" in text
    world.toml += 'enforcement = "warn"\nmax_commits_behind = 0\n'
    world.cloud.deploy(WORKER, commit=world.first)
    world.change()
    assert "DENY (not enforced: the policy only warns)" in drawn(world.outcome())
    assert world.verdict().not_enforced_because == "enforcement"
    world.toml = world.toml.replace('enforcement = "warn"', "enforce_from = 2100-01-01")
    assert "DENY (not enforced: the policy refuses nothing yet)" in drawn(world.outcome())


def test_a_refusal_bounds_what_it_names(world: World) -> None:
    """Ten commits by name, the others by number."""
    world.cloud.deploy(WORKER, commit=world.first)
    for _ in range(13):
        world.change()
    message = render.refusal(world.verdict(), world.settings())
    assert message.count("  missing ") == 10
    assert "… and 3 more" in message


@pytest.mark.parametrize(
    ("kind", "verb"), [("worker-pool", "beta run worker-pools deploy"), ("job", "run jobs deploy")]
)
def test_a_refusal_deploys_with_the_right_command(world: World, kind: Any, verb: str) -> None:
    """Worker pools and jobs have commands of their own."""
    report = DriftReport(
        service=WORKER, kind=kind, status="unknown", unknown=Unknown(cause="no-commit-evidence", message="x")
    )
    message = render.refusal(judge(report, Policy(), NOW), world.settings())
    assert f"gcloud {verb} {WORKER}" in message
