"""The story of a check, over Protocols only.

    1. ask, side by side, what is live and what should be
    2. let the history say which commits the evidence means
    3. find what is relevant
    4. hold what the live images really contain against the commits that their marks name
    5. walk the history once, counting for every live commit what differs as it passes by
    6. put each service's report together
    7. let each policy judge
    8. let what somebody has acknowledged refuse nothing

What fails on the way makes the services that depend on it `unknown`, with the cause, and no other.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.deployment import acknowledging, declared, evidence, lineage, proving, report
from shared.deployment.acknowledging import Acknowledgement
from shared.deployment.calling import Deadline, gather
from shared.deployment.comparison import compared
from shared.deployment.declared import Due, Pin
from shared.deployment.errors import SourceError
from shared.deployment.facts import History, Kind, Live, LiveSource, Target, Unknown
from shared.deployment.proving import Settled
from shared.deployment.relevance.patterns import PathRules
from shared.deployment.relevance.rules import Rules
from shared.deployment.relevance.selection import Union
from shared.deployment.report import Compared, DriftReport
from shared.deployment.repositories import Repository
from shared.deployment.selecting import Memory, Relevance
from shared.deployment.tally import Pair, Tally
from shared.deployment.verdict import Policy, Verdict, judge
from shared.deployment.watch import Watch

log = logging.getLogger("drift_gate")


class Sink(Protocol):
    """Somewhere that a verdict is written to."""

    def write(self, verdict: Verdict) -> None:
        """Write it, or raise: the gate warns and goes on."""
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
    cases, reports = _ask(plans, deadline)
    for repository, of_one in _by_repository(plans, cases):
        try:
            reports.update(repository.ask(compare, of_one, now))
        except SourceError as error:
            reports.update({case.workload.service: case.unknown(Unknown.of(error)) for case in of_one})
    verdicts = [judge(reports[plan.service], plan.workload.policy, now) for plan in plans]
    return _acknowledged(plans, verdicts, now)


def write(verdicts: Iterable[Verdict], sinks: Sequence[Sink]) -> None:
    """Every verdict to every sink; one that fails is warned about and changes nothing."""
    for verdict in verdicts:
        for sink in sinks:
            try:
                sink.write(verdict)
            except Exception as error:  # whatever a sink raises, the verdict stands
                name = type(sink).__name__
                log.warning("%s could not keep the verdict on %s: %s", name, verdict.service, error)


def _ask(plans: Sequence[Plan], deadline: Deadline) -> tuple[list[Case], dict[str, DriftReport]]:
    """1. The plans with both sides known, and an unknown report for each of the others."""
    jobs: dict[object, Callable[[], Live | Target]] = {plan.service: plan.live.read for plan in plans}
    jobs |= {id(plan.repository): plan.repository.target for plan in plans}
    answers = gather(jobs, deadline)
    cases: list[Case] = []
    reports: dict[str, DriftReport] = {}
    for plan in plans:
        live, target = answers[plan.service], answers[id(plan.repository)]
        if isinstance(live, Live):
            live = declared.with_required(live, plan.workload.required_env)
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
    target = cases[0].target.commit
    resolved = history.resolve(_ids(cases))
    relevance = Relevance(history, memory)
    # All at once: the number of git processes does not grow with the services.
    relevance.prepare(
        [(case.workload.rules, end) for case in cases for end in proving.ends(case.live, target, resolved)]
    )
    known = [
        (case, proving.settled(history, relevance, case.workload.rules, target, case.live, resolved))
        for case in cases
    ]
    wanted = [
        _Wanted(case.workload, live, settled.union)
        for case, settled in known
        for live in settled.commits
        if live != target
    ]
    counted = _count(history, relevance, wanted, cases[0].target, now)
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
        live = declared.with_pins(settled.live, _due(history, memory, case.workload, case.target.commit))
    except SourceError as error:
        return case.unknown(Unknown.of(error))
    both = [Compared(one, counted.get((service, str(one.commit)))) for one in settled.weighed]
    return report.compare(service, live, case.target, both, resolved, union.findings(), now)


def _ids(cases: Iterable[Case]) -> set[str]:
    """Every commit id that any evidence names."""
    claims = [revision.evidence for case in cases for revision in case.live.revisions]
    claims += [case.live.service_claims for case in cases]
    return evidence.ids(claim for each in claims for claim in each).union(
        *(proving.disputed(case.live) for case in cases)
    )


def _due(history: History, memory: Memory, workload: Workload, target: str) -> list[Due]:
    """What the service pins, with the values that the target's files say."""
    paths = sorted({pin.path for pin in workload.pins if pin.path is not None})
    contents = _contents_at(history, target, paths, memory) if paths else {}
    texts = {path: content.decode("utf-8", "replace") for path, content in contents.items()}
    return [Due.of(pin, texts) for pin in workload.pins]


