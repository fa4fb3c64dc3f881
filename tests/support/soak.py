"""Thousands of checks in one process while Cloud Run fails now and then: what is wrong, and what grows.

    python -m support.soak 10000 --page docs/soak.md

Cloud Run answers from a process of its own. The true verdict of each check is known; a fault may make it
unknown and nothing else.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from support.cloud_process import CloudProcess, cloud_process

from drift_gate.errors import Cause
from drift_gate.settings.file import Settings, load
from drift_gate.testing import HistoryBuilder
from drift_gate.wiring import rollouts

TOML = """
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "main"
deadline = "4s"

[services.current]
[services.late]
[services.stale]
"""
#: What each service is in truth.
TRUTH = {"current": "allow", "late": "warn", "stale": "deny"}
#: How many checks of a hundred meet a fault.
FAULTY = 5
#: How often memory, threads and files are looked at.
SAMPLES = 50

Fault = Callable[[CloudProcess], object]


def fails(**how: object) -> Fault:
    return lambda cloud: cloud.tell("fault", "*", **how)


#: Each fault with what it may turn a verdict into; one that heals in time may also leave the truth. Those
#: that last until the deadline are rarer, since they take long.
FAULTS: Sequence[tuple[int, str, Fault, frozenset[Cause], bool]] = (
    (20, "unavailable twice", fails(code="UNAVAILABLE", times=2), frozenset({"unavailable"}), True),
    (20, "refused for now", fails(code="RESOURCE_EXHAUSTED", times=1), frozenset({"rate-limited"}), True),
    (20, "reset", lambda cloud: cloud.tell("close_all"), frozenset({"unavailable"}), True),
    (20, "slow", fails(delay=0.2), frozenset({"timeout"}), True),
    (16, "malformed", fails(garbage=True), frozenset({"invalid-response"}), False),
    (2, "unavailable for good", fails(code="UNAVAILABLE"), frozenset({"unavailable", "timeout"}), False),
    (2, "hang", fails(hang=True), frozenset({"timeout"}), False),
)


@dataclass(frozen=True)
class Sample:
    """After ``checks`` checks: resident memory in MB, threads, open files (sockets and pipes too)."""

    checks: int
    memory: float
    threads: int
    files: int


@dataclass
class Soaked:
    """What came of it. ``wrong`` are verdicts that were neither the truth nor an unknown that was due."""

    checks: int
    seconds: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    came: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def grown(self) -> list[str]:
        """What is more at the end than it was once all was warm, in words; empty: all is flat."""
        warm = self.samples[: len(self.samples) // 5 + 1]
        late = self.samples[len(self.samples) // 5 + 1 :]
        found = []
        for name, slack in (("memory", 8.0), ("threads", 4), ("files", 6)):
            before, after = (max(getattr(one, name) for one in part) for part in (warm, late))
            if after > before + slack:
                found.append(f"{name}: {before} when warm, {after} later")
        return found


def soak(checks: int, folder: Path, seed: int = 1) -> Soaked:
    """``checks`` checks; ``seed`` draws which of them meet which fault."""
    chance = random.Random(seed)  # noqa: S311 - nothing here is secret
    soaked, own = Soaked(checks), psutil.Process()
    with cloud_process() as cloud:
        settings = _deployed(folder, cloud)
        started = time.monotonic()
        for number in range(checks):
            fault = None
            if chance.randrange(100) < FAULTY:
                fault = chance.choices(FAULTS, [each[0] for each in FAULTS])[0]
            _check(soaked, settings, cloud, list(TRUTH)[number % 3], fault)
            if number % max(1, checks // SAMPLES) == 0 or number == checks - 1:
                soaked.samples.append(_sample(number + 1, own))
        soaked.seconds = time.monotonic() - started
    return soaked


def _deployed(folder: Path, cloud: CloudProcess) -> Settings:
    history = HistoryBuilder(folder / "repo")
    start = datetime.now(UTC) - timedelta(hours=1)
    commits = [
        history.commit({"worker.py": f"V = {number}\n"}, when=start + timedelta(minutes=number))
        for number in range(8)
    ]
    for name, commit in zip(TRUTH, (commits[-1], commits[-2], commits[0]), strict=True):
        cloud.tell("deploy", name, commit=commit)
    (history.path / "drift.toml").write_text(TOML)
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "CLOUD_RUN_EMULATOR_HOST": cloud.host}
    return load(history.path, environ)


def _check(
    soaked: Soaked,
    settings: Settings,
    cloud: CloudProcess,
    name: str,
    fault: tuple[int, str, Fault, frozenset[Cause], bool] | None,
) -> None:
    if fault:
        fault[2](cloud)
    [verdict] = rollouts.check([name], wait=0, settings=settings).services
    if fault:
        cloud.tell("heal")
        soaked.faults[fault[1]] += 1
    unknown = verdict.report.unknown
    came = f"unknown: {unknown.cause}" if unknown else str(verdict.decision)
    soaked.came[came] += 1
    causes, heals = (fault[3], fault[4]) if fault else (frozenset[Cause](), True)
    right = (
        verdict.decision == "deny" and unknown.cause in causes if unknown else heals and came == TRUTH[name]
    )
    if not right:
        soaked.wrong.append(f"{name} under {fault[1] if fault else 'no fault'}: {came}")


def _sample(checks: int, own: psutil.Process) -> Sample:
    with own.oneshot():
        memory = own.memory_info().rss / 2**20
        return Sample(checks, round(memory, 1), own.num_threads(), own.num_fds())


def page(soaked: Soaked) -> Iterator[str]:
    """The result for people."""
    yield "# Soak\n"
    yield f"`make soak`: {soaked.checks:,} checks in one process, against a loopback Cloud Run in another,"
    yield f"with faults in {FAULTY} of 100 checks. The true verdict of each check is known; a fault may"
    yield "make it unknown, and nothing else. Memory (resident), threads and open files have to stay where"
    yield "they were once all was warm.\n"
    machine = f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    yield f"Run on {datetime.now(UTC).date().isoformat()} on {machine}, {soaked.seconds:.0f} s.\n"
    yield f"Wrong verdicts: {len(soaked.wrong)}. Grown: {', '.join(soaked.grown()) or 'nothing'}.\n"
    yield from _counted("verdict", soaked.came)
    yield from _counted("fault", soaked.faults)
    yield "| after checks | memory | threads | open files |"
    yield "|---|---|---|---|"
    for one in soaked.samples[:: max(1, len(soaked.samples) // 10)]:
        yield f"| {one.checks:,} | {one.memory:.1f} MB | {one.threads} | {one.files} |"


def _counted(what: str, counts: Mapping[str, int]) -> Iterator[str]:
    yield f"| {what} | checks |"
    yield "|---|---|"
    for name, count in sorted(counts.items()):
        yield f"| {name} | {count:,} |"
    yield ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m support.soak", description=__doc__)
    parser.add_argument("checks", type=int)
    parser.add_argument("--page", type=Path, help="where to write the result (none: as JSON to stdout)")
    arguments = parser.parse_args()
    log = logging.getLogger("drift_gate")
    log.addHandler(logging.NullHandler())
    log.propagate = False  # ten thousand verdicts are no news
    with tempfile.TemporaryDirectory() as folder:
        soaked = soak(arguments.checks, Path(folder))
    text = "\n".join(page(soaked)) + "\n"
    if arguments.page:
        arguments.page.write_text(text, encoding="utf-8")
        print(text)
    else:
        print(json.dumps({**vars(soaked), "samples": [], "grown": soaked.grown()}))
    sys.exit(bool(soaked.wrong or soaked.grown()))


if __name__ == "__main__":
    main()
