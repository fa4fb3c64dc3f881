"""Dispatch over HTTP, to a real worker process and to servers that misbehave."""

from __future__ import annotations

import base64
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from coordinator.dispatch.test_dispatch import BATCH
from coordinator.stores import STAMP, a_request
from support.pubsub import Desk, served

from drift_gate.runtime import deadline as calling
from predictions.coordinator.batches.batch import Batch
from predictions.coordinator.dispatch.http import Http
from predictions.coordinator.exceptions import DispatchError
from predictions.worker.answering import Identity, answer
from predictions.worker.messages import Task, completion_from, completions_to_json, tasks_from
from predictions.worker.pubsub import publisher
from predictions.worker.worker import PredictionRequest

REQUESTS = [a_request(f"P{number}") for number in range(25)]


@pytest.fixture(scope="module")
def desk(pubsub_emulator: str) -> Desk:
    return Desk.open(pubsub_emulator)


@pytest.fixture(scope="module")
def address(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A worker process that serves HTTP and publishes its answers to pushes."""
    environ = {
        "PUBSUB_EMULATOR_HOST": desk.host,
        "WORKER_COMPLETIONS": desk.completions,
        "K_REVISION": "w-7",
        "IMAGE_COMMIT": "c" * 40,
    }
    with served(environ, tmp_path_factory.mktemp("worker") / "log") as found:
        yield found


class TestTheWorker:
    def test_answers_each_request_once_and_says_which_revision_it_is(self, address: str) -> None:
        handed = list(Http(address, at_a_time=10, timeout=30).dispatch(BATCH, REQUESTS))
        assert [len(each.request_ids) for each in handed] == [10, 10, 5]
        told = [done for each in handed for done in each.completions]
        assert [done.request_id for done in told] == [each.player_id for each in REQUESTS]
        assert {(done.revision, done.commit, done.batch_id) for done in told} == {("w-7", "c" * 40, "b")}

    def test_answers_what_it_cannot_predict_by_an_error(self, address: str) -> None:
        hopeless = PredictionRequest(player_id="X", player_name="N", game_id="G", recent_points=())
        (handed,) = Http(address, at_a_time=10, timeout=30).dispatch(BATCH, [hopeless])
        assert handed.completions[0].error == "a moving average needs at least one game"

    def test_says_that_it_lives_and_what_it_holds(self, address: str) -> None:
        assert httpx.get(f"{address}/health").json() == {
            "status": "ok",
            "revision": "w-7",
            "commit": "c" * 40,
        }
        assert "predictions/worker/worker.py" in httpx.get(f"{address}/version").json()["files"]

    @pytest.mark.parametrize(
        ("path", "body"),
        [("predict", b"{"), ("predict", b'{"batch_id": "b"}'), ("push", b"[]"), ("push", b'{"message": {}}')],
    )
    def test_refuses_what_it_does_not_understand(self, address: str, path: str, body: bytes) -> None:
        answered = httpx.post(f"{address}/{path}", content=body)
        assert answered.status_code == 422
        assert answered.json()["detail"]

    def test_takes_a_push_that_is_no_task_once_and_for_all(self, address: str) -> None:
        message = {"message": {"data": base64.b64encode(b"no task").decode(), "messageId": "1"}}
        assert httpx.post(f"{address}/push", json=message).status_code == 204

    def test_answers_what_pubsub_pushes(self, address: str, desk: Desk) -> None:
        desk.push("pushed", f"{address}/push")
        client = publisher(desk.host)
        task = Task(batch_id="b", request=a_request("P1"), attempt=2)
        client.publish(desk.tasks, task.to_json(), **STAMP.attributes()).result(timeout=30)
        (message,) = desk.pull(desk.completions_subscription, 1)
        done = completion_from(message.message.data)
        assert (done.request_id, done.attempt, done.revision) == ("P1", 2, "w-7")
        assert message.message.attributes["live_revision"] == "w-1"
        client.stop()


Answer = Callable[[list[Task], int], tuple[int, bytes]]


@contextmanager
def server(answers: Answer) -> Iterator[tuple[str, list[str | None]]]:
    """A worker that answers as ``answers`` says of the tasks and the number of the call; who was sent."""
    calls: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            tasks = tasks_from(self.rfile.read(int(self.headers["Content-Length"])))
            calls.append(self.headers["Authorization"])
            status, body = answers(tasks, len(calls))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}", calls
        finally:
            listening.shutdown()
            thread.join()


def right(tasks: list[Task], _: int) -> tuple[int, bytes]:
    return 200, completions_to_json([answer(task, Identity(None, None)) for task in tasks])


class TestAWorkerThatMisbehaves:
    def test_is_asked_again_where_that_may_heal(self) -> None:
        with server(lambda tasks, call: right(tasks, call) if call > 2 else (503, b"")) as (url, calls):
            (handed,) = Http(url, at_a_time=50, timeout=30).dispatch(BATCH, REQUESTS)
        assert (len(handed.completions), len(calls)) == (25, 3)

    def test_is_told_of_at_once_with_the_time_until_which_it_is_asked(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Once, though each of three lots meets it, and again."""
        everybody = threading.Barrier(3, timeout=60)

        def busy(tasks: list[Task], call: int) -> tuple[int, bytes]:
            if call <= 3:
                everybody.wait()
            return right(tasks, call) if call > 5 else (503, b"")

        with server(busy) as (url, _):
            list(Http(url, at_a_time=10, timeout=60).dispatch(BATCH, REQUESTS))
        (said,) = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
        assert f"the worker at {url}/predict: it answered 503; trying until " in said

    def test_ends_the_wave_with_the_first_lot_that_fails(self) -> None:
        """Though an older one is still waited for; what was answered by then is handed over first."""
        all_asked, over, one_done = threading.Event(), threading.Event(), threading.Event()

        def some(tasks: list[Task], call: int) -> tuple[int, bytes]:
            first = tasks[0].request.player_id
            if len(calls) == 4:
                all_asked.set()
            all_asked.wait()
            if first == "P0":
                over.wait()
                return 503, b""
            if first == "P10":
                one_done.set()
                return right(tasks, call)
            one_done.wait()
            return 403, b""

        with server(some) as (url, calls):
            handing = Http(url, at_a_time=5, timeout=600).dispatch(BATCH, REQUESTS[:20])
            handed: list[str] = []

            def hand_out() -> None:
                for each in handing:
                    handed.extend(each.request_ids)

            with pytest.raises(DispatchError, match="it answered 403"):
                hand_out()
            over.set()
        assert set(handed) <= {f"P{number}" for number in range(10, 15)}
        assert len(calls) == 4

    def test_and_is_silent_says_what_is_waited_for(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It answers when it has been told of, and not before."""
        monkeypatch.setattr(calling, "LOG_AFTER_S", 0.0)
        caplog.set_level("INFO")

        def silent(tasks: list[Task], call: int) -> tuple[int, bytes]:
            while not any("waiting for 25 predictions of the worker" in each for each in caplog.messages):
                time.sleep(0.01)
            return right(tasks, call)

        with server(silent) as (url, _):
            list(Http(url, at_a_time=50, timeout=60).dispatch(BATCH, REQUESTS))

    @pytest.mark.parametrize(
        ("answers", "said"),
        [
            pytest.param(lambda tasks, _: (403, b""), "it answered 403", id="forbidden"),
            pytest.param(lambda tasks, _: (200, b"<html>"), "no JSON", id="a page"),
            pytest.param(lambda tasks, _: right(tasks[1:], 1), "24 completions to 25", id="one left out"),
            pytest.param(lambda tasks, _: right([*tasks, tasks[0]], 1), "26 completions", id="one twice"),
            pytest.param(lambda tasks, _: (200, b" " * 200_000), "more than 102,400 bytes", id="too much"),
        ],
    )
    def test_fails_the_dispatch_and_is_asked_once(self, answers: Answer, said: str) -> None:
        with server(answers) as (url, calls):
            with pytest.raises(DispatchError, match=said):
                list(Http(url, at_a_time=50, timeout=30).dispatch(BATCH, REQUESTS))
            assert len(calls) == 1

    def test_and_never_answers_is_given_up_in_time(self) -> None:
        with pytest.raises(DispatchError, match="gave no predictions"):
            list(Http("http://127.0.0.1:9", at_a_time=50, timeout=0.5).dispatch(BATCH, REQUESTS))


@contextmanager
def raw(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A worker that speaks HTTP in its own way, on one connection after the other, until it is hung up on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, suppress(OSError):
                        connection.recv(65_536)
                        answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


class Clock:
    """Each look at it is a second later."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


class TestAWorkerThatDrips:
    """Each byte comes in time, and the lot never comes to its end: the whole lot has a deadline."""

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200 OK\r\nX-Endless: ",
            b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n",
            b"HTTP/1.1 503 Busy\r\nContent-Length: 90000\r\n\r\n",
        ],
        ids=["head", "body", "refusal"],
    )
    def test_is_given_up_at_the_deadline(self, head: bytes) -> None:
        def drip(connection: socket.socket) -> None:
            connection.sendall(head)
            while True:
                connection.sendall(b" ")

        with raw(drip) as url, pytest.raises(DispatchError, match="gave no predictions"):
            list(Http(url, at_a_time=50, timeout=20, clock=Clock()).dispatch(BATCH, REQUESTS))

    def test_is_not_unpacked(self) -> None:
        """20 kB on the wire are 20 MB in memory: what is packed is refused, unread."""
        body = gzip.compress(b" " * 20_000_000)

        def packed(connection: socket.socket) -> None:
            head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)

        with raw(packed) as url, pytest.raises(DispatchError, match="answered in gzip, unasked"):
            list(Http(url, at_a_time=50, timeout=30).dispatch(BATCH, REQUESTS))


