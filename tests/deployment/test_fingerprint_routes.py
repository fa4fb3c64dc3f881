"""The ready-made routes, in real servers."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import pytest
from fastapi import FastAPI
from support.workers import Worker, fastapi_worker, flask_worker

from shared.deployment.fingerprint import Fingerprint, answer, router, take


@pytest.fixture
def taken(tmp_path: Path) -> Fingerprint:
    (tmp_path / "worker.py").write_text("VERSION = 0\n")
    return take(tmp_path, commit="4aa0c3b", environ={"K_REVISION": "prediction-worker-00041-abc"})


@pytest.mark.parametrize("worker", [fastapi_worker, flask_worker])
def test_a_framework_answers_with_the_document(worker: Worker, taken: Fingerprint) -> None:
    """The same bytes and headers as the framework-free answer, at the paths that were asked for."""
    status, headers, body = answer(taken)
    assert json.loads(body)["revision"] == "prediction-worker-00041-abc"
    with worker(taken, "/version", "/internal/version") as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for path in ("/version", "/internal/version"):
            connection.request("GET", path)
            response = connection.getresponse()
            assert (response.status, response.read()) == (status, body)
            assert {name: response.headers[name] for name in headers} == headers
        connection.request("POST", "/version")
        assert connection.getresponse().status == 405
        connection.close()


def test_the_route_is_no_part_of_the_programs_own_schema(taken: Fingerprint) -> None:
    app = FastAPI()
    app.include_router(router(taken))
    assert app.openapi()["paths"] == {}
