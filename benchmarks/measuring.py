"""Taking turns: two ways of doing the same, alternately, so that a slow moment hits both.

The libraries that time code (pyperf, pytest-benchmark) finish one subject before they begin the next;
on a shared machine the ratio of two such medians wanders. Hence these few lines.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: a subject, its median and spread (milliseconds), and a remark."""

    subject: str
    median_ms: float
    spread_ms: tuple[float, float]
    remark: str = ""

    def __str__(self) -> str:
        low, high = self.spread_ms
        return f"| {self.subject} | {self.median_ms:,.1f} | {low:,.1f} to {high:,.1f} | {self.remark} |"


def in_turn(subjects: dict[str, Callable[[], float]], rounds: int) -> dict[str, Row]:
    """Each subject once per round, after one round that does not count; a subject returns seconds."""
    taken: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(rounds + 1):
        for name, subject in subjects.items():
            seconds = subject()
            if number:
                taken[name].append(seconds * 1000)
    return {
        name: Row(name, statistics.median(times), (min(times), max(times))) for name, times in taken.items()
    }


def wall(work: Callable[[], object]) -> Callable[[], float]:
    """``work`` as a subject: its wall-clock seconds."""

    def measured() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return measured


def wall_of(argv: Sequence[str], folder: Path) -> Callable[[], float]:
    """A process as a subject: its wall-clock seconds."""
    return wall(lambda: subprocess.run(argv, cwd=folder, check=True, capture_output=True))


def cpu_of(argv: Sequence[str], folder: Path, *, check: bool = True) -> Callable[[], float]:
    """A process as a subject: its CPU seconds, user and system, and those of what it waits for.

    ``check`` False: whatever its exit code is.
    """

    def measured() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(argv, cwd=folder, check=check, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    return measured


def peak_mib() -> float:
    """The most memory that this process has held since it began, in MiB (Linux).

    Not ``getrusage``: that counts the children and what was held before the program began.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


@contextmanager
def peak_of(pid: int, every_s: float) -> Iterator[list[int]]:
    """The most bytes that ``pid`` and all that it started held at a time; what they share counts once.

    Looked at every so many seconds until the block ends; the list has the one number.
    """
    peak, over = [0], threading.Event()

    def sample() -> None:
        while not over.wait(every_s):
            peak[0] = max(peak[0], sum(map(_pss, _family(pid))))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def _family(pid: int) -> list[psutil.Process]:
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.Error:  # it has ended
        return []


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def machine() -> str:
    """What the figures were taken on."""
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {git}"
    )


def table(title: str, rows: Sequence[Row]) -> str:
    """The rows under a heading, as Markdown."""
    head = "| subject | median ms | spread ms | remark |\n|---|---|---|---|\n"
    return f"## {title}\n\n{head}" + "\n".join(map(str, rows)) + "\n"


def python(code: str) -> list[str]:
    """A fresh interpreter that runs ``code``."""
    return [sys.executable, "-c", code]
