"""What a command line costs in a new process, above Python alone and beside what one would run by hand."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.measuring import Row, cpu_of, in_turn, wall_of
from benchmarks.worlds import CLOUD_RUN, PATHS, WORKER
from drift_gate.testing import FakeCloudRun, HistoryBuilder

ROOT = Path(__file__).parents[1]
#: A checkout of an older build, which takes its turn beside ours; without it there is no row for it.
BEFORE = os.environ.get("BENCH_BEFORE")
ROUNDS = 11
_PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from drift_gate.commands.main import main
sys.exit(main())
"""
_BY_HAND = f"""
import subprocess, sys
import grpc
from google.cloud import run_v2
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
channel = grpc.insecure_channel(sys.argv[1])
client = run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel))
service = client.get_service(name="projects/test-project/locations/us-west2/services/{WORKER}")
subprocess.run(["git", "log", "--oneline", service.labels["commit-sha"] + "..main"], check=True)
"""
ALONE, BY_HAND, CHECK = "Python alone", "Google's client and git log, by hand", "check --format json"
LIGHT = (("--version",), ("--help",), ("explain",), ("explain", "too-many"))


def light_rows() -> list[Row]:
    """CPU time of what loads nothing but argparse; a mistyped code of ``explain`` exits with 2."""
    subjects = {ALONE: cpu_of([sys.executable, "-c", "pass"], ROOT)}
    for words in LIGHT:
        for build, root in _builds().items():
            subjects[" ".join(words) + build] = cpu_of(_command(root, *words), ROOT, check=False)
    return _with_remarks(in_turn(subjects, ROUNDS))


def check_rows() -> list[Row]:
    """Wall-clock and CPU time of one check of a current service on a loopback Cloud Run."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, FakeCloudRun() as cloud:
        history = HistoryBuilder(Path(folder) / "repo")
        cloud.deploy(WORKER, commit=history.commit({PATHS[0]: "0"}))
        (history.path / "drift.toml").write_text(CLOUD_RUN)
        there = ["env", "-i", f"PATH={os.environ['PATH']}", f"HOME={folder}"]
        there.append(f"CLOUD_RUN_EMULATOR_HOST={cloud.host}")
        commands = {ALONE: [sys.executable, "-c", "pass"]}
        commands[BY_HAND] = [sys.executable, "-c", _BY_HAND, cloud.host]
        for build, root in _builds().items():
            commands[CHECK + build] = _command(root, "check", "--format", "json")
        for unit, measure in ((", CPU", cpu_of), ("", wall_of)):
            timed = in_turn(
                {name: measure([*there, *command], history.path) for name, command in commands.items()},
                ROUNDS,
            )
            rows += [replace(row, subject=row.subject + unit) for row in _with_remarks(timed)]
    return rows


def _builds() -> dict[str, str]:
    """Where each build is, by what is added to the name of its rows."""
    return {"": str(ROOT)} | ({", before": BEFORE} if BEFORE else {})


def _command(root: str, *words: str) -> list[str]:
    return [sys.executable, "-c", _PROGRAM, root, *words]


def _with_remarks(timed: dict[str, Row]) -> list[Row]:
    """Each row of ours against Python alone, by hand and the build before."""
    for name, row in timed.items():
        if name == ALONE or name.endswith(", before"):
            continue
        remark = f"{row.median_ms - timed[ALONE].median_ms:+,.0f} ms above Python alone"
        others = {"by hand": timed.get(BY_HAND), "before": timed.get(f"{name}, before")}
        for other, its in others.items():
            if its is not None and its is not row:
                remark += f"; {row.median_ms / its.median_ms:.2f} times {other}"
        timed[name] = replace(row, remark=remark)
    return list(timed.values())
