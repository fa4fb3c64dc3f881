"""A Firestore that hangs or is gone: each route answers 503 in time, and one line of the log names it."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from coordinator.served import DAY, pushed, served, two_players
from coordinator.worlds import World
from google.api_core import exceptions as google

from predictions.coordinator.store import firestore_calls
from predictions.coordinator.store.firestore import open_firestore
from predictions.coordinator.store.firestore_calls import Bounded
from predictions.worker.messages import Completion

#: Method, path and what is sent.
ROUTES: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/batches", {}),
    ("GET", f"/batches?game_date={DAY}", {}),
    ("GET", "/batches/b-1", {}),
    ("GET", "/batches/b-1/predictions", {}),
    ("POST", "/batches/b-1/cancel", {}),
    ("POST", "/start", {"json": {"game_date": DAY}}),
    ("POST", "/start", {"json": {"game_date": DAY, "skip_drift_check": True}}),
    (
        "POST",
        "/complete",
        {"json": pushed(Completion(batch_id="b-1", request_id="P1", prediction=None, error="none"))},
    ),
]


class Silent(grpc.GenericRpcHandler):
    """Takes each call and answers none."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        def wait(_: bytes, __: grpc.ServicerContext) -> bytes:
            self.over.wait()
            return b""

        return grpc.unary_unary_rpc_method_handler(wait)


@contextmanager
def hung() -> Iterator[str]:
    """Where such a one listens."""
    silent = Silent()
    with ThreadPoolExecutor(64) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers((silent,))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        silent.over.set()
        server.stop(None).wait()


@contextmanager
def gone() -> Iterator[str]:
    """An address where nobody listens, and nobody can begin to."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("broken", [hung, gone])
def test_each_route_says_so_and_when_to_come_back(
    broken: Any,
    world: World,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LONG_S", "SHORT_S"):
        monkeypatch.setattr(firestore_calls, name, 0.05)  # it never answers, so that nothing hangs on it
    with broken() as host:
        store = {"COORDINATOR_STORE": "firestore://p/(default)", "FIRESTORE_EMULATOR_HOST": host}
        with served(tmp_path, {**store, **two_players(tmp_path)}) as made:
            for method, path, what in ROUTES:
                caplog.clear()
                answer = made.client.request(method, path, **what)
                assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (503, "storage"), (
                    path
                )
                assert answer.headers["retry-after"] == "30"
                assert told(caplog) == [
                    f"{method} {path.partition('?')[0]} got 503 storage: {answer.json()['detail']}"
                ]
                assert answer.json()["detail"].startswith("Firestore does not answer: ")
            caplog.clear()
            assert made.client.get("/ready").status_code == 503
            assert [each.partition(": Firestore does not answer: ")[0] for each in told(caplog)] == [
                "not ready"
            ]
            assert made.client.get("/health").status_code == 200


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The errors in the coordinator's log."""
    own = ("prediction_coordinator", logging.ERROR)
    return [each.getMessage() for each in caplog.records if (each.name, each.levelno) == own]


class TestACall:
    def test_that_fails_for_a_moment_is_made_again_within_the_same_time(self) -> None:
        now, given = [0.0], []

        class Api:
            def get(self, *, retry: object, timeout: float) -> str:
                given.append(timeout)
                now[0] += 1.0
                if len(given) < 3:
                    raise google.ServiceUnavailable("for a moment")  # type: ignore[no-untyped-call]  # Google's
                return "here"

        assert Bounded(Api(), lambda: now[0]).get() == "here"
        assert given == [4.0, 3.0, 2.0]

    def test_that_is_answered_ends_the_impatience(self) -> None:
        """A request asks several times: five seconds hold the first silence and some more."""
        given: list[float] = []

        class Api:
            def get(self, *, retry: object, timeout: float) -> None:
                given.append(timeout)
                if len(given) == 1:
                    raise google.DeadlineExceeded("silence")  # type: ignore[no-untyped-call]  # Google's

        calls = Bounded(Api(), lambda: 0.0)
        with pytest.raises(google.DeadlineExceeded):
            calls.get()
        calls.get()
        calls.get()
        assert given == [firestore_calls.LONG_S, firestore_calls.SHORT_S, firestore_calls.LONG_S]
        assert firestore_calls.LONG_S + 3 * firestore_calls.SHORT_S < 5

    def test_is_bounded_wherever_the_library_makes_one(self) -> None:
        """A name that Google's library changes would leave its own 300 seconds in place."""
        with gone() as host, open_firestore("p", "(default)", host) as store:
            assert isinstance(store._client._firestore_api, Bounded)
