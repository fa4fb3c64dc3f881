"""``resume``, ``cancel`` and ``status --watch``, and a start whose answers come later."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from coordinator.stores import DAY, a_batch, answer
from coordinator.worlds import NOW, World
from support.pubsub import Desk

from predictions.coordinator.batches.stamp import Stamp
from predictions.coordinator.commands.main import main
from predictions.coordinator.store.sqlite import open_sqlite

STORE = Path(".drift/predictions.sqlite")
START = ["start", "--game-date", "2026-02-05"]


def left_behind(dispatch: str = "local") -> str:
    """A batch whose coordinator died just now, before it handed anything out; its id."""
    new = replace(a_batch(dispatch=dispatch), stamp=Stamp(gate_decision="warn", enforced=True))
    with open_sqlite(STORE) as store:
        return store.create(new, datetime.now(UTC)).id


def state_of(batch_id: str) -> str:
    with open_sqlite(STORE) as store:
        batch = store.get(batch_id)
    assert batch is not None
    return batch.state


class TestResume:
    def test_0_goes_on_with_what_was_left(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        batch_id = left_behind()
        assert main(["resume"]) == 0
        out, err = capsys.readouterr()
        assert out.splitlines() == [
            f"batch {batch_id} for 2026-02-05 completed, resumed: 2 players predicted, 1 rows set aside",
            "gate: warn",
            "predictions: .drift/predictions-2026-02-05.csv",
            "state: .drift/predictions.sqlite",
        ]
        assert "2/2" in err

    def test_0_says_that_there_is_nothing(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["resume"]) == 0
        assert capsys.readouterr().err == "nothing to resume\n"

    def test_1_where_the_gate_refuses_and_the_bypass_helps(self, world: World) -> None:
        batch_id = left_behind()
        world.fall_behind()
        assert main(["resume"]) == 1
        assert state_of(batch_id) == "pending"
        assert main(["resume", batch_id, "--skip-drift-check", "--reason", "tip-off"]) == 0
        assert state_of(batch_id) == "completed"

    def test_2_there_is_no_such_batch(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["resume", "7"]) == 2
        assert capsys.readouterr().err == "prediction-coordinator: there is no batch 7\n"

    def test_a_start_goes_on_with_it_as_well(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        batch_id = left_behind()
        assert main(START) == 0
        assert f"batch {batch_id} for 2026-02-05 completed, resumed: 2 players" in capsys.readouterr().out


class TestCancel:
    def test_0_ends_a_batch_as_it_is(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        batch_id = left_behind()
        assert main(["cancel", batch_id]) == 0
        assert capsys.readouterr().out == f"batch {batch_id} for 2026-02-05 cancelled: 0 predicted\n"
        assert state_of(batch_id) == "cancelled"

    def test_4_what_has_ended_stays(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        batch_id = left_behind()
        main(["resume"])
        assert main(["cancel", batch_id]) == 4
        assert "is completed and cannot become cancelled" in capsys.readouterr().err


def test_status_watches_until_nothing_is_under_way(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    batch_id = left_behind("pubsub")

    def ends() -> None:
        time.sleep(0.3)
        with open_sqlite(STORE) as store:
            store.apply([answer(batch_id, "P000"), answer(batch_id, "P001")], NOW)
            store.move(batch_id, "completed", NOW)

    worker = threading.Thread(target=ends)
    worker.start()
    assert main(["status", "--watch"]) == 0
    worker.join()
    out = capsys.readouterr().out
    assert re.search(rf"{batch_id} +completed +2/2", out)


class TestByPubSub:
    def test_0_says_that_the_answers_are_to_come(
        self,
        world: World,
        pubsub_emulator: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        desk = Desk.open(pubsub_emulator)
        monkeypatch.setenv("COORDINATOR_DISPATCH", "pubsub")
        monkeypatch.setenv("COORDINATOR_TOPIC", desk.tasks)
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub_emulator)
        assert main(START) == 0
        out, err = capsys.readouterr()
        assert re.fullmatch(
            "batch 2026-02-05-[0-9a-f]{8} for 2026-02-05 dispatched: 0 players in 8 games predicted, "
            "0 rows set aside\ndispatch: 273 of 273 requests via pubsub\ngate: allow\n"
            r"state: \.drift/predictions\.sqlite\n",
            out,
        )
        assert "273/273" in err
        assert len(desk.pull(desk.tasks_subscription, 273)) == 273

    def test_2_without_a_topic(
        self, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("COORDINATOR_DISPATCH", "pubsub")
        assert main(START) == 2
        said = "COORDINATOR_TOPIC is not set, and COORDINATOR_DISPATCH=pubsub needs it"
        assert capsys.readouterr().err == f"prediction-coordinator: {said}\n"


def test_status_names_what_failed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    batch_id = left_behind()
    with open_sqlite(STORE) as store:
        store.move(batch_id, "failed", NOW, error="1 of 2 requests failed: P000: no games")
    assert main(["status", "--game-date", DAY.isoformat()]) == 0
    assert f"batch {batch_id} failed: 1 of 2 requests failed: P000: no games" in capsys.readouterr().out