def _nothing_relevant(service: str, why: str) -> Unknown:
    return Unknown(
        cause="nothing-relevant",
        message=f"nothing is relevant for {service}: {why} at any end; a folder was moved or misspelt, "
        "and this check would be silent for ever",
    )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A service's live commit that is to be counted against the target."""

    workload: Workload
    live: str
    union: Union


def _count(
    history: History, relevance: Relevance, wanted: Sequence[_Wanted], target: Target, now: datetime
) -> Mapping[tuple[str, str], Tally | Unknown]:
    """5. For each service and live commit what stands between it and the target, from one walk."""
    keys = [(each.workload.service, each.live) for each in wanted]
    if not wanted:
        return {}
    latest = now.timestamp() + lineage.CLOCK_TOLERANCE_S
    without = lineage.last_without(target.earlier, now)
    try:
        lives = sorted({each.live for each in wanted})
        nets = relevance.differences([(live, target.commit) for live in lives])
        pairs = [
            Pair(
                lives.index(each.live),
                each.union.relevant,
                each.union.because,
                frozenset(filter(each.union.relevant, nets[each.live, target.commit])),
                _watch(each.workload.policy, now),
                latest,
                without,
            )
            for each in wanted
        ]
        return dict(zip(keys, compared(history, pairs, target, lives), strict=True))
    except SourceError as error:
        return dict.fromkeys(keys, Unknown.of(error))


def _acknowledged(plans: Sequence[Plan], verdicts: Iterable[Verdict], now: datetime) -> list[Verdict]:
    """8. The verdicts with what is acknowledged, at hand or at the target; only a refusal asks for it."""
    told: dict[tuple[int, str, str], tuple[Acknowledgement, ...]] = {}
    answers = []
    for plan, judged in zip(plans, verdicts, strict=True):
        ours, path = plan.workload.acknowledged, plan.workload.config_path
        verdict = acknowledging.applied(judged, ours, now)
        target = verdict.report.target
        if target and acknowledging.may_cover(verdict):
            place = (id(plan.repository), target.commit, path)
            if place not in told:
                told[place] = _told_at(plan.repository, target.commit, path)
            verdict = acknowledging.applied(judged, (*ours, *told[place]), now)
        answers.append(verdict)
    return answers


def _told_at(repository: Repository, commit: str, path: str) -> tuple[Acknowledgement, ...]:
    """What the file ``path`` of ``commit`` acknowledges; nothing where it cannot be read, which is logged."""
    where = f"{path} at {commit[:12]}"
    try:
        read = repository.ask(acknowledged_at, commit, path)
    except SourceError as error:
        log.warning("%s: what it acknowledges could not be read: %s", where, error)
        return ()
    for complaint in read.complaints:
        log.warning("%s: %s", where, complaint)
    return read.acknowledged


def acknowledged_at(history: History, memory: Memory, commit: str, path: str) -> acknowledging.Read:
    """What the file ``path`` of ``commit`` acknowledges. Raises ``SourceError``."""
    return acknowledging.read(_contents_at(history, commit, [path], memory).get(path) or b"")


def _contents_at(history: History, commit: str, paths: Collection[str], memory: Memory) -> dict[str, bytes]:
    """What those of ``paths`` hold that ``commit`` has and that can be read."""
    listing = memory.listings.get(commit) or history.files([commit])[commit]
    blobs = {path: listing[path].blob for path in paths if path in listing}
    contents = history.contents(blobs.values())
    return {path: contents[blob] for path, blob in blobs.items() if blob in contents}


def _watch(policy: Policy, now: datetime) -> Watch:
    """What has to be asked of each missing commit, so that ``policy`` can judge the sum."""
    paths = (("deny-path", policy.deny_paths), ("warn-path", policy.warn_paths))
    return Watch(
        young_after=now.timestamp() - policy.grace_period if policy.grace_period else None,
        paths=[(code, PathRules(patterns)) for code, patterns in paths if patterns],
        subjects=[("deny-subject", re.compile(pattern)) for pattern in policy.deny_subjects],
    )
