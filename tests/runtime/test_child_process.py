"""What is read in a repository is read in a process that ends: at the deadline, with its parent, alone."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.forkserver import forkserver
from support.heavy import light
from support.limits import ENOUGH_S, LONGER_S, OVER_S
from support.reading import FORKED, SPAWNED, ended, program, told
from support.world import WORKER, World

from drift_gate.errors import SourceError
from drift_gate.runtime import child_process
from drift_gate.runtime.child_process import Child, Pool
from drift_gate.runtime.deadline import Deadline
from drift_gate.settings import keys

#: A pattern and a text that hold the interpreter for longer than anybody waits.
FOR_EVER = (r"(a+)+$", "a" * 60 + "b")


@pytest.fixture(scope="module")
def children() -> Iterator[Pool]:
    ours = Pool()
    yield ours
    ours.close(ENOUGH_S)


@pytest.fixture
def child(children: Pool) -> Iterator[Child]:
    """One of its own, which a test before may have left."""
    ours = children.take(Deadline(ENOUGH_S))
    yield ours
    children.give(ours)


def test_it_answers_by_the_name_of_a_function(child: Child) -> None:
    assert child.call(os.path.join, ("a", "b"), Deadline(ENOUGH_S)) == "a/b"
    assert child.call(os.getpid, (), Deadline(ENOUGH_S)) == child.pid != os.getpid()


def test_who_asks_may_do_something_else_before_the_answer(child: Child) -> None:
    child.ask(os.path.join, ("a", "b"), Deadline(ENOUGH_S))
    assert child.busy
    assert child.answer(Deadline(ENOUGH_S)) == "a/b"
    assert not child.busy


def test_nobody_is_told_the_answer_to_another_question(child: Child) -> None:
    child.ask(os.path.join, ("a", "b"), Deadline(ENOUGH_S))
    with pytest.raises(RuntimeError, match="one thing at a time"):
        child.call(len, ("abc",), Deadline(ENOUGH_S))
    assert not child.alive


def test_an_answer_and_a_question_of_any_size(child: Child) -> None:
    """Both pipes are full at once: neither side may wait for the other."""
    text = "x" * 3_000_000
    assert child.call(str.upper, (text,), Deadline(ENOUGH_S)) == text.upper()


def test_what_is_raised_there_is_raised_here(child: Child) -> None:
    """A bug with the place where it happened; the process goes on."""
    with pytest.raises(ZeroDivisionError) as raised:
        child.call(divmod, (1, 0), Deadline(ENOUGH_S))
    assert "Traceback" in raised.value.__notes__[0]
    assert child.call(len, ("abc",), Deadline(ENOUGH_S)) == 3


def test_what_cannot_cross_is_an_error_and_no_end(child: Child) -> None:
    with pytest.raises(RuntimeError, match="pickle"):
        child.call(_lock, (), Deadline(ENOUGH_S))
    assert child.call(len, ("abc",), Deadline(ENOUGH_S)) == 3


def test_work_that_holds_the_interpreter_ends_at_the_deadline(child: Child) -> None:
    """No thread could stop it: nothing else runs while a pattern is matched."""
    child.ready(Deadline(ENOUGH_S))
    with pytest.raises(SourceError) as raised:
        child.call(re.match, FOR_EVER, Deadline(OVER_S))  # on a machine of any speed
    assert (raised.value.cause, raised.value.retryable) == ("timeout", True)
    assert not child.alive
    ended(child.pid)


def test_a_process_that_is_killed_is_an_error_of_the_gate(child: Child) -> None:
    """By the system that has no memory left, say."""
    child.ready(Deadline(ENOUGH_S))
    with pytest.raises(SourceError, match="ended by itself") as raised:
        child.call(os.kill, (child.pid, signal.SIGKILL), Deadline(ENOUGH_S))
    assert raised.value.cause == "gate-error"


def test_ctrl_c_is_for_the_parent(child: Child) -> None:
    child.ready(Deadline(ENOUGH_S))
    os.kill(child.pid, signal.SIGINT)
    assert child.call(len, ("abc",), Deadline(ENOUGH_S)) == 3


def test_git_ends_with_it(child: Child) -> None:
    """Each git leads a group of its own, which no signal to the process reaches."""
    started = child.call(_sleeper, (), Deadline(ENOUGH_S))
    assert Path("/proc", str(started)).exists()
    child.end()
    ended(started)


def _sleeper() -> int:
    return subprocess.Popen(["sleep", "600"], start_new_session=True).pid


#: Does one of the above with a child that is forked; this process has too many threads for that.
WITH_A_FORK = """
import os, sys
from importlib import import_module
from support.reading import ended, is_forked
from drift_gate.runtime import forked
from drift_gate.runtime.child_process import Child

