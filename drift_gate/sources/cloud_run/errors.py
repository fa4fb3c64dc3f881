"""What goes wrong when Google is asked, in the gate's own words: one table, foreign exception → cause.

The causes are published (``facts.Cause``); whether a failure may heal decides if it is tried again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import grpc
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from drift_gate.errors import Cause, SourceError
from drift_gate.sources.one_line import one_line

#: Foreign exception → (cause, may it heal). The entry nearest to the exception's own class counts.
TABLE: dict[type[Exception], tuple[Cause, bool]] = {
    # An error of no known kind: the answer did not come, and nothing says that asking again helps.
    api.GoogleAPIError: ("unavailable", False),
    api.RetryError: ("unavailable", True),
    api.DuplicateCredentialArgs: ("credentials", False),
    # Something between us and Google answered, a captive portal say.
    api.Redirection: ("invalid-response", False),
    # A project, region or name of a wrong form; an unknown region may be "not implemented" as well.
    api.BadRequest: ("not-found", False),
    api.NotFound: ("not-found", False),
    api.MethodNotAllowed: ("not-found", False),
    api.MethodNotImplemented: ("not-found", False),
    api.FailedPrecondition: ("unavailable", False),
    api.OutOfRange: ("unavailable", False),
    api.Unauthorized: ("credentials", False),
    api.Forbidden: ("permission-denied", False),
    api.TooManyRequests: ("rate-limited", True),
    api.Conflict: ("unavailable", True),
    api.Cancelled: ("unavailable", True),
    api.ServerError: ("unavailable", True),
    api.GatewayTimeout: ("timeout", True),
    api.DataLoss: ("invalid-response", False),
    auth.GoogleAuthError: ("credentials", False),
    auth.TransportError: ("unavailable", True),
    auth.ResponseError: ("unavailable", True),
    auth.TimeoutError: ("timeout", True),
    # A file of credentials that may not be read; the network's own failures come as one of the above.
    OSError: ("credentials", False),
    # The client libraries wrap these; a bare one comes from a channel that failed before any call.
    grpc.RpcError: ("unavailable", True),
    grpc.FutureTimeoutError: ("timeout", True),
    # A field of the answer is out of its range (an empty timestamp, the year 33658).
    ValueError: ("invalid-response", False),
    OverflowError: ("invalid-response", False),
}

#: What an adapter has to catch around a call to Google.
FOREIGN: tuple[type[Exception], ...] = tuple(TABLE)

#: gRPC reports its own troubles under a status that a server might have sent, too; only the text tells.
#: The first that fits counts: no way to the token server is no lack of credentials and may heal.
_BY_TEXT: tuple[tuple[type[Exception], str, tuple[Cause, bool]], ...] = (
    (api.InternalServerError, "Exception deserializing response", ("invalid-response", False)),
    (api.TooManyRequests, "Received message larger than max", ("invalid-response", False)),
    (api.ServiceUnavailable, "Max retries exceeded", ("unavailable", True)),
    (api.ServiceUnavailable, "Connection aborted", ("unavailable", True)),
    (api.ServiceUnavailable, "Connection broken", ("unavailable", True)),
    (api.ServiceUnavailable, "Getting metadata from plugin failed", ("credentials", False)),
)

CREDENTIALS_HINT = (
    "Run `gcloud auth application-default login`, or attach a service account to what runs this check."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, so that an error can name it.

    ``what`` is the thing with its name, ``permission`` the one that reading it takes, ``principal``
    the account that asked as IAM writes it (``serviceAccount:…``; None where it is not known). ``to`` is what
    it was asked for, ``role`` the role that allows it.
    """

    what: str
    permission: str
    project: str
    region: str
    principal: str | None = None
    to: Literal["read", "update"] = "read"
    role: str = "roles/run.viewer"

    @property
    def place(self) -> str:
        return f"{self.what} in {self.project}/{self.region}"


def classify(error: Exception) -> tuple[Cause, bool]:
    """The cause of ``error``, one of ``FOREIGN``, and whether asking again may help."""
    if isinstance(error, grpc.RpcError) and isinstance(error, grpc.Call):
        return classify(api.from_grpc_error(error))
    for kind, text, meaning in _BY_TEXT:
        if isinstance(error, kind) and text in str(error):
            return meaning
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def translate(error: Exception, asked: Asked) -> SourceError:
    """``error``, one of ``FOREIGN``, as the gate's own; raise it ``from error``."""
    cause, retryable = classify(error)
    sentence = _sentence(cause, one_line(_words(error)), error, asked)
    return SourceError(sentence, cause, retryable, None, _retry_after(error))


def _retry_after(error: Exception) -> float | None:
    """The seconds that Google asks to be left alone: the ``RetryInfo`` in the details of its status."""
    details = error.details if isinstance(error, api.GoogleAPICallError) else ()
    for delay in (detail.retry_delay for detail in details if hasattr(detail, "retry_delay")):
        return max(0.0, float(delay.seconds + delay.nanos / 1e9))
    return None


def _sentence(cause: Cause, words: str, error: Exception, asked: Asked) -> str:
    match cause:
        case "permission-denied":
            return _denied(words, error, asked)
        case "credentials":
            return f"no usable Google credentials to {asked.to} {asked.place}: {words}. {CREDENTIALS_HINT}"
        case "not-found":
            return f"{asked.place} does not exist: {words}"
        case "timeout":
            return f"Cloud Run did not answer in time about {asked.place}: {words}"
        case "rate-limited":
            return f"Cloud Run refuses to be asked about {asked.place} for now: {words}"
        case "invalid-response":
            return f"Cloud Run's answer about {asked.place} makes no sense: {words}"
        case _:
            return f"Cloud Run could not be asked about {asked.place}: {words}"


def _denied(words: str, error: Exception, asked: Asked) -> str:
    if isinstance(error, api.GoogleAPICallError) and error.reason == "SERVICE_DISABLED":
        enable = f"gcloud services enable run.googleapis.com --project={asked.project}"
        return f"the Cloud Run API is not enabled in {asked.project}: `{enable}`. Cloud Run says: {words}"
    who = asked.principal.split(":", 1)[-1] if asked.principal else "the caller"
    grant = (
        f"gcloud projects add-iam-policy-binding {asked.project} "
        f"--member={asked.principal or 'MEMBER'} --role={asked.role}"
    )
    return (
        f"{who} may not {asked.to} {asked.place}: it lacks `{asked.permission}`. "
        f"Grant {asked.role}: `{grant}`. Cloud Run says: {words}"
    )


def _words(error: Exception) -> str:
    """The other side's own words, without the status number that Google's exceptions print first."""
    text = str(getattr(error, "message", "") or error) or type(error).__name__
    return text.rstrip(". ")