class TestTheJudgedService:
    """The worker's address is held against what was judged before anything is handed out."""

    OWN = "https://worker-1234.europe-west1.run.app"

    def judged(self, **more: Any) -> Batch:
        stamp = STAMP.model_copy(update={"addresses": (self.OWN, "https://v2---worker.example"), **more})
        return BATCH.model_copy(update={"stamp": stamp})

    def test_elsewhere_is_refused_and_nobody_is_asked(self) -> None:
        with server(right) as (url, calls):
            with pytest.raises(
                DispatchError, match=f"no address of prediction-worker.* set it to {self.OWN}"
            ):
                list(Http(url, at_a_time=50, timeout=30).dispatch(self.judged(), REQUESTS))
            assert calls == []

    @pytest.mark.parametrize("form", ["{}", "{}/", "{}:443/predictions", "https://V2---worker.example"])
    def test_is_known_by_its_own_address_or_a_tags(self, form: str) -> None:
        """No worker answers there: that it was asked is what counts."""
        dispatcher = Http(form.format(self.OWN), at_a_time=50, timeout=30)
        assert dispatcher._address(self.judged()) == form.format(self.OWN)

    @pytest.mark.parametrize(
        ("audience", "more"),
        [
            pytest.param(OWN, {}, id="a domain whose token is for the judged service"),
            pytest.param(None, {"addresses": ()}, id="nobody knows its addresses"),
            pytest.param(None, {"not_enforced_because": "break-glass"}, id="a bypass"),
        ],
    )
    def test_does_not_stand_in_the_way_of(self, audience: str | None, more: dict[str, Any]) -> None:
        with server(right) as (url, calls):
            list(
                Http(url, at_a_time=50, timeout=30, audience=audience).dispatch(self.judged(**more), REQUESTS)
            )
            assert len(calls) == 1


