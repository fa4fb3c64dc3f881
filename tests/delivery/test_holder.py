"""Whose claim is that of a dead process: known at once on this machine, and never guessed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drift_gate.delivery.holder import Holder, has_died

ROOT = Path(__file__).parents[2]
TELL = (
    "from drift_gate.delivery.holder import Holder\nprint(Holder.of_this_process().mark, flush=True)\ninput()"
)


def test_each_run_of_this_process_has_a_mark_of_its_own_and_lives() -> None:
    first, second = Holder.of_this_process().mark, Holder.of_this_process().mark
    assert first != second
    assert not has_died(first)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="nothing tells when a process began")
def test_a_process_of_this_machine_that_was_killed_has_died() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", TELL], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    mark = process.stdout.readline().strip()
    assert not has_died(mark)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.communicate()
    assert has_died(mark)


def test_a_number_that_was_given_again_is_another_process() -> None:
    host, pid, started, run = Holder.of_this_process().mark.rsplit("/", 3)
    assert has_died(f"{host}/{pid}/{int(started or 1) - 1}/{run}") == bool(started)


@pytest.mark.parametrize("mark", ["", "elsewhere/1/5/ab12", "nonsense", "a/b/c/d"])
def test_of_any_other_nobody_can_say(mark: str) -> None:
    assert not has_died(mark)
