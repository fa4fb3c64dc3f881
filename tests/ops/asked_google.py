"""Where a real gcloud takes us for Google: a proxy that knows nothing, takes everything and keeps it."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

_APIS = ("RUN", "MONITORING", "CLOUDSCHEDULER", "PUBSUB")


@dataclass
class Google:
    """``sent`` are the bodies of what was to be changed, in order."""

    folder: Path
    port: int = 0
    sent: list[dict[str, Any]] = field(default_factory=list)

    def gcloud(self, *words: str) -> dict[str, Any]:
        """What the gcloud that is installed sends for ``words``; how it then ends is not of interest."""
        (self.folder / "token").write_text("made-up")
        environ = {
            "PATH": "/usr/bin:/bin",
            "CLOUDSDK_CONFIG": str(self.folder),
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(self.folder / "token"),
            "CLOUDSDK_CORE_PROJECT": "example-project",
            "http_proxy": f"http://127.0.0.1:{self.port}",
            **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}": f"http://{api.lower()}.invalid/" for api in _APIS},
        }
        self.sent.clear()
        argv = [str(shutil.which("gcloud")), *words, "--quiet"]
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=120, check=False)
        assert self.sent, done.stderr
        return self.sent[0]


@contextmanager
def google(folder: Path) -> Iterator[Google]:
    """One while the block lasts; skips the test where no gcloud is installed."""
    if not shutil.which("gcloud"):
        pytest.skip("no gcloud here")
    made = Google(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(404, {"error": {"code": 404, "message": "nothing is here", "status": "NOT_FOUND"}})

        def do_POST(self) -> None:
            made.sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(200, {})

        def log_message(self, *_: object) -> None:
            """Says nothing."""

        def _answer(self, status: int, body: object) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_port
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield made
        finally:
            server.shutdown()


def commands() -> dict[str, Any]:
    """The table that the gcloud that is installed completes from; skips the test where none is."""
    program = shutil.which("gcloud")
    table = program and Path(program).resolve().parents[1] / "data" / "cli" / "gcloud_completions.py"
    if not table or not table.exists():
        pytest.skip("no gcloud here")
    spec = importlib.util.spec_from_file_location("gcloud_completions", table)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.STATIC_COMPLETION_CLI_TREE)


def unknown(call: list[str], known: dict[str, Any]) -> list[str]:
    """The words of ``call`` that are no command and the flags that its command does not have."""
    node, flags, words = known, {*known["flags"]}, iter(call)
    for word in words:
        if not node["commands"] or word.startswith("--"):
            break
        if word not in node["commands"]:
            return [word]
        node = node["commands"][word]
        flags |= {*node["flags"]}
        flags |= {f"--no-{flag[2:]}" for flag, takes in node["flags"].items() if takes == "bool"}
    return sorted(set(_flags(call)) - flags)


def _flags(call: list[str]) -> Iterator[str]:
    return (word.partition("=")[0] for word in call if word.startswith("--"))
