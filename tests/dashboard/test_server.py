"""The dashboard as a process of its own: real HTTP on this machine, and for this machine alone."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dashboard.worlds import World
from journal.stores import entry

from drift_gate.dashboard.server import HOST, listening
from drift_gate.errors import DriftConfigError


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where one listens, for all tests."""
    world = World(tmp_path_factory.mktemp("served"), ["a-worker"])
    world.record(entry(0, 4, "a-worker"))
    with served(world) as port:
        yield port


@contextmanager
def served(world: World) -> Iterator[int]:
    """The port of a server of its dashboard."""
    with listening(world.dashboard, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def ask(
    port: int, path: str, method: str = "GET", host: str | None = None, body: str | None = None
) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection(HOST, port)
    connection.request(method, path, body, headers={"Host": host} if host else {})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response, text


def test_it_serves_pages_with_what_keeps_them_harmless(port: int) -> None:
    response, text = ask(port, "/")
    assert response.status == 200
    assert "denied" in text
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Refresh"] == "60"
    assert "Refresh" not in ask(port, "/index.html?live=off")[0].headers
    assert ask(port, "/dashboard.css")[0].headers["Content-Type"] == "text/css; charset=utf-8"


@pytest.mark.parametrize("path", ["/nothing.html", "/../../etc/passwd", "/..%2froutes.py", "/%00"])
def test_what_is_no_page_is_none(port: int, path: str) -> None:
    assert ask(port, path)[0].status == 404


def test_the_head_alone(port: int) -> None:
    response, text = ask(port, "/index.json", "HEAD")
    assert (response.status, text) == (200, "")
    assert int(response.headers["Content-Length"]) > 0


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "[::1]"])
def test_under_a_name_of_somebody_elses_it_says_nothing(port: int, host: str) -> None:
    response, text = ask(port, "/", host=host)
    assert response.status == 403
    assert "a-worker" not in text


def test_nothing_is_changed_by_it(port: int) -> None:
    assert ask(port, "/", "PUT")[0].status == 501
    response, text = ask(port, "/deploys/a-worker.html", "POST", body="commit=1")
    assert (response.status, "Nothing is deployed at" in text) == (404, True)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("GET http://[x/ HTTP/1.1", 400),
        (f"POST / HTTP/1.1\r\nContent-Length: {'9' * 5000}", 413),
        ("POST http://[x/ HTTP/1.1\r\nContent-Length: 0", 400),
    ],
)
def test_a_request_of_no_sense_has_an_answer(
    port: int, asked: str, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection((HOST, port)) as connection:
        connection.sendall(f"{asked}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == status
    assert capfd.readouterr().err == ""


def test_a_browser_that_goes_away_is_no_news(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    """A page is left before it is there; a terminal that is full of tracebacks hides what matters."""
    for _ in range(20):
        with socket.create_connection((HOST, port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
    assert ask(port, "/")[0].status == 200
    assert capfd.readouterr().err == ""


def test_what_goes_wrong_here_is_logged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The traceback is for whoever runs it."""
    world = World(tmp_path, ["a-worker"])

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(world.dashboard, "answer", broken)
    with served(world) as port, pytest.raises(http.client.RemoteDisconnected):
        ask(port, "/")
    assert "RuntimeError: a bug" in caplog.text


def test_a_port_that_is_taken_is_named(port: int, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(DriftConfigError, match=f"--port {port}"):
        listening(World(tmp_path / "other", ["a-worker"]).dashboard, port)
