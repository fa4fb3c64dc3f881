"""The two questions that a coordinator asks: does the worker run the code that the target ref says it should?

    from drift_gate import DeploymentDriftError, require_current_worker

    verdict = require_current_worker()   # raises DeploymentDriftError: start no batch

Importing this module loads pydantic and the gate's own values, nothing that talks to the outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drift_gate.comparison.report import DriftReport
from drift_gate.errors import (
    DeploymentDriftError,
    DriftCheckError,
    DriftConfigError,
    DriftGateError,
    DriftUnknownError,
)
from drift_gate.policy.verdict import NO_START, Start, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from drift_gate.settings.file import Settings

__all__ = [
    "DeploymentDriftError",
    "DriftCheckError",
    "DriftConfigError",
    "DriftGateError",
    "DriftReport",
    "DriftUnknownError",
    "Start",
    "Verdict",
    "check_worker_drift",
    "require_current_worker",
]


def check_worker_drift(service: str | None = None, *, settings: Settings | None = None) -> DriftReport:
    """How far the live worker is from what should be live; a comparison, no judgement.

    Changes nothing, judges nothing, ignores bypasses, and ends within the configured ``deadline``.

    ``service``: the service to look at; None is the one that gates a batch: the only declared one,
    or the one that ``[batch] requires`` names. ``settings``: what
    ``drift_gate.settings.file.load`` returned; None reads ``drift.toml`` and the environment now.

    The report answers as an object and as a mapping: ``drift.commits_behind`` and
    ``drift["commits_behind"]``. Its counts are full and known: where they are not, this raises.

    Raises ``DriftCheckError`` where the answer could not be found out (``error.cause`` says why,
    ``error.report`` keeps what is known) and ``DriftConfigError`` for a configuration that is
    missing or wrong. Never raises because of drift.
    """
    from drift_gate.wiring import checks

    return checks.report_on(service, settings=settings)


def require_current_worker(
    service: str | None = None,
    *,
    skip: bool = False,
    reason: str | None = None,
    actor: str | None = None,
    wait: float = 0.0,
    settings: Settings | None = None,
    later: Callable[[Verdict], object] | None = None,
    start: Start = NO_START,
) -> Verdict:
    """Refuse, by raising, unless the policy lets a batch start on the worker as it is.

    ``service`` and ``settings``: as in ``check_worker_drift``. ``skip``: the emergency bypass: a
    verdict comes back at once with ``enforced`` False, and a WARNING is logged. The check goes on
    beside whatever follows, within its deadline: a second WARNING, the log line and the row say what was
    overridden, and ``later`` is called with that verdict, on another thread (None: nobody wants to
    know). A program that ends before waits for it. It works with a broken configuration, without git,
    credentials or network.
    ``reason`` and ``actor``: why and who, for that log; None is recorded as missing, or as the user
    of the process. ``DRIFT_SKIP_CHECK`` (bounded by ``DRIFT_SKIP_CHECK_UNTIL``) bypasses for the
    whole process. ``wait``: seconds for which a rollout that is under way may take to be over before
    the verdict falls; 0 judges at once, a bypass never waits, and neither does drift that the rollout
    would not cure. ``start``: the batch that the program is about to start, for the journal, and how it
    would start it again, as the message of a refusal says it; ``[batch]`` of ``drift.toml`` has the last
    word.

    Returns the verdict: ``allow``, ``warn``, or a ``deny`` that is not enforced. Every verdict, a
    refusal too, is one structured log line and one row of the decisions store where there is one.

    Raises ``DeploymentDriftError`` on an enforced denial, its subclass ``DriftUnknownError`` where
    the denial comes from not knowing (``error.verdict`` has it all), and ``DriftConfigError``.
    """
    from drift_gate.wiring import enforcement

    return enforcement.require(
        service, skip=skip, reason=reason, actor=actor, settings=settings, wait=wait, later=later, start=start
    )
