"""The whole way: HTTP, the gate over Cloud Run, Pub/Sub, two worker processes, completions, results."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from coordinator.http.test_serve import Running, serving
from support.pubsub import Desk, free_port, served
from support.stage import DAY, HEADER, TOML, Stage
from support.world import WORKER, World

from drift_gate.testing import FakeCloudRun

#: Enough that a worker that is replaced after its first answers leaves most of them to the next one.
PLAYERS = 80
#: Seconds for what takes two on a machine that has nothing else to do.
PATIENCE = 90.0


def the_batch(running: Running, batch_id: str) -> dict[str, Any]:
    found: dict[str, Any] = running.client.get(f"/batches/{batch_id}").raise_for_status().json()
    return found


def until(running: Running, batch_id: str, reached: str) -> dict[str, Any]:
    """The batch once it has a first prediction (``begun``), or once it is ``completed``."""
    deadline = time.monotonic() + PATIENCE
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
    port = free_port()
    desk.push("to-worker", f"http://127.0.0.1:{port}/push")
    with serving(stage, {**told, "PUBSUB_EMULATOR_HOST": emulator}) as running:
        address = str(running.client.base_url.join("/complete"))
        desk.push("to-coordinator", address, desk.completions)
        first = {**where, "K_REVISION": f"{WORKER}-00001", "IMAGE_COMMIT": old}
        with served(first, tmp_path / "first.log", port):
            started = running.start()
            assert started.status_code == 202, started.text
            batch = started.json()["batch"]
            assert batch["progress"]["dispatched"] == PLAYERS
            assert running.start().status_code == 409
            until(running, batch["id"], "begun")
        new = stage.world.change()
        stage.deploy(commit=new)
        second = {**where, "K_REVISION": f"{WORKER}-00002", "IMAGE_COMMIT": new}
        with served(second, tmp_path / "second.log", port):
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
