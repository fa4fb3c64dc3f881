"""Errors into answers: one table, and ``application/problem+json`` (RFC 9457) for all of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

from drift_gate.policy.verdict import Verdict
from drift_gate.presentation.render import plain
from predictions.coordinator.exceptions import (
    BatchError,
    BatchNotFoundError,
    BatchRunningError,
    BypassForbiddenError,
    ConfigError,
    CoordinatorError,
    DeploymentDriftError,
    DriftConfigError,
    DriftUnknownError,
    EmptySlateError,
    ForbiddenError,
    IdentityUnavailableError,
    KeyReusedError,
    NotReadyError,
    ReadinessUnknownError,
    SlateError,
    StateError,
    TransitionError,
    UnauthenticatedError,
)
from predictions.coordinator.readiness.verdict import Readiness

log = logging.getLogger("prediction_coordinator")

MEDIA_TYPE = "application/problem+json"
#: RFC 9457 wants an absolute URI that stays the same; it need not lead anywhere.
TYPE_PREFIX = "urn:problem-type:prediction-coordinator:"
#: Seconds after which asking again may help: a rollout, a claim or a quota changes within a minute.
RETRY_AFTER_S = 30


class RequestError(CoordinatorError):
    """The request is not one that this coordinator takes; ``errors`` names each place."""

    def __init__(self, message: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message, tuple(errors))
        self.message = message
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return self.message


class TooLargeError(RequestError):
    """The body is larger than what is read."""


class SlowBodyError(RequestError):
    """The body did not come in time, or not at all."""


class BusyError(CoordinatorError):
    """As many requests are being worked on as fit beside each other."""


class ShuttingDownError(CoordinatorError):
    """The process is about to end; another instance will answer."""


class LateError(CoordinatorError):
    """The answer did not come within the request's time. What was begun may still come to its end."""


class CurableDriftError(DeploymentDriftError):
    """The gate refuses, and the rollout that is under way would cure it."""


class FieldError(BaseModel):
    """One place in the request, and what is wrong there. Never what was sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    where: str
    message: str


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it: ``type`` tells problems apart, ``detail`` is for people.

    ``batch``: the batch that is in the way. ``verdict``: what the gate said. ``readiness``: what the checks
    of the data said. ``errors``: the places in the request that are wrong. Each is absent where it does
    not apply.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str = Field(examples=[f"{TYPE_PREFIX}deployment-drift"])
    title: str
    status: int
    detail: str
    batch: str | None = None
    verdict: SerializeAsAny[Verdict] | None = None
    readiness: Readiness | None = None
    errors: tuple[FieldError, ...] | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of error is answered. ``heals``: whether asking again later may help by itself.

    ``told``: whether the error's own sentence is for the caller; else it is for the log alone.
    """

    status: int
    name: str
    title: str
    heals: bool = False
    told: bool = True


#: The answer to each error; the most specific class counts, as for the exit codes.
KINDS: Mapping[type[BaseException], Kind] = {
    DeploymentDriftError: Kind(409, "deployment-drift", "The worker does not run what it should"),
    CurableDriftError: Kind(503, "rollout-in-progress", "A rollout under way would cure the drift", True),
    DriftUnknownError: Kind(503, "drift-unknown", "Whether the worker is current is not known"),
    ConfigError: Kind(503, "configuration", "The coordinator's configuration is wrong"),
    NotReadyError: Kind(409, "data-not-ready", "The data are not ready for the batch"),
    ReadinessUnknownError: Kind(503, "readiness-unknown", "Whether the data are ready is not known"),
    DriftConfigError: Kind(503, "configuration", "The coordinator's configuration is wrong"),
    BatchNotFoundError: Kind(404, "batch-not-found", "There is no such batch"),
    BatchRunningError: Kind(409, "batch-running", "Another batch of this date is at work"),
    SlateError: Kind(503, "slate-unusable", "The slate cannot be used"),
    EmptySlateError: Kind(409, "slate-empty", "There is nobody to predict for on this date"),
    StateError: Kind(503, "storage", "The storage of the batches does not answer", True),
    BatchError: Kind(503, "batch-failed", "The batch did not come to its end"),
    TransitionError: Kind(409, "batch-ended", "The state of the batch does not allow that"),
    KeyReusedError: Kind(409, "key-reused", "The idempotency key belongs to another order"),
    RequestError: Kind(422, "request-invalid", "The request is not valid"),
    TooLargeError: Kind(413, "body-too-large", "The body is too large"),
    SlowBodyError: Kind(408, "body-too-slow", "The body did not come in time"),
    UnauthenticatedError: Kind(401, "unauthenticated", "Who sends it is not known"),
    IdentityUnavailableError: Kind(
        503, "identity-unknown", "Who sends the request cannot be found out", True
    ),
    ForbiddenError: Kind(403, "forbidden", "The caller may not do this"),
    BypassForbiddenError: Kind(403, "bypass-forbidden", "The caller may not bypass a check"),
    BusyError: Kind(503, "busy", "Too many requests are being worked on", True),
    ShuttingDownError: Kind(503, "shutting-down", "This instance is about to end", True),
    LateError: Kind(504, "timeout", "The answer did not come in time"),
    CoordinatorError: Kind(503, "refused", "The coordinator refuses"),
    Exception: Kind(500, "unexpected", "Something unexpected went wrong", told=False),
}


