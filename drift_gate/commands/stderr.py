"""What is said to people beside the data: on a stderr that never fails, each record on one line."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from typing import Any, TextIO, cast

from drift_gate.presentation.plain_text import plain


class _Stderr:
    """stderr for people: one that is closed or full, or whose reader went away, must stop no batch."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _OneLine(logging.Formatter):
    """A record on one line (its traceback aside): nobody forges a line by a name with a line break."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return plain(super().formatMessage(record))


def log_to_stderr() -> None:
    """Log to stderr: sentences for people, and each verdict as one line of JSON alone.

    A terminal gets no JSON: there the table says the same. From here on, stderr never fails.
    """
    if not isinstance(sys.stderr, _Stderr):
        sys.stderr = cast(TextIO, _Stderr(sys.stderr or io.StringIO()))
    messages, lines = logging.getLogger("drift_gate"), logging.getLogger("drift_gate.verdict")
    for logger, form in ((messages, "%(levelname)s %(message)s"), (lines, "%(message)s")):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_OneLine(form))
        logger.handlers[:] = [handler]
        logger.propagate = False
    messages.setLevel(logging.INFO)
    if sys.stderr.isatty():
        lines.handlers[:] = [logging.NullHandler()]
