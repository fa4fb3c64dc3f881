"""The story of a check, over Protocols only.

    1. ask, side by side, what is live and what should be
    2. let the history say which commits the evidence means
    3. find what is relevant
    4. hold what the live images really contain against the commits that their marks name
    5. walk the history once, counting for every live commit what differs as it passes by
    6. put each service's report together
    7. let each policy judge, also what a rollout that is under way would make live
    8. ask once more whether what was judged still serves, where a batch would start on it
    9. let what somebody has acknowledged refuse nothing

What fails on the way makes the services that depend on it `unknown`, with the cause, and no other.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar, TypeVarTuple

from drift_gate.comparison import report
from drift_gate.comparison.report import Compared, DriftReport
from drift_gate.comparison.tally import Tally
from drift_gate.comparison.watch import Watch
from drift_gate.errors import SourceError
from drift_gate.evidence import requirements
from drift_gate.evidence.requirements import Due, Pin
from drift_gate.facts import History, Kind, Live, LiveSource, Target, Unknown
from drift_gate.policy import acknowledgements
from drift_gate.policy.acknowledgements import Acknowledgement
from drift_gate.policy.verdict import Policy, Verdict, judge
from drift_gate.relevance.patterns import PathRules
from drift_gate.relevance.rules import Rules
from drift_gate.runtime.deadline import Deadline, gather, wait_logged

if TYPE_CHECKING:
    # What compares loads in the process that reads, which is another one than that of a check.
    from drift_gate.evidence.proof import Settled
    from drift_gate.relevance.memory import Memory

log = logging.getLogger("drift_gate")

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_Side = Callable[[], Live | Target]

#: How often a check looks, at most, at a service that changes while it is looked at.
LOOKS = 3
#: How many services a sentence about the check names; all of them are counted.
_NAMED = 3
#: What files acknowledge, by commit and path, so many at most: the files of a commit never change.
_committed: dict[tuple[str, str], acknowledgements.Read] = {}
_MOST_COMMITTED = 256


class Repository(Protocol):
    """A repository for the length of one check."""

    def target(self) -> Target:
        """As ``facts.History.target``. It ends at the deadline by itself: no thread is left behind for it."""
        ...

    def ask(self, question: Callable[[History, Memory, *Ts], T], *args: *Ts) -> T:
        """``question(history, memory, …)``. Raises ``SourceError``, and whatever the question raises."""
        ...


class Sink(Protocol):
    """Somewhere that the verdicts of a check are written to."""

    def write(self, verdicts: Sequence[Verdict]) -> None:
        """Write them, or raise: the gate warns and goes on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is declared of one service.

    ``required_env`` are the names of the variables that a live revision must have, ``pins`` the values that
    it must have. ``acknowledged`` is what the settings at hand acknowledge; ``config_path`` is the file of
    the repository that may acknowledge more, at the target commit.
    """

    service: str
    kind: Kind
    rules: Rules
    policy: Policy
    required_env: tuple[str, ...] = ()
    pins: tuple[Pin, ...] = ()
    acknowledged: tuple[Acknowledgement, ...] = ()
    config_path: str = "drift.toml"


@dataclass(frozen=True, slots=True)
class Plan:
    """A workload and whom to ask about it. Those of one repository and ref share one ``repository``."""

    workload: Workload
    live: LiveSource
    repository: Repository

    @property
    def service(self) -> str:
        """The name of the service."""
        return self.workload.service


@dataclass(frozen=True, slots=True)
class Case:
    """A workload with both sides known: the facts to compare."""

    workload: Workload
    live: Live
    target: Target

    @property
    def landed(self) -> Case:
        """The case if the rollout that is under way had landed just now."""
        live = replace(self.live, revisions=self.live.coming, findings=(), coming=())
        return replace(self, live=requirements.with_required(live, self.workload.required_env))

    def unknown(self, unknown: Unknown) -> DriftReport:
        """The report where these facts could not be compared."""
        workload = self.workload
        return report.unknown_report(
            workload.service, workload.kind, unknown, live=self.live, target=self.target
        )


def check(plans: Sequence[Plan], *, deadline: Deadline, now: datetime) -> list[Verdict]:
    """A verdict for each plan, in their order, within ``deadline``; ``now`` (UTC) dates the drift.

    Never raises for a source that failed: that is a verdict about an unknown.
    """
    verdicts: dict[str, Verdict] = {}
    left = list(plans)
    for _ in range(LOOKS):
        cases, judged = _judged(left, deadline, now)
        moved, unsure = _changed_meanwhile(left, cases, judged, deadline)
        verdicts |= judged | {
            case.workload.service: judge(case.unknown(why), case.workload.policy, now)
            for case in cases
            if (why := unsure.get(case.workload.service))
        }
        left = [plan for plan in left if plan.service in moved]
        if not left or deadline.remaining() <= 0:
            break
    return _acknowledged(plans, [verdicts[plan.service] for plan in plans], now)


def write(verdicts: Sequence[Verdict], sinks: Sequence[Sink]) -> None:
    """The verdicts of a check to every sink; one that fails is warned about and changes nothing."""
    for sink in sinks:
        try:
            sink.write(verdicts)
        except Exception as error:  # whatever a sink raises, the verdict stands
            services = ", ".join(verdict.service for verdict in verdicts)
            log.warning("%s could not keep the verdict on %s: %s", type(sink).__name__, services, error)


def _judged(
    plans: Sequence[Plan], deadline: Deadline, now: datetime
) -> tuple[list[Case], dict[str, Verdict]]:
    """1. to 7. The cases with both sides known, and the verdict on each service."""
    cases, reports = _ask(plans, deadline)
    reports |= _compared(plans, cases, now)
    policies = {plan.service: plan.workload.policy for plan in plans}
    verdicts = {name: judge(reports[name], policy, now) for name, policy in policies.items()}
    landing = [
        case.landed
        for case in cases
        if case.live.coming and verdicts[case.workload.service].decision != "deny"
    ]
    for name, landed in _compared(plans, landing, now).items():
        after = judge(landed, policies[name], now)
        verdicts[name] = judge(report.with_outlook(reports[name], after.denials), policies[name], now)
    return cases, verdicts


def _compared(plans: Sequence[Plan], cases: Sequence[Case], now: datetime) -> dict[str, DriftReport]:
    """The report on each of ``cases``, by the name of its service."""
    reports: dict[str, DriftReport] = {}
    for repository, of_one in _by_repository(plans, cases):
        try:
            reports.update(repository.ask(compare, of_one, now))
        except SourceError as error:
            reports.update({case.workload.service: case.unknown(Unknown.of(error)) for case in of_one})
    return reports


def _changed_meanwhile(
    plans: Sequence[Plan], cases: Sequence[Case], verdicts: Mapping[str, Verdict], deadline: Deadline
) -> tuple[set[str], dict[str, Unknown]]:
    """8. The services that changed while they were checked, and why the verdict on each does not hold.

    A denial is let stand: nothing starts on it. Also without a verdict that holds is a service that could
    not be asked once more.
    """
    plan_of = {plan.service: plan for plan in plans}
    asked = {
        case.workload.service: partial(plan_of[case.workload.service].live.unchanged, case.live)
        for case in cases
        if verdicts[case.workload.service].decision != "deny"
    }
    answers = gather(asked, deadline)
    moved = {name for name, answer in answers.items() if answer is False}
    failed = {name: Unknown.of(each) for name, each in answers.items() if isinstance(each, SourceError)}
    return moved, failed | {name: _moved(name) for name in moved}


def _moved(service: str) -> Unknown:
    sentence = f"what serves {service} changed while it was checked, so that no answer holds; check again"
    return Unknown(cause="timeout", message=sentence, retryable=True)


def _ask(plans: Sequence[Plan], deadline: Deadline) -> tuple[list[Case], dict[str, DriftReport]]:
    """1. The plans with both sides known, and an unknown report for each of the others."""
    lives: dict[object, _Side] = {plan.service: plan.live.read for plan in plans}
    targets: dict[object, _Side] = {id(plan.repository): plan.repository.target for plan in plans}
    names = ", ".join(plan.service for plan in plans[:_NAMED])
    more = f" and {len(plans) - _NAMED} more" if len(plans) > _NAMED else ""
    with wait_logged(f"what is live, and what should be, of {names}{more}", deadline):
        answers = gather(lives, deadline, here=targets)
    cases: list[Case] = []
    reports: dict[str, DriftReport] = {}
    for plan in plans:
        live, target = answers[plan.service], answers[id(plan.repository)]
        if isinstance(live, Live):
            live = requirements.with_required(live, plan.workload.required_env)
        if isinstance(live, Live) and isinstance(target, Target):
            cases.append(Case(plan.workload, live, target))
        else:
            reports[plan.service] = _one_sided(plan.workload, live, target)
    return cases, reports


def _one_sided(workload: Workload, live: object, target: object) -> DriftReport:
    """The unknown report that keeps what one side did answer; what serves is the first question."""
    error = next(each for each in (live, target) if isinstance(each, SourceError))
    return report.unknown_report(
        workload.service,
        workload.kind,
        Unknown.of(error),
        live=live if isinstance(live, Live) else None,
        target=target if isinstance(target, Target) else None,
    )


def _by_repository(plans: Sequence[Plan], cases: Sequence[Case]) -> Iterator[tuple[Repository, list[Case]]]:
    """Each repository with the cases that are compared in it."""
    where = {plan.service: plan.repository for plan in plans}
    for repository in {id(each): each for each in where.values()}.values():
        of_one = [case for case in cases if where[case.workload.service] is repository]
        if of_one:
            yield repository, of_one


def compare(history: History, memory: Memory, cases: Sequence[Case], now: datetime) -> dict[str, DriftReport]:
    """2. to 6. for the services of one history; ``memory`` is what is known of trees and contents already.

    Raises ``SourceError``.
    """
    from drift_gate.comparison import counts
    from drift_gate.evidence import proof
    from drift_gate.relevance.lookup import Relevance

    target = cases[0].target.commit
    resolved = history.resolve(proof.ids([case.live for case in cases]))
    relevance = Relevance(history, memory)
    # All at once: the number of git processes does not grow with the services.
    relevance.prepare(
        [
            (rules, end)
            for case in cases
            for rules in proof.starts(case.workload.rules, case.live)
            for end in proof.ends(case.live, target, resolved)
        ]
    )
    known = [
        (case, proof.settled(history, relevance, case.workload.rules, target, case.live, resolved))
        for case in cases
    ]
    wanted = [
        counts.Wanted(case.workload.service, _watch(case.workload.policy, now), live, settled.union)
        for case, settled in known
        for live in settled.commits
        if live != target
    ]
    counted = counts.count(history, relevance, wanted, cases[0].target, now)
    return {
        case.workload.service: _report(case, settled, counted, resolved, history, memory, now)
        for case, settled in known
    }


def _report(
    case: Case,
    settled: Settled,
    counted: Mapping[tuple[str, str], Tally | Unknown],
    resolved: Mapping[str, str | Unknown],
    history: History,
    memory: Memory,
    now: datetime,
) -> DriftReport:
    """6. The report on one service, with what it pins held against what is live."""
    service, union = case.workload.service, settled.union
    if union.nothing is not None:
        return case.unknown(_nothing_relevant(service, union.nothing))
    try:
        live = requirements.with_pins(settled.live, _due(history, memory, case.workload, case.target.commit))
    except SourceError as error:
        return case.unknown(Unknown.of(error))
    both = [Compared(one, counted.get((service, str(one.commit)))) for one in settled.weighed]
    return report.compare(service, live, case.target, both, resolved, union.findings(), now)


def _due(history: History, memory: Memory, workload: Workload, target: str) -> list[Due]:
    """What the service pins, with the values that the target's files say."""
    paths = sorted({pin.path for pin in workload.pins if pin.path is not None})
    contents = _contents_at(history, target, paths, memory) if paths else {}
    texts = {path: held.decode("utf-8", "replace") for path, held in contents.items() if held is not None}
    return [Due.of(pin, texts) for pin in workload.pins]


