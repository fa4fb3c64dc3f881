"""What a commit waits for where a reminder follows it, above Python alone."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.image import DOCKERFILE, MODULES, module
from benchmarks.measuring import Row, cpu_of, in_turn
from drift_gate.testing import HistoryBuilder

ROUNDS = 15
TOML = """
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "released"
[services.worker]
dockerfile = "Dockerfile"
"""
_PROGRAM = "import sys; from drift_gate.commands.main import main; sys.exit(main())"
ALONE, SILENT, TOLD, ANEW = "Python alone", "nothing is missing", "a commit is named", "found out anew"


def rows() -> list[Row]:
    """CPU of a reminder with the gits that it starts: by what is remembered, and the long way."""
    chance = random.Random(7)  # noqa: S311 (the same text each time is the point)
    files = {f"app/m{number}.py": module(number, chance) for number in range(MODULES)}
    remind = [sys.executable, "-c", _PROGRAM, "remind", "post-commit"]
    with tempfile.TemporaryDirectory() as folder:
        there = ["env", "-i", f"PATH={os.environ['PATH']}", f"HOME={folder}"]
        subjects = {ALONE: cpu_of([sys.executable, "-c", "pass"], Path(folder))}
        for name, path in ((SILENT, "notes.md"), (TOLD, "app/m250.py"), (ANEW, "app/m250.py")):
            builder = HistoryBuilder(Path(folder) / name.replace(" ", "-"))
            first = {"Dockerfile": DOCKERFILE, "app/__init__.py": "", "notes.md": "0", "drift.toml": TOML}
            builder.branch("released", builder.commit(first | files))
            for number in range(3):
                builder.commit({path: f"{files.get(path, '')}\nLIMIT = {number}\n"}, subject="Fix the odds")
            builder.check_out("main")
            forgets = (
                ["sh", "-c", 'rm -f .git/drift-gate/remind.json; exec "$@"', "sh"] if name == ANEW else []
            )
            subjects[name] = cpu_of([*there, *forgets, *remind], builder.path)
        timed = in_turn(subjects, ROUNDS)
    return [
        row if row.subject == ALONE else replace(row, remark=_above(row, timed[ALONE]))
        for row in timed.values()
    ]


def _above(row: Row, alone: Row) -> str:
    return (
        f"{row.median_ms - alone.median_ms:+,.0f} ms above Python alone; fastest {row.spread_ms[0]:,.0f} ms"
    )
