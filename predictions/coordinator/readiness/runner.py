"""All checks of a phase side by side, within one deadline, into one verdict."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from drift_gate.errors import DriftConfigError, SourceError
from drift_gate.policy.codes import Decision
from drift_gate.runtime.deadline import Deadline, gather
from predictions.coordinator.readiness import assembly
from predictions.coordinator.readiness.facts import Check, Occasion, Phase, Seen
from predictions.coordinator.readiness.settings import Settings
from predictions.coordinator.readiness.verdict import CheckVerdict, Policy, Readiness, judge, worst

#: Seconds that loading the libraries of the sources may take: a disk may hang, and nothing else bounds that.
LOAD_SECONDS = 30.0
#: Every verdict is one line of JSON here, beside the drift gate's.
log = logging.getLogger("drift_gate.verdict")

_LEVELS: Mapping[Decision, int] = {
    "allow": logging.INFO,
    "warn": logging.WARNING,
    "deny": logging.ERROR,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked: the checks of a phase, the policy that judges them, and the names of all others."""

    phase: Phase
    checks: Sequence[Check]
    policy: Policy
    deadline: float
    other_phases: tuple[str, ...] = ()


def plan(settings: Settings, phase: Phase) -> Plan:
    """The checks of ``phase``. Raises ``DriftConfigError`` where there is none: that would be no pass.

    Raises ``SourceError`` (``timeout``) where a library does not load.
    """
    job = partial(assembly.checks_of, settings, phase)
    checks = gather({"libraries": job}, Deadline(LOAD_SECONDS))["libraries"]
    if isinstance(checks, SourceError):
        message = f"a library of a source did not load within {LOAD_SECONDS:g} s"
        raise SourceError(message, "timeout", True)
    if not checks:
        raise DriftConfigError(f"{settings.file}: no check holds for the phase {phase}: nothing to check")
    names = {check.name for check in checks}
    return Plan(
        phase=phase,
        checks=checks,
        policy=assembly.policy_of(settings),
        deadline=settings.policy.deadline,
        other_phases=tuple(name for name in settings.checks if name not in names),
    )


def check(plan: Plan, occasion: Occasion, within: Deadline | None = None) -> Readiness:
    """The verdict on ``occasion``; ``within`` ends it earlier than the plan's own deadline.

    What is not known at the deadline is an unknown. Raises ``SlateError`` where a check needs the slate
    and there is none.
    """
    started, now = time.monotonic(), datetime.now(UTC)
    deadline = Deadline(plan.deadline if within is None else min(plan.deadline, within.remaining()))
    looked = gather({each.name: partial(_look, each, occasion, deadline) for each in plan.checks}, deadline)
    verdicts = tuple(judge(each, looked[each.name], plan.policy) for each in plan.checks)
    lenient = plan.policy.enforcement == "warn"
    return Readiness(
        checked_at=now,
        elapsed_ms=int((time.monotonic() - started) * 1000),
        game_date=occasion.game_date,
        phase=plan.phase,
        decision=worst(verdict.decision for verdict in verdicts),
        enforced=not lenient,
        not_enforced_because="enforcement" if lenient else None,
        checks=verdicts,
        other_phases=plan.other_phases,
    )


def _look(each: Check, occasion: Occasion, deadline: Deadline) -> Sequence[Seen]:
    return each.look(occasion, deadline)


def record(readiness: Readiness) -> None:
    """One line of JSON: allow as INFO, warn and a bypass as WARNING, an enforced deny as ERROR."""
    level = _LEVELS[readiness.decision] if readiness.enforced else logging.WARNING
    log.log(level, "%s", json.dumps(_line(readiness), default=str))


def _line(readiness: Readiness) -> dict[str, object]:
    bypass = readiness.break_glass
    return {
        "event": "readiness_verdict",
        "game_date": readiness.game_date.isoformat(),
        "phase": readiness.phase,
        "decision": readiness.decision,
        "enforced": readiness.enforced,
        "not_enforced_because": readiness.not_enforced_because,
        "checks": [_check_line(each) for each in readiness.checks],
        "break_glass": bypass.model_dump(mode="json") if bypass else None,
    }


def _check_line(verdict: CheckVerdict) -> dict[str, object]:
    return {
        "name": verdict.name,
        "decision": verdict.decision,
        "values": [measure.value for measure in verdict.measures],
        "reasons": [{"code": reason.code, "decision": reason.decision} for reason in verdict.reasons],
        "unknown": verdict.unknown.cause if verdict.unknown else None,
    }
