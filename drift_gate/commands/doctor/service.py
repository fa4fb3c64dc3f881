"""The doctor's look at one service: is it readable, what names its commit, what is relevant for it?"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from drift_gate.commands.doctor.steps import State, Step, evidence_line, folder, history_line, live_line
from drift_gate.errors import SourceError
from drift_gate.evidence import marks, proof
from drift_gate.evidence.marks import Weighed
from drift_gate.evidence.proof import Settled
from drift_gate.facts import Entry, Finding, History, Live, LiveRevision, Target, Unknown
from drift_gate.gate import Plan
from drift_gate.policy.codes import REASONS, Decision
from drift_gate.relevance.lookup import Relevance
from drift_gate.relevance.memory import Memory
from drift_gate.relevance.patterns import PathRules
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import Selection
from drift_gate.relevance.union import Union
from drift_gate.runtime.deadline import Deadline, gather
from drift_gate.runtime.spelling import near_misses
from drift_gate.settings.file import Settings
from drift_gate.settings.keys import ServiceSettings
from drift_gate.sources.git import partial
from drift_gate.sources.git.process import Git

_BY_DECISION: dict[Decision, State] = {"allow": "ok", "warn": "warn", "deny": "fail"}
#: Causes that say that Cloud Run was not reached, or answered nothing that can be used.
NOT_REACHED = frozenset({"timeout", "unavailable", "rate-limited", "invalid-response"})
#: How the last part of a Python image's name begins: the minor version.
_PYTHON = re.compile(r"python:3\.(\d{1,3})")
#: Seconds for a look at the repository beside the check's own questions.
_LOOK_SECONDS = 5.0
#: What a carrier is worth where it alone names the commit; those that are not named are worth enough.
_WEAK = {
    "image-tag": "a tag can be moved to another image",
    "env": "a variable outlives deploys that forget it",
    "health": "it is the worker's own bare claim",
}


@dataclass(frozen=True, slots=True)
class Patient:
    """One service with what each side answered; ``plan`` None: a library did not load.

    ``repository``: ``full``, ``shallow`` or ``partial``, why it does not open, ``skipped`` where that was
    not asked.
    """

    name: str
    service: ServiceSettings
    settings: Settings
    plan: Plan | None
    live: Live | SourceError
    target: Target | SourceError
    deadline: Deadline = field(default_factory=lambda: Deadline(_LOOK_SECONDS))
    repository: str | SourceError = "skipped"

    @classmethod
    def of(cls, name: str, service: ServiceSettings, settings: Settings, plan: Plan, git: bool) -> Patient:
        """Ask both sides within the service's deadline."""
        deadline = Deadline(service.deadline)
        jobs: dict[str, Callable[[], object]] = {"live": plan.live.read}
        if git and not service.mirrored:
            jobs["repository"] = lambda: _opened(plan, service, settings, deadline)
        if git:
            jobs["target"] = plan.repository.target
        answers = gather(jobs, deadline)
        live, target = answers["live"], answers.get("target")
        unasked = SourceError("git does not run", "history-unavailable")
        opened = answers.get("repository", "skipped")
        return cls(
            name,
            service,
            settings,
            plan,
            live if isinstance(live, Live | SourceError) else unasked,
            target if isinstance(target, Target | SourceError) else unasked,
            deadline,
            opened if isinstance(opened, str | SourceError) else "skipped",
        )

    @property
    def hidden(self) -> bool:
        """Whether the target's failure is that of the repository, told already."""
        return not self.service.mirrored and self.repository not in ("full", "shallow", "partial")

    def git(self) -> Git:
        """Git in the repository, for a question beside the check's own."""
        cwd = str(self.settings.beside(self.service.repository))
        return Git(cwd=cwd, environ=self.settings.environ, deadline=Deadline(_LOOK_SECONDS))

    def committed_at(self) -> datetime | None:
        """When the target was committed; None where nobody knows, as with a mirror."""
        if self.service.mirrored or not isinstance(self.target, Target):
            return None
        try:
            answer = self.git().run("log", "-1", "--format=%ct", self.target.commit)
            return datetime.fromtimestamp(int(answer), UTC)
        except (SourceError, ValueError, OverflowError):
            return None


def _opened(plan: Plan, service: ServiceSettings, settings: Settings, deadline: Deadline) -> str:
    """``full``, ``shallow`` or ``partial``. Raises ``SourceError`` where the repository does not open."""
    plan.repository.ask(_open)
    cwd = str(settings.beside(service.repository))
    git = Git(cwd=cwd, environ=settings.environ, deadline=deadline)
    if git.run("rev-parse", "--is-shallow-repository").strip() == b"true":
        return "shallow"
    return "partial" if partial.lacks_files(git) else "full"


def _open(history: History, _: Memory) -> None:
    """Raises ``SourceError`` where the repository cannot be opened."""
    history.resolve(())


