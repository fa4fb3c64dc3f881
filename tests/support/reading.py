"""Programs that have a process read for them, by a library that forks nothing or as programs of ours do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Before a program that embeds the gate, and before one of ours.
SPAWNED, FORKED = "", "from drift_gate.runtime import forked\nasked = forked.allowed()\nasked.__enter__()\n"
#: Each prints the id of a process that reads, and then goes its own way.
SETTING_UP = """
import os, re, signal, sys, time
from drift_gate.runtime.deadline import Deadline
from drift_gate.runtime.child_process import Child, pool
ours = pool().take(Deadline(60))
ours.ready(Deadline(60))
print(ours.pid, flush=True)
"""


@contextmanager
def program(lines: str, *, before: str = SPAWNED) -> Iterator[subprocess.Popen[str]]:
    """One that runs ``lines`` with ``ours``, a process that reads; it is over when the block is."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))}
    command = [sys.executable, "-c", before + SETTING_UP + lines]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> str:
    """The next line that the program prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def is_forked(pid: int, parent: int) -> bool:
    """Whether the process ``pid`` is a fork of ``parent``: no other program has taken its place."""
    mine, other = (Path("/proc", str(each), "cmdline").read_bytes() for each in (pid, parent))
    return mine == other


def ended(pid: int) -> None:
    """Returns when the process has ended; pytest's own limit is the only one."""
    while True:
        try:
            state = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.01)
