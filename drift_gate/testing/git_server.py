"""A git host on loopback, over HTTP, that counts what it is asked and misbehaves on order."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

Answer = tuple[int, Mapping[str, str], bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """What came: ``target`` is path and query, ``headers`` by lower-case name."""

    method: str
    target: str
    headers: Mapping[str, str]


@dataclass
class GitServer:
    """Serves every repository below ``folder`` for reading, as `git http-backend` does.

    >>> with GitServer(tmp_path) as server:                       # doctest: +SKIP
    ...     Mirror(repository=f"{server.url}/repo/.git", …)

    ``requests`` and ``sent`` (bytes of all answers) count from the start or the last ``reset``.
    ``misbehave`` answers in place of git: it gets the request and returns status, headers and body, or
    None to let git answer.
    """

    folder: Path
    misbehave: Callable[[Request], Answer | None] | None = None
    requests: list[Request] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.serve(self)

            def do_POST(self) -> None:
                outer.serve(self)

            def log_message(self, *_: object) -> None:
                """Tests have no use for it."""

        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> GitServer:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    def reset(self) -> None:
        """Count from zero again."""
        with self._lock:
            self.requests.clear()
            self.sent = 0

    def serve(self, http: BaseHTTPRequestHandler) -> None:
        """Answers one request."""
        headers = {key.lower(): value for key, value in http.headers.items()}
        request = Request(http.command, http.path, headers)
        body = _body(http)
        with self._lock:
            self.requests.append(request)
        own = self.misbehave(request) if self.misbehave else None
        status, fields, answer = own or self._git(request, body)
        http.send_response(status)
        for key, value in fields.items():
            http.send_header(key, value)
        http.send_header("Content-Length", str(len(answer)))
        http.end_headers()
        http.wfile.write(answer)
        with self._lock:
            self.sent += len(answer)

    def _git(self, request: Request, body: bytes) -> Answer:
        path, _, query = request.target.partition("?")
        environ = {
            "PATH": os.pathsep.join(os.get_exec_path()),
            "HOME": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
            "REQUEST_METHOD": request.method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        program = shutil.which("git") or "git"
        # The repositories may belong to somebody else than who runs the test.
        argv = [program, "-c", "safe.directory=*", "-c", "uploadpack.allowFilter=true", "http-backend"]
        done = subprocess.run(argv, env=environ, input=body, capture_output=True)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        return int(fields.pop("Status", "200").split()[0]), fields, answer


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that went away is no news: tests cut connections."""


def _body(http: BaseHTTPRequestHandler) -> bytes:
    """The body of a request; git sends a long one in chunks."""
    if http.headers.get("Transfer-Encoding") != "chunked":
        return http.rfile.read(int(http.headers.get("Content-Length", 0)))
    parts = []
    while size := int(http.rfile.readline(), 16):
        parts.append(http.rfile.read(size))
        http.rfile.readline()
    http.rfile.readline()
    return b"".join(parts)
