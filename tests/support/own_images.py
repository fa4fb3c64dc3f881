"""Both of our images, built, pushed, pulled, started and judged: ``python -m support.own_images``.

The base is made on this machine, under the name that the Dockerfiles give it, since no registry is asked.
Needs root, and Debian's buildah, debootstrap and docker-registry.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from support import registries
from support.container import Container, Images, make_base, run
from support.pubsub import free_port

from drift_gate.policy.verdict import Verdict
from drift_gate.settings.file import load
from drift_gate.testing import FakeCloudRun
from drift_gate.wiring import checks
from predictions.coordinator.batches.batch import ACTIVE
from predictions.worker.version import COVERS

ROOT = Path(__file__).parents[2]
PROGRAMS = ("buildah", "debootstrap", "docker-registry")
#: A digest pins what a registry holds; the base that is made here has another.
BASE = re.compile(r"^FROM (python:(3\.\d+)-slim)(?:@sha256:[0-9a-f]{64})?$", re.MULTILINE)
WORKER, COORDINATOR = "prediction-worker", "prediction-coordinator"
GAME_DATE = "2026-02-05"
#: A file of the worker that is changed in a running image.
CHANGED = "predictions/worker/answering.py"

_DRIFT = """
[defaults]
project = "test-project"
region = "us-west2"
repository = "{repository}"
target_ref = "{ref}"
deadline = "60s"
health_timeout = "20s"
evidence = ["registry", "health"]

[services.prediction-worker]
dockerfile = "predictions/worker/Dockerfile"
"""


@dataclass
class Seen:
    """What was seen, in order: which image, what was done, what came; ``seconds`` by step."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count the seconds of ``name``."""
        print(f"{name} …", flush=True)
        begun = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begun

    def held(self, image: str, done: str, came: object, right: object) -> None:
        """Note what came; raises unless it is ``right``."""
        if came != right:
            raise AssertionError(f"{image}: {done}: {came!r} in place of {right!r}")
        self.rows.append((image, done, str(came)))


@dataclass(frozen=True)
class Site:
    """Where it all happens: a clone at ``commit``, the images, their registry, and a loopback Cloud Run."""

    folder: Path
    commit: str
    images: Images
    registry: str
    cloud: FakeCloudRun
    stack: ExitStack

    def settings(self, repository: str, ref: str) -> str:
        return _DRIFT.format(repository=repository, ref=ref)

    def ship(self, name: str, dockerfile: str) -> tuple[str, Container]:
        """Build the image ``name`` from the commit, push it, pull it; its name by digest, its files."""
        self.images.build(name, self.folder / "context", dockerfile, COMMIT=self.commit)
        pushed = self.images.push(name, f"{self.registry}/{name}:{self.commit}")
        return pushed, self.images.unpack(pushed)

    @contextmanager
    def running(self, container: Container, path: str, **environ: str) -> Iterator[str]:
        """The URL of what ``container`` runs, once it answers at ``path``; it ends with the block."""
        port, log = free_port(), self.folder / "log"
        process = container.start(log, PORT=str(port), **environ)
        try:
            url = f"http://127.0.0.1:{port}"
            _await(url + path, process, log)
            yield url
        finally:
            process.terminate()
            process.wait(15)


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=30):  # noqa: S310 - of this machine
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nothing answers at {url}: {log.read_text()}")


