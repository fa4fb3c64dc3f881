"""The dashboard as a process of its own: real HTTP on this machine, and for this machine alone."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
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
    with listening(world.dashboard, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
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


def test_a_port_that_is_taken_is_named(port: int, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(DriftConfigError, match=f"--port {port}"):
        listening(World(tmp_path / "other", ["a-worker"]).dashboard, port)
