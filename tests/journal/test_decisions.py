"""Where verdicts are written: one log line and one row each, also for a refusal and a bypass."""

from __future__ import annotations

import json
import logging
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.limits import OVER_S
from support.world import WORKER, World

from drift_gate.errors import DeploymentDriftError
from drift_gate.journal import sink
from drift_gate.runtime import background
from drift_gate.wiring import checks
from shared.utils.deployment_checker import require_current_worker

NOW = datetime(2026, 2, 5, tzinfo=UTC)
STORE = '[journal]\nstore = "journal.sqlite"\n'


def rows(path: Path) -> list[sqlite3.Row]:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    try:
        return connection.execute("SELECT * FROM decisions ORDER BY decided_at").fetchall()
    finally:
        connection.close()


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, dict[str, object]]]:
    """The structured lines with their levels."""
    return [
        (record.levelno, json.loads(record.getMessage()))
        for record in caplog.records
        if record.name == "drift_gate.verdict"
    ]


def test_every_verdict_is_a_line_and_a_row(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Allowed, refused, bypassed: three starts, three lines, three rows."""
    caplog.set_level(logging.INFO, "drift_gate")
    world.toml = STORE + world.toml
    world.cloud.deploy(WORKER, commit=world.first)
    require_current_worker(settings=world.settings())
    for _ in range(4):
        world.change()
    with pytest.raises(DeploymentDriftError):
        require_current_worker(settings=world.settings())
    require_current_worker(settings=world.settings(), skip=True, reason="the fix is in", actor="ann")
    background.finish()

    levels = [(level, line["event"], line["decision"], line["enforced"]) for level, line in lines(caplog)]
    assert levels == [
        (logging.INFO, "drift_verdict", "allow", True),
        (logging.ERROR, "drift_verdict", "deny", True),
        (logging.WARNING, "drift_verdict", "deny", False),
    ]
    allowed, refused, bypassed = rows(world.folder / "journal.sqlite")
    assert (allowed["decision"], allowed["commits_behind"], allowed["bypass_actor"]) == ("allow", 0, None)
    assert (refused["decision"], refused["enforced"], refused["commits_behind"]) == ("deny", 1, 4)
    assert (bypassed["enforced"], bypassed["bypass_actor"], bypassed["bypass_reason"]) == (
        0,
        "ann",
        "the fix is in",
    )
    assert json.loads(refused["verdict"])["report"]["commits_behind"] == 4
    assert refused["live_commit"] == world.first
    assert datetime.fromisoformat(refused["decided_at"]).tzinfo is not None


def test_a_store_that_cannot_be_written_changes_no_verdict(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """It is warned about; the batch may start."""
    world.toml = STORE.replace("journal.sqlite", "drift.toml/journal.sqlite") + world.toml
    world.cloud.deploy(WORKER, commit=world.first)
    assert require_current_worker(settings=world.settings()).decision == "allow"
    assert "the verdict on prediction-worker is not in the journal" in caplog.text


def test_a_locked_store_is_waited_for_only_so_long(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer that never ends costs a moment and a warning, and the log has the decision whole."""
    world.toml = STORE + world.toml
    world.cloud.deploy(WORKER, commit=world.first)
    require_current_worker(settings=world.settings())
    background.finish()
    for module in (checks, sink):
        monkeypatch.setattr(module, "WRITE_S", OVER_S)
    blocker = sqlite3.connect(world.folder / "journal.sqlite", isolation_level=None)
    try:
        blocker.execute("BEGIN EXCLUSIVE")
        assert require_current_worker(settings=world.settings()).decision == "allow"
        background.finish()
    finally:
        blocker.close()
    assert "database is locked" in caplog.text
    told = json.loads(caplog.messages[-1])
    assert (told["event"], told["door"], told["verdict"]["decision"]) == ("drift_decision", "start", "allow")
