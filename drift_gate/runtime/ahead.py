"""Two cores do one piece of work: a fork begins at its other end, and nobody waits for it."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import subprocess
from collections.abc import Callable, Mapping

from drift_gate.runtime import forked

#: Bytes of sources for which a fork is begun: reading them takes 40 ms, the fork and its answers some 6.
WORTH = 200_000
#: Bytes that each answer begins with: its length.
_LENGTH = 4
_CHUNK = 1 << 16
#: Seconds in which the system collects a killed fork.
_REAP_S = 1.0


class Ahead:
    """``written(content)`` of each of ``contents``, as far as a fork has come, from the last one on.

    What it has not told when it is asked for is made by who asks, so that nothing here fails or takes longer
    where the fork ends, or does not. It lives as long as this process may. Raises ``OSError``.
    """

    def __init__(self, contents: Mapping[str, bytes], written: Callable[[bytes], bytes]) -> None:
        self._places = {name: place for place, name in enumerate(contents)}
        #: A byte for each of them, which both processes see: somebody has begun it.
        self._begun = mmap.mmap(-1, len(contents))
        self._heard = bytearray()
        self._answers, out = os.pipe()
        os.set_blocking(self._answers, False)
        seconds, _ = signal.getitimer(signal.ITIMER_REAL)

        def work() -> None:
            signal.setitimer(signal.ITIMER_REAL, seconds)  # the end that is set to the parent, if any
            for name in reversed([*contents]):
                if self._begin(name):
                    _send(out, name.encode() + b" " + written(contents[name]))

        try:
            self._fork = forked.start(work, keep=(out,))
        except OSError:
            os.close(self._answers)
            raise
        finally:
            os.close(out)

    def told(self, name: str) -> dict[str, bytes]:
        """What was made since somebody last asked; where ``name`` is not in it, the caller makes that."""
        self._begin(name)
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._answers, _CHUNK):
                self._heard += chunk
        told: dict[str, bytes] = {}
        while (end := _LENGTH + int.from_bytes(self._heard[:_LENGTH], "big")) <= len(self._heard):
            made, _, text = self._heard[_LENGTH:end].partition(b" ")
            told[made.decode()] = bytes(text)
            del self._heard[:end]
        return told

    def end(self) -> None:
        """End the fork, whatever it does."""
        os.close(self._answers)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._fork.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._fork.wait(_REAP_S)

    def _begin(self, name: str) -> bool:
        """Whether nobody has begun it before. Where both begin it at once, it is made twice."""
        place = self._places.get(name)
        if place is None or self._begun[place]:
            return False
        self._begun[place] = 1
        return True


def begun(contents: Mapping[str, bytes], written: Callable[[bytes], bytes]) -> Ahead | None:
    """An ``Ahead`` where it is worth its start, a fork is allowed, and there is a core for it; else None."""
    if sum(map(len, contents.values())) < WORTH or not forked.possible():
        return None
    if len(os.sched_getaffinity(0)) < 2:
        return None
    try:
        return Ahead(contents, written)
    except OSError:
        return None


def _send(out: int, answer: bytes) -> None:
    rest = memoryview(len(answer).to_bytes(_LENGTH, "big") + answer)
    while rest:
        rest = rest[os.write(out, rest) :]
