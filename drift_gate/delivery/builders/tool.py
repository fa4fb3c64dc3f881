"""Runs a builder's program: its lines are told, the last ones kept for the error, its time is bounded."""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from drift_gate.delivery import program
from drift_gate.errors import BuildError, SourceError
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.one_line import one_line

#: Lines of what a program printed that its error shows, and characters of each.
LAST_LINES, LINE_LIMIT = 12, 300
#: Characters of what a program answers on stdout.
ANSWER_LIMIT = 4_000_000


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
        last: deque[str] = deque(maxlen=LAST_LINES)
        answer: list[str] = []
        room = ANSWER_LIMIT

        def take(line: str, out: bool) -> None:
            nonlocal room
            shown = one_line(line, LINE_LIMIT)
            last.append(shown)
            self.say(shown)
            if out and (room := room - len(line) - 1) > 0:
                answer.append(f"{line}\n")

        try:
            status = program.run(command, environ=self.environ, seconds=left, take=take)
        except TimeoutError as error:
            sentence = f"`{_told(command)}` was not over within {within.seconds:.3g} s"
            raise SourceError(sentence, "timeout", True) from error
        except FileNotFoundError as error:
            raise BuildError(f"there is no `{self.name}` here: {self.brings}") from error
        except OSError as error:
            raise BuildError(f"`{self.name}` cannot be started: {error.strerror}") from error
        if status:
            said = "".join(f"\n  {line}" for line in last) or " it said nothing"
            raise BuildError(f"`{_told(command)}` ended with {status}:{said}")
        return "".join(answer)


def _told(command: Sequence[str]) -> str:
    """The program and its first word: the rest is long, and in what it printed."""
    return shlex.join(command[:2])
