"""``serve``: the application on uvicorn, from its environment to its last answer."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from types import FrameType

import uvicorn

from drift_gate.presentation import render
from drift_gate.settings.file import load
from drift_gate.settings.location import environment
from drift_gate.wiring import rollouts
from predictions.coordinator.config import Config
from predictions.coordinator.coordinator import Coordinator
from predictions.coordinator.exceptions import ConfigError
from predictions.coordinator.http import access
from predictions.coordinator.http.app import App, Parts
from predictions.coordinator.http.connections import Connection
from predictions.coordinator.http.identity import CertStore, Doorkeeper
from predictions.coordinator.readiness.settings import declared

log = logging.getLogger("prediction_coordinator")

#: Cloud Run sends SIGTERM and, ten seconds later, SIGKILL. Who is at work has so long to finish by itself;
#: whoever still waits then is told to come back,
FINISH_S = 6.0
#: … and whoever has no answer after so long is cut off.
CUT_OFF_S = 8
#: Seconds for which an idle connection stays: longer than the 600 for which Google's load balancers keep
#: theirs, so that a request never meets a connection that is being closed.
KEEP_ALIVE_S = 620


def parts(coordinator: Coordinator, config: Config, who: access.Access) -> Parts:
    """What the application is made of when it serves."""

    def ready() -> None:
        load().batch_service()
        declared(environment())
        coordinator.batches(limit=1)

    return Parts(
        coordinator=coordinator,
        keeper=Doorkeeper(who, CertStore(who.certs_url)),
        check=lambda: rollouts.check(wait=0, door="drift"),
        words=lambda outcome: render.text(outcome, load()),
        cures=rollouts.cures,
        ready=ready,
        clock=lambda: datetime.now(UTC),
        request_timeout=config.request_timeout,
        slate=config.slate,
    )


def address(host: str | None, port: int | None, environ: Mapping[str, str]) -> tuple[str, int]:
    """Where to listen: as told, or as Cloud Run tells a container, or on this machine's port 8080.

    ``PORT`` is the container's contract; where it is set, the world outside the container is to connect.
    """
    told = environ.get("PORT", "")
    contract = told.isdecimal() and 0 < int(told) < 65_536
    return (
        host or ("0.0.0.0" if contract else "127.0.0.1"),  # noqa: S104 (access is asked for there)
        port if port is not None else int(told) if contract else 8080,
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0: on a free one. Raises ``ConfigError`` where that cannot be."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        sock = socket.create_server((host, port), family=family, backlog=2048)
        # For each connection, too. asyncio does it for sockets that name their protocol, and these do not:
        # an answer of two parts then waits 40 ms for an acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    return sock


def serving(app: App) -> Server:
    """What serves ``app``; the middleware counts requests, ``Connection`` connections."""
    config = uvicorn.Config(
        app.api,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        http=Connection,
        ws="none",
        loop="asyncio",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=CUT_OFF_S,
    )
    return Server(config, app)


def run(app: App, sock: socket.socket) -> None:
    """Serve on ``sock`` until a signal ends it; a request that is at work then has ``FINISH_S`` seconds.

    Raises ``KeyboardInterrupt`` once it has ended where the signal was Ctrl-C.
    """
    server = serving(app)
    # uvicorn heeds signals from its loop's first step on, and raises each once more at its end.
    before = {each: signal.signal(each, server.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run([sock])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if server.interrupted:
        raise KeyboardInterrupt


class Server(uvicorn.Server):
    """Says when it listens, and tells the application that the end is near."""

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._app = app
        self._loop: asyncio.AbstractEventLoop | None = None
        self.interrupted = False

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve; the loop is the one that a signal has to be told to."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """From its end on, requests are answered."""
        await super().startup(sockets)
        for sock in sockets or ():
            log.info("listening on %s port %s", *sock.getsockname()[:2])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came: let who is at work finish, then answer whoever still waits."""
        self.interrupted |= sig == signal.SIGINT
        if not self.should_exit:
            log.info("%s: finishing what is at work", signal.Signals(sig).name)
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.call_later, FINISH_S, self._app.close)
        super().handle_exit(sig, frame)
