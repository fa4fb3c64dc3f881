"""The dashboard as a process of its own, for the people of this machine."""

from __future__ import annotations

import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from drift_gate.dashboard.routes import Dashboard
from drift_gate.errors import DriftConfigError

log = logging.getLogger("drift_gate")

#: It asks nobody who they are, and so is for this machine alone.
HOST = "127.0.0.1"
_NAMES = frozenset({"localhost", HOST})
#: Seconds for which a connection may say nothing.
_SILENT_S = 20


class _Server(ThreadingHTTPServer):
    """A browser opens several connections at once, and each of several browsers does."""

    request_queue_size = 128


def listening(dashboard: Dashboard, port: int) -> ThreadingHTTPServer:
    """A server of ``dashboard`` that listens on ``port`` of this machine (0: a free one).

    ``serve_forever`` answers. Raises ``DriftConfigError`` where the port cannot be had.
    """

    class Handler(BaseHTTPRequestHandler):
        """Answers one connection."""

        timeout = _SILENT_S
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Send the answer of the dashboard."""
            # A page of the web that names us by a host of its own would read what is for this machine.
            if (self.headers.get("Host") or "").partition(":")[0] not in _NAMES:
                self.send_error(403, "this dashboard is for this machine, by its own name")
                return
            asked = urlsplit(self.path)
            path, query = (
                unquote(asked.path).lstrip("/"),
                dict(parse_qsl(asked.query, keep_blank_values=True)),
            )
            answer = dashboard.answer(path, query)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(answer.body)

        do_HEAD = do_GET

        def version_string(self) -> str:
            return "drift-gate"

        def log_message(self, format: str, *args: object) -> None:
            log.debug("dashboard: %s", format % args)

    try:
        return _Server((HOST, port), Handler)
    except OSError as error:
        raise DriftConfigError(f"--port {port}: {error.strerror}") from error
