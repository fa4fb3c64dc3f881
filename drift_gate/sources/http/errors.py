"""What goes wrong over HTTP, in the gate's own words: foreign exceptions and statuses → cause."""

from __future__ import annotations

import email.utils
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from socket import EAI_AGAIN, gaierror

import httpcore
import httpx

from drift_gate.errors import Cause, SourceError
from drift_gate.sources.one_line import one_line

#: Foreign exception → (cause, may it heal). The entry nearest to the exception's own class counts.
TABLE: dict[type[Exception], tuple[Cause, bool]] = {
    httpcore.TimeoutException: ("timeout", True),
    httpcore.NetworkError: ("unavailable", True),
    httpcore.ProxyError: ("unavailable", True),
    httpcore.UnsupportedProtocol: ("invalid-response", False),
    httpcore.ProtocolError: ("invalid-response", False),
    httpcore.ConnectionNotAvailable: ("unavailable", True),
    httpx.HTTPError: ("unavailable", True),
    httpx.TimeoutException: ("timeout", True),
    httpx.ProtocolError: ("invalid-response", False),
    httpx.UnsupportedProtocol: ("invalid-response", False),
    httpx.DecodingError: ("invalid-response", False),
    httpx.TooManyRedirects: ("invalid-response", False),
    httpx.HTTPStatusError: ("invalid-response", False),
    httpx.InvalidURL: ("invalid-response", False),
    httpx.CookieConflict: ("invalid-response", False),
    # A stream that was closed under the reader, when a check ends before its threads do.
    httpx.StreamError: ("unavailable", True),
    # A certificate that does not fit, or no TLS at all on the other side: asking again changes nothing.
    ssl.SSLError: ("unavailable", False),
    # The other side, or something between, hung up in the middle of the handshake.
    ssl.SSLEOFError: ("unavailable", True),
    ssl.SSLZeroReturnError: ("unavailable", True),
    ssl.SSLSyscallError: ("unavailable", True),
    OSError: ("unavailable", True),
    TimeoutError: ("timeout", True),
    # No such name. That a name server could not answer for now is told apart below.
    gaierror: ("unavailable", False),
    # A host name that is no name at all, which Python's codec for them says in this way.
    UnicodeError: ("invalid-response", False),
}

#: What has to be caught around a request.
FOREIGN: tuple[type[Exception], ...] = tuple(TABLE)

#: Both libraries report a line that was cut as a breach of the protocol; only the text tells.
_CUT = ("Server disconnected", "peer closed connection")

#: Status → (cause, may it heal, what it means). Other 5xx are `unavailable`, the rest makes no sense.
_STATUSES: dict[int, tuple[Cause, bool, str]] = {
    401: ("credentials", False, "asks for other credentials"),
    403: ("permission-denied", False, "refuses to show it"),
    404: ("not-found", False, "does not have it"),
    408: ("timeout", True, "gave up waiting for the request"),
    429: ("rate-limited", True, "refuses to be asked for now"),
}
_DOWN: tuple[Cause, bool, str] = ("unavailable", True, "could not answer")
_NONSENSE: tuple[Cause, bool, str] = ("invalid-response", False, "gave an answer that makes no sense")


def classify(error: Exception) -> tuple[Cause, bool]:
    """The cause of ``error``, one of ``FOREIGN``, and whether asking again may help."""
    # httpcore wraps what the socket said, and keeps it as its argument only.
    inner = error.args[0] if error.args else None
    if isinstance(inner, ssl.SSLError):
        return classify(inner)
    if isinstance(error, gaierror) and error.errno == EAI_AGAIN:
        return "unavailable", True
    if isinstance(error, httpcore.ProtocolError | httpx.ProtocolError) and str(error).startswith(_CUT):
        return "unavailable", True
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def translate(error: Exception, host: str, what: str) -> SourceError:
    """``error``, one of ``FOREIGN``, as the gate's own; raise it ``from error``."""
    cause, retryable = classify(error)
    words = one_line(str(error)) or type(error).__name__
    match cause:
        case "timeout":
            sentence = f"{host} did not answer in time about {what}: {words}"
        case "invalid-response":
            sentence = f"{host} answered nonsense about {what}: {words}"
        case _:
            sentence = f"{host} could not be asked about {what}: {words}"
    return SourceError(sentence, cause, retryable)


def refusal(
    status: int, headers: Mapping[str, str], *, host: str, what: str, words: str, now: datetime
) -> SourceError:
    """A ``status`` that is no answer to ``what``, as an error; ``words`` are the other side's own.

    ``now`` (UTC) is what a ``Retry-After`` counts from that is a date, where the answer bears no date.
    """
    cause, retryable, meaning = _STATUSES.get(status, _DOWN if 500 <= status <= 599 else _NONSENSE)
    said = f": {one_line(words)}" if words else ""
    sentence = f"asked about {what}, {host} {meaning} (HTTP {status}){said}"
    return SourceError(sentence, cause, retryable, None, retry_after(headers, now) if retryable else None)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds that a ``Retry-After`` asks for, as a number or as a date; None for none or nonsense.

    A date is held against the answer's own ``Date``, so that no difference of the clocks counts.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    until = _moment(value)
    return max(0.0, (until - (_moment(headers.get("date", "")) or now)).total_seconds()) if until else None


def _moment(text: str) -> datetime | None:
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
