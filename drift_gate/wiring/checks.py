"""Settings into a gate: a check, and the questions beside it, from plans to sinks. Imported late."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from drift_gate import gate
from drift_gate.comparison.report import DriftReport, unknown_report
from drift_gate.errors import DriftCheckError, SourceError
from drift_gate.facts import Live, LiveSource, Target, Unknown
from drift_gate.journal.log import LogSink
from drift_gate.journal.records import TARGET, Asked, Door, Entry
from drift_gate.journal.sink import WRITE_S, JournalSink
from drift_gate.journal.telemetry import MetricsSink, observed
from drift_gate.policy import freezes
from drift_gate.policy.inventory import Known, undeclared
from drift_gate.policy.verdict import Outcome, Verdict, judge
from drift_gate.runtime.child_process import pool
from drift_gate.runtime.deadline import Deadline, gather, wait_logged
from drift_gate.settings.file import Settings, load
from drift_gate.settings.keys import PolicyKeys, ServiceSettings
from drift_gate.settings.location import PREFIX
from drift_gate.wiring import copies, notifications
from drift_gate.wiring.actor import Actor
from drift_gate.wiring.journals import opened
from drift_gate.wiring.plans import LOAD_SECONDS, Builder, process
from drift_gate.wiring.plans import utc_now as utc_now

log = logging.getLogger("drift_gate")

#: Seconds after a clone's own deadline in which its error is still heard.
HAND_OVER_S = 1.0


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
    by = actor(settings) if record else None
    chosen = {name: settings.service(name) for name in names} or settings.services
    build = Builder(settings)
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
        if build.reused and any(each.refuses for each in verdicts):
            # What was kept may be older than the fix, and nobody is to wait for it to expire.
            verdicts = _judged(Builder(settings, fresh=True), chosen, deadline, now, after_rollout)
    if inventory and not unloaded:
        verdicts += _undeclared(settings, deadline, now)
    verdicts = [
        freezes.noted(each, settings.freeze, now).model_copy(
            update={"policy": settings.judged_by(each.service)}
        )
        for each in verdicts
    ]
    outcome = Outcome.of(verdicts, now, int((time.monotonic() - started) * 1000))
    if by:
        keep(outcome, settings, by)
    return outcome


def warn_of_overrides(settings: Settings) -> None:
    """A WARNING for each variable that replaces the policy, or the target, of the file."""
    for name, value in settings.overrides.items():
        if name.removeprefix(PREFIX).lower() in (*PolicyKeys.model_fields, "target_ref"):
            told = " (or --target)" if name == TARGET else ""
            log.warning("%s=%s%s stands before %s", name, value, told, settings.file)


def actor(settings: Settings) -> Actor:
    """Who runs this process, which reads a repository next."""
    pool().start()  # before others are asked who this is, on threads
    return Actor.of(settings.environ, settings.file.parent)


def keep(
    outcome: Outcome, settings: Settings, by: Actor, door: Door = "check", batch: str | None = None
) -> None:
    """Write the verdicts of ``outcome`` down: asked for at ``door``, ``by`` whom, for which ``batch``."""
    warn_of_overrides(settings)
    asked = Asked(door=door, by=by.known(), batch=batch)
    gate.write(outcome.services, sinks_of(settings, asked, outcome.checked_at))


def _judged(
    build: Builder,
    chosen: Mapping[str, ServiceSettings],
    deadline: Deadline,
    now: datetime,
    after_rollout: bool,
) -> list[Verdict]:
    try:
        build.begin(chosen.values(), deadline)
        plans = [build.plan(name, one, deadline) for name, one in chosen.items()]
        if after_rollout:
            plans = [replace(plan, live=_Landed(plan.live)) for plan in plans]
        return gate.check(plans, deadline=deadline, now=now)
    finally:
        build.close()


def _undeclared(settings: Settings, deadline: Deadline, now: datetime) -> list[Verdict]:
    """A verdict for each live service that no table names, and for each region that cannot be listed."""
    from drift_gate.sources.cloud_run.inventory import inventory

    placed = [one for one in settings.services.values() if one.live == "cloud-run"]
    places = {f"{one.project}/{one.region}": (str(one.project), str(one.region)) for one in placed}
    clients = process().clients(settings.emulator)
    listed = gather(
        {
            place: partial(inventory, project=project, region=region, deadline=deadline, clients=clients)
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
    from drift_gate.sources.git.remote import shown

    settings = settings or load()
    wanted = {
        (settings.address(one.repository), one.target_ref): one.clone_timeout
        for one in settings.services.values()
        if one.mirrored
    }
    return {
        shown(address): _warmed(address, ref, seconds, settings) for (address, ref), seconds in wanted.items()
    }


def _warmed(address: str, ref: str, seconds: float, settings: Settings) -> Target:
    """The target of one mirror. A remote may take its time, which is said; Ctrl-C waits for none."""
    from drift_gate.sources.git import mirror
    from drift_gate.sources.git.remote import shown

    deadline = Deadline(seconds)
    make = partial(
        mirror.warm,
        repository=address,
        target_ref=ref,
        cache_dir=settings.cache_dir,
        clone_timeout=seconds,
        environ=settings.environ,
        now=utc_now,
    )
    with wait_logged(f"the mirror of {shown(address)}", deadline):
        made = gather({"mirror": make}, Deadline(seconds + HAND_OVER_S))["mirror"]
    if isinstance(made, SourceError):
        raise made
    return made


@contextmanager
def plan(name: str, *, settings: Settings) -> Iterator[gate.Plan]:
    """What a check would ask for the service ``name``; its deadline begins now.

    Afterwards nothing more is asked of its repository, and others may read with its process.
    Raises ``SourceError`` where a library does not load.
    """
    service = settings.service(name)
    build = Builder(settings)
    build.load([service])
    try:
        yield build.plan(name, service, Deadline(service.deadline))
    finally:
        build.close()


def live(name: str, *, settings: Settings, within: Deadline) -> Live:
    """What serves ``name`` now; what should is not asked, so that no repository is read.

    Raises ``SourceError`` where nobody knows, and ``DriftConfigError`` where no such service is declared.
    """
    service = settings.service(name)
    build = Builder(settings)
    build.load([service])
    return build.live(name, service, Deadline(min(service.deadline, within.remaining()))).read()


def caller(emulator: str | None) -> tuple[str | None, datetime | None]:
    """Who asks Google, as IAM writes it, and when the token ends (UTC); None each: not known.

    ``emulator`` is as ``Settings`` has it.
    Both are known after the first answer only. Raises ``SourceError`` where there are no credentials.
    """
    from drift_gate.sources.cloud_run.errors import Asked

    asked = Asked("Cloud Run", "run.services.get", "any project", "any region")
    google = process().clients(emulator).connect(Deadline(LOAD_SECONDS), asked)
    ends = getattr(google.credentials, "expiry", None)
    return google.principal, ends.replace(tzinfo=UTC) if isinstance(ends, datetime) else None


def report_on(name: str | None, *, settings: Settings | None) -> DriftReport:
    """The report on one service; raises ``DriftCheckError`` where its status is unknown."""
    settings = settings or load()
    report = check([name or settings.batch_service()], settings=settings).services[0].report
    if report.unknown:
        unknown = report.unknown
        raise DriftCheckError(unknown.message, unknown.cause, unknown.retryable, report)
    return report


def sinks_of(settings: Settings | None, asked: Asked, at: datetime) -> list[gate.Sink]:
    """Where the verdicts of a check are written to that was ``asked`` for and began ``at`` (UTC).

    ``settings`` None: they could not be read; the log remains.
    """
    sinks: list[gate.Sink] = [LogSink(), MetricsSink()]
    journal = opened(settings, busy_s=WRITE_S * 3 / 4) if settings else None
    if not (settings and journal):
        return sinks

    def kept(entries: Sequence[Entry]) -> None:
        copies.begin(settings, journal)
        notifications.tell_batch(settings, entries, utc_now(), asked.by)

    return [*sinks, JournalSink(journal, asked, at, kept)]


@dataclass(frozen=True, slots=True)
class _Landed:
    """A ``facts.LiveSource``: what would serve if the rollout that is under way had landed just now.

    Without one, or where nobody can say what it brings, what serves now.
    """

    source: LiveSource

    def read(self) -> Live:
        live = self.source.read()
        return replace(live, revisions=live.coming, findings=(), coming=()) if live.coming else live

    def unchanged(self, live: Live) -> bool:
        return self.source.unchanged(live)


def _unloaded(build: Builder, services: Collection[ServiceSettings]) -> Unknown | None:
    """Loads the libraries; why they do not come, else None."""
    try:
        build.load(services)
    except SourceError as error:
        return Unknown.of(error)
    return None