def ask(url: str, body: Mapping[str, object] | None = None) -> Any:
    """The JSON that is answered to GET, or to POST of ``body``."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - the same
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - the same
        return json.load(answer)


@contextmanager
def site(folder: Path, commit: str) -> Iterator[Site]:
    """Everything around the images, without what was not committed."""
    clone, context, data = (folder / name for name in ("clone", "context", "registry"))
    run("git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone))
    run("git", "-C", str(clone), "checkout", "--quiet", "-B", "main", commit)
    for made in (context, data):
        made.mkdir()
    run("git", "-C", str(clone), "archive", f"--output={folder / 'tree.tar'}", commit)
    run("tar", "-C", str(context), "-xf", str(folder / "tree.tar"))
    with ExitStack() as stack:
        registry = stack.enter_context(registries.real(data)).host
        cloud = stack.enter_context(FakeCloudRun())
        yield Site(folder, commit, Images(folder / "images"), registry, cloud, stack)


def verdict(here: Site) -> Verdict:
    """Our own gate on the worker, from the clone."""
    clone = here.folder / "clone"
    (clone / "drift.toml").write_text(here.settings(".", "HEAD"))
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(here.folder),
        "CLOUD_RUN_EMULATOR_HOST": here.cloud.host,
    }
    [judged] = checks.check(settings=load(clone, environ)).services
    return judged


def tree(here: Site) -> dict[str, str]:
    """What git says of the files that the worker tells of, by path."""
    listed = run("git", "-C", str(here.folder / "clone"), "ls-tree", "-r", here.commit, "--", *COVERS)
    lines = (line.split(maxsplit=3) for line in listed.splitlines())
    return {path: blob for _, _, blob, path in lines}


def look_at_worker(here: Site, seen: Seen, container: Container, image: str) -> str:
    """What the started worker says against git, and what the gate says of it; the worker's URL."""
    revision = here.cloud.deploy(WORKER, image=image, labels={"commit-sha": here.commit})
    names = {"K_SERVICE": WORKER, "K_REVISION": revision}
    url = here.stack.enter_context(here.running(container, "/version", **names))
    here.cloud.services[WORKER].uri = url
    told = ask(f"{url}/version")
    same = f"{len(told['files'])} files as in `git ls-tree`"
    seen.held("worker", "`GET /version` against the commit", told["files"], tree(here))
    seen.rows[-1] = (*seen.rows[-1][:2], same)
    seen.held("worker", "`commit`, `dirty`", (told["commit"], told["dirty"]), (here.commit, False))
    seen.rows[-1] = (*seen.rows[-1][:2], "the commit that was built, not dirty")
    judged = verdict(here)
    seen.held("worker", "`deployment-drift check`", f"{judged.decision}: {_messages(judged)}", "allow: ")
    seen.rows[-1] = (*seen.rows[-1][:2], "allow")
    return url


def _messages(judged: Verdict) -> str:
    return "; ".join(reason.message for reason in judged.reasons)


def look_at_changed(here: Site, seen: Seen, container: Container) -> None:
    """One line more in a file of the image, same commit, same labels: the gate has to refuse."""
    revision = here.cloud.services[WORKER].latest_ready_revision.rpartition("/")[2]
    honest = here.cloud.services[WORKER].uri
    with (container.root / "app" / CHANGED).open("a") as file:
        file.write("\n# not what was committed\n")
    with here.running(container, "/version", K_SERVICE=WORKER, K_REVISION=revision) as url:
        here.cloud.services[WORKER].uri = url
        judged = verdict(here)
    here.cloud.services[WORKER].uri = honest
    codes = list(dict.fromkeys(reason.code for reason in judged.reasons))
    seen.held("worker, a file changed in it", "`deployment-drift check`", judged.decision, "deny")
    seen.rows[-1] = (*seen.rows[-1][:2], f"deny: {', '.join(codes)}")


