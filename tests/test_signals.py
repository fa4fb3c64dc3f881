"""Ctrl-C and SIGTERM end our programs, however they were started; the suite itself, too."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.processes import deaf
from support.pubsub import free_port

from drift_gate.runtime.signals import heeded

ROOT = Path(__file__).parent.parent
NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def _dispositions() -> Iterator[None]:
    """Puts back what each signal means."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def meanings() -> list[object]:
    return [signal.getsignal(number) for number in NUMBERS]


@pytest.mark.usefixtures("_dispositions")
class TestHeeded:
    def test_what_was_ignored_counts_until_the_end_of_the_block(self) -> None:
        for number in NUMBERS:
            signal.signal(number, signal.SIG_IGN)
        with heeded():
            assert meanings() == [signal.default_int_handler, signal.SIG_DFL]
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert meanings() == [signal.SIG_IGN, signal.SIG_IGN]

    def test_what_was_blocked_comes_through(self) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
        try:
            with pytest.raises(KeyboardInterrupt), heeded():
                signal.raise_signal(signal.SIGINT)
            assert set(NUMBERS) <= signal.pthread_sigmask(signal.SIG_BLOCK, ())
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def test_a_handler_of_somebody_else_stays(self) -> None:
        heard: list[int] = []
        for number in NUMBERS:
            signal.signal(number, lambda number, _: heard.append(number))
        with heeded():
            for number in NUMBERS:
                signal.raise_signal(number)
        assert heard == list(NUMBERS)

    def test_another_thread_changes_nothing(self) -> None:
        for number in NUMBERS:
            signal.signal(number, signal.SIG_IGN)
        seen: list[list[object]] = []

        def look() -> None:
            with heeded():
                seen.append(meanings())

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert seen == [[signal.SIG_IGN, signal.SIG_IGN]]


@pytest.mark.heavy
@pytest.mark.parametrize("number", [NUMBERS[0], pytest.param(NUMBERS[1], marks=pytest.mark.heavy)])
def test_the_worker_ends_though_it_was_started_deaf(number: signal.Signals) -> None:
    port = free_port()
    argv = deaf([sys.executable, "-m", "predictions.worker.serve"])
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PORT": str(port)}
    with subprocess.Popen(argv, env=environ, stderr=subprocess.PIPE, text=True) as process:
        until_it_serves(port, process)
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == 0, said


def until_it_serves(port: int, process: subprocess.Popen[str]) -> None:
    while process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)


class TestTheSuite:
    """Run by pytest's own start, with what ``tests/conftest.py`` and ``setup.cfg`` say."""

    @pytest.mark.heavy
    def test_its_children_are_not_deaf_though_it_was_started_so(self) -> None:
        code = (
            "import signal, subprocess, sys\n"
            "import conftest\n"
            "sys.exit(subprocess.call(['sh', '-c', 'kill -INT $$; exit 7']))"
        )
        done = subprocess.run(
            deaf([sys.executable, "-c", code]),
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 256 - signal.SIGINT, done.stderr

    @pytest.mark.heavy
    def test_a_test_that_hangs_ends_the_run_with_the_stacks(self, tmp_path: Path) -> None:
        (tmp_path / "test_hangs.py").write_text("import time\ndef test_hangs():\n    time.sleep(600)\n")
        argv = [sys.executable, "-m", "pytest", "-c", str(ROOT / "setup.cfg"), "--rootdir", str(tmp_path)]
        options = ["-o", "faulthandler_timeout=0.2", "-p", "no:cacheprovider", "-p", "no:drift-gate"]
        done = subprocess.run(
            [*argv, *options, str(tmp_path)], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert done.returncode != 0
        assert "in test_hangs" in done.stderr