@dataclass(frozen=True, slots=True)
class _Learned:
    """What the repository says of the service: its ids resolved, its target's files and selection.

    ``settled`` is what the evidence of its live revisions comes to; None where these are not known.
    """

    resolved: Mapping[str, str | Unknown]
    settled: Settled | None
    files: Mapping[str, Entry]
    selection: Selection
    union: Union


def examined(patient: Patient) -> Iterator[Step]:
    """The steps of one service."""
    yield from _service(patient)
    learned = _learn(patient)
    yield from _evidence(patient, learned)
    if isinstance(learned, SourceError):
        yield _not_learned("paths", patient, learned)
        return
    yield from _paths(patient, learned)
    yield from _image(patient, learned)


def _learn(patient: Patient) -> _Learned | SourceError:
    """Within what is left of the service's deadline; the error is the target's where that is not known."""
    plan, live, target = patient.plan, patient.live, patient.target
    if plan is None or isinstance(target, SourceError) or patient.repository == "shallow":
        return SourceError("the history is not known", "history-unavailable")

    def ask() -> _Learned:
        known = live if isinstance(live, Live) else None
        return plan.repository.ask(_learned, plan.workload.rules, known, target.commit)

    return gather({"the repository": ask}, patient.deadline)["the repository"]


def _learned(history: History, memory: Memory, rules: Rules, live: Live | None, target: str) -> _Learned:
    claims = [one.evidence for one in live.revisions] if live else []
    disputed = proof.disputed(live) if live else set()
    resolved = history.resolve(disputed | marks.ids(claim for each in claims for claim in each))
    relevance = Relevance(history, memory)
    own = proof.starts(rules, live)[0] if live else rules
    relevance.prepare([(own, target)])
    selection = relevance.of(own, target)
    settled = proof.settled(history, relevance, rules, target, live, resolved) if live else None
    return _Learned(resolved, settled, relevance.files(target), selection, Union(rules, (selection,)))


def _not_learned(step: str, patient: Patient, error: SourceError) -> Step:
    if isinstance(patient.target, SourceError) or patient.repository == "shallow":
        return Step(step, patient.name, "skipped", "because of the repository or its target ref")
    line = history_line(Unknown.of(error), patient.service, patient.settings)
    return Step(step, patient.name, "fail", error.message, line)


def _service(patient: Patient) -> Iterator[Step]:
    """Whether the service and each of its live revisions can be read."""
    live, name = patient.live, patient.name
    if isinstance(live, SourceError):
        if patient.service.live == "cloud-run" and live.cause in {"credentials", *NOT_REACHED}:
            yield Step("service", name, "skipped", "because Cloud Run could not be asked")
            return
        yield Step("service", name, "fail", live.message, _live_line(patient, Unknown.of(live)))
        return
    for one in live.revisions:
        if one.unknown is not None:
            says = f"{one.revision} ({one.percent} %) cannot be read: {one.unknown.message}"
            yield Step("service", name, "fail", says, _live_line(patient, one.unknown))
    if all(one.unknown is None for one in live.revisions):
        shares = ", ".join(f"{one.called or name} {one.percent} %" for one in live.revisions)
        yield Step("service", name, "ok", f"readable, and what serves too: {shares}")
    for sidecar in dict.fromkeys(each for one in live.revisions for each in one.sidecars):
        says = f"{sidecar} stands beside it and is not looked at; `container` names the one that counts"
        yield Step("service", name, "ok", says)


def _live_line(patient: Patient, unknown: Unknown) -> str:
    return live_line(unknown, patient.name, patient.service, patient.settings)


def _evidence(patient: Patient, learned: _Learned | SourceError) -> Iterator[Step]:
    if isinstance(patient.live, SourceError):
        yield Step("evidence", patient.name, "skipped", "because the service could not be read")
    elif isinstance(learned, SourceError):
        yield _not_learned("evidence", patient, learned)
    elif learned.settled is not None:
        line = evidence_line(patient.name, patient.service)
        for one, weighed in zip(learned.settled.live.revisions, learned.settled.weighed, strict=True):
            if one.unknown is None:
                yield from _evidence_of(patient, one, weighed, learned, line)
        for finding in patient.live.findings:
            if finding.code in ("evidence-unreachable", "evidence-conflict"):
                yield _finding("evidence", patient, finding, line)


def _evidence_of(
    patient: Patient, one: LiveRevision, weighed: Weighed, learned: _Learned, line: str
) -> Iterator[Step]:
    """Which commit the revision runs, by which carrier, and what speaks against it."""
    where = one.called or patient.name
    if isinstance(weighed.commit, Unknown):
        own = weighed.commit.cause in ("no-commit-evidence", "ambiguous-commit")
        fix = line if own else history_line(weighed.commit, patient.service, patient.settings)
        yield Step("evidence", patient.name, "fail", f"{where}: {weighed.commit.message}", fix)
    else:
        yield _strength(patient.name, where, one, weighed, learned, line)
    for finding in weighed.findings:
        yield _finding("evidence", patient, finding, line)


