"""What the log tells of a batch that failed and of an answer that is none: cause, batch, next step."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from coordinator.desks import Desk
from coordinator.served import DAY, served, two_players
from coordinator.stores import failure
from coordinator.worlds import World

from predictions.coordinator.exceptions import BatchError, DispatchError
from predictions.coordinator.store.sqlite import open_sqlite

#: The gate's own lines are no matter of this room.
OWN = ("prediction_coordinator", logging.ERROR)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The sentences of level ERROR."""
    return [each.getMessage() for each in caplog.records if (each.name, each.levelno) == OWN]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_sqlite(tmp_path / "batches.sqlite") as store:
        yield Desk(store)


class TestAFailedBatch:
    def test_is_one_line_with_its_id_cause_and_next_step(
        self, desk: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        desk.queue.breaks_at = "P001"
        with pytest.raises(DispatchError) as caught:
            desk.start()
        (batch,) = desk.coordinator.batches()
        assert str(caught.value).endswith(f"prediction-coordinator resume {batch.id}")
        assert errors(caplog) == [
            f"batch {batch.id} for {DAY} has failed: the topic is gone; "
            f"to hand out the rest again: prediction-coordinator resume {batch.id}"
        ]

    def test_is_told_when_its_last_result_comes_too(
        self, desk: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Nobody waits for an answer then: the log is all that there is."""
        batch = desk.start()
        for player in desk.queue.taken:
            desk.coordinator.complete(failure(batch.id, player))
        (line,) = errors(caplog)
        assert line.startswith(f"batch {batch.id} for {DAY} has failed: 3 of 3 requests failed: P000: ")
        assert line.endswith(f"prediction-coordinator resume {batch.id}")

    def test_that_was_cancelled_by_hand_is_no_error(
        self, desk: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        desk.coordinator.cancel(desk.start().id)
        assert errors(caplog) == []


class TestAnAnswerThatIsNone:
    def test_names_its_batch_and_its_cause(
        self, world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        def full(*_: object) -> None:
            raise BatchError("the disk is full")

        with served(tmp_path, two_players(tmp_path), deliver=full) as made:
            answer = made.client.post("/start", json={"game_date": DAY})
            batch = made.client.get("/batches").json()["batches"][0]["id"]
        assert (answer.status_code, answer.json()["batch"]) == (503, batch)
        assert errors(caplog)[-1] == f"POST /start got 503 batch-failed on batch {batch}: the disk is full"

    def test_names_the_batch_that_goes_on_behind_it(
        self, world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The start is at work when the process is told to end, and whoever waits is answered."""
        at_work, over = threading.Event(), threading.Event()

        def slow(*_: object) -> None:
            at_work.set()
            over.wait()

        with served(tmp_path, two_players(tmp_path), deliver=slow) as made, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(made.client.post, "/start", json={"game_date": DAY})
            at_work.wait()
            batch = made.coordinator.batches()[0].id
            made.client.loop.call_soon_threadsafe(made.app.close)
            answer = waiting.result()
            over.set()
        assert (answer.status_code, answer.json()["batch"]) == (503, batch)
        assert f"POST /start got 503 shutting-down on batch {batch}: " in errors(caplog)[0]

    @pytest.mark.parametrize("ask", [("GET", "/batches"), ("POST", "/start"), ("GET", "/batches/b")])
    def test_says_that_it_is_the_storage(
        self, ask: tuple[str, str], world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "batches.sqlite").mkdir()
        body: dict[str, Any] = {"json": {"game_date": DAY}} if ask[0] == "POST" else {}
        with served(tmp_path, two_players(tmp_path)) as made:
            answer = made.client.request(*ask, **body)
        assert answer.headers["retry-after"] == "30"
        (line,) = errors(caplog)
        assert line.startswith(f"{ask[0]} {ask[1]} got 503 storage: {tmp_path}")

    def test_that_refuses_is_not_among_them(
        self, world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.fall_behind()
        with served(tmp_path, two_players(tmp_path)) as made:
            assert made.client.post("/start", json={"game_date": DAY}).status_code == 409
            assert made.client.get("/batches/none").status_code == 404
        assert errors(caplog) == []
