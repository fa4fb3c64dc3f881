"""The fault matrix's columns for credentials, and for Cloud Run as it is reached with them: over TLS."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support.fault_cells import Cell, Prepare, google_certificate
from support.fault_server import (
    ANSWERS,
    FaultServer,
    Way,
    answering,
    cutting,
    dead_port,
    deaf_port,
    forever,
    http,
    relay,
    routed,
    silence,
    slam,
    slowly,
    stalling,
    tunnel,
)
from support.github import certificate
from support.world import World

TOKEN_SERVER, METADATA, OVER_TLS = "token endpoint", "metadata server", "Cloud Run, over TLS"

TOKEN = b'{"access_token": "t0ken", "expires_in": 3600, "token_type": "Bearer"}'
JSON = "application/json"


@cache
def _private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


def _google(world: World, stack: ExitStack, certified: Path | None = None) -> None:
    """Cloud Run is sought where Google has it, and what answers there is the world's own."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certified or google_certificate())
    tls.set_alpn_protocols(["h2"])
    name, _, port = world.cloud.host.partition(":")
    secure = stack.enter_context(FaultServer(relay((name, int(port))), tls=tls))
    proxy = stack.enter_context(FaultServer(tunnel(("127.0.0.1", secure.port))))
    world.environ = {
        **world.environ,
        "CLOUD_RUN_EMULATOR_HOST": "",
        "https_proxy": f"http://{proxy.host}",
        "CLOUDSDK_CONFIG": str(world.folder),
    }


def _key(world: World, token_uri: str) -> None:
    """A service account's key, whose tokens come from ``token_uri``."""
    account = {
        "type": "service_account",
        "client_email": "gate@p.example",
        "private_key": _private_key(),
        "token_uri": token_uri,
    }
    file = world.folder.parent / "key.json"
    file.write_text(json.dumps(account))
    world.environ = {**world.environ, "GOOGLE_APPLICATION_CREDENTIALS": str(file)}


def _metadata(world: World, host: str) -> None:
    world.environ = {**world.environ, "GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}


def sound(head: bytes) -> bytes | None:
    """What a metadata server says; None for the token."""
    flavor = "Metadata-Flavor: Google"
    if b"/token" in head:
        return None
    if b"?recursive=true" in head:
        body = json.dumps({"email": "gate@p.example", "scopes": ["x"], "aliases": ["default"]}).encode()
        return http("200 OK", flavor, body=body, kind=JSON)
    return http("200 OK", flavor, body=b"googleapis.com" if b"universe" in head else b"a-project")


def ways(good: bytes) -> dict[str, Way]:
    """Each fault of an HTTP answer, in place of the ``good`` one."""
    head, _, body = good.partition(b"\r\n\r\n")
    half = head + b"\r\n\r\n" + body[: len(body) // 2]
    huge = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    return {
        **{fault: answering(answer) for fault, answer in ANSWERS.items()},
        "malformed": answering(http("200 OK", "Metadata-Flavor: Google", body=b"{\xff", kind=JSON)),
        "nothing": answering(good),
        "reset": slam,
        "hang before the answer": silence,
        "hang in the answer": answering(half, stalling),
        "slow drip": answering(b"", slowly(good)),
        "truncated": answering(half, cutting),
        "huge": answering(huge, forever(b" " * 65_536)),
    }


def token_server(fault: str) -> Prepare:
    """A service account's key is there; the server that makes tokens of it meets the fault."""

    def prepare(world: World, stack: ExitStack) -> None:
        _google(world, stack)
        server = stack.enter_context(FaultServer(ways(http("200 OK", body=TOKEN, kind=JSON))[fault]))
        _key(world, f"http://{server.host}/token")

    return prepare


def metadata(fault: str, *, from_the_start: bool = False) -> Prepare:
    """The metadata server is there, and its answer about a token meets the fault; or every answer does."""

    def prepare(world: World, stack: ExitStack) -> None:
        _google(world, stack)
        token = http("200 OK", "Metadata-Flavor: Google", body=TOKEN, kind=JSON)
        way = ways(token)[fault]
        server = FaultServer(way if from_the_start else routed(sound, way))
        _metadata(world, stack.enter_context(server).host)

    return prepare


def _nowhere(put: Callable[[World, str], None], host: str) -> Prepare:
    def prepare(world: World, stack: ExitStack) -> None:
        _google(world, stack)
        put(world, host)

    return prepare


def _port(put: Callable[[World, str], None], port: Callable[[], AbstractContextManager[int]]) -> Prepare:
    def prepare(world: World, stack: ExitStack) -> None:
        _google(world, stack)
        put(world, f"127.0.0.1:{stack.enter_context(port())}")

    return prepare


def _token_uri(world: World, host: str) -> None:
    _key(world, f"http://{host}/token")


def _untrusted(world: World, stack: ExitStack) -> None:
    """Cloud Run shows a certificate that nobody vouches for."""
    _google(world, stack, certificate(world.folder.parent))
    server = stack.enter_context(FaultServer(ways(http("200 OK", body=TOKEN, kind=JSON))["nothing"]))
    _key(world, f"http://{server.host}/token")


TOKEN_CAUSES = {
    "reset": "unavailable",
    "hang before the answer": "timeout",
    "hang in the answer": "timeout",
    "slow drip": "timeout",
    "401": "credentials",
    "403": "credentials",
    "404": "credentials",
    "408": "timeout",
    "429": "timeout",
    "429 with Retry-After": "timeout",
    "500": "timeout",
    "503": "timeout",
    "truncated": "unavailable",
    "malformed": "credentials",
    "huge": "timeout",
    "wrong content type": "credentials",
}
#: Google's library asks a metadata server again where it would give up on a token endpoint.
METADATA_CAUSES = {**TOKEN_CAUSES, "reset": "timeout", "truncated": "timeout"}

CELLS = [
    Cell(TOKEN_SERVER, "nothing", token_server("nothing"), decision="allow", own_process=True),
    *(
        Cell(TOKEN_SERVER, fault, token_server(fault), cause=cause, own_process=True)
        for fault, cause in TOKEN_CAUSES.items()
    ),
    Cell(TOKEN_SERVER, "refused", _port(_token_uri, dead_port), cause="unavailable", own_process=True),
    Cell(TOKEN_SERVER, "hang at connect", _port(_token_uri, deaf_port), cause="timeout", own_process=True),
    Cell(
        TOKEN_SERVER,
        "DNS failure",
        _nowhere(_token_uri, "no-such-host.invalid"),
        cause="unavailable",
        own_process=True,
    ),
    Cell(OVER_TLS, "TLS failure", _untrusted, cause="unavailable", own_process=True),
    Cell(METADATA, "nothing", metadata("nothing"), decision="allow", own_process=True),
    *(
        Cell(METADATA, fault, metadata(fault), cause=cause, own_process=True)
        for fault, cause in METADATA_CAUSES.items()
    ),
    Cell(METADATA, "refused", _port(_metadata, dead_port), cause="credentials", own_process=True, held=1),
    Cell(
        METADATA,
        "hang at connect",
        _port(_metadata, deaf_port),
        cause="credentials",
        own_process=True,
        held=1,
    ),
    Cell(
        METADATA,
        "DNS failure",
        _nowhere(_metadata, "no-such-host.invalid"),
        cause="credentials",
        own_process=True,
        held=1,
    ),
]
