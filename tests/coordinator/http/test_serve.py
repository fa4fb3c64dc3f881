"""``serve`` as a process of its own, asked over real HTTP, and told to end as Cloud Run tells it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.forkserver import Forked
from support.google_tokens import AUDIENCE, certs_server, key
from support.limits import ENOUGH_S, OVER_S
from support.stage import DAY, Stage
from support.world import WORKER, World

from drift_gate.testing import FakeCloudRun
from predictions.coordinator.commands.main import main
from predictions.coordinator.http import server

PAGE = Path(__file__).parents[3] / "docs" / "http.md"
#: Seconds that a process may take to begin, and to end after its promise, on a busy machine.
SLACK_S = 30.0
#: Cloud Run sends SIGKILL ten seconds after SIGTERM.
KILLED_AFTER_S = 10.0


@pytest.fixture
def stage(tmp_path: Path, fake_cloud_run: FakeCloudRun) -> Iterator[Stage]:
    with contextlib.closing(Stage(World(tmp_path / "repo", fake_cloud_run))) as made:
        yield made


@dataclass
class Running:
    """The server, where it listens, and what it has said on stderr."""

    process: Forked
    client: httpx.Client
    log: Path

    def start(self, **asked: Any) -> httpx.Response:
        return self.client.post("/start", json={"game_date": DAY, **asked})

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def until_said(self, text: str) -> None:
        ends = time.monotonic() + SLACK_S
        while text not in self.said():
            assert time.monotonic() < ends, f"{text!r} was not said:\n{self.said()}"
            time.sleep(0.02)

    def told_to_end(self) -> None:
        """SIGTERM, until the process is gone."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(KILLED_AFTER_S + SLACK_S)


@contextlib.contextmanager
def serving(
    stage: Stage,
    environ: Mapping[str, str] | None = None,
    *args: str,
    headers: Mapping[str, str] | None = None,
    before: str = "",
) -> Iterator[Running]:
    """The server of ``stage`` on a free port; ``before`` are lines that its process runs first."""
    log = stage.folder.parent / "serve.log"
    variables = {"COORDINATOR_SLATE": str(stage.slate), **(environ or {})}
    serve = ("serve", "--port", "0", *args)
    with log.open("wb") as said:
        process = stage.begin(
            "prediction-coordinator", *serve, stdout=said, stderr=said, environ=variables, before=before
        )
    try:
        with httpx.Client(timeout=60, headers=headers, trust_env=False) as client:
            running = Running(process, client, log)
            running.until_said("listening on ")
            found = re.search(r"listening on \S+ port (\d+)", running.said())
            assert found
            client.base_url = httpx.URL(f"http://127.0.0.1:{found[1]}")
            yield running
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(60)


def stale_with_a_cure_under_way(stage: Stage) -> None:
    newest = [stage.world.change() for _ in range(4)][-1]
    stage.cloud.roll_out(WORKER, commit=newest)


def type_of(response: httpx.Response) -> str:
    return str(response.json()["type"]).rpartition(":")[2]


CHECK = """\
[sources.db]
kind = "sqlite"
path = "none.sqlite"
[checks.lines]
phases = ["pre-game"]
source = "db"
unit = "count"
query = "SELECT count(*) FROM lines WHERE day = :day"
threshold = {at_least = 1}
"""


def test_a_day_whose_data_cannot_be_judged(stage: Stage) -> None:
    """A broken readiness.toml gets no traffic; one that works is asked at each start."""
    with serving(stage) as running:
        (stage.folder / "readiness.toml").write_text("[checks\n")
        unready = running.client.get("/ready")
        assert (unready.status_code, type_of(unready)) == (503, "configuration")

        (stage.folder / "readiness.toml").write_text(CHECK)
        assert running.client.get("/ready").status_code == 200
        refused = running.start()
        assert (refused.status_code, type_of(refused)) == (503, "readiness-unknown")
        (check,) = refused.json()["readiness"]["checks"]
        assert (check["name"], check["unknown"]["cause"]) == ("lines", "not-found")
        assert '"event": "readiness_verdict"' in running.said()


def test_a_day_of_a_coordinator(stage: Stage) -> None:
    """Probes, a batch, its progress, drift, its cure, and the end."""
    with serving(stage) as running:
        assert running.client.get("/ready").json() == {"status": "ok"}
        started = running.start()
        assert started.status_code == 202, started.text
        batch = running.client.get(started.headers["location"]).json()
        assert (batch["state"], batch["progress"]["completed"]) == ("completed", 5)

        newest = [stage.world.change() for _ in range(4)][-1]
        assert running.client.get("/drift").json()["decision"] == "deny"
        refused = running.start()
        assert (refused.status_code, type_of(refused)) == (409, "deployment-drift")

        stage.deploy(commit=newest)
        assert running.start().status_code == 202
        running.told_to_end()
        assert running.process.returncode == 0
        assert "Traceback" not in running.said()


