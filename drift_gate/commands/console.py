"""How the command lines print: drawings fitted to where they go, and talk on a stderr that never fails."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from typing import Any, TextIO, cast

from rich.console import Console, RenderableType
from rich.text import Text

from drift_gate.presentation import render


class _Talk:
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
        return render.plain(super().formatMessage(record))


def talk_on_stderr() -> None:
    """Log to stderr: sentences for people, and each verdict as one line of JSON alone.

    A terminal gets no JSON: there the table says the same. From here on, stderr never fails.
    """
    if not isinstance(sys.stderr, _Talk):
        sys.stderr = cast(TextIO, _Talk(sys.stderr or io.StringIO()))
    talk, lines = logging.getLogger("drift_gate"), logging.getLogger("drift_gate.verdict")
    for logger, form in ((talk, "%(levelname)s %(message)s"), (lines, "%(message)s")):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_OneLine(form))
        logger.handlers[:] = [handler]
        logger.propagate = False
    talk.setLevel(logging.INFO)
    if sys.stderr.isatty():
        lines.handlers[:] = [logging.NullHandler()]


def draw(drawing: RenderableType, file: TextIO | None = None) -> None:
    """Print a drawing (``file`` None: on stdout): fitted to a terminal, else wide and without padding."""
    file = file or sys.stdout
    if file is None:  # closed by whoever started this: the exit code tells
        return
    console = Console(file=file, highlight=False, width=None if file.isatty() else render.PIPED_WIDTH)
    with console.capture() as captured:
        console.print(drawing, crop=False)  # a line to paste stays one line, however long
    for line in captured.get().splitlines():
        print(line.rstrip(), file=file)


def draw_unfolded(text: Text) -> None:
    """Print on stdout without folding: a line that is to be pasted stays one line."""
    Console(highlight=False).print(text, soft_wrap=True)
