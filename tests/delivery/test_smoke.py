"""The user's own command: told of the candidate, heard, and ended in time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.limits import ENOUGH_S, OVER_S
from support.processes import left_running

from drift_gate.delivery.contracts import Candidate
from drift_gate.delivery.smoke import Smoke
from drift_gate.errors import DriftConfigError

CANDIDATE = Candidate(revision="worker-00002", url="https://candidate---worker.example")
COMMIT = "1" * 40


def smoke(folder: Path, said: list[str], *words: str, seconds: float = ENOUGH_S) -> Smoke:
    return Smoke(
        words=words,
        service="worker",
        folder=folder,
        environ={"PATH": os.environ["PATH"]},
        seconds=seconds,
        say=said.append,
    )


def test_none_is_content(tmp_path: Path) -> None:
    assert smoke(tmp_path, [])(CANDIDATE, COMMIT) is None


def test_it_runs_beside_the_settings_and_learns_of_the_candidate(tmp_path: Path) -> None:
    said: list[str] = []
    told = "$PWD $CANDIDATE_SERVICE $CANDIDATE_REVISION $CANDIDATE_URL $CANDIDATE_COMMIT"
    assert smoke(tmp_path, said, "sh", "-c", f"echo {told}")(CANDIDATE, COMMIT) is None
    assert said == [f"{tmp_path} worker worker-00002 {CANDIDATE.url} {COMMIT}"]


def test_its_exit_status_and_last_line_say_why_not(tmp_path: Path) -> None:
    script = "echo trying; echo; printf 'no odds\\033[31m' >&2; exit 7"
    said: list[str] = []
    assert smoke(tmp_path, said, "sh", "-c", script)(CANDIDATE, COMMIT) == f"exit status 7: {said[-1]}"
    assert said[0] == "trying"
    assert said[-1].isprintable()


def test_it_and_what_it_has_started_end_in_time(tmp_path: Path) -> None:
    """One that would never end by itself."""
    script = "sleep 97683 & wait"
    why = smoke(tmp_path, [], "sh", "-c", script, seconds=OVER_S)(CANDIDATE, COMMIT)
    assert why == f"it did not end within {OVER_S:g} s"
    assert left_running("sleep 97683") == []


def test_one_that_cannot_be_started_is_a_mistake_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(DriftConfigError, match="smoke: `nobody here` cannot be started: No such file"):
        smoke(tmp_path, [], "nobody", "here")(CANDIDATE, COMMIT)
