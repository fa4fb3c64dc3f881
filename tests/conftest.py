"""What all tests share: an environment that owes nothing to the person who runs them."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from support.emulators import Emulators, firestore_emulator, pubsub_emulator
from support.limits import ENOUGH_S
from support.processes import heed_signals
from support.traced_lines import TracedLines
from support.unproven import tell
from support.world import World

from drift_gate.runtime import background, deadline
from drift_gate.runtime.child_process import pool
from drift_gate.testing import FakeCloudRun

__all__ = ["firestore_emulator", "pubsub_emulator"]  # fixtures for every test

# Some million objects live as long as the run; to look through them again and again takes much of its time.
gc.set_threshold(100_000, 50, 50)
heed_signals()
#: The file that `make test` prints at its end; not for what the tests start.
UNPROVEN = os.environ.pop("UNPROVEN", "")
# No ``DRIFT_…``, no emulator, no git variable of the tester's is there for a test.
for name in list(os.environ):
    if name.startswith(("DRIFT_", "GIT_", "CLOUD_RUN_", "COORDINATOR_", "PUBSUB_", "FIRESTORE_")):
        del os.environ[name]
#: Where the tests are that take longest. They begin first: else a process ends alone with one.
LONGEST = (
    "tests/cloud_functions/",
    "tests/coordinator/test_killed.py",
    "tests/faults/",
    "tests/notify/test_month.py",
    "tests/ops/",
    "tests/relevance/test_facts_of_every_file.py",
    "tests/runtime/test_child_process.py",
    "tests/test_end_to_end.py",
    "tests/test_packaging.py",
    "tests/test_reality.py",
    "tests/test_unproven.py",
)

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("full", deadline=None)
settings.register_profile("gate", deadline=None, max_examples=12)
settings.load_profile("gate")


@cache
def emulators() -> Emulators:
    """Those that the test processes of this run share."""
    return Emulators()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a test process whom to ask for an emulator; who hands tests out runs nothing that is measured."""
    sys.settrace(None)
    node.workerinput["emulators"] = emulators().address


def pytest_configure(config: pytest.Config) -> None:
    """Measure tests and what they load."""
    config.pluginmanager.register(TracedLines())


def pytest_unconfigure() -> None:
    """Stop them once all test processes have ended."""
    if emulators.cache_info().currsize:
        emulators().close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def pytest_collection_finish() -> None:
    """Start what serves all tests of this process; the one that only hands tests out collects none."""
    # The process that reads repositories is measured with this one.
    pool().start()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # This worker is measured already; a child that is measured, too, starts at half the speed.
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    gc.freeze()  # what was collected is garbage for nobody


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call() -> Iterator[None]:
    """What a bypass has let go on beside a test ends with it, while its world still stands."""
    try:
        return (yield)
    finally:
        background.finish()


def pytest_sessionfinish() -> None:
    """Let the process that reads repositories write down what was measured in it."""
    pool().close(20)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what was not proven; `make test` shows it once more, below the coverage."""
    tell(terminalreporter, UNPROVEN)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """A command line that ran in this process configured our loggers; the next test starts anew.

    A hook, since a fixture that every test has takes ten times as long.
    """
    for name in ("drift_gate", "drift_gate.verdict", "prediction_coordinator"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        if logger.level:  # to set it empties a cache of all loggers
            logger.setLevel(logging.NOTSET)


@pytest.fixture
def asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may heal, and does not while the test looks, is not asked again until the deadline."""
    monkeypatch.setattr(deadline, "LAST_ATTEMPT_S", ENOUGH_S)


@pytest.fixture
def world(tmp_path: Path, fake_cloud_run: FakeCloudRun) -> World:
    """A repository with one commit and an empty Cloud Run."""
    return World(tmp_path / "repo", fake_cloud_run)