class Answer(NamedTuple):
    """The problem, and the headers that go with it."""

    problem: Problem
    headers: Mapping[str, str]


def kind_of(error: BaseException) -> Kind:
    """The row of the table that ``error`` is answered by."""
    return next(KINDS[each] for each in type(error).__mro__ if each in KINDS)


def answer(error: Exception) -> Answer:
    """The answer to ``error``; what is not for the caller goes to the log."""
    kind = kind_of(error)
    if not kind.told:
        log.error("unexpected error: %s", type(error).__name__, exc_info=error)
    detail = str(error) if kind.told else "an unexpected error; the coordinator's log holds it"
    return Answer(
        Problem(
            type=TYPE_PREFIX + kind.name,
            title=kind.title,
            status=kind.status,
            detail=detail or kind.title,
            batch=_batch(error),
            verdict=_verdict(error),
            readiness=_readiness(error),
            errors=error.errors or None if isinstance(error, RequestError) else None,
        ),
        headers(error, kind),
    )


def headers(error: Exception, kind: Kind) -> dict[str, str]:
    """``Retry-After`` where asking again may help, ``WWW-Authenticate`` where a name was missing."""
    if kind.status == 401:
        return {"WWW-Authenticate": 'Bearer realm="prediction-coordinator"'}
    heals = kind.heals or _may_heal(error)
    return {"Retry-After": str(RETRY_AFTER_S)} if heals else {}


def in_words(problem: Problem) -> str:
    """What the command line would say of ``problem``, for a person: a refusal speaks for itself."""
    if problem.verdict is not None or problem.readiness is not None:
        return f"{problem.detail.rstrip()}\n"
    places = "".join(f"  {plain(each.where)}: {plain(each.message)}\n" for each in problem.errors or ())
    return f"prediction-coordinator: {plain(problem.detail)}\n{places}"


def of_status(status: int, detail: str) -> Problem:
    """A problem that says no more than its HTTP status: a path that does not exist, for instance."""
    return Problem(type="about:blank", title=detail, status=status, detail=detail)


def of_validation(errors: Sequence[Mapping[str, Any]]) -> RequestError:
    """What FastAPI found wrong with a request, without the values that were sent."""
    found = tuple(
        FieldError(where=".".join(map(_part, each["loc"])), message=str(each["msg"])) for each in errors
    )
    places = ", ".join(dict.fromkeys(each.where for each in found))
    return RequestError(f"the request is not valid: {places}", found)


def _part(place: object) -> str:
    """One step of the way to a value; a name that the caller made up may be of any length."""
    return str(place)[:100].encode("utf-8", "replace").decode()


def _verdict(error: Exception) -> Verdict | None:
    verdict = error.verdict if isinstance(error, DeploymentDriftError) else None
    return verdict if isinstance(verdict, Verdict) else None


def _readiness(error: Exception) -> Readiness | None:
    readiness = error.readiness if isinstance(error, NotReadyError) else None
    return readiness if isinstance(readiness, Readiness) else None


def _batch(error: Exception) -> str | None:
    batch = error.batch if isinstance(error, CoordinatorError) else None
    return batch.id if batch is not None else None


def _may_heal(error: Exception) -> bool:
    """Whether the refusal comes from not knowing alone, and each cause may be gone when asked again."""
    causes: list[bool] = []
    if isinstance(error, DriftUnknownError) and error.verdict is not None:
        unknown = [reason for reason in error.verdict.reasons if reason.code == "unknown-drift"]
        causes = [bool(reason.data.get("retryable")) for reason in unknown]
    if isinstance(error, ReadinessUnknownError) and error.readiness is not None:
        causes = [check.unknown.retryable for check in error.readiness.checks if check.unknown]
    return bool(causes) and all(causes)
