"""The readiness verdict that lets a batch start, or the error that refuses it; the bypass is read first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Protocol, TypeVar

from drift_gate.errors import DriftCheckError, SourceError
from drift_gate.facts import Unknown
from drift_gate.policy.verdict import BreakGlass, Reason
from drift_gate.presentation.render import plain
from drift_gate.runtime.deadline import Deadline, attempt
from drift_gate.settings.actor import actor as process_actor
from drift_gate.settings.location import environment
from predictions.coordinator.exceptions import NotReadyError, ReadinessUnknownError
from predictions.coordinator.readiness import render, runner
from predictions.coordinator.readiness.facts import Occasion, Phase
from predictions.coordinator.readiness.reasons import UNKNOWN
from predictions.coordinator.readiness.settings import declared
from predictions.coordinator.readiness.verdict import CheckVerdict, Readiness
from predictions.coordinator.slate import Slate

log = logging.getLogger("drift_gate")

T = TypeVar("T")

#: How a bypass is asked for. There is no variable for it: nothing skips these checks for good.
VIA = "--skip-readiness-checks"
#: Seconds that the checks may still take under a bypass, so that the log can say what was skipped.
CHECK_SECONDS = 1.5
#: Seconds by which checks under a bypass end early, so that what they found out is still heard.
_HAND_OVER_SECONDS = 0.1


class Asked(Protocol):
    """What is asked of a start, as far as the data are concerned: an ``Order``."""

    @property
    def game_date(self) -> date: ...
    @property
    def skip_readiness_checks(self) -> bool: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def actor(self) -> str | None: ...


def require_ready(
    occasion: Occasion,
    *,
    phase: Phase = "pre-game",
    skip: bool = False,
    reason: str | None = None,
    actor: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Readiness | None:
    """The verdict that lets a batch of ``occasion`` start, or ``NotReadyError``.

    None: there is no ``readiness.toml``, so nobody declared what ready means. ``skip`` is the bypass, with
    ``reason`` and ``actor`` for its log (None: not given; the actor is then the user of the process); it
    works with a broken ``readiness.toml`` and with every source down, and it is not the drift gate's.
    ``environ`` None: the process environment. Raises ``ReadinessUnknownError`` where nothing is bad and
    something could not be judged, ``DriftConfigError`` and ``SlateError``; never one of them under a bypass.
    """
    environ = environment() if environ is None else environ
    if skip:
        glass = BreakGlass(
            actor=actor or process_actor(environ), reason=reason, at=datetime.now(UTC), until=None, via=VIA
        )
        return _bypassed(occasion, phase, glass, environ)
    readiness = _judged(occasion, phase, environ, None)
    if readiness is None:
        return None
    runner.record(readiness)
    if readiness.refuses:
        error = ReadinessUnknownError if readiness.refuses_unknown else NotReadyError
        raise error(render.refusal(readiness), readiness)
    return readiness


def ready_for(order: Asked, slate: Callable[[], Slate]) -> Readiness | None:
    """A ``coordinator.Ready``: the verdict that lets the batch of ``order`` start, as ``require_ready``.

    ``slate`` is read where a check asks who is on it.
    """
    occasion = Occasion(
        game_date=order.game_date, players=lambda: [request.player_id for request in slate().requests]
    )
    return require_ready(occasion, skip=order.skip_readiness_checks, reason=order.reason, actor=order.actor)


def _judged(
    occasion: Occasion, phase: Phase, environ: Mapping[str, str], within: Deadline | None
) -> Readiness | None:
    settings = declared(environ)
    if settings is None:
        return None
    try:
        plan = runner.plan(settings, phase)
    except SourceError as error:
        return _unjudged(occasion, phase, Unknown.of(error))
    return runner.check(plan, occasion, within)


def _bypassed(
    occasion: Occasion, phase: Phase, glass: BreakGlass, environ: Mapping[str, str]
) -> Readiness | None:
    """What the checks say in the little time that they have, overridden. Nothing here may raise."""
    within = Deadline(CHECK_SECONDS)

    def judged() -> Readiness | None:
        return _judged(occasion, phase, environ, within.sooner(_HAND_OVER_SECONDS))

    found = attempt(judged, within, "bypassed checks")
    readiness = _unjudged(occasion, phase, Unknown.of(found)) if isinstance(found, DriftCheckError) else found
    denials = readiness.denials if readiness else []
    overridden = ", ".join(f"{name}: {each.code} ({each.message})" for name, each in denials)
    log.warning(
        "readiness checks bypassed for %s by %s via %s; reason: %s; overridden: %s",
        occasion.game_date,
        plain(glass.actor),
        glass.via,
        plain(glass.reason or "none given"),
        plain(overridden or "nothing"),
    )
    if readiness is None:
        return None
    readiness = readiness.bypassed(glass)
    runner.record(readiness)
    return readiness


def _unjudged(occasion: Occasion, phase: Phase, unknown: Unknown) -> Readiness:
    """The verdict where not even the checks could be made."""
    why = Reason(code=UNKNOWN, decision="deny", message=unknown.message, data={"cause": unknown.cause})
    return Readiness(
        checked_at=datetime.now(UTC),
        elapsed_ms=0,
        game_date=occasion.game_date,
        phase=phase,
        decision="deny",
        enforced=True,
        checks=(CheckVerdict(name="all checks", decision="deny", reasons=(why,), unknown=unknown),),
    )
