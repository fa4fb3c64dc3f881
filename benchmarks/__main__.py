"""``make bench``: prints the tables of benchmarks/README.md."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from dataclasses import replace
from pathlib import Path

from benchmarks import (
    batches,
    closure,
    dashboard,
    fingerprint,
    first,
    history,
    image,
    loading,
    mirror,
    monitor,
    processes,
    reminder,
    server,
)
from benchmarks.measuring import Row, cpu_of, in_turn, machine, python, table, wall
from benchmarks.worlds import CLOUD_RUN, PATHS, WORKER, world
from drift_gate.testing import Draft, FakeCloudRun, HistoryBuilder
from drift_gate.wiring import checks

ROOT = Path(__file__).parents[1]


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
            (row,) = in_turn({name: wall(lambda: checks.check(settings=settings, record=False))}, 20).values()
            over = row.median_ms - 2 * latency
            ratio = f", {row.median_ms / (2 * latency):.2f} times the two calls" if latency else ""
            rows.append(replace(row, remark=f"{over:.0f} ms beside the two calls{ratio}"))
    return rows


def closures() -> list[Row]:
    """The closure by itself, without git."""
    return list(in_turn(closure.subjects(), 15).values())


TABLES = {
    "Import of the front door (CPU time)": imports,
    "Help and explanations in a new process (CPU time)": loading.light_rows,
    "A reminder after a commit (CPU time)": reminder.rows,
    "A check of Cloud Run in a new process": loading.check_rows,
    "One check, loopback API": latencies,
    "Length of the drift": history.histories,
    "Many services over 20,000 commits": history.services,
    "Import closure of 500 modules, computed in memory": closures,
    "One check of an image of 500 modules": image.rows,
    "A first check of an image, in a new process": first.rows,
    "One check in a new process, 250 modules among 1,750 files": processes.rows,
    "A mirror against a full clone, over loopback HTTP": mirror.rows,
    "The fingerprint of a worker's files (6 kB each)": fingerprint.rows,
    "A batch of 100,000 requests in SQLite": batches.store_rows,
    "100,000 requests into the Pub/Sub emulator": batches.dispatch_rows,
    "Memory of a dispatch out of the store": batches.memory_rows,
    "Completions over HTTP into SQLite": server.completion_rows,
    "A look at 1,000 batches in Firestore": server.look_rows,
    "A start of 273 players over HTTP": server.start_rows,
    "Pages of 500 services, out of a year": dashboard.rows,
    "A look at 21 services that tells nobody, against a check of them": monitor.look_rows,
    "A cold start of the monitor as a Cloud Function": monitor.cold_rows,
}


def main() -> int:
    """All tables, or those whose title contains an argument; one that fails is said, and the others follow.

    0: all of them could be measured; 1: not.
    """
    # Where nothing compiled may be kept, a new process would be measured that compiles what was changed last.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    print(f"Machine: {machine()}. Command: `make bench`.\n")
    failed = 0
    for title, rows in TABLES.items():
        if not sys.argv[1:] or any(word in title for word in sys.argv[1:]):
            try:
                print(table(title, rows()), flush=True)
            except Exception:  # nobody stands by, and the next table has nothing to do with it
                print(f"## {title}\n\ncould not be measured\n", flush=True)
                traceback.print_exc()
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
