"""What git answered, played back with some of it damaged: the parsers' view of a git that breaks.

A real git answers each question once. Then thousands of checks hear the same answers without a process
being started, but for the damage.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace

import pytest

from drift_gate.errors import SourceError
from drift_gate.sources.git.errors import unavailable
from drift_gate.sources.git.process import Git

#: The mark that `git log` is told to put around each commit differs from call to call.
_MARK = re.compile("tformat:([0-9a-f]{32})")
_NO_MARK = "m" * 32
#: Commands that change a repository; while a tape plays, none is run.
_WRITING = ("init", "fetch", "commit-graph", "repack")

Stream = Callable[..., contextlib.AbstractContextManager[Iterator[bytes]]]


@dataclass(frozen=True)
class Damage:
    """What happens to the answers of ``command``: to the first ``times`` of one check.

    ``kind``: ``cut`` off at a place, ``replaced`` by ``data``, two records ``swapped``, one ``dropped`` or
    ``doubled``, ``data`` ``inserted``, or one byte ``flipped``. ``at`` and ``to`` (0 to 1) are the places,
    ``chunk`` the size of the pieces in which the answer comes.
    """

    command: str
    kind: str
    at: float
    to: float
    data: bytes
    times: int
    chunk: int

    def done_to(self, answer: bytes) -> bytes:
        place = int(self.at * len(answer))
        match self.kind:
            case "cut":
                return answer[:place]
            case "replaced":
                return self.data
            case "inserted":
                return answer[:place] + self.data + answer[place:]
            case "flipped":
                flipped = bytes([answer[place] ^ (1 << len(self.data) % 8)]) if answer else b""
                return answer[:place] + flipped + answer[place + 1 :]
        return self._records(answer)

    def _records(self, answer: bytes) -> bytes:
        """The answer with one of its records, each with its end, moved, lost or said twice."""
        end = b"\0" if answer.count(b"\0") > answer.count(b"\n") else b"\n"
        records = [each + end for each in answer.split(end)[:-1]]
        if not records:
            return answer
        one, other = (int(part * len(records)) for part in (self.at, self.to))
        if self.kind == "swapped":
            records[one], records[other] = records[other], records[one]
        elif self.kind == "dropped":
            del records[one]
        else:
            records.insert(other, records[one])
        return b"".join(records)


@dataclass
class Tape:
    """``reference`` is where a question that is new is answered by git itself; None: where it is asked."""

    reference: Git | None = None
    damage: Damage | None = None
    asked: list[str] = field(default_factory=list)
    _answers: dict[tuple[object, ...], bytes | SourceError] = field(default_factory=dict)
    _left: int = 0

    def play(self, damage: Damage | None) -> None:
        """From now on with ``damage``."""
        self.damage, self._left = damage, damage.times if damage else 0
        self.asked.clear()

    @contextlib.contextmanager
    def put_in(self) -> Iterator[None]:
        """While this holds, every ``Git`` of the process hears the tape.

        The one patch: what ``stream`` yields is all that a parser ever sees of git, and 10,000 checks
        must not start 80,000 processes.
        """
        real: Stream = Git.stream
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Git, "stream", self._stream(real))
            yield

    def _stream(self, real: Stream) -> Stream:
        @contextlib.contextmanager
        def stream(
            git: Git,
            *args: str,
            stdin: bytes = b"",
            accept: Collection[int] = (0,),
            settings: Collection[str] = (),
            failure: Callable[[str, str], SourceError] = unavailable,
        ) -> Iterator[Iterator[bytes]]:
            how = {"stdin": stdin, "accept": accept, "settings": settings, "failure": failure}
            yield self._chunks(args[0], self._answer(real, git, args, how))

        return stream

    def _answer(self, real: Stream, git: Git, args: tuple[str, ...], how: dict[str, object]) -> bytes:
        mark = next((found[1] for each in args if (found := _MARK.search(each))), _NO_MARK)
        key = (*(each.replace(mark, _NO_MARK) for each in args), how["stdin"])
        self.asked.append(args[0])
        if args[0] in _WRITING:
            return b""
        if key not in self._answers:
            self._answers[key] = self._by_git(real, git, args, how, mark)
        answer = self._answers[key]
        if isinstance(answer, SourceError):
            raise answer
        return answer.replace(_NO_MARK.encode(), mark.encode())

    def _by_git(
        self, real: Stream, git: Git, args: tuple[str, ...], how: dict[str, object], mark: str
    ) -> bytes | SourceError:
        if self.reference:
            git = replace(self.reference, environ=git.environ, deadline=git.deadline, settings=git.settings)
        try:
            with real(git, *args, **how) as chunks:
                return b"".join(chunks).replace(mark.encode(), _NO_MARK.encode())
        except SourceError as error:
            return error

    def _chunks(self, command: str, answer: bytes) -> Iterator[bytes]:
        damage = self.damage
        if damage is None or damage.command not in ("*", command) or not self._left:
            return iter([answer] if answer else [])
        self._left -= 1
        harmed = damage.done_to(answer)
        return (harmed[start : start + damage.chunk] for start in range(0, len(harmed), damage.chunk))
