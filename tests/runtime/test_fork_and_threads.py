"""One configuration, many processes and threads: as under a server that preloads and forks."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.cloud_process import cloud_process
from support.limits import ENOUGH_S, OVER_S
from support.processes import left_running
from support.world import WORKER, World

from drift_gate.runtime import forks
from drift_gate.runtime.forks import CALLS
from drift_gate.settings.file import Settings
from drift_gate.testing import HistoryBuilder
from drift_gate.wiring import checks, plans


def decide(settings: Settings, answers: Any) -> None:
    answers.put(checks.check(settings=settings).decision)


@pytest.mark.heavy
@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.heavy)])
def test_a_child_checks_after_its_parent_did(world: World, method: str) -> None:
    """The child connects anew; what the parent connected before the fork is not used in it."""
    world.cloud.deploy(WORKER, commit=world.first)
    settings = world.settings()
    assert checks.check(settings=settings).decision == "allow"
    context: Any = multiprocessing.get_context(method)
    answers = context.SimpleQueue()
    children = [context.Process(target=decide, args=(settings, answers)) for _ in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # 3.12 warns of what is tested here: fork and threads
        for child in children:
            child.start()
    for child in children:
        child.join(60)
    try:
        assert [child.exitcode for child in children] == [0, 0]
    finally:
        for child in children:
            child.kill()
    assert [answers.get() for _ in children] == ["allow", "allow"]
    assert checks.check(settings=settings).decision == "allow"


def test_the_child_of_a_fork_uses_nothing_that_its_parent_connected(world: World) -> None:
    """A channel does not survive a fork, whatever it may look like."""
    inherited = plans.process().clients(world.cloud.host)
    context: Any = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def compare() -> None:
        answers.put(plans.process().clients(world.cloud.host) is inherited)

    child = context.Process(target=compare)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as above
        child.start()
    child.join(60)
    assert (child.exitcode, answers.get()) == (0, False)
    assert plans.process().clients(world.cloud.host) is inherited


@pytest.mark.heavy
def test_threads_share_one_process(world: World) -> None:
    """Side by side, over one channel and one memory, each gets the true answer."""
    world.cloud.deploy(WORKER, commit=world.first)
    for _ in range(4):
        world.change()
    settings = world.settings()
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: checks.check(settings=settings), range(16)))
    assert {outcome.decision for outcome in outcomes} == {"deny"}
    assert {outcome.services[0].report.commits_behind for outcome in outcomes} == {4}


def forked(over: threading.Event) -> tuple[bool, Any]:
    """Whether ``over`` was when the parent had forked, and what the child got out of a call of its own."""
    context: Any = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def call() -> None:
        with CALLS.one():
            answers.put("called")

    child = context.Process(target=call)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as above
        child.start()
    was_over = over.is_set()
    child.join(ENOUGH_S)
    assert child.exitcode == 0
    return was_over, answers.get()


@pytest.mark.parametrize("hangs", [False, True])
def test_a_fork_waits_for_calls_and_not_for_ever(hangs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """gRPC survives no fork in the middle of a call; a call that hangs must not hold up a server's fork."""
    monkeypatch.setattr(forks, "PATIENCE_S", OVER_S if hangs else ENOUGH_S)
    begun, over, released = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        with CALLS.one():
            begun.set()
            released.wait(ENOUGH_S if hangs else OVER_S)
            over.set()

    thread = threading.Thread(target=call)
    thread.start()
    begun.wait()
    was_over, said = forked(over)
    released.set()
    thread.join()
    assert (was_over, said) == (not hangs, "called")


