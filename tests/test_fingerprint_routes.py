"""The ready-made routes, in real servers."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from support.heavy import light
from support.workers import Worker, fastapi_worker, flask_worker

from drift_gate import fingerprint
from drift_gate.fingerprint import Fingerprint, answer, router, take

ROOT = Path(__file__).parents[1]


@pytest.fixture
def taken(tmp_path: Path) -> Fingerprint:
    (tmp_path / "worker.py").write_text("VERSION = 0\n")
    return take(tmp_path, commit="4aa0c3b", environ={"K_REVISION": "prediction-worker-00041-abc"})


@pytest.mark.parametrize("worker", light([fastapi_worker, flask_worker], [fastapi_worker]))
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


@pytest.mark.parametrize("worker", light([fastapi_worker, flask_worker], [fastapi_worker]))
def test_a_framework_answers_with_the_files_of_now(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "FRESH_LIMIT_S", 60.0)  # this machine may be busy
    (tmp_path / "worker.py").write_text("VERSION = 0\n")
    times = iter([0.0, *[fingerprint.FRESH_S] * 9])
    taken = take(tmp_path, clock=lambda: next(times), within=60)
    (tmp_path / "worker.py").write_text("VERSION = 1\n")
    with worker(taken) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        changed = []
        for query in ("", "?fresh=0", "?other", "?fresh=1"):
            connection.request("GET", f"/version{query}")
            changed.append(json.loads(connection.getresponse().read())["changed"])
        connection.close()
    assert changed == [[], [], [], ["worker.py"]]


def test_the_route_is_no_part_of_the_programs_own_schema(taken: Fingerprint) -> None:
    app = FastAPI()
    app.include_router(router(taken))
    assert app.openapi()["paths"] == {}


@pytest.mark.heavy
@pytest.mark.parametrize("framework", light(["FastAPI", "Flask"], ["FastAPI"]))
def test_the_lines_to_paste_are_enough(framework: str, tmp_path: Path) -> None:
    """What docs/adoption.md says, in a worker's folder with nothing else of the gate's."""
    text = (ROOT / "docs/adoption.md").read_text(encoding="utf-8")
    (lines,) = re.findall(rf"\*\*{framework}\*\*, next.*?```py\n(.*?)```", text, re.DOTALL)
    shutil.copy(fingerprint.__file__, tmp_path)
    (tmp_path / "main.py").write_text(lines)
    client = {
        "FastAPI": "from fastapi.testclient import TestClient; client = TestClient(app)",
        "Flask": "client = app.test_client()",
    }
    code = f"from main import app; {client[framework]}; print(client.get('/version').text)"
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "IMAGE_COMMIT": "4aa0c3b-dirty"}
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert sorted(said["files"]) == ["predictions/worker/fingerprint.py", "predictions/worker/main.py"]
    assert (said["commit"], said["dirty"], said["error"]) == ("4aa0c3b", True, None)
