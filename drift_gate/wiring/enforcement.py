"""The verdict that lets a batch start, or the error that refuses it; the bypass is read first.

A bypass waits for nothing: the check that it skips goes on beside the start, and is on record once it ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from drift_gate import gate
from drift_gate.comparison.report import NOT_YET, unknown_report
from drift_gate.errors import DeploymentDriftError, DriftCheckError, DriftUnknownError
from drift_gate.facts import Unknown
from drift_gate.journal.records import Asked, Door
from drift_gate.policy import break_glass
from drift_gate.policy.verdict import NO_START, BreakGlass, Policy, Start, Verdict, judge
from drift_gate.presentation.plain_text import plain
from drift_gate.runtime import background
from drift_gate.runtime.child_process import pool
from drift_gate.runtime.deadline import Deadline, attempt
from drift_gate.settings.file import Settings, load
from drift_gate.settings.location import environment
from drift_gate.wiring import actor as actors
from drift_gate.wiring import checks, rollouts
from drift_gate.wiring.actor import Actor

log = logging.getLogger("drift_gate")

#: Who is told the verdict of a skipped check, on a thread of its own.
Later = Callable[[Verdict], object]

#: Seconds that reading the settings may take under a bypass: a disk may hang, and the batch is waiting.
LOAD_SECONDS = 1.0
#: Seconds that the record of a bypass may take, beside its check.
RECORD_SECONDS = 0.4
#: Seconds after the check's deadline by which its trace is on record, on a busy machine too.
TRACE_SECONDS = 3.0
#: Seconds by which a check under a bypass ends early, so that what it found out is still heard.
HAND_OVER_SECONDS = 0.1
_UNNAMED = "(the batch's service)"


def require(
    name: str | None,
    *,
    skip: bool,
    reason: str | None,
    actor: str | None,
    settings: Settings | None,
    environ: Mapping[str, str] | None = None,
    wait: float = 0.0,
    later: Later | None = None,
    start: Start = NO_START,
) -> Verdict:
    """The verdict that lets a batch start, or ``DeploymentDriftError``.

    The bypass is read first, and waits for nothing; else a rollout gets ``wait`` seconds to be over.
    ``environ``: where the settings are read from, if there are none; None: the process's own. ``later`` is
    told what a bypass has overridden, once that is known. ``start``: what the caller is about to start, for
    the journal, and how it would start it again, for the message of a refusal.
    """
    environ = settings.environ if settings else environment() if environ is None else environ
    pool().start()  # before others are asked who this is, on threads
    by = Actor(actor) if actor else Actor.of(environ, settings.file.parent if settings else Path())
    asked = break_glass.asked_for(skip, reason, by.name, environ, checks.utc_now())
    for complaint in asked.complaints:
        log.error("%s", complaint)
    if asked.bypass:
        return _bypassed(name, asked.bypass, by, settings, environ, later, start)
    settings = settings or load(environ=environ)
    name = name or settings.batch_service()
    verdict = rollouts.check(
        [name], wait=wait, settings=settings, by=by, door=_door(start), batch=start.batch
    ).services[0]
    if verdict.refuses:
        from drift_gate.presentation.render import refusal

        error = DriftUnknownError if verdict.refuses_unknown else DeploymentDriftError
        raise error(refusal(verdict, settings, start), verdict)
    return verdict


def _door(start: Start) -> Door:
    """What is asked for in order to start nothing is no start."""
    return "preflight" if start.dry_run else "start"


@dataclass(frozen=True, slots=True)
class _Skipped:
    """The check of ``service`` that ``bypass`` skips, asked for ``by`` whom.

    ``settings`` None: they could not be read.
    """

    service: str
    bypass: BreakGlass
    by: Actor
    settings: Settings | None
    later: Later | None
    start: Start

    def unjudged(self, unknown: Unknown) -> Verdict:
        """The verdict where nothing is known."""
        ours = self.settings.services.get(self.service) if self.settings else None
        report = unknown_report(self.service, ours.kind if ours else "service", unknown)
        verdict = judge(report, ours.policy if ours else Policy(), checks.utc_now())
        by = self.settings.judged_by(self.service) if self.settings else None
        return verdict.model_copy(update={"policy": by})

    def begin(self, within: Deadline) -> None:
        """Let the check go on beside whatever follows. Raises where no thread can be started."""
        whole = Deadline(within.remaining() + TRACE_SECONDS)
        background.start(partial(self.judge, within), whole, "skipped check")

    def judge(self, within: Deadline) -> None:
        """What the check says, on record."""

        def judged() -> Verdict:
            early = within.sooner(HAND_OVER_SECONDS)
            names = [self.service]
            return checks.check(names, settings=self.settings, within=early, record=False).services[0]

        found = attempt(judged, within, "skipped check")
        self.by.known(Deadline(actors.ANSWER_S))
        self.record(found if isinstance(found, Verdict) else self.unjudged(Unknown.of(found)))

    def record(self, judged: Verdict) -> Verdict:
        """``judged``, overridden: told, on record, and told to whoever wants to know later."""
        bypass = BreakGlass(**{**self.bypass.model_dump(), "actor": self.by.known()})
        verdict = judged.bypassed(bypass)
        denied = [each for each in verdict.reasons if each.decision == "deny"]
        overridden = ", ".join(f"{each.code} ({each.message})" for each in denied)
        log.warning(
            "drift gate bypass of %s by %s; overridden: %s",
            self.service,
            plain(bypass.actor),
            plain(overridden or "nothing"),
        )

        def recorded() -> None:
            if self.settings:
                checks.warn_of_overrides(self.settings)
            asked = Asked(door=_door(self.start), by=bypass.actor, batch=self.start.batch)
            gate.write([verdict], checks.sinks_of(self.settings, asked, bypass.at))

        attempt(recorded, Deadline(RECORD_SECONDS), "record of a bypass")
        if self.later is not None:
            attempt(partial(self.later, verdict), Deadline(RECORD_SECONDS), "who wants to know")
        return verdict


def _bypassed(
    name: str | None,
    bypass: BreakGlass,
    by: Actor,
    settings: Settings | None,
    environ: Mapping[str, str],
    later: Later | None,
    start: Start,
) -> Verdict:
    """The verdict of a start whose check goes on beside it. Nothing here may raise, or take its time."""

    def chosen() -> tuple[str, Settings]:
        ours = settings or load(environ=environ)
        return name or ours.batch_service(), ours

    found = attempt(chosen, Deadline(LOAD_SECONDS), "settings")
    service, ours = found if not isinstance(found, DriftCheckError) else (name or _UNNAMED, settings)
    log.warning(
        "drift gate bypassed for %s by %s via %s; reason: %s",
        service,
        plain(bypass.actor),
        bypass.via,
        plain(bypass.reason or "none given"),
    )
    skipped = _Skipped(service, bypass, by, ours, later, start)
    if isinstance(found, DriftCheckError):
        return skipped.record(skipped.unjudged(Unknown.of(found)))
    try:
        skipped.begin(Deadline(found[1].service(service).deadline))
    except Exception as error:  # a service that is not declared, no room for a thread
        why = Unknown(cause="gate-error", message=f"{type(error).__name__}: {error}")
        return skipped.record(skipped.unjudged(why))
    return skipped.unjudged(NOT_YET).bypassed(bypass)
