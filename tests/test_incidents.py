"""What really happened to one prediction system on Cloud Run, and what the gate says of it.

Each row is an incident of a production history: the facts, and the verdict under the policy that is
built in. Where that policy is milder than the operators would have wished, the row says so and why.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.cloud import run_v2
from support.obstacles import twins
from support.world import WORKER, World, codes

from drift_gate.errors import DriftConfigError
from drift_gate.policy.codes import Decision
from drift_gate.testing.history import Draft, HistoryBuilder

_SHIPPED = (Path(__file__).parents[1] / "examples" / "drift.strict.toml").read_text(encoding="utf-8")
#: The table [policy] of the shipped file.
STRICT = _SHIPPED[_SHIPPED.index("[policy]") : _SHIPPED.index("[services")]

WORKER_FILE, DOCUMENT = "predictions/worker/worker.py", "docs/readme.md"


def stale(world: World, commits: int = 4) -> str:
    """The worker was deployed, then main went on without it; returns what should be live."""
    world.cloud.deploy(WORKER, commit=world.first)
    return [world.change() for _ in range(commits)][-1]


def draft(number: int, path: str) -> Draft:
    return Draft(files={path: f"V = {number}\n"}, subject=f"change {number} of {path}")


def row_2(world: World) -> None:
    stale(world, 3)


def row_3(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    world.history.commits(draft(n, WORKER_FILE if n < 72 else DOCUMENT) for n in range(750))


def row_6(world: World) -> None:
    """The target is the local branch, which is a commit ahead of the remote's."""
    world.history.clone(world.folder.parent / "remote", bare=True)
    world.history.git("remote", "add", "origin", str(world.folder.parent / "remote"))
    stale(world, 1)


