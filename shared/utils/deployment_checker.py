"""The front door of the drift gate: the names of ``drift_gate``, for programs that keep it here.

    from shared.utils.deployment_checker import DeploymentDriftError, require_current_worker

    verdict = require_current_worker()   # raises DeploymentDriftError: start no batch

Importing this module loads pydantic and the gate's own values, nothing that talks to the outside.
"""

from drift_gate.checker import (
    DeploymentDriftError,
    DriftCheckError,
    DriftConfigError,
    DriftGateError,
    DriftReport,
    DriftUnknownError,
    Start,
    Verdict,
    check_worker_drift,
    require_current_worker,
)

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
