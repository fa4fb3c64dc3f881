"""`make test` says what it did not prove for want of a program, and how to get the program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.heavy import light
from support.unproven import BRINGS

ROOT = Path(__file__).parent.parent
SKIPS = """
import pytest

@pytest.mark.skipif(True, reason="buildah is the oracle, and is not here")
def test_a_truth_by_a_mark(): pass

@pytest.mark.parametrize("number", [1, 2])
def test_a_truth(number):
    pytest.skip("no shellcheck here")

def test_of_another_user():
    pytest.skip("only root can give a repository to another user")
"""

#: The hook of our conftest.py, alone.
TOLD = """
import os
from support.unproven import tell

def pytest_terminal_summary(terminalreporter):
    tell(terminalreporter, os.environ["UNPROVEN"])
"""


@pytest.mark.parametrize("processes", light(["0", "1", "2"], ["1"]))
def test_each_program_has_its_truths_and_its_line(tmp_path: Path, processes: str) -> None:
    (tmp_path / "test_skips.py").write_text(SKIPS)
    (tmp_path / "told.py").write_text(TOLD)
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        processes,
        "-c",
        os.devnull,
        "--rootdir",  # else it looks into each folder of each test of this run
        str(tmp_path),
        "-p",
        "xdist",
        "-p",
        "told",
        str(tmp_path),
    ]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(tmp_path)])
    environ = {**os.environ, "PYTHONPATH": path, "UNPROVEN": str(tmp_path / "unproven")}
    environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # what is installed beside them takes seconds to load
    environ.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    told = (tmp_path / "unproven").read_text()
    assert sorted(told.splitlines()) == sorted(
        [
            "not proven here:",
            f"  {BRINGS['buildah']}",
            "    1 skipped: test_a_truth_by_a_mark",
            f"  {BRINGS['shellcheck']}",
            "    2 skipped: test_a_truth",
        ]
    ), done.stdout + done.stderr
    assert told in done.stdout
