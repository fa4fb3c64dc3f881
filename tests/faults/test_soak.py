"""A short soak; `make soak` runs fifty times as many checks and keeps the figures in docs/soak.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKS = 200


@pytest.mark.heavy
def test_two_hundred_checks_are_right_and_leave_nothing() -> None:
    """In a process of its own: pytest keeps every log line, which would look like a leak."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-m", "support.soak", str(CHECKS)]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300)
    assert done.stdout, done.stderr
    soaked = json.loads(done.stdout)
    assert soaked["wrong"] == []
    assert soaked["grown"] == []
    assert done.returncode == 0
    assert sum(soaked["came"].values()) == CHECKS
    assert {"allow", "warn", "deny"} <= soaked["came"].keys()
    assert len(soaked["faults"]) > 2


def test_the_page_holds_a_long_soak() -> None:
    told = (ROOT / "docs" / "soak.md").read_text(encoding="utf-8")
    assert "10,000 checks" in told
    assert "Wrong verdicts: 0. Grown: nothing." in told
