"""An OCI registry on a loopback port, for tests that want images with labels to be read over HTTP.

    with FakeRegistry() as registry:
        digest = registry.push("worker", tag="1f0c…", labels={"org.opencontainers.image.revision": "1f0c…"})
        cloud.deploy("prediction-worker", image=f"{registry.host}/worker@{digest}")

It takes pushes over its HTTP API as well; ``push_image`` is how, for a registry of any kind.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"

#: Sends a request and gives back its headers by lower-case name.
Send = Callable[[str, str, bytes, Mapping[str, str]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the registry saw it; ``headers`` by lower-case name."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)


@dataclass(slots=True)
class _Fault:
    part: str
    status: int
    body: bytes | None
    headers: Mapping[str, str]
    hang: bool
    times: int | None


class FakeRegistry:
    """A registry in memory, served while the ``with`` block lasts.

    ``manifests`` are the media type and the bytes by repository and tag or digest, ``blobs`` the bytes by
    digest: reach into them for states that no push makes. ``requests`` are those so far. With a ``token``
    the API wants it as a bearer token and gives it at ``/token``; with a ``login`` (user and password) only
    to who has that. ``realm`` is where it says that tokens are had, None for its own ``/token``.
    """

    def __init__(self, *, token: str | None = None, login: tuple[str, str] | None = None) -> None:
        self.token = token
        self.login = login
        self.realm: str | None = None
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.requests: list[Request] = []
        self._faults: list[_Fault] = []
        self._over = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _door(self))

    @property
    def host(self) -> str:
        """``127.0.0.1:port``: how the name of an image begins."""
        return f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeRegistry:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def push(self, name: str, **image: Any) -> str:
        """Push an image as ``push_image`` does, past every token and fault; return its digest."""
        return push_image(self._put, name, **image)

    def fault(
        self,
        part: str,
        *,
        status: int = 200,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        hang: bool = False,
        times: int | None = None,
    ) -> None:
        """Make reads of paths that hold ``part`` go wrong: a status, other bytes or headers, or no answer.

        ``body`` None keeps the true one where the status is 200. ``times`` is for how many reads (None: for
        ever). Of several faults that fit, the oldest counts.
        """
        self._faults.append(_Fault(part, status, body, headers or {}, hang, times))

    # How it is served

    def _answer(self, door: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {key.lower(): value for key, value in door.headers.items()}
        self.requests.append(Request(door.command, door.path, headers))
        path = urlsplit(door.path).path
        if path == "/token":
            return self._grant(headers)
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            realm = self.realm or f"http://{self.host}/token"
            return 401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="fake",scope="any"'}, b"{}"
        if door.command in ("GET", "HEAD"):
            return self._read(path)
        return 201, dict(self._put(door.command, door.path, body, headers)), b""

    def _grant(self, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        wanted = base64.b64encode(":".join(self.login or ("", "")).encode()).decode()
        if self.login and headers.get("authorization") != f"Basic {wanted}":
            return 401, {}, b'{"details": "incorrect username or password"}'
        return 200, {"Content-Type": "application/json"}, json.dumps({"token": self.token}).encode()

    def _read(self, path: str) -> tuple[int, dict[str, str], bytes]:
        fault = next((fault for fault in self._faults if fault.part in path and fault.times != 0), None)
        if fault is not None and fault.times is not None:
            fault.times -= 1
        if fault is not None and fault.hang:
            self._over.wait()
        status, headers, body = self._found(path)
        if fault is None:
            return status, headers, body
        told = body if fault.body is None and fault.status == 200 else fault.body or b"{}"
        return fault.status, {**headers, **fault.headers}, told

    def _found(self, path: str) -> tuple[int, dict[str, str], bytes]:
        name, _, reference = path.removeprefix("/v2/").rpartition("/")
        repository, _, kind = name.rpartition("/")
        if kind == "manifests" and (repository, reference) in self.manifests:
            media, body = self.manifests[repository, reference]
            return 200, {"Content-Type": media, "Docker-Content-Digest": digest_of(body)}, body
        if kind == "blobs" and reference in self.blobs:
            return 200, {"Content-Type": "application/octet-stream"}, self.blobs[reference]
        return 404, {}, b'{"errors": [{"code": "NOT_FOUND", "message": "not known here"}]}'

    def _put(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Mapping[str, str]:
        """A push: an upload that is begun goes on at its own path, and ends with its digest."""
        where = urlsplit(path)
        name, _, reference = where.path.removeprefix("/v2/").rpartition("/")
        repository, _, kind = name.rpartition("/")
        if kind == "manifests":
            media = {key.lower(): value for key, value in headers.items()}["content-type"]
            for key in (reference, digest_of(body)):
                self.manifests[repository, key] = (media, body)
        elif method == "PUT":
            self.blobs[parse_qs(where.query)["digest"][0]] = body
        return {"Location": f"{where.path}session", "location": f"{where.path}session"}


def push_image(
    send: Send,
    name: str,
    *,
    tag: str | None = None,
    labels: Mapping[str, str] | None = None,
    created: datetime | None = None,
    platforms: Sequence[str] = (),
    layer: bytes = b"a layer",
) -> str:
    """Push an image over the distribution API with ``send``; return the digest that names it.

    ``platforms`` (``linux/amd64``, …) pushes one image for each behind an index; the first has the
    ``labels``, the others none. ``layer`` makes an image another one. ``tag`` names it, too.
    """
    if not platforms:
        body = _push_one(send, name, "linux/amd64", labels or {}, created, layer)
        return _push_manifest(send, name, body, MANIFEST, tag)
    entries = []
    for number, platform in enumerate(platforms):
        body = _push_one(send, name, platform, {} if number else labels or {}, created, layer)
        digest = _push_manifest(send, name, body, MANIFEST, None)
        system, _, architecture = platform.partition("/")
        entries.append(
            {
                "mediaType": MANIFEST,
                "digest": digest,
                "size": len(body),
                "platform": {"os": system, "architecture": architecture},
            }
        )
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    return _push_manifest(send, name, index, INDEX, tag)


def over_http(host: str) -> Send:
    """How ``push_image`` reaches a registry without passwords at ``host``."""

    def send(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Mapping[str, str]:
        url = path if path.startswith("http://") else f"http://{host}{path}"
        request = urllib.request.Request(url, body, dict(headers), method=method)  # noqa: S310 - of this machine
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - of this machine
            return {key.lower(): value for key, value in answer.headers.items()}

    return send


def digest_of(body: bytes) -> str:
    """The digest that names ``body``."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _push_one(
    send: Send,
    name: str,
    platform: str,
    labels: Mapping[str, str],
    created: datetime | None,
    layer: bytes,
) -> bytes:
    """An image's blobs; its manifest is returned and not pushed yet."""
    system, _, architecture = platform.partition("/")
    config: dict[str, Any] = {
        "os": system,
        "architecture": architecture,
        "config": {"Labels": dict(labels)},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
    }
    if created:
        config["created"] = created.isoformat()
    settings = json.dumps(config).encode()
    for blob in (settings, layer):
        begun = send("POST", f"/v2/{name}/blobs/uploads/", b"", {})
        where = begun["location"]
        end = f"{where}{'&' if '?' in where else '?'}digest={digest_of(blob)}"
        send("PUT", end, blob, {"Content-Type": "application/octet-stream"})
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest_of(settings), "size": len(settings)},
        "layers": [
            {
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": digest_of(layer),
                "size": len(layer),
            }
        ],
    }
    return json.dumps(manifest).encode()


def _push_manifest(send: Send, name: str, body: bytes, media: str, tag: str | None) -> str:
    for reference in filter(None, (digest_of(body), tag)):
        send("PUT", f"/v2/{name}/manifests/{reference}", body, {"Content-Type": media})
    return digest_of(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is no news."""


def _door(registry: FakeRegistry) -> type[BaseHTTPRequestHandler]:
    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            status, headers, body = registry._answer(self, self.rfile.read(length))
            self.send_response(status)
            for key, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = handle_any

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Door
