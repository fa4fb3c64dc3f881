"""Runs a program that a deploy needs: its lines are told as they come, its time is bounded, nothing stays."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from drift_gate.runtime import signals

#: Seconds between SIGTERM and SIGKILL.
END_S = 5.0
#: Seconds between two looks at whether it is over while somebody holds its pipes.
LOOK_S = 0.2
#: Bytes read at a time, of a line without an end, and at most in a pipe.
_CHUNK, _LINE, _IN_A_PIPE = 1 << 16, 4_000_000, 1 << 20

_ENDS = re.compile(rb"\r\n|[\r\n]")

#: Takes a line that the program printed, and whether that was on stdout.
Take = Callable[[str, bool], object]


def run(
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    seconds: float,
    take: Take,
    folder: Path | None = None,
) -> int:
    """The exit status of ``command``, run in ``folder`` (None: where we are) with ``environ`` alone.

    It is over when it has ended, whoever holds its pipes then: a daemon that it has left behind keeps nobody
    waiting. Raises ``TimeoutError`` where that is not within ``seconds``, and ``OSError`` where it cannot be
    started. However this ends, what is left of its process group is ended with it.
    """
    over = time.monotonic() + seconds
    with _started(command, environ, folder) as process, selectors.DefaultSelector() as pipes:
        for pipe, out in ((process.stdout, True), (process.stderr, False)):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                pipes.register(pipe, selectors.EVENT_READ, _Lines(pipe, out, take))
        while process.poll() is None:
            left = over - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if not pipes.get_map():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(left)
            for key, _ in pipes.select(min(left, LOOK_S)) if pipes.get_map() else ():
                if key.data.read() == 0:
                    pipes.unregister(key.fileobj)
        for key in pipes.get_map().values():
            key.data.rest()
        return process.returncode


@contextlib.contextmanager
def _started(
    command: Sequence[str], environ: Mapping[str, str], folder: Path | None
) -> Iterator[subprocess.Popen[bytes]]:
    """The process, in a group of its own, which is ended with the block."""
    process = None
    try:
        with signals.deferred():  # nobody could end what is started and not known yet
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        yield process
    finally:
        if process is not None:
            _end(process)
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing of it behind, whatever it has started."""
    with contextlib.suppress(ProcessLookupError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@dataclass(slots=True)
class _Lines:
    """What comes out of one pipe, line by line; ``begun`` is the line that has no end yet."""

    pipe: IO[bytes]
    out: bool
    take: Take
    begun: bytes = b""

    def read(self) -> int | None:
        """Take what there is, and say how many bytes; 0: it has ended; None: there is nothing now."""
        try:
            chunk = os.read(self.pipe.fileno(), _CHUNK)
        except BlockingIOError:
            return None
        *lines, self.begun = _ENDS.split(self.begun + chunk)
        if self.begun and (not chunk or len(self.begun) > _LINE):
            lines.append(self.begun)
            self.begun = b""
        for line in lines:
            self.take(line.decode("utf-8", "backslashreplace"), self.out)
        return len(chunk)

    def rest(self) -> None:
        """Take what the program itself has left in the pipe, and wait for nobody."""
        room = _IN_A_PIPE
        while room > 0 and (size := self.read()):
            room -= size
        if self.begun:
            self.take(self.begun.decode("utf-8", "backslashreplace"), self.out)
