"""Dispatch by Pub/Sub, against the emulator, with a real worker process that pulls."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from coordinator.dispatch.test_dispatch import BATCH
from coordinator.stores import STAMP, a_request
from support.pubsub import Desk, worker

from predictions.coordinator.dispatch import pubsub
from predictions.coordinator.dispatch.pubsub import PubSub
from predictions.coordinator.exceptions import DispatchError
from predictions.worker.messages import completion_from, task_from
from predictions.worker.pubsub import publisher
from predictions.worker.worker import PredictionRequest


@pytest.fixture(scope="module")
def desk(pubsub_emulator: str) -> Desk:
    return Desk.open(pubsub_emulator)


@pytest.fixture
def dispatcher(desk: Desk) -> Iterator[PubSub]:
    made = PubSub(partial(publisher, desk.host), desk.tasks)
    yield made
    made.close()


def requests(count: int) -> Iterator[PredictionRequest]:
    return (a_request(f"P{number:05}") for number in range(count))


def test_each_request_is_a_message_with_the_verdict_beside_it(desk: Desk, dispatcher: PubSub) -> None:
    batch = BATCH.model_copy(update={"rounds": 3})
    (handed,) = dispatcher.dispatch(batch, requests(3))
    assert handed.request_ids == ("P00000", "P00001", "P00002")
    assert handed.completions == ()
    messages = [each.message for each in desk.pull(desk.tasks_subscription, 3)]
    assert sorted(task_from(each.data).request.player_id for each in messages) == list(handed.request_ids)
    for each in messages:
        assert (task_from(each.data).batch_id, task_from(each.data).attempt) == ("b", 3)
        assert dict(each.attributes) == {**STAMP.attributes(), "batch_id": "b", "attempt": "3"}
        assert each.ordering_key == ""


@pytest.mark.heavy
def test_many_are_told_in_lots_and_read_as_they_go(desk: Desk, dispatcher: PubSub) -> None:
    read: list[str] = []

    def remembered() -> Iterator[PredictionRequest]:
        for each in requests(4000):
            read.append(each.player_id)
            yield each

    handed = dispatcher.dispatch(BATCH, remembered())
    first = next(handed)
    assert len(first.request_ids) == 1000
    assert len(read) <= 3000
    assert sum(len(each.request_ids) for each in handed) == 3000
    assert len({each.message.message_id for each in desk.pull(desk.tasks_subscription, 4000)}) == 4000


def test_a_request_too_large_for_a_message_is_answered_by_an_error_and_the_others_go_out(
    desk: Desk, dispatcher: PubSub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pubsub, "MOST_BYTES", 2000)
    large = PredictionRequest(player_id="L", player_name="N" * 2000, game_id="G", recent_points=(1.0,))
    (handed,) = dispatcher.dispatch(BATCH, [a_request("P1"), large, a_request("P2")])
    assert sorted(handed.request_ids) == ["L", "P1", "P2"]
    (error,) = handed.completions
    assert (error.request_id, error.prediction) == ("L", None)
    assert "too large for a message: 2," in str(error.error)
    assert len(desk.pull(desk.tasks_subscription, 2)) == 2


def test_a_topic_that_is_not_there_is_told_in_time(desk: Desk) -> None:
    missing = PubSub(partial(publisher, desk.host), f"{desk.project}/topics/missing")
    with pytest.raises(DispatchError, match="topics/missing does not take messages: NotFound"):
        list(missing.dispatch(BATCH, requests(2)))
    missing.close()


def test_a_worker_process_pulls_answers_and_says_which_revision_it_is(
    desk: Desk, dispatcher: PubSub, tmp_path: Path
) -> None:
    """A message that is no task does not stop it, and a request that cannot be predicted is answered."""
    environ = {
        "PUBSUB_EMULATOR_HOST": desk.host,
        "WORKER_SUBSCRIPTION": desk.tasks_subscription,
        "WORKER_COMPLETIONS": desk.completions,
        "K_REVISION": "w-7",
        "IMAGE_COMMIT": "c" * 40,
    }
    client = publisher(desk.host)
    client.publish(desk.tasks, b"no task").result(timeout=30)
    hopeless = PredictionRequest(player_id="X", player_name="N", game_id="G", recent_points=())
    with worker("pull", environ, tmp_path / "log") as process:
        list(dispatcher.dispatch(BATCH, [*requests(3), hopeless]))
        told = [each.message for each in desk.pull(desk.completions_subscription, 4)]
        assert process.poll() is None
    completions = {done.request_id: done for done in (completion_from(each.data) for each in told)}
    assert sorted(completions) == ["P00000", "P00001", "P00002", "X"]
    for done in completions.values():
        assert (done.batch_id, done.revision, done.commit, done.attempt) == ("b", "w-7", "c" * 40, 1)
        assert done.message_id
    assert completions["P00000"].prediction is not None
    assert completions["P00000"].prediction.points == 1.75
    assert completions["X"].error == "a moving average needs at least one game"
    assert {each.attributes["gate_decision"] for each in told} == {"warn"}
    assert process.returncode == 0
    assert "is no task" in (tmp_path / "log").read_text()
    client.stop()


def test_a_worker_without_its_variables_says_which(desk: Desk, tmp_path: Path) -> None:
    with worker("pull", {"PUBSUB_EMULATOR_HOST": desk.host}, tmp_path / "log") as process:
        assert process.wait(timeout=30) == 2
    said = (tmp_path / "log").read_text()
    assert said == "predictions.worker.pull: WORKER_SUBSCRIPTION is not set\n"
