"""Settings into the deploy of one service: the real parts, and the gate's verdict as the last word."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from dataclasses import replace as changed
from datetime import datetime

from drift_gate import gate, questions
from drift_gate.delivery import deploy as story
from drift_gate.delivery import rollback as undo
from drift_gate.delivery.contracts import Candidate, Export, Look
from drift_gate.delivery.parts import Clock, Limits, Parts
from drift_gate.delivery.plan import decide
from drift_gate.delivery.smoke import Smoke
from drift_gate.errors import DriftConfigError, SourceError
from drift_gate.journal.deploys import Deploy
from drift_gate.policy.verdict import Outcome, Verdict
from drift_gate.presentation.plans import Plan, plan
from drift_gate.runtime.deadline import Deadline
from drift_gate.settings.file import Settings
from drift_gate.settings.keys import ServiceSettings
from drift_gate.sources.git.process import Git
from drift_gate.wiring import answers, checks
from drift_gate.wiring.builders import builder_of
from drift_gate.wiring.deliveries import AtCommit, forge_of
from drift_gate.wiring.journals import deploys
from drift_gate.wiring.plans import Builder, process
from drift_gate.wiring.plans import utc_now as utc_now

#: Seconds that a deploy waits for another writer of the journal, and for who runs this process.
BUSY_S, ACTOR_S = 10.0, 1.0

#: Takes what is going on, for people: a step and a sentence.
Say = Callable[[str, str], None]


def deploy(
    name: str,
    *,
    settings: Settings,
    say: Say,
    commit: str | None = None,
    replace: str | None = None,
    clock: Clock | None = None,
) -> tuple[Deploy, Outcome]:
    """Let the service ``name`` run ``commit`` (None: its target); what became of it, and the gate's verdict.

    ``replace`` as ``delivery.deploy`` has it. The verdict is judged by the policy, against the declared
    target, and kept in the journal. Raises ``DriftConfigError`` and what ``delivery.deploy`` raises.
    """
    service = _deployable(name, settings)
    full = commit_of(name, commit, settings=settings)
    parts = parts_of(name, service, settings, say, clock or Clock())
    made = story.deploy(parts, full, _by(settings), replace=replace)
    return made, _last_word(name, settings)


def word(made: Deploy, outcome: Outcome) -> str:
    """What ``deploy`` came to, as one sentence."""
    said = f"{made.service}: {made.message or made.state}"
    return f"{said}; the gate says {outcome.services[0].decision.upper()}"


def planned(name: str, *, settings: Settings, commit: str | None = None, replace: str | None = None) -> Plan:
    """What serves against the commit, and what a deploy of it would do; nothing is changed or kept.

    The arguments as for ``deploy``. Raises ``DriftConfigError``, ``SourceError`` and ``JournalError``.
    """
    service = _deployable(name, settings)
    full = commit_of(name, commit, settings=settings)
    verdict = _Judge(name, service, settings).against(full)
    kept = deploys(settings, busy_s=BUSY_S).deploys(name)
    due = decide(verdict, kept, utc_now(), replace)
    return plan(verdict, due, service, forge_of(service, settings))


def rollback(
    name: str,
    *,
    settings: Settings,
    say: Say,
    to: str | None,
    reason: str,
    until: datetime,
    clock: Clock | None = None,
) -> tuple[Deploy, Verdict]:
    """Let the revision ``to`` of the service serve again; what became of it, and the verdict on that.

    The other arguments as ``delivery.rollback`` has them. The verdict is kept in the journal.
    """
    service = _on_cloud_run(name, settings)
    parts = parts_of(name, service, settings, say, clock or Clock())
    made = undo.rollback(parts, to, _by(settings), reason, until)
    return made, _last_word(name, settings).services[0]


def _deployable(name: str, settings: Settings) -> ServiceSettings:
    """The service, where all is declared that a deploy goes by. Raises ``DriftConfigError``."""
    service = _on_cloud_run(name, settings)
    missing = [key for key in ("builder", "image") if getattr(service, key) is None]
    if service.builder != "image" and service.dockerfile is None:
        missing.append("dockerfile")
    if missing:
        raise DriftConfigError(
            f"{settings.file}: [services.{name}] lacks {' and '.join(missing)}, by which "
            f"`deployment-drift deploy` would build it (see docs/delivery.md)"
        )
    return service


def _on_cloud_run(name: str, settings: Settings) -> ServiceSettings:
    service = settings.service(name)
    if service.live != "cloud-run":
        raise DriftConfigError(
            f'{settings.file}: [services.{name}] has live = "{service.live}": only Cloud Run is deployed to'
        )
    return service


def _by(settings: Settings) -> str:
    return checks.actor(settings).known(Deadline(ACTOR_S))


def _last_word(name: str, settings: Settings) -> Outcome:
    """The gate's verdict on the service, kept as a deploy's."""
    by = checks.actor(settings)
    outcome = checks.check([name], settings=settings, record=False)
    by.known(Deadline(ACTOR_S))
    checks.keep(outcome, settings, by, door="deploy")
    return outcome


def commit_of(name: str, commit: str | None, *, settings: Settings) -> str:
    """The full id of ``commit`` (None: of the target), which is part of the target's history.

    Raises ``DriftConfigError`` where it is not: what is not merged is not deployed; and ``SourceError``.
    """
    service = settings.service(name)
    with answers.plans({name: service}, settings) as [asked]:
        target = asked.repository.target()
        if commit is None:
            return target.commit
        wanted = answers.commits(commit, [name], settings=settings)[name]
        full = asked.repository.ask(questions.resolve, wanted)
        if not asked.repository.ask(questions.holding, full, [target.commit])[target.commit]:
            raise DriftConfigError(f"{commit} ({full[:12]}) is no part of {target.ref}: merge it first")
        return full


def parts_of(name: str, service: ServiceSettings, settings: Settings, say: Say, clock: Clock) -> Parts:
    """The real parts. Raises ``DriftConfigError``."""
    from drift_gate.delivery.release.cloud_run import CloudRunRelease

    return Parts(
        service=name,
        kind=service.kind,
        release=CloudRunRelease(
            service=name,
            kind=service.kind,
            project=str(service.project),
            region=str(service.region),
            clients=process().clients(settings.emulator),
            container=service.container,
            label_keys=service.commit_labels,
            env_keys=service.commit_env,
        ),
        builder=builder_of(name, service, settings, lambda line: say("", line)),
        probe=_Probe(name, service, settings),
        judge=_Judge(name, service, settings),
        deploys=deploys(settings, busy_s=BUSY_S),
        export=_Exporter(service, settings),
        smoke=Smoke(
            words=service.smoke,
            service=name,
            folder=settings.file.parent,
            environ=settings.environ,
            seconds=service.smoke_timeout,
            say=lambda line: say("", line),
        ),
        say=say,
        limits=Limits(
            traffic=service.traffic,
            healthy_answers=service.healthy_answers,
            watch=service.watch,
            build_timeout=service.build_timeout,
            release_timeout=service.release_timeout,
        ),
        clock=clock,
    )


@dataclass(frozen=True, slots=True)
class _Exporter:
    """The files of a commit of the service's repository."""

    service: ServiceSettings
    settings: Settings

    @contextlib.contextmanager
    def __call__(self, commit: str) -> Iterator[Export]:
        from drift_gate.sources.git.export import exported

        service, settings = self.service, self.settings
        at = service.repository
        with exported(
            settings.address(at) if service.mirrored else str(settings.beside(at)),
            commit,
            mirrored=service.mirrored,
            environ=settings.environ,
            deadline=Deadline(service.clone_timeout),
        ) as found:
            yield Export(folder=found.folder, commit=commit, committed_at=found.committed_at)


