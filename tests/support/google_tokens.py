"""Google's side of an ID token: keys of our own, tokens signed with them, a server for the certificates."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.auth import jwt
from google.auth.crypt import RSASigner

AUDIENCE = "https://coordinator.example.com"


class Key(NamedTuple):
    """A key with its id, and the certificate that Google would publish for it."""

    key_id: str
    signer: RSASigner
    certificate: str

    def token(self, email: str | None = "nightly@example.com", **claims: Any) -> str:
        """A token as Google signs it; a claim that is None is left out."""
        now = int(time.time())
        told = {
            "iss": "https://accounts.google.com",
            "aud": AUDIENCE,
            "sub": "1234567890",
            "email": email,
            "email_verified": True,
            "iat": now,
            "exp": now + 3600,
            **claims,
        }
        payload = {name: value for name, value in told.items() if value is not None}
        signed: bytes = jwt.encode(self.signer, payload, key_id=self.key_id)  # type: ignore[no-untyped-call] # google-auth has no types
        return signed.decode()


@cache
def key(key_id: str) -> Key:
    """The key of this name; making one takes a while, so that each is made once per process."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, key_id)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=7))
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    signer = RSASigner.from_string(pem.decode(), key_id)  # type: ignore[no-untyped-call] # google-auth has no types
    return Key(key_id, signer, certificate.public_bytes(serialization.Encoding.PEM).decode())


class CertsServer(ThreadingHTTPServer):
    """Publishes ``certs``, and counts how often it is asked."""

    daemon_threads = True

    def __init__(self, certs: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.certs = dict(certs)
        self.asked = 0
        self.status = 200
        self.cache_control = "public, max-age=20000"
        #: While it is clear, whoever asks waits.
        self.answers = threading.Event()
        self.answers.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/certs"


class _Handler(BaseHTTPRequestHandler):
    server: CertsServer

    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.answers.wait(30)
        body = json.dumps(self.server.certs).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", self.server.cache_control)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@contextmanager
def certs_server(*keys: Key) -> Iterator[CertsServer]:
    """A server on a free port of this machine that publishes ``keys``."""
    server = CertsServer({each.key_id: each.certificate for each in keys})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.answers.set()
        server.shutdown()
        server.server_close()


def passed_on(token: str) -> str:
    """The token as Cloud Run hands it to the container once it has verified it."""
    return ".".join([*token.split(".")[:2], "SIGNATURE_REMOVED_BY_GOOGLE"])
