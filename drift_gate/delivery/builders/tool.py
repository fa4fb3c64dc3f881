"""Runs a builder's program: its lines are told, the last ones kept for the error, its time is bounded."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from drift_gate.errors import BuildError, SourceError
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.one_line import one_line

#: Lines of what a program printed that its error shows, and characters of each.
LAST_LINES, LINE_LIMIT = 12, 300
#: Characters of what a program answers on stdout.
ANSWER_LIMIT = 4_000_000
#: Seconds between SIGTERM and SIGKILL.
END_S = 5.0


@dataclass(frozen=True, slots=True)
class Tool:
    """One program by its ``name``, with ``environ`` as its whole environment.

    ``brings`` is how a person gets it where it is not there; ``say`` takes each line that it prints.
    """

    name: str
    brings: str
    environ: Mapping[str, str]
    say: Callable[[str], object]

    def run(self, arguments: Sequence[str], within: Deadline) -> str:
        """What it prints on stdout.

        Raises ``BuildError`` with its last lines, and ``SourceError`` (``timeout``) where it is not over.
        """
        command = [self.name, *arguments]
        left = within.require(f"`{self.name}`")
        process = self._started(command)
        last: deque[str] = deque(maxlen=LAST_LINES)
        answer: list[str] = []
        streams = (process.stdout, answer.append), (process.stderr, None)
        readers = [threading.Thread(target=self._read, args=(*each, last), daemon=True) for each in streams]
        try:
            for reader in readers:
                reader.start()
            process.wait(left)
        except subprocess.TimeoutExpired as error:
            sentence = f"`{_told(command)}` was not over within {within.seconds:.3g} s"
            raise SourceError(sentence, "timeout", True) from error
        finally:
            _end(process)
            for reader in readers:
                reader.join()
        if process.returncode:
            said = "".join(f"\n  {line}" for line in last) or " it said nothing"
            raise BuildError(f"`{_told(command)}` ended with {process.returncode}:{said}")
        return "".join(answer)

    def _started(self, command: Sequence[str]) -> subprocess.Popen[str]:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(self.environ),
                encoding="utf-8",
                errors="backslashreplace",
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise BuildError(f"there is no `{self.name}` here: {self.brings}") from error
        except OSError as error:
            raise BuildError(f"`{self.name}` cannot be started: {error.strerror}") from error

    def _read(self, stream: IO[str], keep: Callable[[str], None] | None, last: deque[str]) -> None:
        room = ANSWER_LIMIT
        with stream:
            for line in stream:
                shown = one_line(line.rstrip(), LINE_LIMIT)
                last.append(shown)
                self.say(shown)
                if keep and (room := room - len(line)) > 0:
                    keep(line)


def _told(command: Sequence[str]) -> str:
    """The program and its first word: the rest is long, and in what it printed."""
    return shlex.join(command[:2])


def _end(process: subprocess.Popen[str]) -> None:
    """Leave nothing of it behind, whatever it has started."""
    with contextlib.suppress(ProcessLookupError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
