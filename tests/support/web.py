"""Servers on the loopback interface: one that answers as told, and ones that hang in every way there is."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.limits import ENOUGH_S

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.http.client import Answer, Http

#: What the gate promises beyond a deadline, and what a machine under load takes to run a thread.
PROMISED_S, LOADED_S = 0.2, 0.3
SECRET = {"Authorization": "Bearer s3cret-token"}
HEAD = b"HTTP/1.1 200 OK\r\n"

#: What a connection meets: it may do with the socket what it likes, until the event says that it is over.
Handler = Callable[[socket.socket, threading.Event], object]


@dataclass
class Reply:
    """One answer of ``Web``."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)


class Web:
    """A web server: ``replies`` by path, each a reply or several of which the last one stays.

    ``seen`` is every request so far: the path and the headers by lower-case name.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.replies: dict[str, Reply | list[Reply]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        web = self

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                web.seen.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
                reply = web._reply(self.path)
                self.send_response(reply.status)
                for key, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(reply.body)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 100

        self._server = Server(("127.0.0.1", 0), Door)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that left is no news
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"
        self.port = self._server.server_port

    def __enter__(self) -> Web:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _reply(self, path: str) -> Reply:
        found = self.replies.get(path.partition("?")[0], Reply(404, b"no"))
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found


@contextlib.contextmanager
def raw(handler: Handler) -> Iterator[int]:
    """The port of a server that hands each connection to ``handler``, on a thread of its own."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    threads = [threading.Thread(target=_accept, args=(listener, handler, over), daemon=True)]
    threads[0].start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        threads[0].join(5)
        listener.close()


def _accept(listener: socket.socket, handler: Handler, over: threading.Event) -> None:
    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            handler(connection, over)

    threads = []
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            connection, _ = listener.accept()
            threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
            threads[-1].start()
    for thread in threads:
        thread.join(5)


def silent(connection: socket.socket, over: threading.Event) -> None:
    """Takes what comes and never says a word."""
    over.wait()


def says(text: bytes) -> Handler:
    """Answers whatever is asked with ``text`` and hangs up."""

    def handler(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(text)

    return handler


def drips(text: bytes, piece: bytes, every: float = 0.05) -> Handler:
    """Answers ``text``, and then ``piece`` again and again."""

    def handler(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(text)
        while not over.wait(every):
            connection.sendall(piece)

    return handler


def floods(text: bytes, piece: bytes) -> Handler:
    """Answers ``text``, and then ``piece`` as fast as it is taken."""
    return drips(text, piece * 100, 0.0001)


def tunnel(port: int, lines: list[bytes]) -> Handler:
    """A proxy that leads every CONNECT to ``port`` of this machine and notes what was asked for."""

    def handler(connection: socket.socket, over: threading.Event) -> None:
        lines.append(connection.recv(65536).split(b"\r\n")[0])
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port)) as inner:
            back = threading.Thread(target=_pipe, args=(inner, connection), daemon=True)
            back.start()
            _pipe(connection, inner)
            back.join(5)

    return handler


def _pipe(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def deaf() -> Iterator[int]:
    """A port to which no connection comes about: its queue is full and nobody takes from it."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(2):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextlib.contextmanager
def dead() -> Iterator[int]:
    """A port that refuses: it is bound and nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def get(url: str, seconds: float = ENOUGH_S, **more: Any) -> Answer:
    """What ``url`` answers within ``seconds``; ``more`` is for ``Http`` or its ``get``."""
    settings = {key: more.pop(key) for key in ("ca_file", "proxy", "plain_to", "names") if key in more}
    with Http(Deadline(seconds), **settings) as http:
        return http.get(url, "the thing", **more)


def error(url: str, seconds: float = ENOUGH_S, **more: Any) -> SourceError:
    """The error that ``get`` ends with."""
    with pytest.raises(SourceError) as caught:
        get(url, seconds, **more)
    return caught.value


def certificates(folder: Path, *names: str) -> tuple[Path, ssl.SSLContext]:
    """The file of a certificate authority, and what a server needs that it vouches for.

    The server is at 127.0.0.1 and goes by ``names``, too.
    """
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("the test's authority", authority, "the test's authority", authority)
    leaf = _certificate("server", server, "the test's authority", authority, names)
    (folder / "ca.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(
        leaf.public_bytes(serialization.Encoding.PEM)
        + server.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return folder / "ca.pem", context


_SIGNS = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


def _certificate(
    name: str, key: Any, issuer: str, issuer_key: Any, names: tuple[str, ...] | None = None
) -> x509.Certificate:
    """For a server on this machine that goes by ``names``, or for an authority (None)."""
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
    )
    # Python 3.13 insists on both of these in a chain, and on what an authority's key is for.
    builder = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
    )
    issued = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = builder.add_extension(issued, critical=False)
    if names is None:
        builder = builder.add_extension(_SIGNS, critical=True)
    else:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        known = x509.SubjectAlternativeName([address, *map(x509.DNSName, names)])
        builder = builder.add_extension(known, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
