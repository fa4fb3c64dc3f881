"""What a check of an image costs where the disk alone knows it, with one end changed, and with all known."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.measuring import Row, in_turn, wall
from benchmarks.worlds import world
from drift_gate.runtime.child_process import pool
from drift_gate.runtime.deadline import Deadline
from drift_gate.testing import HistoryBuilder
from drift_gate.wiring import answers, checks

MODULES, ROUNDS = 500, 15
DOCKERFILE = """\
FROM python:3.12-slim
WORKDIR /app
COPY app/ ./app/
CMD ["gunicorn", "--bind", ":8080", "app.m0:main"]
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
paths = ["/app/", "/Dockerfile"]
"""
COLD, CHANGED, WARM = STATES = ("known on disk", "one end changed", "both ends are known")


def rows() -> list[Row]:
    """The same check by closure and by ``paths`` alone, whatever the process knows of the commits."""
    chance = random.Random(7)  # noqa: S311 (the same text each time is the point)
    files = {f"app/m{number}.py": module(number, chance) for number in range(MODULES)}
    with tempfile.TemporaryDirectory() as folder:
        builder = HistoryBuilder(Path(folder) / "repo")
        first = builder.commit({"Dockerfile": DOCKERFILE, "app/__init__.py": "", **files})
        settings = world(builder.path, TOML)
        for service in (CLOSURE, PATHS):
            answers.record(service, first, settings)

        def change(number: int) -> None:
            text = f"{files['app/m250.py']}\nLIMIT = {number}\n"
            builder.commit({"app/m250.py": text}, parents=[first])

        def check(service: str) -> None:
            [verdict] = checks.check([service], settings=settings, record=False).services
            if verdict.report.commits_behind != 1:
                raise RuntimeError(f"not what was to be measured: {verdict}")

        timed = in_turn(_subjects(check, change), ROUNDS)
    size = sum(map(len, files.values())) / MODULES / 1000
    return _with_remarks(timed, f"{MODULES} modules of {size:.1f} kB")


def module(number: int, chance: random.Random, count: int = MODULES) -> str:
    """A module that imports two further ones, so that all are reached, and any third inside a function."""
    further = [each for each in (2 * number + 1, 2 * number + 2) if each < count]
    imports = "".join(f"from app.m{each} import compute_0 as from_{each}\n" for each in further)
    inside = f"    from app import m{chance.randrange(count)}\n\n"
    functions = (_function(each, chance, inside if each == 0 else "") for each in range(18))
    return f'"""Module {number}."""\n\nimport json\n{imports}\n\n' + "\n\n".join(functions)


def _function(number: int, chance: random.Random, inside: str) -> str:
    return (
        f"def compute_{number}(rows, limit={chance.randrange(100)}):\n"
        f'    """What comes out for ``rows``, up to ``limit``."""\n{inside}'
        f"    found = {{}}\n"
        f"    for key, value in sorted(rows.items()):\n"
        f"        if value > limit and key not in found:\n"
        f'            found[key] = json.dumps({{"key": key, "value": value * {chance.random():.6f}}})\n'
        f"    return [found[key] for key in found if key % {chance.randrange(2, 9)}]\n"
    )


def _subjects(check: Callable[[str], None], change: Callable[[int], None]) -> dict[str, Callable[[], float]]:
    """Each state of knowledge for both services; what brings the state about is not timed."""
    changes = iter(range(1_000_000))
    change(next(changes))

    def cold(service: str) -> float:
        pool().close(1)  # what is remembered ends with the process that reads
        pool().ready(Deadline(60))
        return wall(lambda: check(service))()

    def changed(service: str) -> float:
        check(service)
        change(next(changes))
        return wall(lambda: check(service))()

    def warm(service: str) -> float:
        check(service)
        return wall(lambda: check(service))()

    works = zip(STATES, (cold, changed, warm), strict=True)
    return {
        _name(service, state): partial(work, service) for state, work in works for service in (PATHS, CLOSURE)
    }


def _name(service: str, state: str) -> str:
    return f"{'closure' if service == CLOSURE else '`paths` alone'}, {state}"


def _with_remarks(timed: dict[str, Row], size: str) -> list[Row]:
    """The closure's rows as ratios to ``paths`` alone, and to the closure that knew the disk alone."""
    cold = timed[_name(CLOSURE, COLD)]
    for state in STATES:
        row, alone = timed[_name(CLOSURE, state)], timed[_name(PATHS, state)]
        remark = f"{row.median_ms / alone.median_ms:.2f} times `paths` alone"
        told = size if state == COLD else f"{row.median_ms / cold.median_ms:.2f} times what is known on disk"
        timed[row.subject] = replace(row, remark=f"{remark}; {told}")
    return list(timed.values())
