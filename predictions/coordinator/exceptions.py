"""Every error that the coordinator raises on purpose, and the gate's, which are its own as well.

    CoordinatorError
    ├── ConfigError             a variable of the coordinator's environment is wrong
    ├── SlateError              the slate cannot be used
    │   └── EmptySlateError     … because nobody on it can be predicted
    ├── NotReadyError           the data are not ready for a batch
    │   └── ReadinessUnknownError   … because that could not be found out
    ├── BatchNotFoundError      there is no such batch
    ├── KeyReusedError          an idempotency key came again with another order
    ├── MissingExtraError       a library that is only installed where it is wanted is not
    ├── BatchError              the batch did not come to its end
    │   ├── BatchRunningError   … because another start is at work on the same date
    │   ├── BatchFailedError    … as it is on record
    │   ├── TransitionError     … because its state does not allow what was asked
    │   ├── DispatchError       … because its requests could not be handed to a worker
    │   └── StateError          … because its storage failed
    └── AccessError             the caller is not let in
        ├── UnauthenticatedError        … because nobody knows who it is
        ├── IdentityUnavailableError    … because that cannot be found out for now
        └── ForbiddenError              … because it may not do this
            └── BypassForbiddenError    … past a check

``DeploymentDriftError`` is the very object that ``shared.utils.deployment_checker`` offers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

from shared.utils.deployment_checker import DeploymentDriftError, DriftConfigError, DriftUnknownError

__all__ = [
    "AccessError",
    "BatchError",
    "BatchFailedError",
    "BatchNotFoundError",
    "BatchRunningError",
    "BypassForbiddenError",
    "ConfigError",
    "CoordinatorError",
    "DeploymentDriftError",
    "DispatchError",
    "DriftConfigError",
    "DriftUnknownError",
    "EmptySlateError",
    "ForbiddenError",
    "IdentityUnavailableError",
    "KeyReusedError",
    "MissingExtraError",
    "NotReadyError",
    "ReadinessUnknownError",
    "SlateError",
    "StateError",
    "TransitionError",
    "UnauthenticatedError",
]


class Batch(Protocol):
    """What an error carries of a batch: a ``batches.batch.Batch``."""

    @property
    def id(self) -> str: ...
    @property
    def state(self) -> str: ...


class Judgement(Protocol):
    """What an error carries of the checks of the data: a ``readiness.verdict.Readiness``."""

    @property
    def decision(self) -> str: ...
    @property
    def checks(self) -> Sequence[Any]: ...


class CoordinatorError(Exception):
    """The root of what the coordinator itself says no with; ``batch``: whose story it ended, if any's."""

    batch: Batch | None = None


class ConfigError(CoordinatorError):
    """A variable of the environment is wrong; the sentence names it and not its value."""


class SlateError(CoordinatorError):
    """The slate is missing, unreadable or no slate at all; the sentence names the file."""


class EmptySlateError(SlateError):
    """The slate was read and holds nobody to predict for; the sentence says what was set aside."""


class BatchNotFoundError(CoordinatorError):
    """No batch has this id."""


class KeyReusedError(CoordinatorError):
    """The idempotency key belongs to ``batch``, which another order made; nothing was started."""

    def __init__(self, message: str, batch: Batch | None = None) -> None:
        super().__init__(message, batch)
        self.batch = batch

    def __str__(self) -> str:
        return str(self.args[0])


class MissingExtraError(CoordinatorError):
    """A library is not installed, as its extra was not asked for; the sentence says how to install it."""

    @classmethod
    def of(cls, what: str, extra: str) -> Self:
        """The error that says that ``what`` needs ``extra``."""
        return cls(f"{what} needs the extra {extra!r}: run pip install prediction-coordinator[{extra}]")


class NotReadyError(CoordinatorError):
    """The batch must not start: a readiness check refuses it.

    ``readiness`` is the full judgement (None only where the error was built by hand); the message names
    each check that denies and the lines to paste.
    """

    def __init__(self, message: str, readiness: Judgement | None = None) -> None:
        super().__init__(message, readiness)
        self.message = message
        self.readiness = readiness

    def __str__(self) -> str:
        return self.message


class ReadinessUnknownError(NotReadyError):
    """The batch must not start: whether the data are ready could not be found out."""


class BatchError(CoordinatorError):
    """The batch did not come to its end."""


class BatchRunningError(BatchError):
    """Another start is at work on the same date; ``batch`` is what it works on, None before that exists."""

    def __init__(self, message: str, batch: Batch | None = None) -> None:
        super().__init__(message, batch)
        self.batch = batch

    def __str__(self) -> str:
        return str(self.args[0])


class BatchFailedError(BatchError):
    """The start came to an end, and its ``batch`` to none that is good; its record says why."""

    def __init__(self, message: str, batch: Batch | None = None) -> None:
        super().__init__(message, batch)
        self.batch = batch

    def __str__(self) -> str:
        return str(self.args[0])


class TransitionError(BatchError):
    """The batch is in a state from which it cannot go where it was asked to; ``batch``, where it is known."""

    def __init__(self, message: str, batch: Batch | None = None) -> None:
        super().__init__(message, batch)
        self.batch = batch

    def __str__(self) -> str:
        return str(self.args[0])


class DispatchError(BatchError):
    """Requests could not be handed to a worker; those that were stay handed out."""


class StateError(BatchError):
    """What keeps the batches cannot be opened, read or written."""


class AccessError(CoordinatorError):
    """The caller is not let in; the sentence holds no secret."""


class UnauthenticatedError(AccessError):
    """The request does not say who sends it, or what it says does not hold."""


class IdentityUnavailableError(AccessError):
    """Who sends the request cannot be found out for now; asking again later may help."""


class ForbiddenError(AccessError):
    """The caller is known and may not do this."""


class BypassForbiddenError(ForbiddenError):
    """The caller may start a batch, and not past a check."""