folder, name = sys.argv[1:]
sys.path.insert(0, folder)
with forked.allowed():
    tests = import_module("test_child_process")
    child = Child()
    assert is_forked(child.pid, os.getpid())
    getattr(tests, name)(child)
    child.end()
    ended(child.pid)
"""


@pytest.mark.parametrize(
    "test",
    light(
        [
            test_it_answers_by_the_name_of_a_function,
            test_an_answer_and_a_question_of_any_size,
            test_what_is_raised_there_is_raised_here,
            test_what_cannot_cross_is_an_error_and_no_end,
            test_work_that_holds_the_interpreter_ends_at_the_deadline,
            test_a_process_that_is_killed_is_an_error_of_the_gate,
            test_ctrl_c_is_for_the_parent,
            test_git_ends_with_it,
        ],
        [test_work_that_holds_the_interpreter_ends_at_the_deadline, test_git_ends_with_it],
    ),
    ids=lambda test: test.__name__,
)
def test_one_that_is_forked_does_the_same(test: Callable[[Child], None], tmp_path: Path) -> None:
    args = [str(Path(__file__).parent), test.__name__]
    done = forkserver().run(WITH_A_FORK, args, cwd=tmp_path, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr


class TestThePool:
    def test_lends_each_to_one_at_a_time(self) -> None:
        pool = Pool()
        one, other = pool.take(Deadline(ENOUGH_S)), pool.take(Deadline(ENOUGH_S))
        assert one is not other
        pool.give(one)
        assert pool.take(Deadline(ENOUGH_S)) is one
        for each in (one, other):
            pool.give(each)
        pool.close(5)
        assert not one.alive
        assert not other.alive

    def test_keeps_few(self) -> None:
        pool = Pool()
        lent = [pool.take(Deadline(ENOUGH_S)) for _ in range(child_process.MOST)]
        with pytest.raises(SourceError, match="other checks") as raised:
            pool.take(Deadline(0))
        assert raised.value.cause == "timeout"
        for each in lent:
            pool.give(each)
        assert sum(each.alive for each in lent) == child_process.KEPT
        pool.close(5)

    def test_keeps_none_that_has_still_to_answer(self) -> None:
        pool = Pool()
        one = pool.take(Deadline(ENOUGH_S))
        one.ask(len, ("abc",), Deadline(ENOUGH_S))
        pool.give(one)
        assert not one.alive
        other = pool.take(Deadline(ENOUGH_S))
        assert other.call(len, ("abcd",), Deadline(ENOUGH_S)) == 4
        pool.give(other)
        pool.close(5)

    def test_has_none_that_somebody_else_has_ended(self) -> None:
        pool = Pool()
        one = pool.take(Deadline(ENOUGH_S))
        pool.give(one)
        os.kill(one.pid, signal.SIGKILL)
        ended(one.pid)
        other = pool.take(Deadline(ENOUGH_S))
        assert other.call(len, ("abc",), Deadline(ENOUGH_S)) == 3
        pool.give(other)
        pool.close(5)


both = pytest.mark.parametrize("before", [SPAWNED, FORKED], ids=["spawned", "forked"])


@both
@pytest.mark.parametrize(
    "doing",
    [
        "time.sleep(600)",
        pytest.param("ours.call(time.sleep, (600,), Deadline(600))", marks=pytest.mark.heavy),
        pytest.param(f"ours.call(re.match, {FOR_EVER!r}, Deadline(60))", marks=pytest.mark.heavy),
        "os.fork() or time.sleep(3)\ntime.sleep(600)",
    ],
    ids=["idle", "busy", "holding the interpreter", "forked"],
)
def test_it_ends_with_a_parent_that_is_killed(before: str, doing: str) -> None:
    """Whatever it does, and although a fork of the parent lives on and has inherited its pipes."""
    with program(doing, before=before) as parent:
        pid = int(told(parent))
        parent.kill()
        parent.wait()
        ended(pid)


@both
def test_it_ends_with_a_parent_that_ends(before: str) -> None:
    with program("", before=before) as parent:
        pid = int(told(parent))
        assert parent.wait(60) == 0
        ended(pid)


@both
def test_a_fork_has_its_own(before: str) -> None:
    """The parent's is neither used nor ended by the child of a fork."""
    lines = """
forked = os.fork()
if not forked:
    theirs = pool().take(Deadline(60))
    print(theirs.call(len, ("abc",), Deadline(60)), theirs.pid != ours.pid, flush=True)
    sys.exit()
os.waitpid(forked, 0)
print(ours.call(len, ("abcd",), Deadline(60)), flush=True)
"""
    with program(lines, before=before) as parent:
        told(parent)
        assert (told(parent), told(parent)) == ("3 True", "4")


