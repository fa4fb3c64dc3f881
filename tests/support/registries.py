"""Registries, Debian's ``docker-registry`` and the package's own, and what runs from them."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from support.limits import ENOUGH_S, in_time

from drift_gate.evidence.image import LABEL_KEYS
from drift_gate.facts import Evidence, Finding, Live, LiveRevision
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.cloud_run.messages import image_tag
from drift_gate.sources.registry.artifact_registry import Registry
from drift_gate.testing.registry import FakeRegistry, over_http, push_image

PROGRAM = shutil.which("docker-registry")

[KEY] = LABEL_KEYS
OLD, NEW = "a" * 40, "b" * 40
NOON = datetime(2026, 2, 5, 12, 0, tzinfo=UTC)

_SETTINGS = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@dataclass(frozen=True)
class Pushed:
    """A registry that takes pushes over HTTP at ``host``."""

    host: str

    def push(self, name: str, **image: Any) -> str:
        return push_image(over_http(self.host), name, **image)


@contextlib.contextmanager
def real(folder: Path) -> Iterator[Pushed]:
    """A ``docker-registry`` on a free port, which keeps what it is given in ``folder``."""
    assert PROGRAM
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = folder / "config.yml"
    settings.write_text(_SETTINGS.format(folder=folder / "data", port=port))
    process = subprocess.Popen(
        [PROGRAM, "serve", str(settings)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )
    try:
        _await(f"http://127.0.0.1:{port}/v2/", process)
        yield Pushed(f"127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def fake() -> Iterator[Pushed]:
    """The package's own registry, which is pushed to over HTTP as well."""
    with FakeRegistry() as registry:
        yield Pushed(registry.host)


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert process.poll() is None, "docker-registry ended at once"
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - of this machine
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"no registry answers at {url}")


def revision(
    image: str | None, *, commit: str | None = NEW, name: str | None = "w-00002", **more: Any
) -> LiveRevision:
    """A revision of ``image`` whose deploy named ``commit``, made at noon; its tag is among the evidence."""
    label = [Evidence(carrier="revision-label", key="commit-sha", value=commit)] if commit else []
    settings: dict[str, Any] = {"created_at": NOON, "evidence": (*label, *image_tag(image or "")), **more}
    return LiveRevision(revision=name, percent=100, image=image, **settings)


def live(*revisions: LiveRevision, **more: Any) -> Live:
    return Live(kind="service", project="p", region="r", revisions=revisions, **more)


def asked(
    *revisions: LiveRevision,
    seconds: float = ENOUGH_S,
    others: tuple[LiveRevision, ...] = (),
    **settings: Any,
) -> Live:
    """What the registry adds to ``revisions`` within ``seconds``."""
    return Registry(deadline=Deadline(seconds), **settings).with_evidence(live(*revisions, others=others))


def finding_in_time(one: LiveRevision, **settings: Any) -> Finding:
    """The only finding about it, which had the time to be more than a timeout."""

    def finding(seconds: float) -> Finding:
        [found] = asked(one, seconds=seconds, **settings).findings
        return found

    return in_time(finding, late=lambda found: found.data.get("cause") == "timeout")


def reasons(findings: tuple[Finding, ...]) -> list[object]:
    """The reason of each conflict, the code of any other finding."""
    return [finding.data.get("reason") or finding.code for finding in findings]
