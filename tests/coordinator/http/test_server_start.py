"""``serve`` at its start: what it says is true, and a signal ends it whenever it comes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.forkserver import forkserver
from support.heavy import light

ROOT = Path(__file__).parents[3]
#: ``serve``, which sends itself a signal at a moment of its start.
PROGRAM = """\
import logging, os, socket, sys

number, moment = int(sys.argv[1]), sys.argv[2]

def now(at):
    global moment
    if at == moment:
        moment = None
        os.kill(os.getpid(), number)

def audit(event, arguments):
    if event == "import" and arguments[0] == "uvicorn":
        now("while it loads")
    if event == "socket.bind":
        now("as it binds")
    if event == "socket.__new__" and arguments[1] == socket.AF_UNIX:
        now("as its loop is made")  # which wakes itself by a pair of sockets

def heard(record):
    if record.getMessage().startswith("listening on "):
        now("as it says that it listens")
    return True

from predictions.coordinator.commands.main import main

sys.addaudithook(audit)
logging.getLogger("prediction_coordinator").addFilter(heard)
sys.exit(main(["serve", "--port", "0"]))
"""


@pytest.mark.parametrize(
    "number", light([signal.SIGINT, signal.SIGTERM], [signal.SIGTERM]), ids=lambda number: number.name
)
@pytest.mark.parametrize(
    "moment",
    light(
        ["while it loads", "as it binds", "as its loop is made", "as it says that it listens"],
        ("while it loads", "as it says that it listens"),
    ),
)
def test_a_signal_ends_it_whenever_it_comes(tmp_path: Path, number: signal.Signals, moment: str) -> None:
    """Without a traceback."""
    args, env = [str(int(number)), moment], {"PATH": "", "PYTHONPATH": str(ROOT)}
    if moment == "while it loads":
        argv = [sys.executable, "-c", PROGRAM, *args]
        done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    else:
        done = forkserver().run(PROGRAM, args, cwd=tmp_path, env=env)
    ended_well = {0, 128 + signal.SIGTERM} if number is signal.SIGTERM else {130}
    assert done.returncode in ended_well, done.stderr
    assert "Traceback" not in done.stderr
    assert ("listening on" in done.stderr) <= (
        moment in {"as its loop is made", "as it says that it listens"}
    )
    assert ("interrupted" in done.stderr) == (number is signal.SIGINT)
