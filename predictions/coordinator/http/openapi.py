"""The OpenAPI description: what FastAPI knows, and what only we know: problems, and who may ask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from drift_gate.policy.verdict import Outcome
from predictions.coordinator.exceptions import (
    ForbiddenError,
    IdentityUnavailableError,
    UnauthenticatedError,
)
from predictions.coordinator.http import problems
from predictions.coordinator.http.access import Access
from predictions.coordinator.http.problems import (
    KINDS,
    MEDIA_TYPE,
    BusyError,
    LateError,
    Problem,
    RequestError,
    ShuttingDownError,
    SlowBodyError,
    TooLargeError,
)

Responses = dict[int | str, dict[str, Any]]

#: What the description says of parameters.
KEY = (
    "The same key again is answered with the batch that it made. Give one wherever a request may be "
    "repeated: by a scheduler, by a client after a lost connection."
)
WORDS = "`text` for the words of the command line, which an `Accept` of text/plain brings too; else JSON."
FORMAT = "`csv` or `json`; without it what `Accept` asks for, else JSON."
RAN_WITH = "A commit's id: say of each batch whether the commits that were judged at its start hold it."
#: A commit's id, in full or short.
COMMIT = "^[0-9a-fA-F]{7,64}$"

#: What any request may be answered, whatever it asks for.
_ANY = (RequestError, TooLargeError, SlowBodyError, BusyError, ShuttingDownError, LateError, Exception)
#: What any request may be answered that has to say who it is from.
_GUARDED = (UnauthenticatedError, IdentityUnavailableError, ForbiddenError)
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which asking again may help; absent where it does not help.",
        "schema": {"type": "integer"},
    }
}
_REF = "#/components/schemas/{model}"


def refusals(*errors: type[Exception], guarded: bool = True) -> Responses:
    """The problems that a route answers with, by status: those of ``errors``, and what all have in common."""
    by_status: dict[int, list[problems.Kind]] = defaultdict(list)
    for error in (*errors, *(_GUARDED if guarded else ()), *_ANY):
        by_status[KINDS[error].status].append(KINDS[error])
    return {status: _response(status, kinds) for status, kinds in sorted(by_status.items())}


def _response(status: int, kinds: list[problems.Kind]) -> dict[str, Any]:
    told = "; ".join(f"`{kind.name}`: {kind.title.lower()}" for kind in kinds)
    response: dict[str, Any] = {
        "description": told,
        "content": {
            MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}},
            "text/plain": {"schema": {"type": "string"}},
        },
    }
    if status == 503:
        response["headers"] = _RETRY_AFTER
    if status == 401:
        response["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return response


def of(api: FastAPI, access: Access, *, longest_wait: float) -> dict[str, Any]:
    """The description of ``api`` as ``access`` guards it, with the longest ``wait`` that is taken."""
    described = get_openapi(
        title=api.title,
        version=api.version,
        description="Starts the day's batch of predictions, unless the worker runs stale code.",
        routes=api.routes,
    )
    schemas = described["components"]["schemas"]
    _, defined = models_json_schema(
        [(Problem, "serialization"), (Outcome, "serialization")], ref_template=_REF
    )
    schemas.update({name: schema for name, schema in defined["$defs"].items() if name not in schemas})
    schemas["StartRequest"]["properties"]["wait"]["maximum"] = longest_wait
    schemes = _schemes(access)
    if schemes:
        described["components"]["securitySchemes"] = schemes
    for path, operations in described["paths"].items():
        for operation in operations.values():
            if path not in {"/health", "/ready"} and schemes:
                operation["security"] = [{name: []} for name in schemes]
    return described


def _schemes(access: Access) -> Mapping[str, Any]:
    """How a caller says who they are, by the mode of access."""
    bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Google's ID token"}
    key = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    match access.mode:
        case "open":
            return {}
        case "api-key":
            return {"key": key, "token": bearer} if access.verifies_tokens else {"key": key}
        case _:
            return {"token": bearer}
