"""The whole batch is answered by another service: what the command line says of it, and what is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from coordinator.dispatch.test_dispatch_http import server
from coordinator.worlds import SETTINGS, World

from predictions.coordinator.commands.main import main
from predictions.worker.answering import Identity, answer
from predictions.worker.messages import Task, completions_to_json

START = ["start", "--game-date", "2026-02-05"]


def strange(tasks: list[Task], _: int) -> tuple[int, bytes]:
    return 200, completions_to_json([answer(task, Identity("other-1", "0" * 40)) for task in tasks])


def test_fails_the_batch_and_delivers_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All 273, at a commit of zeros: exit code 4, no file, and the way on is named."""
    monkeypatch.setenv("COORDINATOR_DISPATCH", "http")
    with server(strange) as (url, _):
        monkeypatch.setenv("COORDINATOR_WORKER_URL", url)
        assert main(START) == 4
    out = capsys.readouterr().out
    assert f"273 of 273 requests were answered by a worker of commit {'0' * 40}, which was not judged" in out
    assert "prediction-coordinator resume 2026-02-05-" in out
    assert list(Path(".drift").glob("predictions-*.csv")) == []


def test_is_delivered_with_its_mark_where_the_settings_keep_it(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.write_settings(f'{SETTINGS}[batch]\nforeign_results = "keep"\n')
    monkeypatch.setenv("COORDINATOR_DISPATCH", "http")
    with server(strange) as (url, _):
        monkeypatch.setenv("COORDINATOR_WORKER_URL", url)
        assert main(START) == 0
    out = capsys.readouterr().out
    assert "mixed-revision: 273 by other-1" in out
    assert len(Path(".drift/predictions-2026-02-05.csv").read_text().splitlines()) == 274
