"""A Cloud Build and its bucket on this machine, for the real ``gcloud``: what it is told, it builds."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from support.builds import Workshop, ask

from drift_gate.errors import BuildError
from drift_gate.evidence.image import Reference
from drift_gate.runtime.deadline import Deadline

_BUCKET = "p_cloudbuild"
_KNOWN = {
    "id": "11111111-2222-3333-4444-555555555555",
    "projectId": "p",
    "logUrl": "https://console.example/1",
    "createTime": "2026-02-05T09:00:00Z",
}
_METADATA = "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata"


@dataclass
class CloudBuild:
    """Builds with the buildah of ``shop`` in ``folder``; ``asked`` is the build as it was asked for."""

    shop: Workshop
    folder: Path
    asked: dict[str, Any] = field(default_factory=dict)
    archive: bytes = b""

    def answer(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        """What Google answers, as far as gcloud looks."""
        if path.startswith("/upload/"):
            # A message of two parts, the second of which is the archive.
            self.archive = body.partition(b"\n\n")[2].partition(b"\n\n")[2].rpartition(b"\n--")[0]
            name = path.partition("name=")[2].partition("&")[0].replace("%2F", "/")
            return {"bucket": _BUCKET, "name": name, "generation": "1", "size": str(len(self.archive))}
        if path.startswith("/storage/v1/b?"):
            return {"items": [{"id": _BUCKET, "name": _BUCKET}]}
        if path.startswith("/storage/"):
            return {"id": _BUCKET, "name": _BUCKET}
        if method == "POST":
            self.asked = json.loads(body)
            build = {**_KNOWN, "status": "QUEUED", "options": self.asked["options"]}
            return {"name": "operations/1", "metadata": {"@type": _METADATA, "build": build}}
        return self._built()

    def _built(self) -> dict[str, Any]:
        known = {**_KNOWN, "options": self.asked["options"]}
        try:
            images = [self._image(name) for name in self.asked["images"]]
        except BuildError as error:
            return {**known, "status": "FAILURE", "failureInfo": {"detail": str(error)}}
        return {**known, "status": "SUCCESS", "results": {"images": images}}

    def _image(self, name: str) -> dict[str, str]:
        place = self.folder / "workspace"
        place.mkdir(exist_ok=True)
        subprocess.run(["tar", "-xz", "-C", str(place)], input=self.archive, check=True)
        [step] = self.asked["steps"]
        words = [word.replace("$$", "$") for word in step["args"]]
        within, tool = Deadline(300), self.shop.tool()
        # buildah has no folder to run in, so that the paths are told from here.
        words[words.index("--file") + 1] = str(place / words[words.index("--file") + 1])
        tool.run([*words[:-1], str(place / words[-1])], within)
        tool.run(["push", "--tls-verify=false", name, f"docker://{name}"], within)
        reference = Reference.of(name)
        assert reference is not None
        return {"name": name, "digest": ask(reference, within).digest}


@contextmanager
def cloud_build(shop: Workshop, folder: Path) -> Iterator[tuple[CloudBuild, dict[str, str]]]:
    """The server, and the variables that lead gcloud to it."""
    cloud = CloudBuild(shop, folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            said = json.dumps(cloud.answer(self.command, self.path, body)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """A test's output is no log of requests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    token = folder / "token"
    token.write_text("t0ken")
    try:
        yield (
            cloud,
            {
                "CLOUDSDK_CONFIG": str(folder / "gcloud"),
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBUILD": f"{address}/",
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{address}/storage/v1/",
                "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
                "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            },
        )
    finally:
        server.shutdown()
        server.server_close()