_LOCKED = """
import os, sys, threading, time
from drift_gate.runtime.forks import CALLS
from filelock import FileLock
begun, over = threading.Event(), threading.Event()

def call():
    with CALLS.one():
        begun.set()
        time.sleep(0.05)  # the fork begins meanwhile
        with FileLock(sys.argv[1]):
            over.set()

thread = threading.Thread(target=call)
thread.start()
begun.wait()
if not (child := os.fork()):
    os._exit(0 if over.is_set() else 1)
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_fork_waits_for_a_call_that_takes_a_lock(tmp_path: Path) -> None:
    """filelock lets no lock be taken once a fork has begun by its own hook, which must not be the first."""
    done = subprocess.run([sys.executable, "-c", _LOCKED, str(tmp_path / "lock")], check=False)
    assert done.returncode == 0


def test_each_call_of_google_counts(world: World) -> None:
    """While it is under way, a fork would wait."""
    world.cloud.deploy(WORKER, commit=world.first)
    waiting = []
    for method in ("GetService", "GetRevision"):
        world.cloud.before(method, lambda: waiting.append(CALLS.under_way))
    assert world.verdict().decision == "allow"
    assert waiting == [1, 1]
    assert CALLS.under_way == 0


DRIFT_TOML = """
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "main"
deadline = "60s"

[services.current]
[services.stale]
"""


@dataclass
class Gunicorn:
    """A gunicorn that serves ``support.gated_app``. ``said`` is the file of its log."""

    process: subprocess.Popen[bytes]
    said: Path

    def port(self) -> int:
        """Where it listens, once it does."""
        for _ in range(300):
            if found := re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", self.said.read_text()):
                return int(found[1])
            assert self.process.poll() is None, self.said.read_text()
            time.sleep(0.1)
        raise AssertionError(self.said.read_text())


@contextmanager
def gunicorn(folder: Path, environ: dict[str, str]) -> Iterator[Gunicorn]:
    """Two workers of four threads, forked while the application, which is loaded, uses the gate."""
    said = folder / "gunicorn.log"
    options = ["--preload", "--workers", "2", "--worker-class", "gthread", "--threads", "4"]
    where = ["--bind", "127.0.0.1:0", "--graceful-timeout", "5", "--no-control-socket"]
    command = [sys.executable, "-m", "gunicorn", *options, *where, "support.gated_app:application"]
    with said.open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
    try:
        yield Gunicorn(process, said)
    finally:
        process.terminate()
        process.wait(60)


def asked(port: int, name: str) -> dict[str, Any] | None:
    """The application's answer about ``name``; None where its worker was killed over it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", f"/{name}")
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
    except (ConnectionError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return answer


@pytest.mark.heavy
def test_gunicorn_preloads_forks_and_loses_a_worker_under_load(tmp_path: Path) -> None:
    """Every answer comes and is right, from both workers and from the one that replaces a killed one."""
    history = HistoryBuilder(tmp_path / "repo")
    first = history.commit({"worker.py": "V = 0\n"})
    for number in range(1, 6):
        tip = history.commit({"worker.py": f"V = {number}\n"})
    (history.path / "drift.toml").write_text(DRIFT_TOML)
    with cloud_process() as cloud:
        cloud.tell("deploy", "current", commit=tip)
        cloud.tell("deploy", "stale", commit=first)
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "CLOUD_RUN_EMULATOR_HOST": cloud.host,
            "PYTHONWARNINGS": "ignore::DeprecationWarning",  # 3.12 warns of what is tested here
        }
        with gunicorn(history.path, environ) as server, ThreadPoolExecutor(6) as pool:
            port = server.port()
            names = ["current", "stale"] * 60
            begun = [asked(port, "current") for _ in range(2)]
            victim = begun[0]["pid"] if begun[0] else 0
            coming = [pool.submit(asked, port, name) for name in names]
            coming[20].result()
            os.kill(victim, signal.SIGKILL)
            answers = [each.result(60) for each in coming]
            answers += pool.map(lambda name: asked(port, name), names[:40])
    lost = answers.count(None)
    pairs = zip([*names, *names[:40]], answers, strict=True)
    told = Counter((name, answer["decision"], answer.get("behind")) for name, answer in pairs if answer)
    assert lost <= 6, "only what the killed worker had in hand may be lost"
    assert set(told) == {("current", "allow", None), ("stale", "deny", 5)}
    workers = {a["pid"] for a in answers if a}
    assert len(workers - {victim}) == 2, "one worker went on and one replaced the killed one"
    assert {tuple(a["preloaded"]) for a in answers if a} == {(server.process.pid, "identical")}
    assert left_running(str(history.path)) == []
