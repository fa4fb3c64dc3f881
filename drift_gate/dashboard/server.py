"""The dashboard as a process of its own, for the people of this machine."""

from __future__ import annotations

import logging
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from drift_gate.dashboard.answers import Answer
from drift_gate.dashboard.confirmations import foreign
from drift_gate.dashboard.routes import Dashboard
from drift_gate.errors import DriftConfigError

log = logging.getLogger("drift_gate")

#: It asks nobody who they are, and so is for this machine alone.
HOST = "127.0.0.1"
_NAMES = frozenset({"localhost", HOST})
#: Seconds for which a connection may say nothing.
_SILENT_S = 20
#: Bytes of a form.
_LONGEST_FORM = 4096
_DIGITS = len(str(_LONGEST_FORM))


class _Server(ThreadingHTTPServer):
    """A browser opens several connections at once, and each of several browsers does."""

    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Log it; that a browser went away before it had its answer is no news."""
        if not isinstance(sys.exception(), OSError):
            log.exception("the dashboard could not answer")


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
            if self._named() and (asked := self._address()):
                query = dict(parse_qsl(asked.query, keep_blank_values=True))
                self._send(dashboard.answer(unquote(asked.path).lstrip("/"), query))

        def do_POST(self) -> None:
            """Hand a form on that a page of ours sends."""
            length = self.headers.get("Content-Length", "")
            # Python makes no number of over 4300 digits.
            if not length.isdecimal() or len(length) > _DIGITS or int(length) > _LONGEST_FORM:
                self.close_connection = True
                self.send_error(413, "this dashboard takes no such form")
                return
            # It is read first: a connection that is closed over something unread takes the answer with it.
            given = self.rfile.read(int(length)).decode("utf-8", "replace")
            if not self._named():
                return
            site, origin = self.headers.get("Sec-Fetch-Site"), self.headers.get("Origin")
            if foreign(self.headers.get("Host"), site, origin):
                self.send_error(403, "this dashboard takes no form that a page of another origin sends")
                return
            if asked := self._address():
                path = unquote(asked.path).lstrip("/")
                self._send(dashboard.confirm(path, dict(parse_qsl(given))))

        def _address(self) -> SplitResult | None:
            """What is asked for; None: it is no address, and that was answered."""
            try:
                return urlsplit(self.path)
            except ValueError as error:
                self.send_error(400, f"this is no address: {error}")
                return None

        def _named(self) -> bool:
            """Whether we are asked by a name of ours; else it is refused."""
            # A page of the web that names us by a host of its own would read what is for this machine.
            if (self.headers.get("Host") or "").partition(":")[0] in _NAMES:
                return True
            self.send_error(403, "this dashboard is for this machine, by its own name")
            return False

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
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
