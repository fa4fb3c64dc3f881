"""The monitor's Cloud Function as Google starts it, by functions-framework, and asked as Eventarc asks."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from support.emulators import free_port
from support.limits import ENOUGH_S

ROOT = Path(__file__).parents[2]
FUNCTION = ROOT / "cloud_functions" / "deployment_drift_monitor"
PYTHON = ROOT / ".functions" / "bin" / "python"
#: What stands beside ``main.py`` in an upload, besides ``drift.toml``.
LIBRARY = ("drift_gate", "shared", "predictions")
TOPIC = "projects/test-project/topics/deployment-drift-check"


@dataclass
class Function:
    """One instance. ``folder`` is what was uploaded, ``entries`` what it has logged so far."""

    folder: Path
    port: int
    process: subprocess.Popen[str]
    entries: list[dict[str, Any]] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def send(self) -> tuple[int, str]:
        """Publish a message to the topic; status and body of the answer.

        Eventarc brings it as a CloudEvent in binary content mode:
        https://cloud.google.com/eventarc/docs/cloudevents#pubsub.
        """
        number, now = str(uuid4().int)[:16], datetime.now(UTC).isoformat().replace("+00:00", "Z")
        message = {"data": "bG9vaw==", "messageId": number, "message_id": number}
        message |= {"publishTime": now, "publish_time": now}
        subscription = (
            "projects/test-project/subscriptions/eventarc-us-west2-deployment-drift-monitor-sub-123"
        )
        headers = {
            "Content-Type": "application/json",
            "ce-id": number,
            "ce-specversion": "1.0",
            "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
            "ce-source": f"//pubsub.googleapis.com/{TOPIC}",
            "ce-time": now,
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ENOUGH_S)
        try:
            connection.request(
                "POST", "/", json.dumps({"message": message, "subscription": subscription}), headers
            )
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def listen(self) -> None:
        """Read the log until it ends."""
        assert self.process.stderr
        for line in self.process.stderr:
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"plain": line.rstrip()}
            with self._news:
                self.entries.append(entry)
                self._news.notify_all()

    def logged(self, words: str, since: int = 0) -> dict[str, Any]:
        """The first entry after ``since`` others whose message holds ``words``, waited for."""

        def found() -> dict[str, Any] | None:
            told = self.entries[since:]
            return next((each for each in told if words in str(each.get("message"))), None)

        with self._news:
            self._news.wait_for(found, ENOUGH_S)
            entry = found()
        assert entry, f"no entry with {words!r} among {self.entries[since:]}"
        return entry


def upload(folder: Path, toml: str) -> Path:
    """``folder`` with what is deployed."""
    folder.mkdir(parents=True)
    for name in LIBRARY:
        (folder / name).symlink_to(ROOT / name)
    (folder / "main.py").write_bytes((FUNCTION / "main.py").read_bytes())
    (folder / "drift.toml").write_text(toml)
    return folder


@contextmanager
def function(folder: Path, environ: Mapping[str, str]) -> Iterator[Function]:
    """An instance of what is in ``folder``, without a home, as the platform starts it."""
    if not PYTHON.exists():
        pytest.skip("functions-framework is not here: make .functions/stamp")
    port = free_port()
    words = ["--target", "deployment_drift_monitor", "--source", str(folder / "main.py"), "--port", str(port)]
    process = subprocess.Popen(
        [
            PYTHON,
            "-m",
            "functions_framework",
            *words,
            "--signature-type",
            "cloudevent",
            "--host",
            "127.0.0.1",
        ],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "K_SERVICE": "deployment-drift-monitor", **environ},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    made = Function(folder, port, process)
    reader = threading.Thread(target=made.listen, daemon=True)
    reader.start()
    try:
        _await(made)
        yield made
    finally:
        process.terminate()
        process.wait(ENOUGH_S)
        reader.join(ENOUGH_S)
        assert process.stderr
        process.stderr.close()


def _await(made: Function) -> None:
    """Until it listens; Cloud Run's start-up probe asks for no more."""
    while made.process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", made.port, timeout=ENOUGH_S)
        try:
            connection.connect()
            return
        except OSError:
            threading.Event().wait(0.05)
        finally:
            connection.close()
    pytest.fail(f"the function did not start: {made.entries}")
