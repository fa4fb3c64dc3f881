"""A worker that is really shipped: built by buildah, kept by a registry, started by a loopback Cloud Run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import NamedTemporaryFile

from support.builds import Workshop
from support.forkserver import GATE, forkserver

from drift_gate import fingerprint
from drift_gate.journal.deploys import Deploys
from drift_gate.settings.file import load
from drift_gate.testing import FakeCloudRun, HistoryBuilder
from drift_gate.testing.cloud_run import Program
from drift_gate.wiring import journals

WORKER, POOL, JOB = "prediction-worker", "prediction-puller", "prediction-report"
#: The worker: it answers with its fingerprint, and with its version.
APP = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from fingerprint import answer, take
VERSION = {version}
commit = os.environ["IMAGE_COMMIT"]
told = take(Path(__file__).parents[1], covers=["worker"], commit=commit, environ=os.environ)
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, headers, body = answer(told, fresh=True)
        self.send_response(status)
        for pair in headers.items():
            self.send_header(*pair)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
DOCKERFILE = """
FROM scratch
COPY {folder} /app/worker/
ARG COMMIT
ENV IMAGE_COMMIT=$COMMIT
"""
DRIFT_TOML = f"""
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "main"
deadline = "60s"
evidence = ["registry", "health"]
health_timeout = "30s"

[journal]
store = ".drift/journal.sqlite"

[deploy]
builder = "buildah"
image = "REGISTRY/{{service}}"
healthy_answers = 1
watch = 0

[services.{WORKER}]
dockerfile = "Dockerfile"

[services.{POOL}]
kind = "worker-pool"
evidence = ["registry"]
dockerfile = "Dockerfile"

[services.{JOB}]
kind = "job"
evidence = ["registry"]
dockerfile = "Dockerfile"
"""


@dataclass
class Shipped:
    """The repository at ``history``, what ``cloud`` serves, and the command line over both."""

    history: HistoryBuilder
    cloud: FakeCloudRun
    shop: Workshop
    commits: list[str] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        return {**self.shop.environ, "USER": "ann", "CLOUD_RUN_EMULATOR_HOST": self.cloud.host}

    def change(self, *, app: str = APP, folder: str = "worker", **files: str) -> str:
        """One more commit on main; the image copies ``folder``. Returns its id."""
        when = datetime.now(UTC) - timedelta(minutes=30 - len(self.commits))
        own = Path(fingerprint.__file__).read_text(encoding="utf-8")
        changed = {
            "worker/app.py": app.format(version=len(self.commits)),
            "worker/fingerprint.py": own,
            "Dockerfile": DOCKERFILE.format(folder=folder),
            **files,
        }
        self.commits.append(self.history.commit(changed, subject=f"change {len(self.commits)}", when=when))
        return self.commits[-1]

    def run(self, *words: str) -> CompletedProcess[str]:
        """``deployment-drift`` in a process of its own."""
        return forkserver().run(GATE, words, cwd=self.history.path, env=self.environ)

    def killed(self, when: Callable[[int, int], bool], *words: str) -> bool:
        """``deployment-drift``, killed by SIGKILL as soon as ``when`` says so; False: it was over before.

        ``when`` is asked with how many calls of the API it has made, and how many lines it has printed.
        """
        begun = len(self.cloud.calls)
        with open(os.devnull, "rb") as nothing, NamedTemporaryFile() as out:
            process = forkserver().fork(
                GATE, words, cwd=self.history.path, env=self.environ, stdin=nothing, stdout=out, stderr=out
            )
            while process.poll() is None:
                lines = Path(out.name).read_bytes().count(b"\n")
                if when(len(self.cloud.calls) - begun, lines):
                    process.kill()
                    process.wait(60)
                    return True
                time.sleep(0.002)
        return False

    def deploys(self) -> Deploys:
        """What the journal keeps of them."""
        return journals.deploys(load(self.history.path, self.environ), busy_s=60)

    def by_hand(self, commit: str) -> None:
        """Deploy an image with all of the traffic, as somebody else would; it says nothing of its files."""
        self.cloud.deploy(WORKER, commit=commit, image=f"{self.shop.registry}/{WORKER}:by-hand")
        self.cloud.set_traffic(WORKER, "latest")

    def serving(self) -> dict[str, int]:
        """Percent by the commit that the label of each serving revision names."""
        labels = {name: self.cloud.revisions[name].labels for name in self.traffic()}
        return {labels[name]["commit-sha"]: percent for name, percent in self.traffic().items()}

    def traffic(self) -> dict[str, int]:
        """Percent by revision."""
        service = self.cloud.services[WORKER]
        ready = service.latest_ready_revision.rpartition("/")[2]
        entries = [(each.revision or ready, each.percent) for each in service.traffic_statuses]
        return {name: percent for name, percent in entries if percent}


@contextmanager
def shipped(folder: Path, shop: Workshop) -> Iterator[Shipped]:
    """With a worker of the first commit live, by hand: the first deploy of a service is not ours."""
    unpacked: dict[str, Program | None] = {}

    def program(image: str) -> Program | None:
        """What is in the image; the Python that starts it is this machine's."""
        if image == f"{shop.registry}/{WORKER}:by-hand":
            return Program(["sh", "-c", f'exec {sys.executable} -S -m http.server --bind 127.0.0.1 "$PORT"'])
        if image not in unpacked and "@sha256:" in image:
            root = shop.unpacked(image)
            commit = shop.commit_of(image)
            words = [sys.executable, "-S", "-E", str(root / "app/worker/app.py")]
            unpacked[image] = Program(words, env={"IMAGE_COMMIT": commit})
        return unpacked.get(image)

    history = HistoryBuilder(folder / "repo")
    with FakeCloudRun(programs=program) as cloud:
        here = Shipped(history, cloud, shop)
        (history.path / "drift.toml").write_text(DRIFT_TOML.replace("REGISTRY", shop.registry))
        here.by_hand(here.change())
        yield here
