"""A morning on loopback: a team's repository and its clone, Cloud Run, and the coordinator as a process."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from coordinator.worlds import HEADER
from ops.stand_ins import DEPLOY, ROOT, Shell
from support.forkserver import COORDINATOR as SERVES
from support.forkserver import Forked, forkserver

from drift_gate.testing import FakeCloudRun, HistoryBuilder

WORKER, COORDINATOR = "prediction-worker", "prediction-coordinator"
CODE = "predictions/worker/worker.py"
ADA, SCHEDULER, BYPASS = (
    "ada@example.com",
    "prediction-scheduler@example-project.iam.gserviceaccount.com",
    "prediction-bypass@example-project.iam.gserviceaccount.com",
)
TOML = """\
[defaults]
project = "example-project"
region = "us-west2"
repository = "URL"
stale_target_limit = "0s"
deadline = "60s"
[services.prediction-worker]
paths = ["/predictions/worker/"]
"""
#: Seconds until the process listens, on a machine that does nine other things.
START_S = 60.0


def token(email: str) -> str:
    """An ID token as Cloud Run passes it on once it has checked it."""
    parts = ({"alg": "RS256", "kid": "1"}, {"email": email, "email_verified": True})
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return ".".join([*encoded, "SIGNATURE_REMOVED_BY_GOOGLE"])


@dataclass
class Morning:
    """``origin`` is what the team merges into, ``clone`` where somebody pastes; ``said`` is the log."""

    origin: HistoryBuilder
    clone: Path
    shell: Shell
    cloud: FakeCloudRun
    url: str
    log: Path

    def current(self) -> None:
        """All is well: what main holds is live, and nothing is broken."""
        self.cloud.heal()
        self.live(self.origin.tip("main"))
        self.shell.forget()

    def live(self, commit: str) -> None:
        self.cloud.deploy(WORKER, labels={"commit-sha": commit}, image="images/worker:latest")

    def fall_behind(self) -> str:
        """Four commits that nobody deploys, one more than the policy allows; the newest."""
        for _ in range(4):
            newest = self.origin.commit({CODE: f"VERSION = {time.monotonic_ns()}\n"})
        self.git("fetch", "-q", "origin")
        self.git("checkout", "-q", "-B", "main", "origin/main")
        return newest

    def git(self, *args: str) -> str:
        return self.shell.run(["git", *args], cwd=self.clone).stdout.strip()

    def paste(self, *blocks: str, check: bool = True, stdin: str = "", **told: str) -> str:
        """Run the lines in one bash, in the clone; what they printed. ``told``: variables of the shell."""
        lines = "\n".join(["set -e", *blocks])
        done = subprocess.run(
            ["bash", "-c", lines],
            cwd=self.clone,
            env={**self.shell.variables(), **told},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
        return done.stdout if check else f"{done.returncode}"

    def call(self, email: str, body: Mapping[str, Any] | str) -> httpx.Response:
        """``POST /start`` as ``email``; a text is sent as it is."""
        content = body if isinstance(body, str) else json.dumps(body)
        headers = {"Authorization": f"Bearer {token(email)}", "Content-Type": "application/json"}
        with httpx.Client(timeout=60, trust_env=False) as client:
            return client.post(f"{self.url}/start", content=content, headers=headers)

    def entries(self) -> list[dict[str, Any]]:
        """The log of the coordinator, as Cloud Logging gets it."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextmanager
def morning(folder: Path) -> Iterator[Morning]:
    """One that lasts as long as the block."""
    origin = HistoryBuilder(folder / "origin")
    toml = TOML.replace("URL", origin.path.as_uri())
    with FakeCloudRun(project="example-project", region="us-west2") as cloud:
        origin.commit(_files(toml), subject="Start", when=datetime.now(UTC) - timedelta(hours=1))
        clone = origin.clone(folder / "clone").path
        shell = Shell(folder / "home", {"STAND_IN_TOKEN": token(ADA), "CLOUD_RUN_EMULATOR_HOST": cloud.host})
        log = folder / "coordinator.log"
        with _serving(folder, toml, shell, log) as url:
            for script in (clone / "deploy").glob("*.sh"):
                script.chmod(0o755)  # the builder of histories knows no programs
            settings = (DEPLOY / "settings.example").read_text()
            (clone / "deploy" / "settings").write_text(f"{settings}URL={url}\n")
            mode = "[core]\nfileMode = false\n"
            (shell.folder / ".gitconfig").write_text(f"[user]\nname = Ada\nemail = {ADA}\n{mode}")
            yield Morning(origin, clone, shell, cloud, url, log)


def _files(toml: str) -> dict[str, str]:
    files = [path for path in DEPLOY.rglob("*") if path.is_file() and ".made" not in path.parts]
    shipped = {path.relative_to(ROOT).as_posix(): path.read_text() for path in files}
    return {**shipped, CODE: "VERSION = 0\n", "README.md": "", "drift.toml": toml}


@contextmanager
def _serving(folder: Path, toml: str, shell: Shell, log: Path) -> Iterator[str]:
    """The coordinator as in its container: its ``drift.toml`` stands in no repository. Its address."""
    srv = folder / "srv"
    srv.mkdir()
    (srv / "drift.toml").write_text(toml)
    (srv / "slate.csv").write_text("\n".join([HEADER, *_players()]) + "\n")
    environ = {
        **shell.variables(),
        "K_SERVICE": COORDINATOR,
        "DRIFT_CACHE_DIR": str(folder / "mirror"),
        "COORDINATOR_ACCESS": "platform",
        "COORDINATOR_CALLERS": SCHEDULER,
        "COORDINATOR_BYPASS_CALLERS": f"{BYPASS},{ADA}",
        "COORDINATOR_PUSH_CALLERS": "prediction-push@example-project.iam.gserviceaccount.com",
        "COORDINATOR_SLATE": "slate.csv",
        "COORDINATOR_REQUEST_TIMEOUT": "900",
    }
    args = ["serve", "--host", "127.0.0.1", "--port", "0"]
    with open(os.devnull, "rb") as nothing, log.open("wb") as out:
        process = forkserver().fork(SERVES, args, cwd=srv, env=environ, stdin=nothing, stdout=out, stderr=out)
    try:
        yield _address(process, log)
    finally:
        process.kill()
        process.wait(60)


def _players() -> list[str]:
    """Three of today and of tomorrow in New York: the test may begin before midnight there and end after."""
    today = datetime.now(ZoneInfo("America/New_York")).date()
    days = (today, today + timedelta(days=1))
    return [f"G1,{day},P{number},Player {number},T1,T2,1 2 3" for day in days for number in range(3)]


def _address(process: Forked, log: Path) -> str:
    ends = time.monotonic() + START_S
    while not (found := re.search(r"listening on \S+ port (\d+)", log.read_text(encoding="utf-8"))):
        assert process.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < ends, log.read_text(encoding="utf-8")
        time.sleep(0.02)
    return f"http://127.0.0.1:{found[1]}"
