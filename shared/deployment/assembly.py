"""Settings into a gate: the only room that names concrete sources and sinks. Imported late.

What a check needs from outside (grpc, Google's clients, git) loads here, before its clock starts.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from shared.deployment import evidence, gate, questions
from shared.deployment.calling import Deadline, gather
from shared.deployment.errors import (
    DriftCheckError,
    DriftConfigError,
    SourceError,
)
from shared.deployment.facts import Evidence, History, Live, LiveSource, Target, Unknown
from shared.deployment.inventory import Known, undeclared
from shared.deployment.relevance.selection import Selection
from shared.deployment.remembering import Kept
from shared.deployment.report import DriftReport, unknown_report
from shared.deployment.selecting import Memory
from shared.deployment.settings import FILE_NAME, ServiceSettings, Settings, is_address, load
from shared.deployment.sinks.log import LogSink
from shared.deployment.telemetry import MetricsSink, observed
from shared.deployment.verdict import Outcome, Verdict, judge
from shared.deployment.witnessing import Remembered

if TYPE_CHECKING:
    from shared.deployment.sources.cloud_run_clients import Clients
    from shared.deployment.sources.confirmed import KeptAnswers

log = logging.getLogger("drift_gate")

T = TypeVar("T")

#: Seconds that loading the libraries may take: GitPython runs git on the way, and that or a disk may hang.
LOAD_SECONDS = 30.0


def utc_now() -> datetime:
    """The clock of the process, in UTC."""
    return datetime.now(UTC)


@observed
def check(
    names: Sequence[str] = (),
    *,
    settings: Settings | None = None,
    within: Deadline | None = None,
    record: bool = True,
    inventory: bool = False,
    after_rollout: bool = False,
) -> Outcome:
    """The verdicts on the services ``names`` (none: all that are declared), each by its own policy.

    ``within`` ends the check early; None leaves the deadline as set. ``record`` False keeps the
    verdicts out of the sinks, for a caller that has something to add to them first. ``inventory``
    also reports the live services of each project and region that nothing declares. ``after_rollout``
    judges what would be live once each rollout that is under way has landed. Raises
    ``DriftConfigError``; what could not be found out is a verdict about an unknown.
    """
    settings = settings or load()
    chosen = {name: settings.service(name) for name in names} or settings.services
    build = _Builder(settings)
    unloaded = _unloaded(build, chosen.values())
    seconds = max(one.deadline for one in chosen.values())
    deadline = Deadline(seconds if within is None else min(seconds, within.remaining()))
    started, now = time.monotonic(), utc_now()
    if unloaded:
        verdicts = [
            judge(unknown_report(name, one.kind, unloaded), one.policy, now) for name, one in chosen.items()
        ]
    else:
        verdicts = _judged(build, chosen, deadline, now, after_rollout)
        if any(one.cache_ttl for one in chosen.values()) and any(each.refuses for each in verdicts):
            # What was kept may be older than the fix, and nobody is to wait for it to expire.
            verdicts = _judged(_Builder(settings, fresh=True), chosen, deadline, now, after_rollout)
    if inventory and not unloaded:
        verdicts += _undeclared(settings, deadline, now)
    if record:
        gate.write(verdicts, sinks_of(settings))
    return Outcome.of(verdicts, now, int((time.monotonic() - started) * 1000))


def _judged(
    build: _Builder,
    chosen: Mapping[str, ServiceSettings],
    deadline: Deadline,
    now: datetime,
    after_rollout: bool,
) -> list[Verdict]:
    plans = [build.plan(name, one, deadline) for name, one in chosen.items()]
    if after_rollout:
        plans = [replace(plan, live=_Landed(plan.live)) for plan in plans]
    return gate.check(plans, deadline=deadline, now=now, memory=_memory())


def _undeclared(settings: Settings, deadline: Deadline, now: datetime) -> list[Verdict]:
    """A verdict for each live service that no table names, and for each region that cannot be listed."""
    from shared.deployment.sources import cloud_run

    placed = [one for one in settings.services.values() if one.live == "cloud-run"]
    places = {f"{one.project}/{one.region}": (str(one.project), str(one.region)) for one in placed}
    clients = _clients(settings.emulator)
    listed = gather(
        {
            place: partial(
                cloud_run.inventory, project=project, region=region, deadline=deadline, clients=clients
            )
            for place, (project, region) in places.items()
        },
        deadline,
    )
    declared = {name for name, one in settings.services.items() if one.kind == "service"}
    known = Known(declared, settings.inventory.ignore)
    return [verdict for place, names in listed.items() for verdict in undeclared(place, names, known, now)]


def warm(*, settings: Settings | None = None) -> dict[str, Target]:
    """Make or refresh the mirror of each declared address; what each came to, by address.

    Raises ``SourceError`` at the first that fails, within its ``clone_timeout``.
    """
    from shared.deployment.sources import mirror
    from shared.deployment.sources.remote import shown

    settings = settings or load()
    wanted = {
        (settings.address(one.repository), one.target_ref): one.clone_timeout
        for one in settings.services.values()
        if one.mirrored
    }
    return {
        shown(address): mirror.warm(
            repository=address,
            target_ref=ref,
            cache_dir=settings.cache_dir,
            clone_timeout=seconds,
            environ=settings.environ,
            now=utc_now,
        )
        for (address, ref), seconds in wanted.items()
    }


def learn(names: Sequence[str] = (), *, settings: Settings | None = None) -> list[questions.Known]:
    """Both sides of each service, for the questions beside the verdict. Raises ``SourceError``."""
    settings = settings or load()
    chosen = {name: settings.service(name) for name in names} or settings.services
    build = _Builder(settings)
    build.load(chosen.values())
    deadline = Deadline(max(one.deadline for one in chosen.values()))
    plans = [build.plan(name, one, deadline) for name, one in chosen.items()]
    return [questions.learn(plan, _memory()) for plan in plans]


def plan(name: str, *, settings: Settings) -> gate.Plan:
    """What a check would ask for the service ``name``; its deadline begins now.

    Raises ``SourceError`` where a library does not load.
    """
    service = settings.service(name)
    build = _Builder(settings)
    build.load([service])
    return build.plan(name, service, Deadline(service.deadline))


def caller(settings: Settings) -> tuple[str | None, datetime | None]:
    """Who asks Google, as IAM writes it, and when the token ends (UTC); None each: not known.

    Both are known after the first answer only. Raises ``SourceError`` where there are no credentials.
    """
    from shared.deployment.sources.cloud_run_errors import Asked

    asked = Asked("Cloud Run", "run.services.get", "any project", "any region")
    google = _clients(settings.emulator).connect(Deadline(LOAD_SECONDS), asked)
    ends = getattr(google.credentials, "expiry", None)
    return google.principal, ends.replace(tzinfo=UTC) if isinstance(ends, datetime) else None


def selection_at(name: str, ref: str | None, *, settings: Settings | None = None) -> tuple[str, Selection]:
    """What is relevant for the service ``name`` at ``ref`` (None: its target ref), and that commit."""
    settings = settings or load()
    service = settings.service(name)
    if ref is not None:
        service = service.model_copy(update={"target_ref": ref})
    build = _Builder(settings)
    build.load([service])
    return questions.selection_at(build.plan(name, service, Deadline(service.deadline)), _memory())


def report_on(name: str | None, *, settings: Settings | None) -> DriftReport:
    """The report on one service; raises ``DriftCheckError`` where its status is unknown."""
    settings = settings or load()
    report = check([name or settings.batch_service()], settings=settings).services[0].report
    if report.unknown:
        unknown = report.unknown
        raise DriftCheckError(unknown.message, unknown.cause, unknown.retryable, report)
    return report


def sinks_of(settings: Settings) -> list[gate.Sink]:
    """Where verdicts are written to."""
    sinks: list[gate.Sink] = [LogSink(), MetricsSink()]
    if settings.sinks.decisions:
        from shared.deployment.sinks.decisions import DecisionsSink

        sinks.append(DecisionsSink(settings.beside(settings.sinks.decisions), utc_now))
    return sinks


@dataclass(frozen=True, slots=True)
class _Landed:
    """A ``facts.LiveSource``: what would serve if the rollout that is under way had landed just now.

    Without one, or where nobody can say what it brings, what serves now.
    """

    source: LiveSource

    def read(self) -> Live:
        live = self.source.read()
        if live.coming is None:
            return live
        return replace(live, revisions=(live.coming,), findings=(), coming=None)


class _Builder:
    """Makes the plans of one check; services of one repository and ref share one history.

    ``fresh`` asks anew what is kept from earlier checks.
    """

    def __init__(self, settings: Settings, *, fresh: bool = False) -> None:
        self._settings = settings
        self._fresh = fresh
        self._histories: dict[tuple[bool, str, str, float, float], History] = {}

    def load(self, services: Collection[ServiceSettings]) -> None:
        """Load the libraries that the check needs, before its clock starts.

        Raises ``SourceError`` where they do not come: nothing else bounds that.
        """
        cloud_run = any(one.live == "cloud-run" for one in services)
        loaded = gather({"libraries": partial(_load, cloud_run)}, Deadline(LOAD_SECONDS))["libraries"]
        if isinstance(loaded, SourceError):
            message = f"git or a library did not load within {LOAD_SECONDS:g} s; does `git version` end?"
            raise SourceError(message, "timeout", True)

    def plan(self, name: str, service: ServiceSettings, deadline: Deadline) -> gate.Plan:
        """What to check for one service."""
        return gate.Plan(
            service=name,
            kind=service.kind,
            live=self._live(name, service, deadline),
            history=self._history(service, deadline),
            rules=service.rules,
            policy=service.policy,
            required_env=service.required_env,
            pins=service.pins,
            acknowledged=self._settings.acknowledged,
            config_path=_config_path(self._settings, service),
        )

    def _live(self, name: str, service: ServiceSettings, deadline: Deadline) -> LiveSource:
        if service.live == "ledger":
            from shared.deployment.sources.ledger import Ledger

            return Ledger(path=self._settings.beside(service.ledger), service=name)
        source: LiveSource = self._cloud_run(name, service, deadline)
        if not service.cache_ttl:
            return source
        key = (self._settings.emulator, name, service.model_dump_json())
        kept = _kept_lives(service.cache_ttl, os.getpid())
        return Remembered(source=source, key=key, kept=kept, fresh=self._fresh)

    def _cloud_run(self, name: str, service: ServiceSettings, deadline: Deadline) -> LiveSource:
        from shared.deployment.sources.cloud_run import CloudRun

        return CloudRun(
            service=name,
            kind=service.kind,
            project=str(service.project),
            region=str(service.region),
            deadline=deadline,
            clients=_clients(self._settings.emulator),
            label_keys=service.commit_labels,
            env_keys=service.commit_env,
            kept_env=frozenset(pin.env for pin in service.pins if pin.env is not None),
            kept_labels=frozenset(pin.label for pin in service.pins if pin.label is not None),
            rollout_timeout=service.rollout_timeout,
            now=utc_now,
        )

    def _history(self, service: ServiceSettings, deadline: Deadline) -> History:
        key = (
            service.mirrored,
            service.repository,
            service.target_ref,
            service.stale_target_limit,
            service.cache_ttl,
        )
        if key not in self._histories:
            self._histories[key] = self._new_history(service, deadline)
        return self._histories[key]

    def _new_history(self, service: ServiceSettings, deadline: Deadline) -> History:
        from shared.deployment.sources.checkout import Checkout
        from shared.deployment.sources.mirror import Mirror

        kept = None if self._fresh else _kept_targets(service.cache_ttl, os.getpid())
        if service.mirrored:
            return Mirror(
                repository=self._settings.address(service.repository),
                target_ref=service.target_ref,
                cache_dir=self._settings.cache_dir,
                deadline=deadline,
                environ=self._settings.environ,
                now=utc_now,
                stale_target_limit=service.stale_target_limit,
                kept=kept,
            )
        return Checkout(
            path=self._settings.beside(service.repository),
            target_ref=service.target_ref,
            deadline=deadline,
            environ=self._settings.environ,
            now=utc_now,
            stale_target_limit=service.stale_target_limit,
            kept=kept,
        )


def _config_path(settings: Settings, service: ServiceSettings) -> str:
    """Where the service's repository keeps the file at hand: in the same place, or at its root.

    At its root where the file at hand stands outside of the repository, in a container for instance.
    """
    root = _work_tree(settings.file.parent)
    elsewhere = not is_address(service.repository) and root != _work_tree(settings.beside(service.repository))
    if root is None or elsewhere:
        return FILE_NAME
    return Path(os.path.realpath(settings.file)).relative_to(root).as_posix()


def _work_tree(folder: Path) -> Path | None:
    """The nearest folder from ``folder`` upwards that has a ``.git``; None: there is none."""
    real = Path(os.path.realpath(folder))
    return next((each for each in (real, *real.parents) if (each / ".git").exists()), None)


def _unloaded(build: _Builder, services: Collection[ServiceSettings]) -> Unknown | None:
    """Loads the libraries; why they do not come, else None."""
    try:
        build.load(services)
    except SourceError as error:
        return Unknown.of(error)
    return None


def _load(cloud_run: bool) -> None:
    import shared.deployment.sources.checkout
    import shared.deployment.sources.mirror

    if cloud_run:
        import shared.deployment.sources.cloud_run  # noqa: F401 (loaded for its side effect: time)


def _memory() -> Memory:
    """What this process knows of trees and contents; never out of date, so that one serves every check."""
    return _memory_of(os.getpid())


def _clients(emulator: str | None) -> Clients:
    """Google's clients, once per process and endpoint: a channel and a token serve every check."""
    return _clients_of(emulator, os.getpid())


