"""The drift gate: does the worker on Cloud Run run the code that the target ref says it should?

    from drift_gate import DeploymentDriftError, require_current_worker

    verdict = require_current_worker()   # raises DeploymentDriftError: start no batch

The names are those of ``shared.utils.deployment_checker``, and the same objects; each is loaded when it is
first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drift_gate.checker import check_worker_drift, require_current_worker
    from drift_gate.comparison.report import DriftReport
    from drift_gate.errors import (
        DeploymentDriftError,
        DriftCheckError,
        DriftConfigError,
        DriftGateError,
        DriftUnknownError,
    )
    from drift_gate.policy.verdict import Start, Verdict

__version__ = "0.1.0"

#: Where each public name is defined.
_HOME = {
    "DeploymentDriftError": "errors",
    "DriftCheckError": "errors",
    "DriftConfigError": "errors",
    "DriftGateError": "errors",
    "DriftReport": "comparison.report",
    "DriftUnknownError": "errors",
    "Start": "policy.verdict",
    "Verdict": "policy.verdict",
    "check_worker_drift": "checker",
    "require_current_worker": "checker",
}

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


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
