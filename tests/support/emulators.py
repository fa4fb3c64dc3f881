"""The emulators of the Google Cloud CLI, each started once per run and stopped with its group.

A test process asks the one that began the run: each emulator costs seconds of a processor to start.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Client, Listener
from pathlib import Path
from threading import Thread

import pytest

#: Seconds until an emulator answers, on a machine that does nine other things.
START_SECONDS = 60
#: How often another port is tried: between our look and the emulator's, somebody else may take it.
_PORTS = 3


class Emulators:
    """Those of a run that has several test processes, in the process that began it.

    ``address`` is where a test process asks for one by its name; the first that asks has it started.
    """

    def __init__(self) -> None:
        self._hosts: dict[str, str] = {}
        self._running = ExitStack()
        self._listener = Listener(family="AF_UNIX")
        self.address = str(self._listener.address)
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            with suppress(EOFError, ConnectionError), self._listener.accept() as line:
                name = line.recv()
                if name not in self._hosts:
                    with suppress(pytest.fail.Exception):
                        self._hosts[name] = self._running.enter_context(running(name))
                line.send(self._hosts.get(name))

    def close(self) -> None:
        """Stop them."""
        self._running.close()


@contextmanager
def _emulator(config: pytest.Config, name: str) -> Iterator[str]:
    _java(), _jar(name)
    asked = getattr(config, "workerinput", {}).get("emulators")
    if asked is None:
        with running(name) as host:
            yield host
        return
    with Client(asked) as line:
        line.send(name)
        host = line.recv()
    yield host or pytest.fail(f"the {name} emulator did not start")


@pytest.fixture(scope="session")
def pubsub_emulator(pytestconfig: pytest.Config) -> Iterator[str]:
    """``host:port`` of a Pub/Sub emulator; a test makes topics in a project of its own name."""
    with _emulator(pytestconfig, "pubsub") as host:
        yield host


@pytest.fixture(scope="session")
def firestore_emulator(pytestconfig: pytest.Config) -> Iterator[str]:
    """``host:port`` of a Firestore emulator; a test uses a project of its own name in it."""
    with _emulator(pytestconfig, "firestore") as host:
        yield host


@contextmanager
def running(name: str) -> Iterator[str]:
    """``host:port`` of the emulator ``name``; skips the test where it is not installed."""
    java, jar = _java(), _jar(name)
    for _ in range(_PORTS):
        port = free_port()
        process = _start([java, *_arguments(name, jar, port)])
        try:
            if _answers(process, port):
                yield f"127.0.0.1:{port}"
                return
        finally:
            _stop(process)
    pytest.fail(f"the {name} emulator did not start on any of {_PORTS} ports")


def _java() -> str:
    java = shutil.which("java")
    if java is None:
        pytest.skip("the emulators need java, and there is none")
    return java


def _jar(name: str) -> Path:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip("the emulators come with the Google Cloud CLI, and there is no gcloud")
    platform = Path(gcloud).resolve().parents[1] / "platform"
    found = sorted(platform.glob(f"*{name}-emulator/**/cloud-{name}-emulator*.jar"))
    if not found:
        pytest.skip(f"the Google Cloud CLI is here without its component {name}-emulator")
    return found[-1]


def _arguments(name: str, jar: Path, port: int) -> list[str]:
    small = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    if name == "pubsub":
        return [*small, "-jar", str(jar), "--host=127.0.0.1", f"--port={port}"]
    main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
    return [*small, "-cp", str(jar), main, "--host=127.0.0.1", f"--port={port}"]


def _start(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    """In a group of its own; where the system can, it dies with us even when we are killed."""
    setpriv = shutil.which("setpriv")
    bound = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
    return subprocess.Popen(
        [*bound, *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: emulator\r\nConnection: close\r\n\r\n")
                if connection.recv(64).startswith(b"HTTP/1.1 200"):
                    return True
        except OSError:
            pass
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
