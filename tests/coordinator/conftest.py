"""What the coordinator's tests share: slates, verdicts, and a repository that the real gate can judge."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from coordinator.desks import Desk
from coordinator.worlds import HEADER, World

from predictions.coordinator.store.sqlite import open_sqlite


@pytest.fixture
def day() -> date:
    return date(2026, 2, 5)


@pytest.fixture
def slate_file(tmp_path: Path) -> Path:
    """Five players in two games."""
    rows = [f"G{number % 2},2026-02-05,P{number},Player {number},T1,T2,1 2 3" for number in range(5)]
    file = tmp_path / "slate.csv"
    file.write_text("\n".join(["# made up", HEADER, *rows]) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A repository with a worker of one commit that is deployed; the working directory is in it."""
    root = tmp_path / "world"
    made = World(root)
    for name in ("DRIFT_CONFIG", "DRIFT_SKIP_CHECK", "DRIFT_SKIP_CHECK_UNTIL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(root)
    made.write_settings()
    made.deploy()
    return made


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_sqlite(tmp_path / "store.sqlite") as store:
        yield Desk(store)


@pytest.fixture(autouse=True)
def _gate_logger_as_it_was() -> Iterator[None]:
    """The command line sets up the gate's logger for the whole process."""
    logger = logging.getLogger("drift_gate")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before
