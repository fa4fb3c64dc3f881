"""What a long drift and many services cost against `git log` alone."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from benchmarks.measuring import Row, in_turn, peak_mib, python, wall
from benchmarks.worlds import CLOUD_RUN, LEDGER, PATHS, WORKER, world
from drift_gate.settings.file import load
from drift_gate.testing import Draft, FakeCloudRun, HistoryBuilder
from drift_gate.testing.history import START
from drift_gate.wiring import answers, checks

ROOT = Path(__file__).parents[1]


def drafts(count: int) -> Iterator[Draft]:
    """A line of ``count`` commits, a minute apart."""
    for number in range(count):
        path = PATHS[number % len(PATHS)]
        when = START + timedelta(minutes=number)
        yield Draft(files={path: f"{number}\n"}, branch="main", subject=f"change {number}", when=when)


def histories() -> list[Row]:
    """A drift of many commits against `git log` alone, and what the process holds at its peak."""
    rows = []
    for count in (10, 1_000, 100_000):
        with tempfile.TemporaryDirectory() as folder:
            rows += history_of(count, Path(folder) / "repo")
    return rows


def history_of(count: int, folder: Path) -> list[Row]:
    """The rows for one length: before each round the branch moves on by one, and so does what is live."""
    builder = HistoryBuilder(folder)
    commits = builder.commits(drafts(count + 1))
    settings = world(folder, LEDGER)
    log = ["git", "log", "-c", "--no-renames", "--name-only", "-z", "--topo-order"]
    log += ["--format=%H%x00%P%x00%ct%x00%an%x00%s"]

    def alone() -> float:
        commits.append(builder.commit({PATHS[0]: str(len(commits))}))
        answers.record(WORKER, live := commits[-count - 1], settings)
        log_of_it = [*log, f"{live}..main"]
        return wall(lambda: subprocess.run(log_of_it, cwd=folder, check=True, stdout=subprocess.DEVNULL))()

    check = wall(lambda: checks.check(settings=settings, record=False))
    names = [f"git log alone, {count:,} commits", f"check, {count:,} commits", "the same once more"]
    rows = in_turn(dict(zip(names, (alone, check, check), strict=True)), 7 if count > 10_000 else 20)
    git, *ours = rows.values()
    code = f"from benchmarks.history import check_once; check_once({str(folder)!r})"
    peak = subprocess.run(python(code), cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    remarks = [
        f"{each.median_ms / git.median_ms:.2f} times git log ({each.median_ms - git.median_ms:+.0f} ms)"
        for each in ours
    ]
    remarks[0] += f"; peak of a whole process {peak} MiB"
    return [git, *(replace(row, remark=remark) for row, remark in zip(ours, remarks, strict=True))]


def check_once(folder: str) -> None:
    """For the peak: nothing but one check in a process; prints what it held at most, in MiB."""
    checks.check(settings=load(Path(folder), {"PATH": os.environ["PATH"], "HOME": folder}), record=False)
    print(f"{peak_mib():.0f}")


def services() -> list[Row]:
    """One check of 100 services of one repository against one `git log` per service."""
    with tempfile.TemporaryDirectory() as folder, FakeCloudRun() as cloud:
        builder = HistoryBuilder(Path(folder) / "repo")
        commits = builder.commits(drafts(20_000))
        names = [f"s{number}" for number in range(100)]
        lives = [commits[-1 - 37 * number] for number in range(100)]
        for name, live in zip(names, lives, strict=True):
            cloud.deploy(name, commit=live)
        tables = "".join(
            f'[services.{name}]\npaths = ["/services/{name}.py", "/predictions/"]\n' for name in names
        )
        head = CLOUD_RUN.partition("[services.")[0]
        settings = world(builder.path, head + tables, CLOUD_RUN_EMULATOR_HOST=cloud.host)
        logs = [["git", "log", "-c", "--no-renames", "--name-only", f"{live}..main"] for live in lives]

        def one_by_one() -> None:
            for log in logs:
                subprocess.run(log, cwd=builder.path, check=True, stdout=subprocess.DEVNULL)

        alone, check = "git log per service, 100 services", "check, 100 services"
        rows = in_turn(
            {alone: wall(one_by_one), check: wall(lambda: checks.check(settings=settings, record=False))}, 5
        )
        ratio = rows[check].median_ms / rows[alone].median_ms
        remark = f"{ratio:.2f} times the logs alone, Cloud Run's 200 answers included"
        return [rows[alone], replace(rows[check], remark=remark)]
