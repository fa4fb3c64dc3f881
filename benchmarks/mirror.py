"""What a mirror costs: first copy, refresh and file contents against a full clone, over loopback HTTP."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measuring import Row
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.mirror import Mirror
from drift_gate.testing import Draft, HistoryBuilder
from drift_gate.testing.git_server import GitServer
from drift_gate.testing.history import START

COMMITS, MODULES, ROUNDS = 5_000, 500, 3


@dataclass
class _Subject:
    """One way of getting something: what it took, round by round. ``before`` is not measured."""

    name: str
    work: Callable[[], object]
    before: Callable[[], object] = lambda: None
    seconds: list[float] = field(default_factory=list)
    remark: str = ""

    def run(self, server: GitServer) -> None:
        self.before()
        server.reset()
        started = time.perf_counter()
        self.work()
        self.seconds.append(time.perf_counter() - started)
        self.remark = f"{server.sent / 1000:,.0f} kB in {len(server.requests)} requests"

    def row(self) -> Row:
        times = sorted(1000 * each for each in self.seconds)
        return Row(self.name, times[len(times) // 2], (times[0], times[-1]), self.remark)


def drafts() -> Iterator[Draft]:
    """Modules of some kilobytes, then changes to one of them each."""
    chance = random.Random(7)  # noqa: S311 (the same text each time is the point)
    yield Draft(files={f"m{number}.py": _text(chance) for number in range(MODULES)})
    for number in range(COMMITS):
        path = f"m{chance.randrange(MODULES)}.py"
        yield Draft(files={path: _text(chance)}, when=START + timedelta(minutes=number))


def _text(chance: random.Random) -> str:
    return "".join(f"value_{chance.getrandbits(32)} = {chance.getrandbits(64)}\n" for _ in range(80))


def rows() -> list[Row]:
    """A line for each; the remark has bytes received and requests."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        builder = HistoryBuilder(folder / "repo")
        builder.commits(drafts())
        builder.git("repack", "-a", "-d", "-q")
        with GitServer(folder) as server:
            subjects = _subjects(folder, f"{server.url}/repo/.git", builder)
            for _ in range(ROUNDS):
                shutil.rmtree(folder / "cache", ignore_errors=True)
                for subject in subjects:
                    subject.run(server)
    return [subject.row() for subject in subjects]


def _subjects(folder: Path, address: str, builder: HistoryBuilder) -> list[_Subject]:
    def mirror() -> Mirror:
        return Mirror(
            repository=address,
            target_ref="main",
            cache_dir=folder / "cache",
            deadline=Deadline(120),
            environ={"PATH": os.environ["PATH"], "HOME": name},
            now=lambda: datetime.now(UTC),
            stale_target_limit=0,
            fetch_share=1,
        )

    def no_clone() -> None:
        shutil.rmtree(folder / "clone", ignore_errors=True)

    def clone() -> None:
        command = ["git", "clone", "--quiet", "--bare", "--single-branch", address, str(folder / "clone")]
        subprocess.run(command, check=True)

    def contents() -> None:
        ours = mirror()
        tip = ours.target().commit
        ours.contents([entry.blob for entry in ours.files([tip])[tip].values()])

    def news() -> None:
        builder.commit({"m1.py": f"value = {time.time_ns()}\n"})

    def refresh() -> None:
        mirror().target()

    name = str(folder)
    return [
        _Subject(f"full clone, {COMMITS:,} commits", clone, no_clone),
        _Subject("mirror, made for the first time", refresh),
        _Subject("mirror, nothing new", refresh),
        _Subject("mirror, one new commit", refresh, news),
        _Subject(f"mirror, {MODULES} files, first time", contents),
        _Subject(f"mirror, {MODULES} files, again", contents),
    ]
