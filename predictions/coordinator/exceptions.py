"""Every error that the coordinator raises on purpose, and the gate's, which are its own as well.

    CoordinatorError
    ├── SlateError              the slate cannot be used
    │   └── EmptySlateError     … because nobody on it can be predicted
    └── BatchError              the batch did not come to its end
        ├── BatchRunningError   … because another start is at work on the same date
        └── StateError          … because its storage failed

``DeploymentDriftError`` is the very object that ``shared.utils.deployment_checker`` offers.
"""

from __future__ import annotations

from shared.utils.deployment_checker import DeploymentDriftError, DriftConfigError, DriftUnknownError

__all__ = [
    "BatchError",
    "BatchRunningError",
    "CoordinatorError",
    "DeploymentDriftError",
    "DriftConfigError",
    "DriftUnknownError",
    "EmptySlateError",
    "SlateError",
    "StateError",
]


class CoordinatorError(Exception):
    """The root of what the coordinator itself says no with."""


class SlateError(CoordinatorError):
    """The slate is missing, unreadable or no slate at all; the sentence names the file."""


class EmptySlateError(SlateError):
    """The slate was read and holds nobody to predict for; the sentence says what was set aside."""


class BatchError(CoordinatorError):
    """The batch did not come to its end."""


class BatchRunningError(BatchError):
    """Another start is at work on the same date and the same state file."""


class StateError(BatchError):
    """The file that keeps the batches cannot be opened, read or written."""