@both
@pytest.mark.parametrize(
    "closed", light(["", "os.close(0)\n", "os.close(0); os.close(2)\n"], ["os.close(0); os.close(2)\n"])
)
def test_it_has_nothing_of_its_parent_open(before: str, closed: str) -> None:
    """Nor does it lack anything where the parent was started without a stream."""
    lines = """
def ask(function, *args): return ours.call(function, args, Deadline(60))
streams = [ask(os.readlink, f"/proc/self/fd/{number}") for number in range(3)]
print(ask(os.getcwd), ask(os.getsid, 0) == ours.pid, *streams)
print(len(ask(os.listdir, "/proc/self/fd")))
"""
    mine = "import os, socket\nmine = socket.socket(), open(os.devnull)\nos.dup(mine[1].fileno())\n"
    with program(lines, before=before + mine + closed) as parent:
        told(parent)
        assert told(parent) == "/ True /dev/null /dev/null /dev/null"
        assert told(parent) == "6"  # the streams, both pipes, and the list itself
        assert parent.wait(60) == 0


@pytest.mark.parametrize("named", light(["/usr/local/bin/uwsgi", "", None], ["/usr/local/bin/uwsgi"]))
def test_a_program_that_embeds_python_names_itself(named: str | None) -> None:
    """Nothing of it is run a second time: it has no guard, and it is no Python."""
    with program("", before=f"import sys; sys.executable = {named!r}\nprint('once')\n") as parent:
        assert told(parent) == "once"
        assert told(parent).isdecimal()


def test_where_no_process_can_be_started_the_verdict_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never in the same process without a word: then nothing would end it."""
    world.cloud.deploy(WORKER, commit=world.first)
    child_process.pool().close(5)
    monkeypatch.setattr(sys, "executable", "/nowhere/uwsgi")
    monkeypatch.setattr(sys, "exec_prefix", "/nowhere")
    verdict = world.verdict()
    assert verdict.report.unknown is not None
    assert (verdict.decision, verdict.report.unknown.cause) == ("deny", "gate-error")
    assert "could not be started" in verdict.report.unknown.message


def test_where_no_descriptor_is_left_none_is_started_and_none_lost() -> None:
    """However few there are; whoever starts one early, as a bypass does, is told nothing."""
    code = """
import os, resource
from drift_gate.runtime.child_process import Pool
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

def free():
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return held

for spare in range(6):
    held = free()
    for each in held[:spare]:
        os.close(each)
    pool = Pool()
    pool.start()
    pool.close(0)
    taken = free()
    print(len(taken) - spare)
    for each in {*held[spare:], *taken}:
        os.close(each)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout.split()) == ("", ["0"] * 6)


def test_a_check_that_never_ends_is_a_timeout_and_the_next_one_is_true(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were a pattern to get past those who read it, as this one would have: 30 characters are enough."""
    monkeypatch.setattr(keys, "more_than_linear", lambda pattern: None)
    world.cloud.deploy(WORKER, commit=world.first)
    world.history.commit({"predictions/worker/worker.py": "V = 1\n"}, subject=FOR_EVER[1])
    calm = world.toml
    policy = "[policy]\ndeny_subjects = ['(a+)+$']\n[services"
    world.toml = calm.replace('"60s"', f'"{LONGER_S[0]:g}s"').replace("[services", policy)
    unknown = world.verdict().report.unknown
    assert unknown is not None
    assert unknown.cause == "timeout"
    world.toml = calm
    assert world.verdict().report.commits_behind == 1


def test_what_is_logged_there_is_logged_here(child: Child, caplog: pytest.LogCaptureFixture) -> None:
    child.call(_warn, ("a word",), Deadline(ENOUGH_S))
    assert [(record.name, record.getMessage()) for record in caplog.records] == [("drift_gate", "a word")]


def _lock() -> object:
    return threading.Lock()


def _warn(words: str) -> None:
    import logging

    logging.getLogger("drift_gate").warning("%s", words)
