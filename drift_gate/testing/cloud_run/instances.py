"""The processes behind revisions: started, waited for, found by the traffic, and ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from google.cloud import run_v2

#: Seconds that a process may take until it listens; the platform's own start-up probe gives up after 240.
STARTUP_S = 240.0
#: Seconds that a process is given to end by itself.
END_S = 10.0
#: Headers that belong to one connection and not to what goes over it.
_OF_THE_CONNECTION = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})


@dataclass(frozen=True)
class Program:
    """What an image runs: ``command`` in ``folder`` (None: here), with ``env`` and the revision's variables.

    ``listens`` is whether it serves HTTP on ``PORT``: then it is ready once it does, else as soon as it runs.
    """

    command: Sequence[str | Path]
    folder: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    listens: bool = True


#: The program of an image by its name, None for one that is not run: its revisions are messages alone.
Programs = Callable[[str], Program | None]


@dataclass(frozen=True)
class _Instance:
    process: subprocess.Popen[bytes]
    port: int


class Instances:
    """One process for each revision whose image ``programs`` knows, as long as anything leads to it."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._running: dict[str, _Instance] = {}
        self._awaited: set[str] = set()
        self._lock = threading.Lock()

    def start(self, revision: run_v2.Revision) -> bool:
        """Start what ``revision`` runs, and wait: whether it got ready, as what runs nothing is at once."""
        program, name = self._program(revision), revision.name.rsplit("/", 1)[-1]
        if program is None:
            return True
        with self._lock:
            instance = self._running.get(name)
            if instance is None or instance.process.poll() is not None:
                instance = self._running[name] = _started(program, revision, name)
            self._awaited.add(name)
        ready = not program.listens or _listens(instance)
        with self._lock:
            self._awaited.discard(name)
        return ready

    def keep(self, wanted: Iterable[str]) -> None:
        """End the processes of all revisions but ``wanted`` (short names), and but those that just start."""
        with self._lock:
            kept = self._awaited.union(wanted)
            ended = [self._running.pop(name) for name in self._running.keys() - kept]
        for instance in ended:
            _signal(instance, signal.SIGTERM)
        for instance in ended:
            with suppress(subprocess.TimeoutExpired):
                instance.process.wait(END_S)
            _signal(instance, signal.SIGKILL)
            instance.process.wait()

    def address(self, name: str) -> str | None:
        """Where the revision ``name`` answers; None where no process of it runs."""
        with self._lock:
            instance = self._running.get(name)
        return f"http://127.0.0.1:{instance.port}" if instance else None

    def _program(self, revision: run_v2.Revision) -> Program | None:
        return self._programs(revision.containers[0].image) if revision.containers else None


def _started(program: Program, revision: run_v2.Revision, name: str) -> _Instance:
    """Its process; what this process has in its environment, it has as well."""
    port = _free_port()
    platform = {"PORT": str(port), "K_SERVICE": revision.service, "K_REVISION": name}
    own = {each.name: each.value for each in revision.containers[0].env}
    variables = (f"{key}={value}" for key, value in {**program.env, **own, **platform}.items())
    command = ["env", *variables, *map(str, program.command)]
    return _Instance(
        subprocess.Popen(command, cwd=program.folder, stdin=subprocess.DEVNULL, start_new_session=True), port
    )


def _signal(instance: _Instance, number: int) -> None:
    """To all that it has started, too."""
    with suppress(ProcessLookupError):
        os.killpg(instance.process.pid, number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(instance: _Instance) -> bool:
    """Wait until it listens; False where it ends before, or takes too long."""
    end = time.monotonic() + STARTUP_S
    while instance.process.poll() is None and time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", instance.port), timeout=1):
            return True
        time.sleep(0.02)
    return False


class Front:
    """The address of a service: each request goes to where ``pick`` says, 503 where that is nowhere."""

    def __init__(self, pick: Callable[[], str | None]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, pick))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Hands a request on, and its answer back."""

    def __init__(self, pick: Callable[[], str | None], *connection: Any) -> None:
        self._pick = pick
        super().__init__(*connection)  # which answers, too

    def log_message(self, *_: object) -> None:
        """A test's output is no log of requests."""

    def do_GET(self) -> None:
        address = self._pick()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {key: value for key, value in self.headers.items() if key.lower() not in _OF_THE_CONNECTION}
        if address is None:
            self.send_error(503, "no revision serves")
            return
        connection = HTTPConnection(address.removeprefix("http://"))
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, HTTPException):
            self.send_error(503, "the revision does not answer")
            return
        finally:
            connection.close()
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in {*_OF_THE_CONNECTION, "date", "server"}:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET
