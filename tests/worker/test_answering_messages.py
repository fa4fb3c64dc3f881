"""The worker in this process: what it does with a message, and when Pub/Sub does not take its answer."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.asgi import AsgiClient
from support.pubsub import Desk

from predictions.worker.answering import Identity, answer
from predictions.worker.completions import Completions, NotPublished
from predictions.worker.messages import Task, completion_from, completions_from, tasks_to_json
from predictions.worker.pubsub import Publisher, publisher
from predictions.worker.pull import Puller, main, pull
from predictions.worker.serve import app
from predictions.worker.worker import PredictionRequest

WHO = Identity("w-7", "c" * 40)
ENVIRON = {"K_REVISION": "w-7", "IMAGE_COMMIT": "c" * 40}
STAMP = {"gate_decision": "allow", "live_revision": "w-7"}


def a_task(player: str = "P1", recent: tuple[float, ...] = (1.0, 2.0)) -> Task:
    request = PredictionRequest(player_id=player, player_name="N", game_id="G", recent_points=recent)
    return Task(batch_id="b", request=request, attempt=2, stamp=STAMP)


@dataclass
class Message:
    """A message as the subscriber hands it over, and what became of it."""

    data: bytes
    attributes: dict[str, str] = field(default_factory=lambda: dict(STAMP))
    message_id: str = "17"
    became: list[str] = field(default_factory=list)

    def ack(self) -> None:
        self.became.append("ack")

    def nack(self) -> None:
        self.became.append("nack")


@pytest.fixture(scope="module")
def desk(pubsub_emulator: str) -> Desk:
    return Desk.open(pubsub_emulator)


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[Publisher]:
    made = publisher(desk.host)
    yield made
    made.stop()


def nowhere(desk: Desk, client: Publisher) -> Completions:
    """A topic that is not there."""
    return Completions(client, f"{desk.project}/topics/missing")


class TestAnswer:
    def test_says_which_worker_it_is(self) -> None:
        done = answer(a_task(), Identity.of(ENVIRON), "17")
        assert (done.revision, done.commit, done.attempt, done.message_id) == ("w-7", "c" * 40, 2, "17")
        assert Identity.of({}) == Identity.of({"K_REVISION": ""}) == Identity(None, None)

    def test_is_the_same_for_the_same_task(self) -> None:
        """A task that comes twice does no harm."""
        assert answer(a_task(), WHO) == answer(a_task(), WHO)


class TestPull:
    def test_acks_once_the_answer_is_published(self, desk: Desk, client: Publisher) -> None:
        message = Message(a_task().to_json())
        Puller(Completions(client, desk.completions), WHO)(message)
        assert message.became == ["ack"]
        (told,) = desk.pull(desk.completions_subscription, 1)
        done = completion_from(told.message.data)
        assert (done.request_id, done.message_id) == ("P1", "17")
        assert dict(told.message.attributes) == STAMP

    def test_lets_a_message_come_again_whose_answer_was_not_taken(
        self, desk: Desk, client: Publisher
    ) -> None:
        message = Message(a_task().to_json())
        Puller(nowhere(desk, client), WHO)(message)
        assert message.became == ["nack"]

    def test_takes_what_is_no_task_once_and_says_so(
        self, desk: Desk, client: Publisher, caplog: pytest.LogCaptureFixture
    ) -> None:
        message = Message(b"{")
        Puller(nowhere(desk, client), WHO)(message)
        assert message.became == ["ack"]
        assert "message 17 is no task: no JSON" in caplog.text

    def test_goes_on_until_it_is_told_to_end(self, desk: Desk, client: Publisher) -> None:
        client.publish(desk.tasks, a_task("P2").to_json(), **STAMP).result(timeout=30)
        ended = threading.Event()
        told = {
            **ENVIRON,
            "PUBSUB_EMULATOR_HOST": desk.host,
            "WORKER_SUBSCRIPTION": desk.tasks_subscription,
            "WORKER_COMPLETIONS": desk.completions,
        }
        pulling = threading.Thread(target=pull, args=(told, ended))
        pulling.start()
        (message,) = desk.pull(desk.completions_subscription, 1)
        ended.set()
        pulling.join(timeout=30)
        assert not pulling.is_alive()
        assert completion_from(message.message.data).request_id == "P2"

    def test_without_a_variable_is_2(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.delenv("WORKER_SUBSCRIPTION", raising=False)
        assert main() == 2
        assert capsys.readouterr().err == "predictions.worker.pull: WORKER_SUBSCRIPTION is not set\n"


def pushed(data: bytes) -> dict[str, Any]:
    return {"message": {"data": base64.b64encode(data).decode(), "attributes": STAMP, "messageId": "17"}}


class TestServe:
    def test_answers_requests_at_once(self) -> None:
        with AsgiClient(app(ENVIRON, None)) as worker:
            answered = worker.post("/predict", content=tasks_to_json([a_task(), a_task("P2", ())]))
            health = worker.get("/health").json()
        first, second = completions_from(answered.content)
        assert (first.request_id, first.revision) == ("P1", "w-7")
        assert first.prediction is not None
        assert (second.request_id, second.prediction) == ("P2", None)
        assert health == {"status": "ok", "revision": "w-7", "commit": "c" * 40}

    def test_takes_no_push_without_a_topic(self) -> None:
        with AsgiClient(app(ENVIRON, None)) as worker:
            assert worker.post("/push", json=pushed(a_task().to_json())).status_code == 404

    def test_acks_a_push_once_the_answer_is_published(self, desk: Desk, client: Publisher) -> None:
        with AsgiClient(app(ENVIRON, Completions(client, desk.completions))) as worker:
            assert worker.post("/push", json=pushed(a_task("P3").to_json())).status_code == 204
        (message,) = desk.pull(desk.completions_subscription, 1)
        assert completion_from(message.message.data).request_id == "P3"

    def test_lets_a_push_come_again_whose_answer_was_not_taken(self, desk: Desk, client: Publisher) -> None:
        with AsgiClient(app(ENVIRON, nowhere(desk, client))) as worker:
            answered = worker.post("/push", json=pushed(a_task().to_json()))
        assert answered.status_code == 503

    @pytest.mark.parametrize(
        ("path", "body", "status"),
        [
            ("/predict", b"[", 422),
            ("/push", b"[]", 422),
            ("/push", json.dumps({"message": {"data": "?", "messageId": "1"}}).encode(), 422),
            ("/push", json.dumps(pushed(b"no task")).encode(), 204),
        ],
    )
    def test_tells_what_it_does_not_understand(
        self, desk: Desk, client: Publisher, path: str, body: bytes, status: int
    ) -> None:
        with AsgiClient(app(ENVIRON, nowhere(desk, client))) as worker:
            assert worker.post(path, content=body).status_code == status


def test_what_is_not_published_says_where(desk: Desk, client: Publisher) -> None:
    with pytest.raises(NotPublished, match="topics/missing does not take completions"):
        nowhere(desk, client).publish(answer(a_task(), WHO), {})
