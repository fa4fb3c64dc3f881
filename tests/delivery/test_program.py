"""A program that a deploy runs: what it prints, when it is over, and what is left of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.limits import ENOUGH_S, OVER_S
from support.processes import left_running

from drift_gate.delivery import program
from drift_gate.delivery.builders.tool import Tool
from drift_gate.delivery.contracts import Candidate
from drift_gate.delivery.smoke import Smoke
from drift_gate.runtime.deadline import Deadline

PATH = {"PATH": os.environ["PATH"]}


@contextmanager
def daemon(folder: Path) -> Iterator[str]:
    """A script that leaves one behind, in a session of its own, which holds its pipes; ended at last."""
    file = folder / "pid"
    yield f"setsid sh -c 'echo $$ > {file}; exec sleep 600' & while [ ! -s {file} ]; do :; done; echo done"
    os.kill(int(file.read_text()), signal.SIGKILL)


def ran(script: str, seconds: float = ENOUGH_S) -> tuple[int, list[str], list[str]]:
    said: dict[bool, list[str]] = {True: [], False: []}
    status = program.run(
        ["sh", "-c", script], environ=PATH, seconds=seconds, take=lambda line, out: said[out].append(line)
    )
    return status, said[True], said[False]


def test_whatever_it_prints_is_told_by_line() -> None:
    status, out, err = ran(r"printf 'a\r\nb\n\n\377c\rd'; printf e >&2; exit 3")
    assert (status, out, err) == (3, ["a", "b", "", r"\xffc", "d"], ["e"])


def test_it_is_over_when_it_has_ended_whoever_holds_its_pipes(tmp_path: Path) -> None:
    with daemon(tmp_path) as script:
        assert ran(script) == (0, ["done"], [])


def test_a_builder_that_leaves_a_daemon_behind_keeps_no_deploy_waiting(tmp_path: Path) -> None:
    with daemon(tmp_path) as script:
        tool = Tool("sh", "apt install it", PATH, lambda line: None)
        assert tool.run(["-c", script], Deadline(ENOUGH_S)) == "done\n"


def test_a_smoke_command_that_leaves_a_daemon_behind_has_said_what_it_had_to(tmp_path: Path) -> None:
    said: list[str] = []
    with daemon(tmp_path) as script:
        smoke = Smoke(
            words=["sh", "-c", script],
            service="worker",
            folder=tmp_path,
            environ=PATH,
            seconds=ENOUGH_S,
            say=said.append,
        )
        assert smoke(Candidate(revision="worker-00002"), "a" * 40) is None
    assert said == ["done"]


@pytest.mark.parametrize("closed", ["", "exec >&- 2>&-; "], ids=["talking", "silent"])
def test_what_lasts_too_long_is_ended_with_all_that_it_started(closed: str) -> None:
    mark = f"600{os.getpid()}"
    with pytest.raises(TimeoutError):
        ran(f"{closed}sleep {mark} & wait", OVER_S)
    assert left_running(f"sleep {mark}") == []
