"""Every error has one answer, and the answer tells no more than its caller may know."""

from __future__ import annotations

import inspect
from collections import Counter

import pytest
from coordinator.worlds import a_verdict

from drift_gate.errors import DriftGateError
from drift_gate.policy.verdict import Reason, Verdict
from predictions.coordinator import exceptions
from predictions.coordinator.exceptions import (
    BatchError,
    BatchRunningError,
    CoordinatorError,
    DeploymentDriftError,
    DriftUnknownError,
    MissingExtraError,
    StateError,
    UnauthenticatedError,
)
from predictions.coordinator.http import problems
from predictions.coordinator.http.problems import (
    KINDS,
    MEDIA_TYPE,
    CurableDriftError,
    RequestError,
    answer,
    kind_of,
    of_validation,
)

OURS = sorted(
    {
        each
        for module in (exceptions, problems)
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, CoordinatorError | DriftGateError)
    },
    key=lambda each: each.__name__,
)


def unknown(*, retryable: bool) -> Verdict:
    reason = Reason(
        code="unknown-drift", decision="deny", message="…", data={"cause": "…", "retryable": retryable}
    )
    return a_verdict("deny").model_copy(update={"reasons": (reason,)})


@pytest.mark.parametrize("error", OURS)
def test_no_error_of_ours_is_unexpected(error: type[Exception]) -> None:
    """Whoever adds an error is reminded to say how it is answered."""
    assert kind_of(error("…")).name != "unexpected"


def test_each_problem_has_a_type_of_its_own() -> None:
    """Two errors share a type only where a caller need not tell them apart: both configurations."""
    counted = Counter(kind.name for kind in KINDS.values())
    assert {name for name, count in counted.items() if count > 1} == {"configuration"}


@pytest.mark.parametrize(
    ("error", "status", "name", "retry"),
    [
        (DeploymentDriftError("drift", a_verdict("deny")), 409, "deployment-drift", False),
        (CurableDriftError("drift", a_verdict("deny")), 503, "rollout-in-progress", True),
        (DriftUnknownError("unknown", unknown(retryable=True)), 503, "drift-unknown", True),
        (DriftUnknownError("unknown", unknown(retryable=False)), 503, "drift-unknown", False),
        (DriftUnknownError("unknown"), 503, "drift-unknown", False),
        (BatchRunningError("running"), 409, "batch-running", False),
        (StateError("locked"), 503, "storage", True),
        (BatchError("failed"), 503, "batch-failed", False),
        (MissingExtraError.of("BigQuery", "bigquery"), 503, "refused", False),
        (UnauthenticatedError("who?"), 401, "unauthenticated", False),
        (RequestError("no date"), 422, "request-invalid", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_the_status_says_whose_turn_it_is(error: Exception, status: int, name: str, retry: bool) -> None:
    """``Retry-After`` stands where waiting may help, and nowhere else."""
    problem, headers = answer(error)
    assert (problem.status, problem.type) == (status, problems.TYPE_PREFIX + name)
    assert ("Retry-After" in headers) is retry
    assert ("WWW-Authenticate" in headers) is (status == 401)


def test_the_refusal_holds_the_verdict() -> None:
    """A program that was refused need not ask again for the reasons."""
    problem = answer(DeploymentDriftError("drift", a_verdict("deny"))).problem
    assert problem.verdict is not None
    assert problem.verdict.decision == "deny"


def test_the_unexpected_is_told_to_the_log_and_not_to_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    """A stack or a message of a library may hold anything."""
    problem = answer(ValueError("password=hunter2")).problem
    assert problem.status == 500
    assert "hunter2" not in problem.model_dump_json()
    assert "hunter2" in caplog.text


def test_what_was_sent_is_not_sent_back() -> None:
    """A key in the wrong place must not come back in an answer, and from there into somebody's log."""
    found = [{"loc": ("body", "reason"), "msg": "too long", "input": "s3cret", "ctx": {"x": "s3cret"}}]
    problem = answer(of_validation(found)).problem
    assert "s3cret" not in problem.model_dump_json()
    assert problem.errors
    assert problem.errors[0].where == "body.reason"


def test_the_media_type_is_the_one_of_the_standard() -> None:
    assert MEDIA_TYPE == "application/problem+json"