def test_a_denial_that_the_rollout_under_way_would_cure_is_told_to_come_back(stage: Stage) -> None:
    """A scheduler repeats a 503, and finds the new revision; a 409 it would not repeat."""
    stale_with_a_cure_under_way(stage)
    with serving(stage) as running:
        refused = running.start()
        assert (refused.status_code, type_of(refused)) == (503, "rollout-in-progress")
        assert refused.headers["retry-after"] == "30"
        stage.cloud.land(WORKER)
        assert running.start().status_code == 202


def test_an_api_that_hangs_is_told_within_the_deadline(stage: Stage) -> None:
    stage.deadline = f"{OVER_S:g}s"
    stage.cloud.fault("GetService", hang=True)
    with serving(stage) as running:
        refused = running.start()
        assert (refused.status_code, type_of(refused)) == (503, "drift-unknown")
        assert refused.headers["retry-after"] == "30"


def test_at_its_end_whoever_waits_is_told_to_come_back_before_it_is_killed(stage: Stage) -> None:
    """The start waits for a rollout for minutes; the platform grants ten seconds."""
    assert server.FINISH_S < server.CUT_OFF_S < KILLED_AFTER_S
    stale_with_a_cure_under_way(stage)
    soon = f"from predictions.coordinator.http import server; server.FINISH_S = {OVER_S}"
    with serving(stage, before=soon) as running, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(running.start, wait=200)
        running.until_said("waiting, ")
        running.told_to_end()
        answer = waiting.result(ENOUGH_S)
        assert (answer.status_code, type_of(answer)) == (503, "shutting-down")
        assert answer.headers["retry-after"] == "30"
        assert running.process.returncode == 0


def test_at_its_end_whoever_is_at_work_finishes(stage: Stage) -> None:
    """Cloud Run answers after the signal; the start goes on from there."""
    heard = threading.Event()
    stage.cloud.before("GetService", lambda: heard.wait(ENOUGH_S))
    with serving(stage) as running, ThreadPoolExecutor(1) as pool:
        working = pool.submit(running.start)
        running.until_said("asks for the batch")
        running.process.send_signal(signal.SIGTERM)
        running.until_said("SIGTERM: finishing what is at work")
        heard.set()
        assert working.result(ENOUGH_S).status_code == 202
        assert running.process.wait(ENOUGH_S) == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="the lines to paste are for curl")