def look_at_coordinator(here: Site, seen: Seen, container: Container, worker: str) -> None:
    """The gate inside the coordinator's image judges the worker's, and a batch runs through both."""
    told = container.root / "srv/drift.cloud-run.toml"
    told.write_text(here.settings("file:///srv/repository.git", "main"))
    repository = container.root / "srv/repository.git"
    run("git", "clone", "--quiet", "--bare", here.folder / "clone", repository)
    run("chown", "-R", container.config["User"], repository)
    environ = {
        "COORDINATOR_ACCESS": "platform",
        "COORDINATOR_DISPATCH": "http",
        "COORDINATOR_WORKER_URL": worker,
        "COORDINATOR_STORE": "/home/coordinator/batches.sqlite",
        "CLOUD_RUN_EMULATOR_HOST": here.cloud.host,
        "DRIFT_CONFIG": "/srv/drift.cloud-run.toml",
    }
    with here.running(container, "/ready", **environ) as url:
        [judged] = ask(f"{url}/drift")["services"]
        seen.held("coordinator", "`GET /drift`: its own gate on that worker", judged["decision"], "allow")
        begun = ask(f"{url}/start", {"game_date": GAME_DATE})
        ended = _ended(f"{url}/batches/{begun['batch']['id']}")
    counts = ended["progress"]["requested"], ended["progress"]["completed"]
    seen.held("coordinator and worker", "`POST /start`: a batch over HTTP", ended["state"], "completed")
    seen.rows[-1] = (*seen.rows[-1][:2], f"{counts[1]} of {counts[0]} predicted")


def _ended(url: str) -> Any:
    for _ in range(600):
        batch = ask(url)
        if batch["state"] not in ACTIVE:
            return batch
        time.sleep(0.2)
    raise AssertionError(f"the batch at {url} does not end: {batch}")


def look(folder: Path, commit: str) -> Seen:
    """All of it, for the images of ``commit``."""
    seen, dockerfiles = Seen(), {name: f"predictions/{name}/Dockerfile" for name in ("worker", "coordinator")}
    with site(folder, commit) as here:
        found = BASE.search((folder / "context" / dockerfiles["worker"]).read_text())
        assert found, "the Dockerfile begins with a slim Python"
        with seen.step("base"):
            make_base(here.images, f"docker.io/library/{found[1]}", found[2])
        built = {}
        for name, dockerfile in dockerfiles.items():
            with seen.step(name):
                built[name] = here.ship(name, dockerfile)
        with seen.step("started and judged"):
            image, container = built["worker"]
            url = look_at_worker(here, seen, container, image)
            look_at_coordinator(here, seen, built["coordinator"][1], url)
            look_at_changed(here, seen, container)
    return seen


def page(seen: Seen) -> Iterator[str]:
    """The result for people."""
    yield "# Our own images\n"
    yield "`make our-images` builds both Dockerfiles with buildah from an archive of the commit, as"
    yield "`deploy/3-deploy.sh` has Cloud Build do, pushes the images to Debian's docker-registry, pulls them"
    yield "from there, and starts what they hold under chroot, as the user and in the folder that they name."
    yield "Cloud Run is the loopback one; registry, worker, coordinator and the git in it are real. The base"
    yield "is a Debian by debootstrap with this machine's own Python in `/usr/local`, under the name that the"
    yield "Dockerfiles give it; Docker's own `python` image was not there to be asked.\n"
    machine = f"{platform.machine()}, {os.cpu_count()} processors"
    version = run("buildah", "--version").split()[2]
    seconds = ", ".join(f"{step} {took:.0f}" for step, took in seen.seconds.items())
    yield f"Run on {datetime.now(UTC).date().isoformat()} with buildah {version} on {machine}."
    yield f"Seconds: {seconds}.\n"
    yield "| image | what was done | what came |"
    yield "|---|---|---|"
    for row in seen.rows:
        yield f"| {' | '.join(row)} |"


def lacking() -> Iterator[str]:
    """What this machine has not."""
    if os.geteuid() != 0:
        yield "root"
    yield from (program for program in PROGRAMS if shutil.which(program) is None)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m support.own_images", description=__doc__)
    parser.add_argument("--write", type=Path, help="the page to write (none: it is only printed)")
    arguments = parser.parse_args()
    if missing := list(lacking()):
        print(f"make our-images: this needs {', '.join(missing)}", file=sys.stderr)
        return 2
    commit = run("git", "-C", str(ROOT), "rev-parse", "HEAD").strip()
    with tempfile.TemporaryDirectory() as folder:
        seen = look(Path(folder), commit)
    text = "\n".join(page(seen)) + "\n"
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