def test_a_token_goes_with_each_call() -> None:
    with server(right) as (url, calls):
        list(Http(url, at_a_time=20, timeout=30, token=lambda deadline: "t0k").dispatch(BATCH, REQUESTS))
    assert calls == ["Bearer t0k", "Bearer t0k"]


def test_requests_are_read_as_they_are_handed_out() -> None:
    read: list[str] = []

    def requests() -> Iterator[PredictionRequest]:
        for each in REQUESTS:
            read.append(each.player_id)
            yield each

    with server(right) as (url, _):
        handed = Http(url, at_a_time=1, timeout=30).dispatch(BATCH, requests())
        next(handed)
        assert len(read) <= 6
        assert len(list(handed)) == 24


def test_the_verdict_travels_with_each_lot() -> None:
    told: list[Task] = []

    def remembers(tasks: list[Task], call: int) -> tuple[int, bytes]:
        told.extend(tasks)
        return right(tasks, call)

    with server(remembers) as (url, _):
        list(Http(url, at_a_time=50, timeout=30).dispatch(BATCH, REQUESTS))
    assert all(task.stamp == STAMP.attributes() for task in told)


class TestPinned:
    """A batch stays on the revision that was judged, at the URL of its tag."""

    def test_goes_to_the_judged_revision_and_not_to_the_service(self, address: str) -> None:
        judged = BATCH.model_copy(update={"stamp": STAMP.model_copy(update={"live_url": address})})
        nobody = "http://127.0.0.1:9"
        (handed,) = Http(nobody, at_a_time=50, timeout=30, pinned=True).dispatch(judged, REQUESTS)
        assert {done.revision for done in handed.completions} == {"w-7"}

    def test_without_an_address_of_its_own_fails_with_the_line_that_gives_it_one(self, address: str) -> None:
        """Never quietly to whatever serves now."""
        with pytest.raises(DispatchError, match="--set-tags=judged=REVISION"):
            list(Http(address, at_a_time=50, timeout=30, pinned=True).dispatch(BATCH, REQUESTS))

    def test_a_bypass_goes_to_the_service_where_no_revision_is_known_yet(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It starts before the verdict is there, and nothing may be in its way."""
        stamp = STAMP.model_copy(update={"live_url": None, "not_enforced_because": "break-glass"})
        bypassed = BATCH.model_copy(update={"stamp": stamp})
        with server(right) as (url, calls):
            list(Http(url, at_a_time=50, timeout=30, pinned=True).dispatch(bypassed, REQUESTS))
        assert len(calls) == 1
        assert f"no revision was judged for it to stay on: it goes to {url}" in caplog.text