@dataclass(frozen=True, slots=True)
class _Judge:
    """A ``Judge``: the gate itself, with another target."""

    name: str
    service: ServiceSettings
    settings: Settings

    def against(self, commit: str) -> Verdict:
        return _judged(self.name, self.service, self.settings, commit)

    def holds(self, commit: str, other: str) -> bool:
        with answers.plans({self.name: self.service}, self.settings) as [asked]:
            asked.repository.target()  # what was merged a moment ago is fetched
            return asked.repository.ask(questions.holding, other, [commit]).get(commit, False)


def _judged(
    name: str, service: ServiceSettings, settings: Settings, commit: str, candidate: Candidate | None = None
) -> Verdict:
    """What serves, or the ``candidate`` as if it served, held against ``commit``; read anew."""
    build = Builder(settings, fresh=True)
    build.load([service])
    deadline = Deadline(service.deadline)
    try:
        plan = build.plan(name, service, deadline, candidate)
        plan = changed(plan, repository=AtCommit(plan.repository, commit))
        return gate.check([plan], deadline=deadline, now=utc_now())[0]
    finally:
        build.close()


@dataclass(frozen=True, slots=True)
class _Probe:
    """A ``Probe``: the gate's own judgement of the candidate, as if it served alone."""

    name: str
    service: ServiceSettings
    settings: Settings

    def look(self, candidate: Candidate, commit: str, within: Deadline) -> Look:
        try:
            verdict = _judged(self.name, self.service, self.settings, commit, candidate)
        except SourceError as error:
            return Look(healthy=False, why=error.message, retryable=error.retryable)
        return _look(verdict, commit, asked="health" in self.service.evidence)


