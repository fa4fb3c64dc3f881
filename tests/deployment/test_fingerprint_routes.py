"""The ready-made routes, in real servers."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from flask import Flask
from werkzeug.serving import make_server

from shared.deployment.fingerprint import Fingerprint, answer, blueprint, router, take


@pytest.fixture
def taken(tmp_path: Path) -> Fingerprint:
    (tmp_path / "worker.py").write_text("VERSION = 0\n")
    return take(tmp_path, commit="4aa0c3b", environ={"K_REVISION": "prediction-worker-00041-abc"})


@pytest.fixture
def fastapi_port(taken: Fingerprint) -> Iterator[int]:
    app = FastAPI()
    app.include_router(router(taken))
    app.include_router(router(taken, "/internal/version"))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    serving = threading.Thread(target=server.run, daemon=True)
    serving.start()
    while not server.started:
        assert serving.is_alive()
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    serving.join()


@pytest.fixture
def flask_port(taken: Fingerprint) -> Iterator[int]:
    app = Flask("worker")
    app.register_blueprint(blueprint(taken))
    app.register_blueprint(blueprint(taken, "/internal/version"), name="internal")
    with make_server("127.0.0.1", 0, app, threaded=True) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield server.server_port
        server.shutdown()
        serving.join()


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
@pytest.mark.parametrize("path", ["/version", "/internal/version"])
def test_a_framework_answers_with_the_document(
    framework: str, path: str, taken: Fingerprint, request: pytest.FixtureRequest
) -> None:
    """The same bytes and headers as the framework-free answer, at the path that was asked for."""
    connection = http.client.HTTPConnection("127.0.0.1", request.getfixturevalue(f"{framework}_port"))
    connection.request("GET", path)
    response = connection.getresponse()
    status, headers, body = answer(taken)
    assert (response.status, response.read()) == (status, body)
    assert {name: response.headers[name] for name in headers} == headers
    assert json.loads(body)["revision"] == "prediction-worker-00041-abc"
    connection.request("POST", path)
    assert connection.getresponse().status == 405
    connection.close()


def test_the_route_is_no_part_of_the_programs_own_schema(taken: Fingerprint) -> None:
    app = FastAPI()
    app.include_router(router(taken))
    assert app.openapi()["paths"] == {}
