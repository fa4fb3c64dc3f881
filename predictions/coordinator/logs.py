"""The coordinator's log: sentences for people, or one JSON object a line as Cloud Logging reads it.

Field names are Cloud Logging's own: https://cloud.google.com/logging/docs/structured-logging#special-payload-fields.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

from drift_gate.commands.stderr import log_to_stderr
from drift_gate.presentation.enforcement import why_not_enforced
from drift_gate.presentation.render import plain

#: Ours, whose INFO is of interest; of every other library only warnings are.
LOGGERS = ("drift_gate", "prediction_coordinator")
#: Each message of it is a JSON object, which ``LogSink`` wrote.
VERDICTS = "drift_gate.verdict"
#: Set by Cloud Run in a service and in a job.
_ON_CLOUD_RUN = ("K_SERVICE", "CLOUD_RUN_JOB")
_PREFIX = "logging.googleapis.com/"
#: https://www.w3.org/TR/trace-context/#traceparent-header: version, trace, parent, flags.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
#: https://cloud.google.com/trace/docs/trace-context#legacy-http-header: the span is decimal here.
_CLOUD_TRACE = re.compile(r"([0-9a-fA-F]{32})(?:/([0-9]{1,20}))?(?:;o=([0-9]+))?")


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace of a request: ids in hex (``span_id`` None: not said), and whether it is recorded."""

    trace_id: str
    span_id: str | None
    sampled: bool


_trace: ContextVar[Trace | None] = ContextVar("trace", default=None)
_labels: ContextVar[Mapping[str, str] | None] = ContextVar("labels", default=None)


def configure(
    environ: Mapping[str, str],
    *,
    structured: bool | None = None,
    project: str | None = None,
    stream: TextIO | None = None,
) -> bool:
    """Set up the log of this process, on ``stream`` (None: stderr); returns whether it is structured.

    ``structured`` None: on Cloud Run, unless ``stream`` is a terminal. ``project`` is the Google Cloud
    project of the traces; None: ``GOOGLE_CLOUD_PROJECT``, and without it no record names its trace.
    """
    log_to_stderr()
    stream = stream or sys.stderr
    if structured is None:
        structured = any(environ.get(name) for name in _ON_CLOUD_RUN) and not stream.isatty()
    handler: logging.Handler = logging.StreamHandler(stream)
    handler.setFormatter(CloudFormatter(project or environ.get("GOOGLE_CLOUD_PROJECT")))
    if structured:
        _everything_to(handler)
    else:
        gate, own = (logging.getLogger(name) for name in LOGGERS)
        own.handlers[:], own.propagate = gate.handlers, False
        own.setLevel(logging.INFO)
    return structured


