"""How a test starts processes, and which it has left behind."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def deaf(argv: Sequence[str]) -> list[str]:
    """The command line that starts ``argv`` as a script's background job is: Ctrl-C and SIGTERM ignored."""
    return ["sh", "-c", 'trap "" INT TERM; exec "$@"', "sh", *argv]


def heed_signals() -> None:
    """For this process, and whatever it starts from now on: Ctrl-C and SIGTERM are not ignored.

    ``make test`` may be such a background job itself, and what is ignored is inherited. A handler is not:
    what is started has the default again.
    """
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def left_running(words: str) -> list[str]:
    """The processes, of any parent, whose command line holds ``words``, a minute after they were killed.

    The system ends them when it gets to it; on a busy machine that is not at once.
    """
    deadline = time.monotonic() + 60
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
