"""More that is known to be wrong, or not known, never makes a decision better: containers, revisions, marks.

Three things are no exceptions but knowledge, and may: a stronger mark than those before, a mark where none
named a commit (or a short one fitted several), and the first container of the service's own, beside which
those of others are sidecars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

from google.cloud import run_v2
from hypothesis import assume, example, given
from hypothesis import strategies as st

from drift_gate.comparison.report import Compared, compare
from drift_gate.comparison.tally import Pair, Tally
from drift_gate.errors import CAUSES
from drift_gate.evidence import marks
from drift_gate.facts import Carrier, Evidence, Live, LiveRevision, Target, Unknown
from drift_gate.policy.codes import DECISIONS
from drift_gate.policy.verdict import Policy, judge
from drift_gate.sources.cloud_run.containers import Containers

NOW = datetime(2026, 2, 5, 12, tzinfo=UTC)
TARGET, ONE, FIVE, OWN, SAME, DROPPED = (digit * 40 for digit in "abcdef")
#: How many relevant commits each lacks, and has of its own, and files that no commit accounts for.
COUNTS = {
    TARGET: (0, 0, ""),
    ONE: (1, 0, ""),
    FIVE: (5, 0, ""),
    OWN: (0, 1, ""),
    SAME: (0, 0, ""),
    DROPPED: (0, 0, "x"),
}
NOBODYS, TWICE, DATE, WORDS = "0ddba11", "abcdef0", "20260205", "latest"
VALUES = [*COUNTS, TARGET[:7], FIVE[:9], NOBODYS, f"{FIVE}-dirty", TWICE, DATE, WORDS]
RESOLVED: dict[str, str | Unknown] = {
    **{each: each for each in COUNTS},
    TARGET[:7]: TARGET,
    FIVE[:9]: FIVE,
    NOBODYS: Unknown(cause="commit-not-in-history", message="nobody has it"),
    DATE: Unknown(cause="commit-not-in-history", message="nobody has it"),
    TWICE: Unknown(cause="ambiguous-commit", message="several begin so"),
}

MARKS = st.builds(
    Evidence,
    carrier=st.sampled_from(get_args(Carrier)),
    key=st.just("commit-sha"),
    value=st.sampled_from(VALUES),
)
CAUSE = st.sampled_from(CAUSES)
UNKNOWNS = st.builds(Unknown, cause=CAUSE, message=st.sampled_from(["why", "why else"]))
CONTAINERS = st.none() | st.sampled_from(["front", "worker"])
REVISIONS = st.builds(
    LiveRevision,
    revision=st.sampled_from(["w-1", "w-2"]),
    container=CONTAINERS,
    percent=st.just(50),
    evidence=st.lists(MARKS, max_size=3).map(tuple),
    unknown=st.none() | UNKNOWNS,
)
WORD = st.sampled_from(["fail", "ignore"])
FAILURE = WORD | st.dictionaries(CAUSE | st.just("default"), WORD, max_size=3)
POLICIES = st.builds(Policy, max_commits_behind=st.integers(0, 5), failure_policy=FAILURE)


def compared(revision: LiveRevision) -> Compared:
    weighed = marks.weigh(revision, RESOLVED)
    if not isinstance(weighed.commit, str) or weighed.commit == TARGET:
        return Compared(weighed)
    behind, ahead, unaccounted = COUNTS[weighed.commit]
    counted = "w" if behind or ahead else ""
    tally = Tally(Pair(0, bool, lambda _: (), frozenset(unaccounted + counted)))
    tally.behind, tally.ahead = behind, ahead
    tally.unaccounted.difference_update(counted)
    return Compared(weighed, tally)


def decision(revisions: Sequence[LiveRevision], policy: Policy) -> int:
    """The rank of what ``policy`` decides where these are live."""
    live = Live(kind="service", project="p", region="r", revisions=tuple(revisions))
    target = Target(ref="refs/heads/main", commit=TARGET, confirmed_at=NOW)
    report = compare("w", live, target, [compared(each) for each in revisions], RESOLVED, (), NOW)
    return DECISIONS.index(judge(report, policy, NOW).decision)


@given(st.lists(REVISIONS, min_size=1, max_size=3), REVISIONS, st.integers(0, 3), POLICIES)
def test_one_more_live_revision_never_improves_a_decision(
    revisions: list[LiveRevision], more: LiveRevision, place: int, policy: Policy
) -> None:
    """Known or not, current or not, of the same deploy or of another, whatever the failure policy."""
    after = [*revisions[:place], more, *revisions[place:]]
    assert decision(after, policy) >= decision(revisions, policy)


@given(st.lists(REVISIONS, min_size=1, max_size=3), st.integers(0, 2), UNKNOWNS, POLICIES)
def test_knowing_less_never_improves_a_decision_unless_it_is_to_be_ignored(
    revisions: list[LiveRevision], place: int, unknown: Unknown, policy: Policy
) -> None:
    """Where the failure policy says ignore, what is not known warns, even where what was known was denied."""
    place %= len(revisions)
    known = revisions[place]
    if known.unknown is not None:
        return
    after = decision([*revisions[:place], replace(known, unknown=unknown), *revisions[place + 1 :]], policy)
    ignored = policy.on_unknown(unknown.cause) == "warn"
    assert after >= (DECISIONS.index("warn") if ignored else decision(revisions, policy))


MARKED = st.builds(replace, REVISIONS, unknown=st.none(), evidence=st.lists(MARKS, min_size=1).map(tuple))


@given(MARKED, MARKS, POLICIES)
def test_a_weaker_mark_never_improves_a_decision(
    revision: LiveRevision, more: Evidence, policy: Policy
) -> None:
    """As strong as the one that decides, or weaker: it may contradict, and replaces nothing."""
    weighed = marks.weigh(revision, RESOLVED)
    assume(weighed.claim is not None and RESOLVED[str(weighed.claim.id)] is not RESOLVED[TWICE])
    carriers: list[Carrier] = [weighed.claim.evidence.carrier, more.carrier] if weighed.claim else []
    assume(carriers == sorted(carriers, key=marks.STRENGTH.index))
    after = replace(revision, evidence=(*revision.evidence, more))
    assert decision([after], policy) >= decision([revision], policy)


STRONG: tuple[Carrier, ...] = ("image-label", "revision-label", "image-tag")


@given(MARKED, MARKS, st.sampled_from(STRONG), POLICIES)
@example(
    LiveRevision(revision="w", percent=100, evidence=(Evidence(carrier="image-tag", key="t", value=FIVE),)),
    Evidence(carrier="env", key="k", value=TARGET),
    "revision-label",
    Policy(),
)
def test_a_strong_mark_that_contradicts_one_never_improves_a_decision(
    revision: LiveRevision, more: Evidence, carrier: Carrier, policy: Policy
) -> None:
    """It names another commit than a strong one does, or nobody's; what is ignored then warns."""
    more = more.model_copy(update={"carrier": carrier})
    weighed = marks.weigh(revision, RESOLVED)
    assume(isinstance(weighed.commit, str) and weighed.claim and weighed.claim.evidence.carrier in STRONG)
    after = replace(revision, evidence=(*revision.evidence, more))
    answer = marks.weigh(after, RESOLVED).commit
    ignored = isinstance(answer, Unknown) and policy.on_unknown(answer.cause) == "warn"
    assert decision([after], policy) >= (DECISIONS.index("warn") if ignored else decision([revision], policy))