def _everything_to(handler: logging.Handler) -> None:
    """Every record of the process through the one handler: nobody finds a line that is no JSON."""
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in (*LOGGERS, VERDICTS, "uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.INFO)
    # Google's clients cut this one off from the root when the first of them is made.
    google = logging.getLogger("google")
    google.handlers[:], google.propagate = [handler], False
    logging.captureWarnings(True)


@contextmanager
def traced(headers: Mapping[str, str]) -> Iterator[None]:
    """What is logged inside the block belongs to the trace that the request's ``headers`` name, if any."""
    token = _trace.set(trace_of(headers))
    try:
        yield
    finally:
        _trace.reset(token)


@contextmanager
def labelled(**labels: str) -> Iterator[None]:
    """What is logged inside the block carries ``labels``, such as ``batch_id``, beside those around it."""
    token = _labels.set({**(_labels.get() or {}), **labels})
    try:
        yield
    finally:
        _labels.reset(token)


def trace_of(headers: Mapping[str, str]) -> Trace | None:
    """The trace that ``headers`` (names in lower case) put a request into; None: none, or an invalid one.

    ``traceparent`` counts before ``X-Cloud-Trace-Context``, which Cloud Run sets beside it.
    """
    if match := _TRACEPARENT.fullmatch(headers.get("traceparent", "").strip()):
        trace, span, flags = match[1], match[2], int(match[3], 16)
    elif match := _CLOUD_TRACE.fullmatch(headers.get("x-cloud-trace-context", "").strip()):
        trace, span, flags = match[1].lower(), f"{int(match[2] or 0):016x}", int(match[3] or 0)
    else:
        return None
    if int(trace, 16) == 0:
        return None
    known = int(span, 16) > 0 and len(span) == 16
    return Trace(trace, span if known else None, bool(flags & 1))


class CloudFormatter(logging.Formatter):
    """A record as one line of JSON, whatever is in it; never raises."""

    def __init__(self, project: str | None) -> None:
        """``project``: where traces are kept; None: no record names its trace."""
        super().__init__()
        self._project = project

    def format(self, record: logging.LogRecord) -> str:
        """The verdict's own fields, then ours, which nothing in a message can replace."""
        fields = _verdict(record)
        entry: dict[str, object] = {
            **fields,
            "severity": _severity(record.levelno),
            "message": _sentence(fields) if fields else _message(record),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "logger": record.name,
            **self._context(),
        }
        if record.exc_info:  # Error Reporting looks for a traceback here
            entry["stack_trace"] = _printable(self.formatException(record.exc_info))
        return json.dumps(_clean(entry), default=str, allow_nan=False)

    def _context(self) -> dict[str, object]:
        context: dict[str, object] = {}
        if labels := _labels.get():
            context[f"{_PREFIX}labels"] = labels
        trace = _trace.get()
        if trace and self._project:
            context[f"{_PREFIX}trace"] = f"projects/{self._project}/traces/{trace.trace_id}"
            context[f"{_PREFIX}trace_sampled"] = trace.sampled
            if trace.span_id:
                context[f"{_PREFIX}spanId"] = trace.span_id
        return context


def _severity(level: int) -> str:
    """Cloud Logging's name for a level; it knows those of the standard library and no number between."""
    for name in ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"):
        if level >= logging.getLevelNamesMapping()[name]:
            return name
    return "DEFAULT"


def _verdict(record: logging.LogRecord) -> dict[str, object]:
    """The fields of a verdict. Only that logger's messages are read: a stranger's text may look like JSON."""
    if record.name != VERDICTS:
        return {}
    try:
        fields = json.loads(record.getMessage())
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _sentence(verdict: Mapping[str, object]) -> str:
    """A verdict for whoever reads down the list of messages."""
    codes = _codes(verdict)
    because = f" ({', '.join(dict.fromkeys(codes))})" if codes else ""
    lifted = why_not_enforced(verdict.get("not_enforced_because"))
    enforced = "" if verdict.get("enforced") else f", not enforced: {lifted}"
    about = f"drift verdict on {verdict.get('service')}"
    if verdict.get("event") == "readiness_verdict":
        about = f"readiness verdict on {verdict.get('game_date')}, {verdict.get('phase')}"
    return plain(f"{about}: {verdict.get('decision')}{because}{enforced}")


def _codes(verdict: Mapping[str, object]) -> list[str]:
    """The reason codes of a verdict, and of the checks in it."""
    codes: list[str] = []
    for part in (verdict, *_listed(verdict.get("checks"))):
        codes += [str(reason.get("code")) for reason in _listed(part.get("reasons"))]
    return codes


def _listed(value: object) -> list[Mapping[str, object]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _message(record: logging.LogRecord) -> str:
    try:
        return plain(record.getMessage())
    except Exception:  # a message that does not fit its arguments is still worth a line
        return plain(f"{record.msg!s} {record.args!r}")


def _clean(value: object) -> object:
    """``value`` as JSON that every parser takes: no NaN, no half of a surrogate pair."""
    match value:
        case str():
            return _printable(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {plain(str(key)): _clean(each) for key, each in value.items()}
        case list() | tuple():
            return [_clean(each) for each in value]
        case _:
            return value


def _printable(text: str) -> str:
    """``text`` with its line breaks, which JSON escapes; a traceback is read with them."""
    return "\n".join(plain(line) for line in text.split("\n"))
