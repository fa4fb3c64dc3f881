"""Whoever only holds a connection keeps nobody out: uvicorn with our connections, on a clock of its own."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from coordinator.served import NOON, served

from predictions.coordinator.http import connections, server
from predictions.coordinator.http.dashboard import Pages
from predictions.coordinator.http.identity import Doorkeeper
from predictions.coordinator.http.middleware import KEPT, LARGEST_BODY, Door
from predictions.coordinator.http.problems import BusyError
from predictions.coordinator.http.threads import Places

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
#: What is to come within it comes at once; only a truth that does not hold waits so long.
PATIENCE_S = 60.0


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead

    def pass_by(self, seconds: float) -> None:
        """Let so many seconds be over; from any thread."""
        self.call_soon_threadsafe(lambda: setattr(self, "ahead", self.ahead + seconds))


@dataclass
class Here:
    """A server that listens at ``address``, and the connections that a test has made."""

    loop: Loop
    address: tuple[str, int]
    made: ExitStack = field(default_factory=ExitStack)

    def connected(self, sent: bytes = b"") -> socket.socket:
        """A connection on which ``sent`` was sent."""
        made = self.made.enter_context(closing(socket.create_connection(self.address, timeout=PATIENCE_S)))
        made.sendall(sent)
        return made

    def settled(self) -> None:
        """Wait until the server has read what was sent: it answers a connection that came later."""
        assert status(self.connected(HEALTH)) == 200


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    loop = Loop()
    with served(tmp_path) as made, server.listen("127.0.0.1", 0) as sock:
        serving = server.serving(made.app)
        thread = threading.Thread(target=loop.run_until_complete, args=(serving.serve([sock]),))
        thread.start()
        with ExitStack() as stack:
            yield Here(loop, sock.getsockname(), stack)
        serving.should_exit = True
        thread.join(PATIENCE_S)
        loop.close()


def status(connection: socket.socket) -> int:
    """Of the one answer that is awaited, which is read to its end."""
    with HTTPResponse(connection) as answer:
        answer.begin()
        answer.read()
        return answer.status


def ended(connection: socket.socket) -> bool:
    """Wait for its end; whatever came before it is read."""
    with suppress(ConnectionResetError):
        while connection.recv(65_536):
            pass
    return True


class TestAHead:
    @pytest.mark.parametrize("begun", [b"", b"GET /health HT", HEALTH[:-2], HEALTH + HEALTH[:-2]])
    def test_that_is_not_there_in_ten_seconds_ends_its_connection(self, begun: bytes, here: Here) -> None:
        """Also on a connection on which something was asked before."""
        slow = here.connected(begun)
        here.settled()
        here.loop.pass_by(connections.HEAD_S + 1)
        assert ended(slow)

    def test_that_drips_has_no_more_time(self, here: Here) -> None:
        slow = here.connected(HEALTH[:10])
        here.settled()
        here.loop.pass_by(connections.HEAD_S - 1)
        slow.sendall(HEALTH[10:20])
        here.settled()
        here.loop.pass_by(2)
        assert ended(slow)

    def test_that_comes_in_time_is_answered_and_the_connection_stays(self, here: Here) -> None:
        """For the next request of a load balancer, minutes later."""
        kept = here.connected(HEALTH[:10])
        here.settled()
        here.loop.pass_by(connections.HEAD_S - 1)
        kept.sendall(HEALTH[10:])
        assert status(kept) == 200
        here.loop.pass_by(server.KEEP_ALIVE_S - 20)
        kept.sendall(HEALTH)
        assert status(kept) == 200


class TestABody:
    @pytest.mark.parametrize(
        ("path", "length", "answered"), [("/start", LARGEST_BODY + 1, 413), ("/health", 100, 405)]
    )
    def test_that_nobody_reads_ends_its_connection_after_the_answer(
        self, path: str, length: int, answered: int, here: Here
    ) -> None:
        """The sender has ten seconds to see it, and no more, however much more it sends."""
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        sender = here.connected(head.encode())
        assert status(sender) == answered
        here.loop.pass_by(connections.HEAD_S - 1)
        sender.sendall(b"x")
        here.settled()
        here.loop.pass_by(2)
        assert ended(sender)


class TestPlaces:
    def test_whoever_sits_there_longest_gives_way(self, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connections, "MOST", 3)
        first = here.connected(HEALTH)
        assert status(first) == 200
        others = []
        for _ in range(2):
            here.loop.pass_by(1)
            others.append(here.connected(HEALTH))
            assert status(others[-1]) == 200
        here.loop.pass_by(1)
        assert status(here.connected(HEALTH)) == 200
        assert ended(first)
        others[-1].sendall(HEALTH)
        assert status(others[-1]) == 200

    def test_of_probes_and_starts_are_not_for_others(self) -> None:
        places, taken = Places(2, 1), ExitStack()
        with taken:
            for _ in range(2):
                taken.enter_context(places.one(False))
            with pytest.raises(BusyError):
                places.one(False).__enter__()
            with places.one(True), pytest.raises(BusyError):
                places.one(True).__enter__()
        with places.one(False):
            pass

    @pytest.mark.parametrize(("path", "status"), [("/batches", 503), ("/start", 200), ("/health", 200)])
    def test_are_kept_at_the_door(self, path: str, status: int, tmp_path: Path) -> None:
        """The others are told to come back in the words of every refusal."""

        async def fine(_: Any, __: Any, send: Callable[[Any], Awaitable[None]]) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

        with served(tmp_path) as made:
            keeper: Doorkeeper = made.app._parts.keeper
            pages = Pages(lambda most: [], lambda: NOON)
            door = Door(fine, keeper, made.app._tokens, Places(0, 1), pages)
            sent: list[Any] = []
            asyncio.run(_asked(door, path, sent))
        assert sent[0]["status"] == status
        if status == 503:
            assert json.loads(sent[1]["body"])["type"].endswith(":busy")
            assert (b"retry-after", b"30") in sent[0]["headers"]
        assert {"/health", "/ready", "/start"} == KEPT


async def _asked(door: Door, path: str, sent: list[Any]) -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"host", b"localhost")]}
    await door(scope, receive, send)


def test_an_answer_waits_for_no_acknowledgement() -> None:
    """asyncio leaves that to whoever made the socket, where it does not name its protocol."""
    with server.listen("127.0.0.1", 0) as sock, closing(socket.create_connection(sock.getsockname())):
        accepted, _ = sock.accept()
        with closing(accepted):
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
