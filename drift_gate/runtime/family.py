"""The end of a process with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def kill(leader: int) -> None:
    """Kills a child and the children that it has: each git leads a group of its own.

    Stopped first, so that none is added meanwhile. Without ``/proc`` they end by their pipes.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(leader, signal.SIGSTOP)
    groups = [leader]
    for file in Path("/proc", str(leader), "task").glob("*/children"):
        with contextlib.suppress(OSError):
            groups += map(int, file.read_text().split())
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(leader, signal.SIGKILL)  # one that was forked just now leads no group yet
