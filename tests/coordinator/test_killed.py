"""A coordinator that is killed with SIGKILL loses nothing and counts nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def killed(*arguments: str) -> list[dict[str, Any]]:
    """The runs, made by a process of its own: it forks, and ours has threads."""
    done = subprocess.run(
        [sys.executable, "-m", "support.killing", *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    assert not [run for run in runs if run["lost"] or run["twice"]], done.stderr
    assert done.returncode == 0, done.stderr
    return runs


def found(runs: list[dict[str, Any]]) -> set[str]:
    return {run["found"] for run in runs}


@pytest.mark.heavy
def test_at_random_moments_under_load() -> None:
    """Ten of the two hundred runs of ``make kill-test``."""
    runs = killed("--runs", "10", "--players", "100")
    assert len(runs) == 10


@pytest.mark.heavy
def test_at_every_sql_statement_of_a_batch() -> None:
    """From the first one, before there is a file to speak of, to the last, when all is done."""
    runs = killed("--steps", "local", "--players", "11")
    assert len(runs) > 60
    assert found(runs) == {"none", "pending", "completed"}
    assert any(run["again"] for run in runs), "no run was killed between an answer and its count"


def test_at_statements_all_over_a_batch_whose_answers_come_through_a_queue() -> None:
    runs = killed("--steps", "spool", "--players", "11", "--every", "30")
    assert len(runs) > 4
    assert found(runs) >= {"none", "pending"}
