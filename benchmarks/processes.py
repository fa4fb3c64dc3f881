"""What a new process pays: with nothing known on disk, one module changed since, and all commits known."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks import image
from benchmarks.measuring import Row, in_turn, wall
from benchmarks.worlds import world
from drift_gate.runtime.child_process import pool
from drift_gate.runtime.deadline import Deadline
from drift_gate.settings.file import Settings
from drift_gate.testing import HistoryBuilder
from drift_gate.wiring import answers, checks

MODULES, OTHERS, SERVICES, IMAGES, ROUNDS = 250, 1_500, 21, 12, 11
CLOSURE, PATHS, ALL = "one service by closure", "the same by `paths` alone", f"{SERVICES} services by closure"
COLD, CHANGED, KNOWN = "nothing is known", "one module changed since", "known commits"
HEAD = '[defaults]\nlive = "ledger"\ntarget_ref = "main"\ndeadline = "60s"\n'
CHANGED_MODULE = "app/m120.py"


def rows() -> list[Row]:
    """Checks in processes that read for the first time, of one repository."""
    chance = random.Random(7)  # noqa: S311 (the same text each time is the point)
    files = {f"app/m{number}.py": image.module(number, chance, MODULES) for number in range(MODULES)}
    files |= {f"services/s{number % 30}/part{number}.py": f"PART = {number}\n" for number in range(OTHERS)}
    files |= {f"images/Dockerfile.{number}": _dockerfile(number) for number in range(IMAGES)}
    with tempfile.TemporaryDirectory() as folder:
        builder = HistoryBuilder(Path(folder) / "repo")
        first = builder.commit({"app/__init__.py": "", **files})
        settings = world(builder.path, HEAD + "".join(map(_table, range(SERVICES))) + _by_paths())
        for name in settings.services:
            answers.record(name, first, settings)

        def change(number: int) -> None:
            text = f"{files[CHANGED_MODULE]}\nLIMIT = {number}\n"
            builder.commit({CHANGED_MODULE: text}, parents=[first])

        change(0)
        timed = in_turn(_subjects(settings, builder.path / ".git" / "drift-gate", change), ROUNDS)
    return _with_remarks(timed)


def _subjects(
    settings: Settings, kept: Path, change: Callable[[int], None]
) -> dict[str, Callable[[], float]]:
    """Each state of knowledge for each question; what brings the state about is not timed."""
    changes = iter(range(1, 1_000_000))
    names = {PATHS: ["by-paths"], CLOSURE: ["s0"], ALL: [f"s{number}" for number in range(SERVICES)]}

    def timed(services: list[str]) -> float:
        pool().close(1)
        pool().ready(Deadline(60))
        return wall(lambda: _check(settings, services))()

    def cold(services: list[str]) -> float:
        shutil.rmtree(kept, ignore_errors=True)
        return timed(services)

    def changed(services: list[str]) -> float:
        timed(services)
        change(next(changes))
        return timed(services)

    def known(services: list[str]) -> float:
        timed(services)
        return timed(services)

    works = {COLD: cold, CHANGED: changed, KNOWN: known}
    return {
        f"{question}, {state}": partial(work, services)
        for state, work in works.items()
        for question, services in names.items()
    }


def _check(settings: Settings, services: list[str]) -> None:
    for verdict in checks.check(services, settings=settings, record=False).services:
        if verdict.report.commits_behind != 1:
            raise RuntimeError(f"not what was to be measured: {verdict}")


def _with_remarks(timed: dict[str, Row]) -> list[Row]:
    """Each row as a ratio to the same state by ``paths``; many services to one."""
    for state in (COLD, CHANGED, KNOWN):
        paths, one, many = (timed[f"{question}, {state}"] for question in (PATHS, CLOSURE, ALL))
        by_one, by_many = one.median_ms / paths.median_ms, many.median_ms / one.median_ms
        timed[one.subject] = replace(one, remark=f"{by_one:.2f} times `paths` alone")
        timed[many.subject] = replace(many, remark=f"{by_many:.2f} times one service; {IMAGES} Dockerfiles")
    return list(timed.values())


def _dockerfile(number: int) -> str:
    return (
        f"FROM python:3.12-slim\nWORKDIR /app\nENV NUMBER={number}\nCOPY app/ ./app/\n"
        f'COPY services/s{number}/ ./services/\nCMD ["gunicorn", "app.m0:main"]\n'
    )


def _table(number: int) -> str:
    return f'[services.s{number}]\ndockerfile = "images/Dockerfile.{number % IMAGES}"\n'


def _by_paths() -> str:
    return '[services.by-paths]\npaths = ["/app/", "/services/s0/", "/images/Dockerfile.0"]\n'
