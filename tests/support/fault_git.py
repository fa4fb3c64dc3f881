"""The fault matrix's columns for a git remote: asked, fetched from, and with an answer that may stand in."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import ExitStack

from support.fault_cells import Cell, Prepare, ground
from support.fault_server import (
    Address,
    FaultServer,
    Way,
    answering,
    cutting,
    dead_port,
    deaf_port,
    dripping,
    forever,
    garbling,
    http,
    relay,
    resetting,
    silence,
    stalling,
)
from support.github import certificate
from support.world import World

#: Bytes of the remote's answer that are sound.
MIDDLE = 400
#: What git expects before the list of refs, and a line of it; together without an end.
ADVERTISED = "application/x-git-upload-pack-advertisement"
REF_LINE = b"003d" + b"1" * 40 + b" refs/heads/endless\n"

ASKED, FETCHED, STANDS_IN = "git remote, asked", "git remote, fetched from", "git remote, lately confirmed"
MIRRORED = "git remote, mirrored over https"


def ways(there: Address) -> dict[str, tuple[Way, str]]:
    """For each fault that an answer over HTTP can have the way, and the cause that it has to come to."""
    statuses = {
        "401": (http("401 Unauthorized", 'WWW-Authenticate: Basic realm="x"'), "credentials"),
        "403": (http("403 Forbidden"), "credentials"),
        "404": (http("404 Not Found"), "not-found"),
        "408": (http("408 Request Timeout"), "timeout"),
        "429": (http("429 Too Many Requests"), "rate-limited"),
        "429 with Retry-After": (http("429 Too Many Requests", "Retry-After: 60"), "rate-limited"),
        "500": (http("500 Internal Server Error"), "unavailable"),
        "503": (http("503 Service Unavailable"), "unavailable"),
        "wrong content type": (
            http("200 OK", kind="text/html", body=b"<html>\n<p>Please log in\n</html>\n"),
            "invalid-response",
        ),
    }
    endless = b"HTTP/1.1 200 OK\r\nContent-Type: " + ADVERTISED.encode() + b"\r\n\r\n"
    endless += b"001e# service=git-upload-pack\n0000"
    spoiled = {
        "reset": (resetting, "unavailable"),
        "hang in the answer": (stalling, "timeout"),
        "slow drip": (dripping, "timeout"),
        "truncated": (cutting, "unavailable"),
        "malformed": (garbling, "invalid-response"),
    }
    return {
        **{fault: (answering(answer), cause) for fault, (answer, cause) in statuses.items()},
        **{fault: (relay(there, after=MIDDLE, then=then), cause) for fault, (then, cause) in spoiled.items()},
        "hang before the answer": (silence, "timeout"),
        "huge": (answering(endless, forever(REF_LINE * 1000)), "timeout"),
    }


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
        way = relay(upstream()) if fault == "nothing" else ways(upstream())[fault][0]
        put_remote(world, address_at(stack.enter_context(FaultServer(way)).host))

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
        sound = relay(upstream())
        faulty = sound if fault == "nothing" else ways(upstream())[fault][0]
        server = stack.enter_context(FaultServer(_second(sound, faulty)))
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
        assert world.verdict().decision == "allow"
        if fault != "nothing":
            server.way = ways(upstream())[fault][0]

    return prepare


def mirrored(fault: str) -> Prepare:
    """There is no checkout: the first request of a mirror that is to be made meets the fault."""

    def prepare(world: World, stack: ExitStack) -> None:
        file = certificate(world.folder.parent)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(file)
        way = relay(upstream()) if fault in ("nothing", "TLS failure") else ways(upstream())[fault][0]
        address = address_at(stack.enter_context(FaultServer(way, tls=tls)).host, "https")
        world.toml = world.toml.replace(
            'target_ref = "main"', f'repository = "{address}"\ntarget_ref = "main"'
        )
        trusted = {} if fault == "TLS failure" else {"GIT_SSL_CAINFO": str(file)}
        world.environ = {**world.environ, "DRIFT_CACHE_DIR": str(world.folder.parent / "cache"), **trusted}

    return prepare


_CAUSES = {fault: cause for fault, (_, cause) in ways(("127.0.0.1", 1)).items()}
#: What a stand-in and TLS may make a difference to; how a status is read they do not change.
_BROKEN = ("reset", "hang before the answer", "hang in the answer", "truncated", "malformed")

CELLS = [
    Cell(ASKED, "nothing", asked("nothing"), decision="allow"),
    *(Cell(ASKED, fault, asked(fault), cause=cause) for fault, cause in _CAUSES.items()),
    Cell(ASKED, "refused", _dead, cause="unavailable"),
    Cell(ASKED, "hang at connect", _deaf, cause="timeout"),
    Cell(ASKED, "DNS failure", nowhere("no-such-host.invalid"), cause="unavailable"),
    Cell(ASKED, "TLS failure", _untrusted, cause="unavailable"),
    Cell(FETCHED, "nothing", fetched("nothing"), decision="allow"),
    *(Cell(FETCHED, fault, fetched(fault), cause=cause) for fault, cause in _CAUSES.items()),
    Cell(STANDS_IN, "nothing", confirmed("nothing"), decision="allow"),
    *(
        Cell(STANDS_IN, fault, confirmed(fault), decision="warn", codes=("target-may-be-stale",))
        for fault in ("401", "404", "429", "503", *_BROKEN)
    ),
    Cell(MIRRORED, "nothing", mirrored("nothing"), decision="allow"),
    *(Cell(MIRRORED, fault, mirrored(fault), cause=_CAUSES[fault]) for fault in ("401", "503", *_BROKEN)),
    Cell(MIRRORED, "TLS failure", mirrored("TLS failure"), cause="unavailable"),
]
