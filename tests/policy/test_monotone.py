"""One more commit that stands on one side only never makes a decision better: what that says, exactly.

Held are: a line whose dates go forward, as git writes them; a commit that changes content and restores none;
and files that a commit of the base already accounts for, or that did not differ before. A commit that changes
a file which nothing accounted for does explain it, and takes the place of the denial.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from hypothesis import assume, given
from hypothesis import strategies as st

from drift_gate.comparison.lineage import CLOCK_TOLERANCE_S, Landing, Reach
from drift_gate.comparison.report import Compared, compare
from drift_gate.comparison.tally import Pair, fold
from drift_gate.comparison.watch import Watch
from drift_gate.evidence.marks import Weighed
from drift_gate.facts import Commit, Live, LiveRevision, Target
from drift_gate.policy.codes import DECISIONS
from drift_gate.policy.verdict import Policy, Verdict, judge

NOW = datetime(2026, 2, 5, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
OLD, NEW = "a" * 40, "b" * 40
HOUR = 3600


@dataclass(frozen=True)
class Step:
    """A commit of the walk: ``age`` in seconds (below 0: in the future), ``own``: of the live side."""

    age: int
    paths: frozenset[str]
    own: bool
    lacked: int


PATHS = st.frozensets(st.sampled_from("abcd"), min_size=1, max_size=3)
STEPS = st.builds(Step, st.integers(-2 * HOUR, 30 * HOUR), PATHS, st.booleans(), st.integers(0, 2))
POLICIES = st.builds(
    Policy,
    max_commits_behind=st.integers(0, 3),
    max_drift_age=st.none() | st.integers(0, 24 * HOUR).map(float),
    grace_period=st.integers(0, 6 * HOUR).map(float),
)


def wrong(step: Step) -> bool:
    """Whether it landed by a clock that is ahead."""
    return not step.own and step.age < -CLOCK_TOLERANCE_S


def verdict(steps: list[Step], net: frozenset[str], policy: Policy) -> Verdict:
    """The judgement of a walk of these commits, newest first; ``net`` are the paths that differ."""
    line = sorted(steps, key=lambda step: step.age)
    lacked = 2
    walked = []
    for depth, step in enumerate(line):
        lacked = min(lacked, step.lacked)  # what is deeper was there in more of the earlier states
        landed = None if step.own else Landing(depth, SECONDS - step.age)
        reach = Reach(not step.own, int(step.own), landed, lacked)
        commit = Commit(f"{depth:040}", (), SECONDS - step.age, "ann", "a change", sorted(step.paths))
        walked.append((commit, reach))
    young = SECONDS - policy.grace_period if policy.grace_period else None
    pair = Pair(
        0,
        bool,
        lambda _: (),
        net,
        Watch(young_after=young),
        latest=SECONDS + CLOCK_TOLERANCE_S,
        without=(None, SECONDS - 20 * HOUR, SECONDS - 5 * HOUR),
    )
    (tally,) = fold(walked, [pair])
    if (
        tally.misdated is not None
    ):  # the landing before, whatever it changes; the line goes on below all these
        deeper = [step for step in line[tally.misdated + 1 :] if not step.own and not wrong(step)]
        tally.below = SECONDS - (deeper[0].age if deeper else 40 * HOUR)
    live = Live(
        kind="service", project=None, region=None, revisions=(LiveRevision(revision=None, percent=100),)
    )
    target = Target(ref="refs/heads/main", commit=NEW, confirmed_at=NOW)
    report = compare("worker", live, target, [Compared(Weighed(OLD), tally)], {}, (), NOW)
    return judge(report, policy, NOW)


@given(st.lists(STEPS, max_size=6), PATHS | st.just(frozenset()), STEPS, POLICIES)
def test_one_more_commit_never_improves_a_decision(
    steps: list[Step], net: frozenset[str], more: Step, policy: Policy
) -> None:
    """Missing or the live side's own, young or old, rightly dated or not, promoted or not.

    What a wrong clock dated is as old as the landing before it, and one more in between dates it better.
    """
    assume(more.own or wrong(more) or not any(wrong(step) for step in steps))
    before = verdict(steps, net, policy)
    unaccounted = net.difference(*(step.paths for step in steps))
    if unaccounted & more.paths:
        return
    after = verdict([*steps, more], net | more.paths, policy)
    assert DECISIONS.index(after.decision) >= DECISIONS.index(before.decision)


@given(st.lists(STEPS, max_size=6), PATHS, st.sampled_from("abcd"), POLICIES)
def test_one_more_file_that_differs_never_improves_a_decision(
    steps: list[Step], net: frozenset[str], more: str, policy: Policy
) -> None:
    """Whether a commit accounts for it or none does.

    A date in the future takes the landing of the next commit that counts, and one more may be younger.
    """
    assume(all(step.age >= 0 for step in steps))
    before, after = verdict(steps, net, policy), verdict(steps, net | {more}, policy)
    assert DECISIONS.index(after.decision) >= DECISIONS.index(before.decision)


@given(st.lists(STEPS, min_size=1, max_size=6), PATHS, POLICIES)
def test_a_difference_that_nothing_accounts_for_is_denied_whatever_is_counted(
    steps: list[Step], net: frozenset[str], policy: Policy
) -> None:
    """However many commits there are on either side, and however young they are."""
    dropped = verdict(steps, net | {"dropped"}, policy)
    assert dropped.decision == "deny"
    assert "content-differs" in {reason.code for reason in dropped.reasons}
