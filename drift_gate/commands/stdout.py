"""Data on a stdout that may be full or closed, which is said in one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from drift_gate.errors import DriftGateError


class StdoutError(DriftGateError):
    """What was to be printed did not reach whoever reads it."""


class _Data:
    """stdout for data. Its ``write`` and ``flush`` raise ``StdoutError``; ``stream`` None: it is closed."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._open().write(text)
        except (OSError, ValueError) as error:
            raise self._broken(error) from error

    def flush(self) -> None:
        try:
            if self._stream:
                self._stream.flush()
        except (OSError, ValueError) as error:
            raise self._broken(error) from error

    @property
    def encoding(self) -> str | None:
        return self._stream.encoding if self._stream else None

    def isatty(self) -> bool:
        return bool(self._stream and self._stream.isatty())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _open(self) -> TextIO:
        if self._stream is None:
            raise ValueError("it is closed")
        return self._stream

    def _broken(self, error: OSError | ValueError) -> StdoutError:
        """The error; what is left in the buffer goes nowhere, since Python would try it again as it ends."""
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._open().fileno())
            os.close(nowhere)
        return StdoutError(f"cannot write to stdout: {getattr(error, 'strerror', None) or error}")


@contextmanager
def delivered() -> Iterator[None]:
    """What the block prints on stdout has left the process at its end, or ``StdoutError``."""
    before = sys.stdout
    sys.stdout = cast(TextIO, _Data(before))
    try:
        try:
            yield
        except SystemExit:  # argparse has printed a help text
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    finally:
        sys.stdout = before
