"""Which processes a test has left behind."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path


def left_running(words: str) -> list[str]:
    """The processes, of any parent, whose command line holds ``words``, a second after they were killed.

    The system ends them when it gets to it; on a busy machine that is not at once.
    """
    deadline = time.monotonic() + 1
    while (found := running(words)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def running(words: str) -> list[str]:
    """The same, now."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            found.append(each.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if words in line]
