"""When the process that reads is a fork, and that it is no second one of what forked it."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from support.forkserver import forkserver
from support.heavy import light
from support.reading import FORKED, SPAWNED, is_forked, program, told
from support.stage import Stage
from support.world import WORKER, World

ROOT = Path(__file__).parents[2]
#: At the end of a program that has read a repository.
READ_WITH = """
import os
from drift_gate.runtime.child_process import pool
from drift_gate.runtime.deadline import Deadline
from support.reading import is_forked
theirs = pool().take(Deadline(60))
if theirs.loaded and is_forked(theirs.pid, os.getpid()):
    print("read with a fork of its own", file=sys.stderr)
theirs.end()
"""


class TestIsForked:
    """Where nobody else can hold a lock, and a program of ours has asked for it."""

    def test_by_a_program_of_ours(self) -> None:
        with program("time.sleep(600)", before=FORKED) as parent:
            assert is_forked(int(told(parent)), parent.pid)

    @pytest.mark.parametrize(
        "before",
        [
            SPAWNED,
            FORKED
            + "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n",
            FORKED + "import grpc\nchannel = grpc.insecure_channel('127.0.0.1:1')\n",
        ],
        ids=["a library", "a thread", "a channel"],
    )
    def test_by_nobody_else(self, before: str) -> None:
        with program("time.sleep(600)", before=before) as parent:
            assert not is_forked(int(told(parent)), parent.pid)

    def test_and_does_at_its_end_what_is_its_own(self, tmp_path: Path) -> None:
        """What the parent does at its end, and by its handlers, is done once: a lease is given back, say."""
        note = f"lambda *_: open({str(tmp_path / 'done')!r}, 'a').write(str(os.getpid()) + ' ')"
        before = (
            f"import atexit, os, signal\natexit.register({note})\nsignal.signal(signal.SIGTERM, {note})\n"
        )
        lines = (
            "print(ours.call(signal.getsignal, (15,), Deadline(60)) == signal.SIG_DFL)\npool().give(ours)\n"
        )
        with program(lines + "pool().close(60)\n", before=FORKED + before) as parent:
            told(parent)
            assert told(parent) == "True"
            assert parent.wait(60) == 0
        assert (tmp_path / "done").read_text() == f"{parent.pid} "

    def test_while_a_signal_comes(self, tmp_path: Path) -> None:
        """At a moment when it still has its parent's handlers: it ends, and cleans nothing up."""
        lines = f"""
def end(number, frame): sys.exit("ended")
signal.signal(signal.SIGTERM, end)
os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))
try:
    child = Child()
    child.ready(Deadline(60))
except Exception as error:
    print(error)
finally:
    open({str(tmp_path / "done")!r}, "a").write("cleaned")
"""
        with program(lines, before=FORKED) as parent:
            told(parent)
            assert "ended by itself (exit status -15)" in told(parent)
            assert parent.wait(60) == 0
        assert (tmp_path / "done").read_text() == "cleaned"

    def test_and_killed_before_it_leads_a_group(self) -> None:
        lines = """
os.register_at_fork(after_in_child=lambda: time.sleep(600))
child = Child()
child.end()
print(os.path.exists(f"/proc/{child.pid}"))
"""
        with program(lines, before=FORKED) as parent:
            told(parent)
            assert told(parent) == "False"

    def test_and_waited_for_by_somebody_else(self) -> None:
        """As with a handler of SIGCHLD that collects whatever has ended."""
        lines = """
os.kill(ours.pid, 9)
os.waitpid(ours.pid, 0)
print(ours.alive)
"""
        with program(lines, before=FORKED) as parent:
            told(parent)
            assert told(parent) == "False"


@pytest.mark.parametrize(
    "words",
    light(
        [
            "deployment-drift check",
            "deployment-drift plan",
            "deployment-drift affected HEAD..HEAD",
            f"deployment-drift why {WORKER} a.py",
            f"deployment-drift diff {WORKER}",
            "deployment-drift is-live HEAD",
            "deployment-drift monitor --once",
            f"deployment-drift require {WORKER}",
            "prediction-coordinator start",
        ],
        ["deployment-drift check", "prediction-coordinator start"],
    ),
)
def test_each_command_forks_before_it_has_a_second_thread(world: World, words: str) -> None:
    """What it reads with afterwards is what it forked; it could not fork another one then."""
    world.cloud.deploy(WORKER, commit=world.first)
    program, *args = words.split()
    with closing(Stage(world)) as stage:
        if "start" in args:
            args = stage.start_args()
            # Checks of the data are looked at beside the gate, on a thread.
            shutil.copy(ROOT / "examples" / "readiness.toml", stage.folder)
        stage.write_config()
        code = stage.argv(program, after=READ_WITH)[2]
        done = forkserver().run(code, args, cwd=stage.folder, env=stage.variables())
    assert done.stderr.splitlines()[-1] == "read with a fork of its own", done
