"""What a first check of an image costs: a new process, and nothing known of its modules.

The image is that of this repository's own packages at ``BEFORE``; that commit's build is measured too, in its
turn, and so is what a user could run instead on a checked-out tree: ``ruff analyze graph``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.measuring import Row, in_turn, peak_of, wall
from benchmarks.worlds import world
from drift_gate.testing import HistoryBuilder
from drift_gate.wiring import answers

ROOT = Path(__file__).parents[1]
#: The last commit before issue 12.
BEFORE = "19ce3c4f34d6ff275d37d9f33533628cf9e17bd7"
ROUNDS = 7
#: Seconds between two looks at what the processes of a check hold.
SAMPLE_S = 0.01
ENTRY = "predictions/coordinator/cli.py"
DOCKERFILE = """\
FROM python:3.12-slim
WORKDIR /app
COPY drift_gate ./drift_gate
COPY predictions ./predictions
CMD ["python", "-m", "predictions.coordinator.cli"]
"""
CLOSURE, PATHS = "by-closure", "by-paths"
TOML = f"""
[defaults]
live = "ledger"
target_ref = "main"
deadline = "60s"
[services.{CLOSURE}]
dockerfile = "Dockerfile"
[services.{PATHS}]
paths = ["/drift_gate/", "/predictions/", "/Dockerfile"]
"""
#: Run by a new process: what it loads is ready before the clock starts, and nothing is kept from before.
_CHECK = """
import sys, time
from pathlib import Path
from benchmarks.worlds import world
from drift_gate.runtime.child_process import pool
from drift_gate.runtime.deadline import Deadline
from drift_gate.wiring import checks
settings = world(Path(sys.argv[1]), sys.argv[3], DRIFT_CACHE_DIR=sys.argv[4])
pool().start()
pool().ready(Deadline(60))
started = time.perf_counter()
[verdict] = checks.check([sys.argv[2]], settings=settings, record=False).services
print(time.perf_counter() - started)
if verdict.report.commits_behind != 1:
    raise RuntimeError(f"not what was to be measured: {verdict}")
"""


def rows() -> list[Row]:
    """The check by this build and by the one before, by ``paths``, and ruff's graph of the same tree."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        before = folder / "before"
        _git("worktree", "add", "--quiet", "--detach", str(before), BEFORE)
        try:
            files = _files(before)
            history = HistoryBuilder(folder / "repo")
            first = history.commit(files)
            history.commit({ENTRY: files[ENTRY] + "\nLIMIT = 1\n"})
            settings = world(history.path, TOML)
            for service in (CLOSURE, PATHS):
                answers.record(service, first, settings)
            tree = folder / "tree"
            for path, text in files.items():
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                (tree / path).write_text(text)
            _, counts = answers.selection_at(CLOSURE, None, settings=settings)
            if missed := _reached(_graph(tree), ENTRY) - counts.because.keys():
                raise RuntimeError(f"ruff reaches what the check does not: {sorted(missed)}")
            timed = in_turn(_subjects(before, history.path, tree), ROUNDS)
            held = [_held(build, history.path) for build in (ROOT, before)]
        finally:
            _git("worktree", "remove", "--force", str(before))
    return _with_remarks(timed, files, held)


def _files(before: Path) -> dict[str, str]:
    found = (path for room in ("drift_gate", "predictions") for path in (before / room).rglob("*.py"))
    sources = {str(path.relative_to(before)): path.read_text(encoding="utf-8") for path in sorted(found)}
    return {"Dockerfile": DOCKERFILE, **sources}


def _subjects(before: Path, repository: Path, tree: Path) -> dict[str, Callable[[], float]]:
    return {
        "`ruff analyze graph` on the tree checked out": wall(partial(_graph, tree)),
        "`paths` alone": lambda: _check(ROOT, repository, PATHS),
        "closure": lambda: _check(ROOT, repository, CLOSURE),
        "closure, before": lambda: _check(before, repository, CLOSURE),
    }


def _check(build: Path, repository: Path, service: str) -> float:
    """The seconds of a check in a new process of ``build``."""
    with _started(build, repository, service) as process:
        told, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the check of {service} by {build} ended with {process.returncode}")
    return float(told)


def _held(build: Path, repository: Path) -> float:
    """The most that all processes of such a check hold at a time, in MiB."""
    with _started(build, repository, CLOSURE) as process, peak_of(process.pid, SAMPLE_S) as peak:
        process.communicate()
    return peak[0] / 2**20


@contextmanager
def _started(build: Path, repository: Path, service: str) -> Iterator[subprocess.Popen[str]]:
    shutil.rmtree(repository / ".git" / "drift-gate", ignore_errors=True)
    with (
        tempfile.TemporaryDirectory() as cache,
        subprocess.Popen(
            [sys.executable, "-c", _CHECK, str(repository), service, TOML, cache],
            cwd=build,
            env={**os.environ, "PYTHONPATH": str(build)},
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        yield process


def _graph(tree: Path) -> Mapping[str, list[str]]:
    command = [str(Path(sys.executable).with_name("ruff")), "analyze", "graph", "."]
    done = subprocess.run(command, cwd=tree, capture_output=True, check=True, text=True)
    graph: Mapping[str, list[str]] = json.loads(done.stdout)
    return graph


def _reached(graph: Mapping[str, list[str]], entry: str) -> set[str]:
    reached, left = {entry}, [entry]
    while left:
        further = [path for path in graph.get(left.pop(), ()) if path not in reached]
        reached.update(further)
        left += further
    return reached


def _with_remarks(timed: dict[str, Row], files: Mapping[str, str], held: Sequence[float]) -> list[Row]:
    ruff, _, closure, before = (row.median_ms for row in timed.values())
    size = sum(map(len, files.values())) / 1e6
    ratios = f"{closure / before:.2f} times before; {closure / ruff:.1f} times ruff"
    memory = f"all its processes hold {held[0]:.0f} MiB at most, before {held[1]:.0f}"
    remark = f"{ratios}; {len(files) - 1} modules, {size:.1f} MB; {memory}"
    timed["closure"] = replace(timed["closure"], remark=remark)
    return list(timed.values())


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True)
