"""``make bench``: prints the tables of benchmarks/README.md."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from benchmarks.measuring import Row, cpu_of, in_turn, machine, peak_mib, python, table, wall
from shared.deployment import assembly
from shared.deployment.settings import Settings, load
from shared.deployment.testing import Draft, FakeCloudRun, HistoryBuilder
from shared.deployment.testing.history import START

ROOT = Path(__file__).parents[1]
WORKER = "prediction-worker"
CLOUD_RUN = f"""
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "main"
deadline = "60s"
[services.{WORKER}]
paths = ["/predictions/worker/"]
"""
LEDGER = CLOUD_RUN.replace("[defaults]", '[defaults]\nlive = "ledger"')
#: Most commits of a busy repository touch something else; every tenth here touches the worker.
PATHS = ["predictions/worker/worker.py", *(f"services/s{number}.py" for number in range(9))]


def imports() -> list[Row]:
    """CPU time of the front door above pydantic with one model."""
    base = "from pydantic import BaseModel\nclass M(BaseModel):\n    x: int\n"
    door = base + "from shared.utils.deployment_checker import check_worker_drift, DeploymentDriftError"
    google = "from google.cloud import run_v2"
    rows = in_turn(
        {
            "Python alone": cpu_of(python("pass"), ROOT),
            "pydantic with one model": cpu_of(python(base), ROOT),
            "the front door": cpu_of(python(door), ROOT),
            "google.cloud.run_v2 alone": cpu_of(python(google), ROOT),
        },
        rounds=15,
    )
    above = rows["the front door"].median_ms - rows["pydantic with one model"].median_ms
    rows["the front door"] = replace(rows["the front door"], remark=f"{above:+.0f} ms above pydantic")
    return list(rows.values())


def world(folder: Path, toml: str, **environ: str) -> Settings:
    """Settings over ``folder``, with an environment of their own."""
    (folder / "drift.toml").write_text(toml)
    return load(folder, {"PATH": os.environ["PATH"], "HOME": str(folder), **environ})


def latencies() -> list[Row]:
    """A whole check in a warm process against a loopback API that takes its time."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, FakeCloudRun() as cloud:
        history = HistoryBuilder(Path(folder) / "repo")
        first = history.commit({PATHS[0]: "0"})
        history.commits(Draft(files={PATHS[0]: str(number)}, branch="main") for number in range(1, 11))
        cloud.deploy(WORKER, commit=first)
        settings = world(history.path, CLOUD_RUN, CLOUD_RUN_EMULATOR_HOST=cloud.host)
        for latency in (0, 50, 200):
            cloud.heal()
            cloud.fault("*", delay=latency / 1000)
            name = f"check, {latency} ms per call"
            (row,) = in_turn(
                {name: wall(lambda: assembly.check(settings=settings, record=False))}, 20
            ).values()
            over = row.median_ms - 2 * latency
            ratio = f", {row.median_ms / (2 * latency):.2f} times the two calls" if latency else ""
            rows.append(replace(row, remark=f"{over:.0f} ms beside the two calls{ratio}"))
    return rows


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
    """The rows for one length."""
    builder = HistoryBuilder(folder)
    first = builder.commits(drafts(count + 1))[0]
    settings = world(folder, LEDGER)
    assembly.record(WORKER, first, settings)
    log = ["git", "log", "-c", "--no-renames", "--name-only", "-z", "--topo-order"]
    log += ["--format=%H%x00%P%x00%ct%x00%an%x00%s", f"{first}..main"]
    alone, check = f"git log alone, {count:,} commits", f"check, {count:,} commits"
    rows = in_turn(
        {
            alone: wall(lambda: subprocess.run(log, cwd=folder, check=True, stdout=subprocess.DEVNULL)),
            check: wall(lambda: assembly.check(settings=settings, record=False)),
        },
        rounds=7 if count > 10_000 else 20,
    )
    ratio = rows[check].median_ms / rows[alone].median_ms
    extra = rows[check].median_ms - rows[alone].median_ms
    code = f"from benchmarks.__main__ import check_once; check_once({str(folder)!r})"
    peak = subprocess.run(python(code), cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    remark = f"{ratio:.2f} times git log ({extra:+.0f} ms); peak of a whole process {peak} MiB"
    return [rows[alone], replace(rows[check], remark=remark)]


def check_once(folder: str) -> None:
    """For the peak: nothing but one check in a process; prints what it held at most, in MiB."""
    assembly.check(settings=load(Path(folder), {"PATH": os.environ["PATH"], "HOME": folder}), record=False)
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
            {alone: wall(one_by_one), check: wall(lambda: assembly.check(settings=settings, record=False))}, 5
        )
        ratio = rows[check].median_ms / rows[alone].median_ms
        remark = f"{ratio:.2f} times the logs alone, Cloud Run's 200 answers included"
        return [rows[alone], replace(rows[check], remark=remark)]


TABLES = {
    "Import of the front door (CPU time)": imports,
    "One check, loopback API": latencies,
    "Length of the drift": histories,
    "Many services over 20,000 commits": services,
}


def main() -> None:
    """All tables, or those whose title contains an argument."""
    print(f"Machine: {machine()}. Command: `make bench`.\n")
    for title, rows in TABLES.items():
        if not sys.argv[1:] or any(word in title for word in sys.argv[1:]):
            print(table(title, rows()), flush=True)


if __name__ == "__main__":
    main()
