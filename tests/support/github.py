"""What stands in for https://github.com and for another host: TLS on loopback, reached through a proxy."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

TOKEN = "ghs_5ecret"
BASIC = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()

#: What newer gits say where whoever is asked for name and password says nothing.
NOBODY = "Basic " + base64.b64encode(b":").decode()


@dataclass
class Hosts:
    """``seen`` are host, path and Authorization header of each request; ``replies`` by host and path."""

    proxy: str
    replies: dict[str, bytes] = field(default_factory=dict)
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)

    def environ(self) -> Mapping[str, str]:
        """The environment of a git that reaches these hosts, and nothing else."""
        return {"https_proxy": self.proxy, "http_proxy": self.proxy, "GIT_SSL_NO_VERIFY": "1"}

    def answer(self, host: str, path: str, authorization: str | None) -> bytes:
        self.seen.append((host, path, authorization))
        if authorization in (None, NOBODY):
            return response("401 Unauthorized", "WWW-Authenticate: Basic realm=x")
        return self.replies.get(host, response("404 Not Found"))


def response(status: str, *fields: str) -> bytes:
    """An HTTP answer without a body, after which the connection ends."""
    return "\r\n".join(
        [f"HTTP/1.1 {status}", *fields, "Content-Length: 0", "Connection: close", "", ""]
    ).encode()


@contextmanager
def hosts(folder: Path) -> Iterator[Hosts]:
    """Every host on earth, as seen through the proxy; each asks for a login first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(folder))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hosts = Hosts(f"http://127.0.0.1:{listener.getsockname()[1]}")

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=_serve, args=(hosts, connection, context), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield hosts
        listener.shutdown(socket.SHUT_RDWR)


def _serve(hosts: Hosts, connection: socket.socket, context: ssl.SSLContext) -> None:
    """One CONNECT, then one request inside the tunnel."""
    with connection:
        host = _head(connection).split()[1].partition(":")[0]
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as tunnel:
            first, *fields = _head(tunnel).splitlines()
            given = {key.lower(): value for key, _, value in (each.partition(": ") for each in fields)}
            tunnel.sendall(hosts.answer(host, first.split()[1], given.get("authorization")))


def _head(connection: socket.socket) -> str:
    text = b""
    while b"\r\n\r\n" not in text:
        chunk = connection.recv(65536)
        if not chunk:
            break
        text += chunk
    return text.decode()


def certificate(folder: Path, *hosts: str) -> Path:
    """A key and a certificate that nobody vouches for, in one file; for 127.0.0.1 and ``hosts``."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.IPAddress(IPv4Address("127.0.0.1")), *map(x509.DNSName, hosts)]
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "loopback.pem"
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file
