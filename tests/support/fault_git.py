"""The fault matrix's columns for a git remote: asked, fetched from, and with an answer that may stand in."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import ExitStack

from support.fault_cells import Cell, Prepare, ground, verdict_before_the_fault
from support.fault_server import (
    SPOILS,
    Address,
    FaultServer,
    Spoil,
    Way,
    answering,
    dead_port,
    deaf_port,
    forever,
    over_http,
    relay,
)
from support.github import certificate
from support.world import World

#: Bytes of the remote's answer that are sound.
MIDDLE = 400
#: So many that the pack has begun.
IN_THE_PACK = 150_000
#: What git expects before the list of refs, and a line of it; together without an end.
ADVERTISED = "application/x-git-upload-pack-advertisement"
REF_LINE = b"003d" + b"1" * 40 + b" refs/heads/endless\n"

ASKED, FETCHED, STANDS_IN = "git remote, asked", "git remote, fetched from", "git remote, lately confirmed"
PACKED = "git remote, in the pack"
MIRRORED = "git remote, mirrored over https"


CAUSES = {
    "401": "credentials",
    "403": "credentials",
    "404": "not-found",
    "408": "timeout",
    "429": "rate-limited",
    "429 with Retry-After": "rate-limited",
    "500": "unavailable",
    "503": "unavailable",
    "wrong content type": "invalid-response",
    "reset": "unavailable",
    "hang before the answer": "timeout",
    "hang in the answer": "timeout",
    "slow drip": "timeout",
    "truncated": "unavailable",
    "malformed": "invalid-response",
    "huge": "timeout",
}


def way(fault: str) -> Way:
    """What a git host, seen through the fault, does."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {ADVERTISED}\r\n\r\n001e# service=git-upload-pack\n0000"
    huge = answering(head.encode(), forever(REF_LINE * 1000))
    return over_http(upstream(), middle=MIDDLE, huge=huge)[fault]


def upstream() -> Address:
    """A true git host."""
    return "127.0.0.1", int(ground().server.url.rpartition(":")[2])


def put_remote(world: World, address: str) -> None:
    """origin/main is wanted; origin is at ``address``."""
    world.history.git("remote", "add", "origin", address)
    world.toml = world.toml.replace('target_ref = "main"', 'target_ref = "origin/main"')


def address_at(host: str, scheme: str = "http", folder: str = "remote") -> str:
    return f"{scheme}://{host}/{folder}/.git"


def asked(fault: str) -> Prepare:
    """The first request to the remote meets the fault."""

    def prepare(world: World, stack: ExitStack) -> None:
        put_remote(world, address_at(stack.enter_context(FaultServer(way(fault))).host))

    return prepare


def nowhere(host: str) -> Prepare:
    return lambda world, _: put_remote(world, address_at(host))


def _dead(world: World, stack: ExitStack) -> None:
    put_remote(world, address_at(f"127.0.0.1:{stack.enter_context(dead_port())}"))


def _deaf(world: World, stack: ExitStack) -> None:
    put_remote(world, address_at(f"127.0.0.1:{stack.enter_context(deaf_port())}"))


def _untrusted(world: World, stack: ExitStack) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate(world.folder.parent))
    server = stack.enter_context(FaultServer(relay(upstream()), tls=tls))
    put_remote(world, address_at(server.host, "https"))


def fetched(fault: str) -> Prepare:
    """The remote says that it has a newer commit, and the connection over which that is fetched fails."""

    def prepare(world: World, stack: ExitStack) -> None:
        server = stack.enter_context(FaultServer(_second(way("nothing"), way(fault))))
        put_remote(world, address_at(server.host, folder="ahead"))

    return prepare


def packed(then: Spoil) -> Prepare:
    """``then`` happens to the connection when a part of the commits and files has come."""

    def prepare(world: World, stack: ExitStack) -> None:
        spoiled = relay(upstream(), after=IN_THE_PACK, then=then)
        server = stack.enter_context(FaultServer(_second(way("nothing"), spoiled)))
        put_remote(world, address_at(server.host, folder="ahead"))

    return prepare


def _second(first: Way, then: Way) -> Way:
    """The first connection goes one way, all others another."""
    taken = iter([first])

    def way(connection: socket.socket, ended: threading.Event) -> None:
        next(taken, then)(connection, ended)

    return way


def confirmed(fault: str) -> Prepare:
    """A moment ago the remote confirmed its commit; now it meets the fault."""

    def prepare(world: World, stack: ExitStack) -> None:
        server = stack.enter_context(FaultServer(relay(upstream())))
        put_remote(world, address_at(server.host))
        assert verdict_before_the_fault(world).decision == "allow"
        server.way = way(fault)

    return prepare


def mirrored(fault: str) -> Prepare:
    """There is no checkout: the first request of a mirror that is to be made meets the fault."""

    def prepare(world: World, stack: ExitStack) -> None:
        file = certificate(world.folder.parent)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(file)
        server = FaultServer(way("nothing" if fault == "TLS failure" else fault), tls=tls)
        address = address_at(stack.enter_context(server).host, "https")
        world.toml = world.toml.replace(
            'target_ref = "main"', f'repository = "{address}"\ntarget_ref = "main"'
        )
        trusted = {} if fault == "TLS failure" else {"GIT_SSL_CAINFO": str(file)}
        world.environ = {**world.environ, "DRIFT_CACHE_DIR": str(world.folder.parent / "cache"), **trusted}

    return prepare


#: What a stand-in and TLS may make a difference to; how a status is read they do not change.
_BROKEN = ("reset", "hang before the answer", "hang in the answer", "truncated", "malformed")

CELLS = [
    Cell(ASKED, "nothing", asked("nothing"), decision="allow"),
    *(Cell(ASKED, fault, asked(fault), cause=cause) for fault, cause in CAUSES.items()),
    Cell(ASKED, "refused", _dead, cause="unavailable"),
    Cell(ASKED, "hang at connect", _deaf, cause="timeout"),
    Cell(ASKED, "DNS failure", nowhere("no-such-host.invalid"), cause="unavailable"),
    Cell(ASKED, "TLS failure", _untrusted, cause="unavailable"),
    Cell(FETCHED, "nothing", fetched("nothing"), decision="allow"),
    *(Cell(FETCHED, fault, fetched(fault), cause=cause) for fault, cause in CAUSES.items()),
    *(Cell(PACKED, fault, packed(then), cause=CAUSES[fault]) for fault, then in SPOILS.items()),
    Cell(STANDS_IN, "nothing", confirmed("nothing"), decision="allow"),
    *(
        Cell(STANDS_IN, fault, confirmed(fault), decision="warn", codes=("target-may-be-stale",))
        for fault in ("401", "404", "429", "503", *_BROKEN)
    ),
    Cell(MIRRORED, "nothing", mirrored("nothing"), decision="allow"),
    *(Cell(MIRRORED, fault, mirrored(fault), cause=CAUSES[fault]) for fault in ("401", "503", *_BROKEN)),
    Cell(MIRRORED, "TLS failure", mirrored("TLS failure"), cause="unavailable"),
]