def _nothing_relevant(service: str, why: str) -> Unknown:
    return Unknown(
        cause="nothing-relevant",
        message=f"nothing is relevant for {service}: {why} at any end; a folder was moved or misspelt, "
        "and this check would stay silent forever",
    )


def _acknowledged(plans: Sequence[Plan], verdicts: Iterable[Verdict], now: datetime) -> list[Verdict]:
    """9. The verdicts with what is acknowledged, at hand or at the target; only a refusal asks for it."""
    committed: dict[tuple[int, str, str], tuple[Acknowledgement, ...]] = {}
    answers = []
    for plan, judged in zip(plans, verdicts, strict=True):
        ours, path = plan.workload.acknowledged, plan.workload.config_path
        verdict = acknowledgements.applied(judged, ours, now)
        target = verdict.report.target
        if target and acknowledgements.may_cover(verdict):
            place = (id(plan.repository), target.commit, path)
            if place not in committed:
                committed[place] = _committed_at(plan.repository, target.commit, path)
            ours = (*ours, *committed[place])
            verdict = acknowledgements.applied(judged, ours, now)
        for complaint in acknowledgements.complaints(verdict, ours, now):
            log.warning("%s", complaint)
        answers.append(verdict)
    return answers


def _committed_at(repository: Repository, commit: str, path: str) -> tuple[Acknowledgement, ...]:
    """What the file ``path`` of ``commit`` acknowledges; nothing where it cannot be read, which is logged."""
    where = f"{path} at {commit[:12]}"
    try:
        read = _committed.get((commit, path)) or repository.ask(acknowledged_at, commit, path)
    except SourceError as error:
        log.warning("%s: what it acknowledges could not be read: %s", where, error)
        return ()
    if len(_committed) >= _MOST_COMMITTED:
        _committed.clear()
    _committed[commit, path] = read
    for complaint in read.complaints:
        log.warning("%s: %s", where, complaint)
    return read.acknowledged


