"""What a shell is offered for the next word of ``deployment-drift``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.forkserver import GATE, forkserver

from drift_gate.commands.main import COMMANDS
from drift_gate.policy.codes import CAUSE_MEANINGS, REASONS

ROOT = Path(__file__).parents[2]


def offered(folder: Path, line: str, *, loads: str = "", **more: str) -> list[str]:
    """What the shell gets for ``line`` with the cursor at its end, as argcomplete's functions of it ask.

    ``loads`` is what a fresh interpreter loads first; without it a fork answers.
    """
    file = folder / "offered"
    asked = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(file),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "PYTHONPATH": str(ROOT),
    }
    environ = {**os.environ, **asked, **more}
    if loads:
        argv = [sys.executable, "-c", f"{loads}\n{GATE}"]
        done = subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    else:
        done = forkserver().run(GATE, [], cwd=folder, env=environ)
    assert (done.returncode, done.stdout) == (0, "")
    return [each.rstrip() for each in file.read_text().split("\n")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "drift.toml").write_text("[services.worker]\n[services.web]\n[services.api]\n")
    return tmp_path


def test_commands_and_their_arguments(folder: Path) -> None:
    assert set(offered(folder, "deployment-drift ")) >= {*COMMANDS, "--version", "-C"}
    assert offered(folder, "deployment-drift ack") == ["acknowledge"]
    assert offered(folder, "deployment-drift check --form") == ["--format"]
    assert "junit" in offered(folder, "deployment-drift check --format ")


def test_codes_and_causes(folder: Path) -> None:
    assert {*REASONS, *CAUSE_MEANINGS} <= set(offered(folder, "deployment-drift explain "))
    assert offered(folder, "deployment-drift explain too-many") == ["too-many-commits-behind"]


def test_the_services_of_the_file_that_the_line_means(folder: Path, tmp_path: Path) -> None:
    assert offered(folder, "deployment-drift check w") == ["worker", "web"]
    assert offered(folder, "deployment-drift why w") == ["worker", "web"]
    other = folder / "other"
    other.mkdir()
    (other / "its.toml").write_text("[services.wing]\n")
    assert offered(folder, "deployment-drift -C other --config its.toml files w") == ["wing"]
    assert offered(folder, "deployment-drift files w", DRIFT_CONFIG="other/its.toml") == ["wing"]


@pytest.mark.parametrize("toml", [None, "[services", "services = 3", "\udcff"])
def test_a_file_that_cannot_be_read_offers_nothing(folder: Path, toml: str | None) -> None:
    (folder / "drift.toml").unlink()
    if toml is not None:
        (folder / "drift.toml").write_text(toml, errors="surrogateescape")
    assert offered(folder, "deployment-drift check w") == [""]


def test_what_is_no_file_is_not_waited_for(folder: Path) -> None:
    """Nobody writes to the pipe: whoever pressed the key would wait for ever."""
    (folder / "drift.toml").unlink()
    os.mkfifo(folder / "drift.toml")
    assert offered(folder, "deployment-drift check w") == [""]


def test_what_cannot_be_a_service_is_not_offered(folder: Path) -> None:
    """A check refuses such names, and a terminal would obey some of them."""
    (folder / "drift.toml").write_text('[services]\nx1 = 3\n"x\\u001b[31m" = {}\n"x y" = {}\nx2 = {}\n')
    assert offered(folder, "deployment-drift check x") == ["x2"]


def test_it_reads_the_file_without_what_a_check_needs(folder: Path) -> None:
    """A key press waits for it."""
    without = "import sys; sys.modules['pydantic'] = None"
    assert offered(folder, "deployment-drift check w", loads=without) == ["worker", "web"]