def row_7(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    landed = datetime.now(UTC) - timedelta(minutes=14)
    world.history.commit({WORKER_FILE: "FIX = 1\n"}, subject="the fix", when=landed)


def row_8(world: World) -> None:
    world.cloud.deploy("another-service", commit=world.first)


def row_10(world: World) -> None:
    newest = stale(world, 1)
    world.cloud.deploy(WORKER, commit=newest, ready=False)


def row_11(world: World) -> None:
    stale(world)


def row_12(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    world.history.commits(draft(n, DOCUMENT if n % 2 else "predictions/grader/grade.py") for n in range(146))


def row_15(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first, image="worker:latest", labels={"git-sha": world.first[:7]})


def row_20(world: World) -> None:
    """Four deploys without traffic; the service's own label names the newest."""
    world.cloud.deploy(WORKER, commit=world.first)
    for _ in range(4):
        world.cloud.deploy(WORKER, commit=world.change(), traffic=False)


def row_21(world: World) -> None:
    first = world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.pin(WORKER, first)
    world.cloud.deploy(WORKER, commit=world.change())


def row_22(world: World) -> None:
    old = world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.deploy(WORKER, commit=world.change())
    world.cloud.services[WORKER].traffic_statuses = [
        run_v2.TrafficTargetStatus(type_=1, percent=0),
        run_v2.TrafficTargetStatus(
            type_=2, revision=old, percent=100, tag="canary", uri="https://canary.example"
        ),
    ]


def row_23(world: World) -> None:
    stale(world)
    world.cloud.deploy(WORKER, commit=world.first)


def row_27(world: World) -> None:
    newest = world.change()
    labels = {"commit-sha": world.first}
    world.cloud.deploy(WORKER, image=f"images/worker:{newest}", labels=labels)


def row_28(world: World) -> None:
    world.toml = world.toml.replace("/predictions/worker/", "/prediction/worker/").replace(', "/shared/"', "")
    world.cloud.deploy(WORKER, commit=world.first)
    world.change()


def row_30(world: World) -> None:
    world.toml = world.toml.replace("[defaults]", '[defaults]\nkind = "job"')
    world.cloud.deploy(WORKER, commit=world.first)


def row_34(hours: float) -> Callable[[World], None]:
    """The deploy that would bring the fix began so long ago and is not over."""

    def arrange(world: World) -> None:
        newest = stale(world, 1)
        world.cloud.roll_out(WORKER, commit=newest, since=datetime.now(UTC) - timedelta(hours=hours))

    return arrange


def row_37(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first, labels={"commit-sha": f"{world.first}-dirty"})


def row_38(world: World) -> None:
    old = world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.deploy(WORKER, commit=world.change())
    world.cloud.pin(WORKER, old)


def row_40(world: World) -> None:
    world.cloud.deploy(WORKER, commit="c0ffee" + "0" * 34)


def row_42(world: World) -> None:
    world.cloud.deploy(WORKER, image="worker:latest", labels={}, service_labels={"commit-sha": world.first})


def row_43(label: str) -> Callable[[World], None]:
    """``label`` is the revision's; ``ID`` in it stands for the commit that should be live."""

    def arrange(world: World) -> None:
        value = label.replace("ID7", world.first[:7]).replace("ID", world.first.upper())
        world.cloud.deploy(WORKER, image="worker:latest", labels={"commit-sha": value})

    return arrange


def row_43_twins(world: World) -> None:
    row_43(twins(world.history))(world)


def row_43_branch(world: World) -> None:
    """A branch is named like the short id of the live commit, and points elsewhere."""
    world.change()
    world.history.branch(world.first[:7], "main")
    world.history.branch("main", world.first)
    row_43("ID7")(world)


def row_43_force_push(world: World) -> None:
    """The live commit was on main, and is in nobody's clone any more."""
    live = world.change()
    world.cloud.deploy(WORKER, commit=live)
    world.history.branch("main", world.first)
    world.history.git("reflog", "expire", "--expire=now", "--all")
    world.history.git("gc", "-q", "--prune=now")


def row_44(world: World) -> None:
    """The check's own clone is cut at the newest commit."""
    stale(world, 1)
    clone = HistoryBuilder(world.folder).clone(world.folder.parent / "clone", depth=1)
    shutil.rmtree(world.folder / ".git")
    os.rename(clone.path / ".git", world.folder / ".git")


def row_45(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    world.history.revert(world.change())


@dataclass(frozen=True)
class Incident:
    """``codes`` are the reasons that decide; of an unknown ``cause`` is the cause.

    ``milder`` says where the built-in policy is weaker than what would have been right; ``strict`` is the
    decision under the policy of examples/drift.strict.toml (None: the same).
    """

    row: int
    what: str
    facts: Callable[[World], None]
    decision: Decision
    codes: tuple[str, ...] = ()
    cause: str | None = None
    milder: str = ""
    strict: Decision | None = None


UNKNOWN = ("unknown-drift",)
TOO_MANY = "too-many-commits-behind"
INCIDENTS = [
    Incident(2, "exactly three relevant commits behind", row_2, "warn", ("behind-within-limit",),
             milder="three are allowed; max_commits_behind = 0 or an age limit denies", strict="deny"),
    Incident(3, "750 commits behind, 72 of them relevant", row_3, "deny", (TOO_MANY,)),
    Incident(6, "the fix was committed and not pushed", row_6, "warn", ("behind-within-limit",),
             milder="said only where target_ref is the local branch; origin/main does not know of the fix",
             strict="deny"),
    Incident(7, "a fix landed 14 minutes after the deploy", row_7, "warn", ("behind-within-limit",)),
    Incident(8, "the service does not exist", row_8, "deny", UNKNOWN, "not-found"),
    Incident(10, "the new revision never became ready", row_10, "deny", ("rollout-failed",)),
    Incident(11, "image built and pushed, never deployed", row_11, "deny", (TOO_MANY,)),
    Incident(12, "146 commits, all documents or other services", row_12, "allow", ("content-identical",)),
    Incident(15, "a short id against a long one", row_15, "allow"),
    Incident(16, "the raw count is over the limit, none relevant", row_12, "allow", ("content-identical",)),
    Incident(17, "a retired name is still watched", row_8, "deny", UNKNOWN, "not-found"),
    Incident(20, "revisions without traffic, the label current", row_20, "deny",
             (TOO_MANY, "traffic-pinned", "service-label-disagrees")),
    Incident(21, "an old pin outlived every later deploy", row_21, "deny", ("traffic-pinned",)),
    Incident(22, "a tagged revision held the traffic", row_22, "deny", ("traffic-pinned",)),
    Incident(23, "the newest revision, built from old code", row_23, "deny", (TOO_MANY,)),
    Incident(27, "an old label on another image", row_27, "deny", ("evidence-conflict",),
             milder="seen where the tag names the build; behind `:latest` it takes the image's own label"),
    Incident(28, "the watched folder does not exist", row_28, "deny", UNKNOWN, "nothing-relevant"),
    Incident(30, "looked up as a job, and it is a service", row_30, "deny", UNKNOWN, "not-found"),
    Incident(34, "a deploy that began a minute ago", row_34(1 / 60), "warn", ("rollout-in-progress",),
             milder="until the rollout has landed, the commit that it brings is missing", strict="deny"),
    Incident(34, "a deploy that hung for hours", row_34(3), "deny", ("rollout-stalled",)),
    Incident(37, "built from a work tree with changes", row_37, "deny", ("dirty-build",)),
    Incident(38, "a deliberate rollback", row_38, "deny", ("traffic-pinned",)),
    Incident(40, "a commit that git cannot resolve", row_40, "deny", UNKNOWN, "commit-not-in-history"),
    Incident(42, "the label on the service reads back", row_42, "deny", UNKNOWN, "no-commit-evidence"),
    Incident(43, "a label of 7 characters", row_43("ID7"), "allow"),
    Incident(43, "a label in upper case", row_43("ID"), "allow"),
    Incident(43, "the label `unknown`", row_43("unknown"), "deny", UNKNOWN, "no-commit-evidence"),
    Incident(43, "the label `latest`", row_43("latest"), "deny", UNKNOWN, "no-commit-evidence"),
    Incident(43, "a label that fits two commits", row_43_twins, "deny", UNKNOWN, "ambiguous-commit"),
    Incident(43, "a branch named like the label", row_43_branch, "allow"),
    Incident(43, "a commit that was force-pushed away", row_43_force_push, "deny", UNKNOWN,
             "commit-not-in-history"),
    Incident(44, "the history is cut", row_44, "deny", UNKNOWN, "shallow-history"),
    Incident(45, "a change and its revert", row_45, "allow", ("content-identical",)),
]  # fmt: skip


@pytest.mark.parametrize("incident", INCIDENTS, ids=[f"{each.row}: {each.what}" for each in INCIDENTS])
def test_what_the_gate_says(world: World, incident: Incident) -> None:
    """The decision, the reasons and, for an unknown, the cause and no number.

    A strict policy is never milder than the built-in one, and stricter only where the row says so.
    """
    incident.facts(world)
    verdict = world.verdict()
    found = codes(verdict)
    assert verdict.decision == incident.decision, found
    assert [code for code in incident.codes if code not in found] == []
    unknown = verdict.report.unknown
    assert (unknown and unknown.cause) == incident.cause
    if unknown:
        assert (verdict.report.commits_behind, verdict.report.drift_age_s) == (None, None)
    elif not incident.codes:
        assert (verdict.report.status, found) == ("identical", [])
    world.toml += STRICT
    assert world.verdict().decision == (incident.strict or incident.decision)


def test_3_counts_what_is_relevant(world: World) -> None:
    row_3(world)
    assert world.verdict().report.commits_behind == 72


def test_10_repeats_the_platforms_own_words(world: World) -> None:
    row_10(world)
    (failed,) = [each for each in world.verdict().reasons if each.code == "rollout-failed"]
    assert "The user-provided container failed to start" in failed.message


@pytest.mark.parametrize(
    ("services", "variables"), [("", {}), ("[services]\n", {}), ("", {"DRIFT_CONFIG": ""})]
)
def test_39_nothing_to_look_at_is_an_error(world: World, services: str, variables: dict[str, str]) -> None:
    """The loop over an unset variable looked at nothing and printed success."""
    world.toml = '[defaults]\nlive = "ledger"\n' + services
    world.environ = variables
    with pytest.raises(DriftConfigError, match="nothing to check"):
        world.outcome()


def test_39_a_list_of_no_paths_watches_nothing(world: World) -> None:
    world.toml = world.toml.replace('["/predictions/worker/", "/shared/"]', "[]")
    stale(world)
    unknown = world.verdict().report.unknown
    assert unknown is not None
    assert unknown.cause == "nothing-relevant"
