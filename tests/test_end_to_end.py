"""The whole way: HTTP, the gate over Cloud Run, Pub/Sub, two worker processes, completions, results."""

from __future__ import annotations

import csv
import itertools
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from coordinator.http.test_serve import Running, serving
from support.limits import ENOUGH_S
from support.pubsub import Desk, served
from support.stage import DAY, HEADER, TOML, Stage
from support.world import WORKER, World

from drift_gate.testing import FakeCloudRun

#: So many are asked for, and so many of them before the worker is replaced.
PLAYERS, BEFORE = 24, 4


class Front:
    """What Cloud Run has before a service: it takes each request to a worker, ``BEFORE`` to the first one.

    The others wait there until the worker is ``redeployed``, and go to the second one.
    """

    def __init__(self, first: str, second: str) -> None:
        self.redeployed = threading.Event()
        taken, front = itertools.count(), self

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                worker = first if next(taken) < BEFORE else second
                if worker == second:
                    front.redeployed.wait()
                kind = {"Content-Type": self.headers["Content-Type"]}
                answer = httpx.post(f"{worker}{self.path}", content=body, headers=kind, trust_env=False)
                self.send_response(answer.status_code)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign] # who asked has left
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Front:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.redeployed.set()
        self._server.shutdown()
        self._server.server_close()


def the_batch(running: Running, batch_id: str) -> dict[str, Any]:
    found: dict[str, Any] = running.client.get(f"/batches/{batch_id}").raise_for_status().json()
    return found


def until(running: Running, batch_id: str, reached: str) -> dict[str, Any]:
    """The batch once it has a first prediction (``begun``), or once it is ``completed``."""
    deadline = time.monotonic() + ENOUGH_S
    while time.monotonic() < deadline:
        batch = the_batch(running, batch_id)
        if batch["state"] == reached or (reached == "begun" and batch["progress"]["completed"]):
            return batch
        time.sleep(0.02)
    raise AssertionError(f"the batch is not {reached}: {batch}\n{running.said()}")


class Redeployed(NamedTuple):
    """A batch whose worker was replaced after its first answers, and what the coordinator said."""

    batch: dict[str, Any]
    said: str
    commits: tuple[str, str]
    folder: Path


def redeployed(tmp_path: Path, cloud: FakeCloudRun, emulator: str, toml: str, reached: str) -> Redeployed:
    stage = Stage(World(tmp_path / "repo", cloud), toml=toml)
    rows = [f"G{number % 9},{DAY},P{number:03},Player,T1,T2,1 2 3" for number in range(PLAYERS)]
    stage.slate.write_text("\n".join([HEADER, *rows]) + "\n")
    desk, old = Desk.open(emulator), stage.world.first
    told = {"COORDINATOR_DISPATCH": "pubsub", "COORDINATOR_TOPIC": desk.tasks}
    where = {"PUBSUB_EMULATOR_HOST": emulator, "WORKER_COMPLETIONS": desk.completions}
    new = stage.history.commit({"predictions/worker/worker.py": "VERSION = 2\n"})
    stage.history.git("update-ref", "refs/heads/main", old)  # it is not merged yet
    first = {**where, "K_REVISION": f"{WORKER}-00001", "IMAGE_COMMIT": old}
    second = {**where, "K_REVISION": f"{WORKER}-00002", "IMAGE_COMMIT": new}
    with (
        serving(stage, {**told, "PUBSUB_EMULATOR_HOST": emulator}) as running,
        served(second, tmp_path / "second.log") as successor,
        served(first, tmp_path / "first.log") as worker,
        Front(worker, successor) as front,
    ):
        desk.push("to-worker", f"{front.url}/push")
        address = str(running.client.base_url.join("/complete"))
        desk.push("to-coordinator", address, desk.completions)
        started = running.start()
        assert started.status_code == 202, started.text
        batch = started.json()["batch"]
        assert batch["progress"]["dispatched"] == PLAYERS
        assert running.start().status_code == 409
        until(running, batch["id"], "begun")
        stage.history.git("update-ref", "refs/heads/main", new)
        stage.deploy(commit=new)
        front.redeployed.set()
        batch = until(running, batch["id"], reached)
        said = running.said()
    return Redeployed(batch, said, (old, new), stage.folder)


def test_a_redeploy_in_the_middle_of_a_batch_fails_it(
    tmp_path: Path, fake_cloud_run: FakeCloudRun, pubsub_emulator: str
) -> None:
    """Nobody judged the commit that answered for the rest: nothing is delivered, and it is said by whom."""
    batch, _, (old, new), folder = redeployed(tmp_path, fake_cloud_run, pubsub_emulator, TOML, "failed")
    assert f"answered by a worker of commit {new}, which was not judged ({old} was)" in batch["error"]
    progress = batch["progress"]
    assert progress["completed"] + progress["failed"] == PLAYERS
    (share,) = batch["ending"]["foreign"]
    assert (share["commit"], share["results"]) == (new, progress["failed"])
    assert list((folder / ".drift").glob("predictions-*.csv")) == []


@pytest.mark.heavy
def test_a_redeploy_in_the_middle_of_a_batch_shows_as_mixed_where_its_results_are_kept(
    tmp_path: Path, fake_cloud_run: FakeCloudRun, pubsub_emulator: str
) -> None:
    """Nothing is lost, nothing counted twice, and each result says which revision and verdict it is of."""
    toml = TOML.replace("[journal]", '[batch]\nforeign_results = "keep"\n\n[journal]')
    batch, said, (old, new), folder = redeployed(tmp_path, fake_cloud_run, pubsub_emulator, toml, "completed")
    assert batch["marks"] == ["mixed-revision"]
    assert batch["progress"]["completed"] == PLAYERS
    assert batch["stamp"]["gate_decision"] == "allow"
    assert batch["stamp"]["live_revisions"] == [f"{WORKER}-00001"]
    assert batch["ending"]["live_revisions"] == [f"{WORKER}-00002"]
    shares = {share["commit"]: share["results"] for share in batch["ending"]["shares"]}
    assert set(shares) == {old, new}
    assert sum(shares.values()) == PLAYERS
    assert "mixed-revision" in said
    verdicts = [json.loads(line) for line in said.splitlines() if '"drift_verdict"' in line]
    assert [verdict["decision"] for verdict in verdicts][:1] == ["allow"]

    with (folder / ".drift" / f"predictions-{DAY}.csv").open(newline="") as stream:
        results = list(csv.DictReader(stream))
    assert sorted(row["player_id"] for row in results) == sorted(f"P{number:03}" for number in range(PLAYERS))
    assert Counter(row["worker_commit"] for row in results) == shares
    assert {row["gate_decision"] for row in results} == {"allow"}
    assert {row["live_commit"] for row in results} == {old}
    assert {row["target_commit"] for row in results} == {old}
    assert all(row["policy_hash"] for row in results)
    assert {float(row["points"]) for row in results} == {2.0}
