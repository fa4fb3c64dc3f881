"""The verdict that lets a batch start, or the error that refuses it; the bypass is read first."""

from __future__ import annotations

import logging
from typing import TypeVar

from shared.deployment import assembly, break_glass, gate, render, waiting
from shared.deployment.calling import Deadline, attempt
from shared.deployment.errors import (
    DeploymentDriftError,
    DriftUnknownError,
)
from shared.deployment.facts import Unknown
from shared.deployment.report import unknown_report
from shared.deployment.settings import Settings, environment, load
from shared.deployment.settings import actor as process_actor
from shared.deployment.sinks.log import LogSink
from shared.deployment.telemetry import MetricsSink
from shared.deployment.verdict import BreakGlass, Policy, Verdict, judge

log = logging.getLogger("drift_gate")

T = TypeVar("T")

#: Seconds that the record of a bypass may take, beside the 1.5 s of the check: the batch is waiting.
RECORD_SECONDS = 0.4
#: Seconds by which a check under a bypass ends early, so that what it found out is still heard.
HAND_OVER_SECONDS = 0.1


def require(
    name: str | None,
    *,
    skip: bool,
    reason: str | None,
    actor: str | None,
    settings: Settings | None,
    wait: float = 0.0,
) -> Verdict:
    """The verdict that lets a batch start, or ``DeploymentDriftError``.

    The bypass is read first, and waits for nothing; else a rollout gets ``wait`` seconds to be over.
    """
    environ = settings.environ if settings else environment()
    who = actor or process_actor(environ)
    asked = break_glass.asked_for(skip, reason, who, environ, assembly.utc_now())
    for complaint in asked.complaints:
        log.error("%s", complaint)
    if asked.bypass:
        return _bypassed(name, asked.bypass, settings)
    settings = settings or load()
    name = name or settings.batch_service()
    verdict = waiting.check([name], wait=wait, settings=settings).services[0]
    if verdict.refuses:
        error = DriftUnknownError if verdict.refuses_unknown else DeploymentDriftError
        raise error(render.refusal(verdict, settings.service(name)), verdict)
    return verdict


def _bypassed(name: str | None, bypass: BreakGlass, settings: Settings | None) -> Verdict:
    """The verdict that the check reaches in the little time it has, overridden. Nothing here may raise."""
    found: list[Settings] = [settings] if settings else []
    named = [name or "(the batch's service)"]
    within = Deadline(break_glass.CHECK_SECONDS)

    def judged() -> Verdict:
        ours = settings or load()
        found.append(ours)
        named.append(name or ours.batch_service())
        early = within.sooner(HAND_OVER_SECONDS)
        return assembly.check([named[-1]], settings=ours, within=early, record=False).services[0]

    ours = attempt(judged, within, "bypassed check")
    verdict = ours if isinstance(ours, Verdict) else _unjudged(named[-1], ours)
    verdict = verdict.bypassed(bypass)
    overridden = ", ".join(
        f"{each.code} ({each.message})" for each in verdict.reasons if each.decision == "deny"
    )
    log.warning(
        "drift gate bypassed for %s by %s via %s; reason: %s; overridden: %s",
        verdict.service,
        render.plain(bypass.actor),
        bypass.via,
        render.plain(bypass.reason or "none given"),
        render.plain(overridden or "nothing"),
    )

    def recorded() -> None:
        gate.write([verdict], assembly.sinks_of(found[0]) if found else [LogSink(), MetricsSink()])

    attempt(recorded, Deadline(RECORD_SECONDS), "record of a bypass")
    return verdict


def _unjudged(name: str, unknown: Unknown) -> Verdict:
    return judge(unknown_report(name, "service", unknown), Policy(), assembly.utc_now())