def _strength(
    name: str, where: str, one: LiveRevision, weighed: Weighed, learned: _Learned, line: str
) -> Step:
    """How good the evidence is: two that agree, one alone, or a weak one."""
    claims = [claim for claim in marks.read(one.evidence) if claim.id]
    # What the files prove names a whole commit, which nobody had to resolve.
    agreeing = [claim for claim in claims if learned.resolved.get(str(claim.id), claim.id) == weighed.commit]
    carriers = list(dict.fromkeys(claim.evidence.carrier for claim in agreeing))
    told = f"{where} runs {str(weighed.commit)[:12]}; {agreeing[0]} decides"
    if {"revision-label", "image-tag"} <= set(carriers):
        return Step("evidence", name, "ok", f"{told}, label and tag agree")
    weak = _WEAK.get(carriers[0])
    beside = f", {' and '.join(carriers[1:])} agree" if carriers[1:] else ", alone"
    if weak is None:
        return Step("evidence", name, "ok", told + beside)
    return Step("evidence", name, "warn", f"{told}{beside}, and {weak}", line)


def _finding(step: str, patient: Patient, finding: Finding, line: str) -> Step:
    """A finding, graded as the service's policy does."""
    decision = patient.service.policy.reasons.get(finding.code, REASONS[finding.code].decision)
    state = _BY_DECISION[decision]
    says = f"{finding.code}: {finding.message}"
    return Step(step, patient.name, state, says, "" if state == "ok" else line)


def _paths(patient: Patient, learned: _Learned) -> Iterator[Step]:
    """Each pattern with the number of files that it matches at the target."""
    patterns = patient.service.paths
    if patterns is None:
        if patient.plan and patient.plan.workload.rules.by_patterns_alone:
            says = f"none declared: each of the {len(learned.files)} files counts"
            yield Step("paths", patient.name, "ok", says)
        return
    idle = set(PathRules(patterns).idle(learned.files))
    counts = [f"{each} {_matched(each, learned.files)}" for each in patterns if each not in idle]
    if counts:
        yield Step("paths", patient.name, "ok", "files at the target: " + ", ".join(counts))
    state: State = "warn" if counts else "fail"
    for each in sorted(idle):
        says = f"the pattern {each!r} matches no file{_near_folders(each, learned.files)}"
        line = f"git -C {folder(patient.settings, patient.service)} ls-tree -r --name-only {_commit(patient)}"
        yield Step("paths", patient.name, state, says, f"{line} | grep {shlex.quote(_last_part(each))}")


def _matched(pattern: str, files: Collection[str]) -> int:
    rules = PathRules([pattern.removeprefix("!")])
    return sum(map(rules.relevant, files))


def _near_folders(pattern: str, files: Collection[str]) -> str:
    folders = {os.path.dirname(path) for path in files} - {""}
    return near_misses(pattern.strip("/*"), sorted(folders | set(files)))


def _last_part(pattern: str) -> str:
    return pattern.strip("/*").rsplit("/", 1)[-1] or pattern


def _commit(patient: Patient) -> str:
    return patient.target.commit[:12] if isinstance(patient.target, Target) else "HEAD"


def _image(patient: Patient, learned: _Learned) -> Iterator[Step]:
    """The Dockerfile, the entry points, and what the image lacks."""
    rules, selection = patient.service.rules, learned.selection
    line = f"deployment-drift files {patient.name}"
    if selection.nothing and not (rules.by_patterns_alone and rules.paths is not None):
        yield Step("image", patient.name, "fail", f"nothing is relevant: {selection.nothing}", line)
        return
    if rules.by_patterns_alone:
        return
    told = f"{rules.dockerfile or 'the declared entry points'}: {len(selection.because)} files count"
    starts = f"; starts {', '.join(selection.entries)}" if selection.entries else ""
    yield Step("image", patient.name, "ok", told + starts)
    if selection.entries:
        yield from _python(patient, selection.base)
    for finding in selection.findings:
        yield _finding("image", patient, finding, _copy_line(patient, finding) or line)


def _python(patient: Patient, base: str) -> Iterator[Step]:
    """That the image's Python is newer than the one that reads its imports here."""
    image, own = _PYTHON.match(base.rpartition("/")[2]), sys.version_info.minor
    if image and int(image[1]) > own:
        says = (
            f"{base} is newer than the Python 3.{own} that the gate runs on: what this cannot parse is read "
            "from its lines (unparsed-module)"
        )
        line = f"python3.{image[1]} -m venv .venv  # and install the gate there"
        yield Step("image", patient.name, "warn", says, line)


def _copy_line(patient: Patient, finding: Finding) -> str:
    """The instruction that the Dockerfile lacks; empty where the finding is about something else."""
    path = finding.data.get("path")
    if finding.code != "image-incomplete" or not isinstance(path, str):
        return ""
    inside = os.path.relpath(path, patient.service.context)
    return f"COPY {inside} {inside}  # in {patient.service.dockerfile}"