def _look(verdict: Verdict, commit: str, *, asked: bool) -> Look:
    """What ``verdict`` says of a candidate; ``asked``: it was to say itself what it holds."""
    report = verdict.report
    if report.unknown:
        return Look(healthy=False, why=report.unknown.message, retryable=report.unknown.retryable)
    silent = [each for each in report.findings if each.data.get("carrier") == "fingerprint"]
    if asked and silent:
        return Look(healthy=False, why=silent[0].message, retryable=True)
    if denied := [each for each in verdict.reasons if each.decision == "deny"]:
        return Look(healthy=False, why=f"{denied[0].code}: {denied[0].message}")
    if wrong := [each for each in report.live if each.status != "identical"]:
        return Look(healthy=False, why=f"it runs {str(wrong[0].commit)[:12]}, not {commit[:12]}")
    claims = {claim.carrier for live in report.live for claim in live.evidence}
    return Look(healthy=True, proven="fingerprint" in claims)


def require_committable(settings: Settings) -> None:
    """Raises ``DriftConfigError`` where ``drift.toml`` has changes of its own, or lies in no work tree."""
    status = _git(settings, "status", "--porcelain", "--", str(settings.file.name))
    if status.strip():
        raise DriftConfigError(f"--commit: {settings.file} has changes that are not committed yet")


def commit_acknowledged(settings: Settings, made: Deploy, tables: str) -> str:
    """Write ``tables`` into ``drift.toml`` and commit that file alone; a sentence that says so."""
    text = settings.file.read_bytes().decode("utf-8")  # each line ends as it did
    end = "\n" if text.endswith("\n") else "\n\n"
    settings.file.write_text(f"{text}{end}{tables}", encoding="utf-8", newline="")
    subject = f"Acknowledge the rollback of {made.service} to {made.revision}"
    message = f"{subject}\n\n{made.reason}"
    _git(settings, "commit", "--quiet", "--no-verify", "-m", message, "--", str(settings.file.name))
    return f"{settings.file} is committed ({subject}); push it: it holds from the target ref"


def _git(settings: Settings, *args: str) -> str:
    git = Git(cwd=str(settings.file.parent), environ=settings.environ, deadline=Deadline(BUSY_S))
    try:
        return git.run(*args).decode("utf-8", "replace")
    except SourceError as error:
        raise DriftConfigError(f"--commit: {error}") from error