def acknowledged_at(history: History, memory: Memory, commit: str, path: str) -> acknowledgements.Read:
    """What the file ``path`` of ``commit`` acknowledges. Raises ``SourceError``."""
    content = _contents_at(history, commit, [path], memory).get(path, b"")
    if content is None:
        raise SourceError("git does not tell what the file holds", "history-unavailable")
    return acknowledgements.read(content)


def _contents_at(
    history: History, commit: str, paths: Collection[str], memory: Memory
) -> dict[str, bytes | None]:
    """What those of ``paths`` hold that ``commit`` has; None: it cannot be read."""
    listing = memory.listings.get(commit) or history.files([commit])[commit]
    blobs = {path: listing[path].blob for path in paths if path in listing}
    contents = memory.contents(history, blobs.values())
    return {path: contents.get(blob) for path, blob in blobs.items()}


def _watch(policy: Policy, now: datetime) -> Watch:
    """What has to be asked of each missing commit, so that ``policy`` can judge the sum."""
    paths = (("deny-path", policy.deny_paths), ("warn-path", policy.warn_paths))
    return Watch(
        young_after=now.timestamp() - policy.grace_period if policy.grace_period else None,
        paths=[(code, PathRules(patterns)) for code, patterns in paths if patterns],
        subjects=[("deny-subject", re.compile(pattern)) for pattern in policy.deny_subjects],
    )
