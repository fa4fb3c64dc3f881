"""Settings into plans of deploys, and into what a merge would make stale."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from drift_gate import gate, questions
from drift_gate.comparison.report import DriftReport
from drift_gate.delivery.plan import Due, decide
from drift_gate.errors import JournalError, SourceError
from drift_gate.facts import Evidence, History, Live, LiveRevision, Target
from drift_gate.journal.deploys import Deploy
from drift_gate.policy.verdict import Verdict
from drift_gate.presentation.forge import Forge
from drift_gate.presentation.plans import Plans, plan
from drift_gate.relevance.memory import Memory
from drift_gate.runtime.deadline import Deadline
from drift_gate.settings.file import Settings
from drift_gate.settings.keys import ServiceSettings
from drift_gate.sources.git.process import Git
from drift_gate.wiring import answers, checks, journals
from drift_gate.wiring.plans import utc_now

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: Bytes of an address that git's configuration may hold, and seconds that it may take to read.
_ADDRESS_LIMIT, _ADDRESS_S = 4096, 2.0


def plans(names: Sequence[str], *, settings: Settings) -> Plans:
    """What each of the services ``names`` (none: all) lacks, and what a deploy would do. Nothing is kept."""
    from drift_gate.journal.sqlite import READ_S

    outcome = checks.check(names, settings=settings, record=False)
    kept: Sequence[Deploy] | JournalError
    try:
        kept = journals.kept_deploys(settings, busy_s=READ_S)
    except JournalError as error:
        kept = error
    services = (
        plan(
            each,
            _due(each, kept, outcome.checked_at),
            settings.services[each.service],
            forge_of(settings.services[each.service], settings),
        )
        for each in outcome.services
    )
    return Plans(planned_at=outcome.checked_at, services=tuple(services))


def _due(verdict: Verdict, kept: Sequence[Deploy] | JournalError, now: datetime) -> Due:
    """What a deploy would do at ``now``; without what is ``kept`` nobody knows of a rollback."""
    if isinstance(kept, JournalError):
        due = decide(verdict, (), now)
        return Due("unknown", str(kept)) if due.action == "deploy" else due
    return decide(verdict, [each for each in kept if each.service == verdict.service], now)


def forge_of(service: ServiceSettings, settings: Settings) -> Forge | None:
    """Where the repository of ``service`` is kept; None: nobody can say, or no forge that we know."""
    if service.mirrored:
        return Forge.of(settings.address(service.repository))
    name = service.target_ref.removeprefix("refs/remotes/").partition("/")[0] or "origin"
    return _forge_at(settings.beside(service.repository), name, settings) or _forge_at(
        settings.beside(service.repository), "origin", settings
    )


def _forge_at(path: Path, remote: str, settings: Settings) -> Forge | None:
    git = Git(cwd=str(path), environ=settings.environ, deadline=Deadline(_ADDRESS_S))
    try:
        said = git.run("config", "--get", f"remote.{remote}.url", limit=_ADDRESS_LIMIT, accept=(0, 1))
    except SourceError:
        return None
    return Forge.of(said.decode("utf-8", "replace").strip())


@dataclass(frozen=True, slots=True)
class AtCommit:
    """A ``gate.Repository`` whose target is ``commit`` (a full id), whatever the ref says."""

    repository: gate.Repository
    commit: str

    def target(self) -> Target:
        """The commit; as fresh as what the repository says of its own."""
        own = self.repository.target()
        if own.commit == self.commit:
            return own
        return Target(ref=self.commit, commit=self.commit, confirmed_at=own.confirmed_at)

    def ask(self, question: Callable[[History, Memory, *Ts], T], *args: *Ts) -> T:
        """As ``gate.Repository.ask``."""
        return self.repository.ask(question, *args)


@dataclass(frozen=True, slots=True)
class _AsIf:
    """A ``facts.LiveSource``: as if ``commit`` were live."""

    service: ServiceSettings
    commit: str

    def read(self) -> Live:
        claim = Evidence(carrier="ledger", key="commit", value=self.commit)
        return Live(
            kind=self.service.kind,
            project=self.service.project,
            region=self.service.region,
            revisions=(LiveRevision(revision=None, percent=100, evidence=(claim,)),),
        )

    def unchanged(self, live: Live) -> bool:
        return True


def watched(
    base: str, head: str, names: Sequence[str], *, settings: Settings
) -> dict[str, questions.Watched | None]:
    """By which paths changes after ``head`` can be judged, as ``questions.watched``, by service.

    Both are full ids. Raises as ``affected``.
    """
    chosen = {name: answers.here(name, settings)[1] for name in names}
    with answers.plans(chosen, settings) as asked:
        return {
            each.service: each.repository.ask(questions.watched, each.workload.rules, base, head)
            for each in asked
        }


@dataclass(frozen=True, slots=True)
class Affected:
    """What would be stale if ``base`` were live and ``head`` the target: a report by service."""

    base: str
    head: str
    reports: Mapping[str, DriftReport]


def affected(base: str, head: str, names: Sequence[str] = (), *, settings: Settings) -> Affected:
    """Which services lack something relevant of ``head`` once it is merged, if they run ``base`` now.

    Both are commit ids, branches, tags or HEAD of the work tree that the settings lie in, or of the services'
    own repositories where these are paths. Nothing is asked of Cloud Run. Raises ``DriftConfigError`` and
    ``SourceError``, also for a commit that the history does not know.
    """
    chosen = {name: answers.here(name, settings)[1] for name in names or settings.services}
    local = settings.model_copy(update={"services": chosen})
    ends = [answers.commits(ref, settings=local) for ref in (base, head)]
    with answers.plans(chosen, local) as asked:
        full = [
            {each.service: each.repository.ask(questions.resolve, end[each.service]) for each in asked}
            for end in ends
        ]
        shared = {
            (id(each.repository), full[1][each.service]): AtCommit(each.repository, full[1][each.service])
            for each in asked
        }
        cases = [
            replace(
                each,
                live=_AsIf(chosen[each.service], full[0][each.service]),
                repository=shared[id(each.repository), full[1][each.service]],
            )
            for each in asked
        ]
        deadline = Deadline(max(one.deadline for one in chosen.values()))
        reports = {each.service: each.report for each in gate.check(cases, deadline=deadline, now=utc_now())}
    first = next(iter(chosen))
    return Affected(full[0][first], full[1][first], reports)