# By process id: a channel does not survive a fork, and a lock that another thread held stays held. What
# the parent made is left alone in the child, since closing it there would be using it.
@cache
def _memory_of(process: int) -> Memory:
    return Memory()


@cache
def _kept_lives(seconds: float, process: int) -> Kept[Hashable, Live]:
    return Kept(seconds)


@cache
def _kept_targets(seconds: float, process: int) -> KeptAnswers:
    return Kept(seconds)


@cache
def _clients_of(emulator: str | None, process: int) -> Clients:
    from shared.deployment.sources.cloud_run_clients import Clients

    return Clients(emulator)


def record(name: str, commit: str, settings: Settings) -> None:
    """Note in the ledger of the service ``name`` that it runs ``commit``, a full or short commit id.

    Raises ``DriftConfigError`` where the service is not declared or has no ledger, or where
    ``commit`` is no commit id, and ``SourceError`` where the ledger cannot be written.
    """
    from shared.deployment.sources import ledger

    service = settings.service(name)
    if service.live != "ledger":
        raise DriftConfigError(f'{settings.file}: [services.{name}] has no ledger (live = "{service.live}")')
    if not evidence.ids([Evidence(carrier="ledger", key="commit", value=commit)]):
        raise DriftConfigError(f"--commit {commit!r} is no commit id: give 7 to 64 hex digits")
    ledger.record(settings.beside(service.ledger), name, commit, utc_now())