CONTAINER = Containers(
    project="p",
    named=None,
    label_keys=(),
    env_keys=("GIT_SHA",),
    tag_pattern=None,
    kept_env=(),
    kept_labels=(),
)
PLACES = ["us-docker.pkg.dev/p/images", "us-docker.pkg.dev/builds/images", "ghcr.io/acme"]
TAGS = ["", ":1.27", *(f":{commit}" for commit in COUNTS), f":{NOBODYS}"]


def _container(place: str, tag: str, variable: str | None, port: bool) -> run_v2.Container:
    env = [run_v2.EnvVar(name="GIT_SHA", value=variable)] if variable else []
    ports = [run_v2.ContainerPort(container_port=8080)] if port else []
    return run_v2.Container(name="c", image=f"{place}/w{tag}", env=env, ports=ports)


BOXES = st.builds(
    _container,
    st.sampled_from(PLACES),
    st.sampled_from(TAGS),
    st.none() | st.sampled_from([*COUNTS, NOBODYS]),
    st.booleans(),
)


def own(box: run_v2.Container) -> bool:
    """By its place, or because it names a commit by itself."""
    return box.image.startswith(PLACES[0]) or bool(box.env) or box.image.rpartition(":")[2] in VALUES


@given(st.lists(BOXES, min_size=1, max_size=3), BOXES, st.integers(0, 3), POLICIES)
def test_one_more_container_never_improves_a_decision(
    boxes: list[run_v2.Container], more: run_v2.Container, place: int, policy: Policy
) -> None:
    """Unless it is the first of the service's own: beside it those of others are sidecars."""
    assume(not own(more) or any(map(own, boxes)))
    before = CONTAINER.read("w-1", {}, boxes)
    after = CONTAINER.read("w-1", {}, [*boxes[:place], more, *boxes[place:]])
    assert decision(after, policy) >= decision(before, policy)


@given(st.lists(BOXES.filter(own), min_size=1, max_size=3), BOXES.filter(own), POLICIES)
def test_a_container_that_is_the_service_s_own_counts_whatever_stands_beside_it(
    boxes: list[run_v2.Container], more: run_v2.Container, policy: Policy
) -> None:
    """In any order, so that none vouches for another."""
    both = CONTAINER.read("w-1", {}, [*boxes, more])
    assert len(both) == len(boxes) + 1
    alone = [decision(CONTAINER.read("w-1", {}, [each]), policy) for each in (*boxes, more)]
    assert decision(both, policy) >= max(alone)