def test_the_lines_of_the_page_do_what_it_says(stage: Stage) -> None:
    """docs/http.md: a start, a look, and a start past drift."""
    (lines,) = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    with serving(stage) as running:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines],
            env={
                "PATH": os.environ["PATH"],
                "URL": str(running.client.base_url),
                "TOKEN": "none-is-asked-for",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    started, listed, bypassed = json.loads(f"[{done.stdout.replace('}{', '},{')}]")
    assert [batch["id"] for batch in listed["batches"]] == [started["batch"]["id"]]
    assert bypassed["batch"]["break_glass"]["reason"] == "tip-off in ten minutes"


def test_it_serves_in_the_process_that_calls_it_and_leaves_its_signals_alone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGTERM ends the server and not the process; afterwards the signal means what it meant before."""
    stage.write_config()
    monkeypatch.chdir(stage.folder)
    for name, value in stage.environ.items():
        monkeypatch.setenv(name, value)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    answers: list[int] = []

    def ask_and_end() -> None:
        """The signal is sent once the server has answered, so that it is there to take it."""
        ends = time.monotonic() + SLACK_S
        while not answers and time.monotonic() < ends:
            with contextlib.suppress(httpx.TransportError):
                answers.append(httpx.get(f"http://127.0.0.1:{port}/ready", trust_env=False).status_code)
        if answers:
            signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    asking = threading.Thread(target=ask_and_end)
    asking.start()
    code = main(["serve", "--port", str(port)])
    asking.join()
    assert (code, answers) == (0, [200])
    assert signal.getsignal(signal.SIGTERM) is before
    assert "SIGTERM: finishing what is at work" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_a_port_that_is_none_is_a_matter_of_usage(port: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", f"--port={port}"])
    assert caught.value.code == 2


def test_ctrl_c_ends_it_as_it_ends_every_command(stage: Stage) -> None:
    with serving(stage) as running:
        running.client.get("/health")  # it listens before it heeds signals as a server
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(KILLED_AFTER_S + SLACK_S) == 130
        assert "Traceback" not in running.said()


class TestAnIdToken:
    ENVIRON: Mapping[str, str] = {
        "COORDINATOR_ACCESS": "id-token",
        "COORDINATOR_AUDIENCE": AUDIENCE,
        "COORDINATOR_CALLERS": "nightly@example.com",
        "COORDINATOR_BYPASS_CALLERS": "on-call@example.com",
    }

    def test_makes_its_caller_the_actor(self, stage: Stage) -> None:
        """In the log, in the verdict's line and in the batch: no need to believe what the body says."""
        for _ in range(4):
            stage.world.change()
        with certs_server(key("one")) as certs:
            environ = {**self.ENVIRON, "COORDINATOR_CERTS_URL": certs.url, "K_SERVICE": "coordinator"}
            token = key("one").token("on-call@example.com")
            with serving(stage, environ, "--host", "0.0.0.0") as running:  # noqa: S104 (who asks is asked)
                assert running.start(skip_drift_check=True).status_code == 401
                running.client.headers["Authorization"] = f"Bearer {token}"
                started = running.start(skip_drift_check=True, reason="tip-off")
                assert started.status_code == 202, started.text
                assert started.json()["batch"]["break_glass"]["actor"] == "on-call@example.com"
                nightly = key("one").token("nightly@example.com")
                running.client.headers["Authorization"] = f"Bearer {nightly}"
                refused = running.start(skip_drift_check=True)
                assert (refused.status_code, type_of(refused)) == (403, "bypass-forbidden")
                running.until_said('"event": "drift_verdict"')  # it is finished beside the batch
                said = running.said()
            assert "drift gate bypassed for prediction-worker by on-call@example.com" in said
            assert "bypass refused to nightly@example.com" in said
            lines = [json.loads(line) for line in said.splitlines()]  # not one is anything else
            verdict = next(line for line in lines if line.get("event") == "drift_verdict")
            assert verdict["logging.googleapis.com/labels"] == {"actor": "on-call@example.com"}
            assert token not in said
            assert nightly not in said

    def test_that_cannot_be_verified_for_now_is_told_in_time(self, stage: Stage) -> None:
        """Google's certificates never come: neither a hang nor a word on the token."""
        with certs_server(key("one")) as certs:
            certs.answers.clear()
            environ = {**self.ENVIRON, "COORDINATOR_CERTS_URL": certs.url}
            sent = {"Authorization": f"Bearer {key('one').token()}"}
            soon = f"from predictions.coordinator.http import identity; identity.FETCH_S = {OVER_S}"
            with serving(stage, environ, headers=sent, before=soon) as running:
                refused = running.start()
                assert (refused.status_code, type_of(refused)) == (503, "identity-unknown")
                assert running.client.get("/health").status_code == 200


class TestItDoesNotServe:
    def test_the_world_without_a_word_on_who_may(self, stage: Stage) -> None:
        done = stage.spawn("prediction-coordinator", "serve", "--host", "0.0.0.0", "--port", "0")  # noqa: S104 (refused)
        assert done.code == 2
        assert "COORDINATOR_ACCESS is not set" in done.err

    @pytest.mark.parametrize(
        ("host", "port", "told", "where"),
        [
            (None, None, "", ("127.0.0.1", 8080)),
            (None, None, "0", ("127.0.0.1", 8080)),
            (None, None, "tcp://10.0.0.1:80", ("127.0.0.1", 8080)),  # Kubernetes' own variable of the name
            (None, None, "9090", ("0.0.0.0", 9090)),  # noqa: S104 (named, not bound)
            (None, 1234, "9090", ("0.0.0.0", 1234)),  # noqa: S104 (named, not bound)
            ("::1", 0, "9090", ("::1", 0)),
        ],
    )
    def test_the_world_unless_told_to(
        self, host: str | None, port: int | None, told: str, where: tuple[str, int]
    ) -> None:
        """``PORT`` is how Cloud Run says that the world is to connect."""
        assert server.address(host, port, {"PORT": told}) == where

    def test_where_somebody_else_listens(self, stage: Stage) -> None:
        taken = socket.create_server(("127.0.0.1", 0))
        with contextlib.closing(taken):
            port = str(taken.getsockname()[1])
            done = stage.spawn("prediction-coordinator", "serve", "--port", port)
        assert done.code == 2
        assert f"cannot listen on 127.0.0.1 port {port}" in done.err

    @pytest.mark.heavy
    @pytest.mark.parametrize("library", ["fastapi", "uvicorn"])
    def test_without_its_extra_and_names_the_line(self, stage: Stage, library: str) -> None:
        done = stage.load("prediction-coordinator", "serve", before=f"sys.modules[{library!r}] = None")
        assert done.code == 2
        assert "pip install prediction-coordinator[serve]" in done.err
