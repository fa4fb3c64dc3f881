"""The fault matrix's columns for Cloud Run: the read of the service, and the read of its revision."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from support.fault_cells import Cell, Prepare
from support.fault_server import (
    Address,
    FaultServer,
    Spoil,
    Way,
    answering,
    cutting,
    dead_port,
    deaf_port,
    dripping,
    garbling,
    http,
    relay,
    resetting,
    silence,
    slam,
    stalling,
)
from support.world import WORKER, World

#: Bytes of an annotation that makes an answer long enough to be spoiled in the middle.
LONG = 40_000
#: So many bytes of a connection are sound: the answers before the long one are shorter.
MIDDLE = 8_000
#: Far over what an answer of Cloud Run may take.
HUGE = 80 << 20


def at(host: str) -> Prepare:
    """The API is sought at ``host``."""
    return lambda world, _: _point(world, host)


def _point(world: World, host: str) -> None:
    world.environ = {**world.environ, "CLOUD_RUN_EMULATOR_HOST": host}


def _address(host: str) -> Address:
    name, _, port = host.partition(":")
    return name, int(port)


def by(way: Way) -> Prepare:
    """What answers there goes the way ``way``."""
    return lambda world, stack: _point(world, stack.enter_context(FaultServer(way)).host)


def _dead(world: World, stack: ExitStack) -> None:
    _point(world, f"127.0.0.1:{stack.enter_context(dead_port())}")


def _deaf(world: World, stack: ExitStack) -> None:
    _point(world, f"127.0.0.1:{stack.enter_context(deaf_port())}")


def spoiled(part: str, then: Spoil) -> Prepare:
    """The answer of the true server, spoiled in the middle of what it says about the ``part``."""

    def prepare(world: World, stack: ExitStack) -> None:
        _pad(world, part, LONG)
        way = relay(_address(world.cloud.host), after=MIDDLE, then=then)
        _point(world, stack.enter_context(FaultServer(way)).host)

    return prepare


def _pad(world: World, part: str, size: int) -> None:
    held: Any = (
        world.cloud.services[WORKER] if part == "service" else world.cloud.revisions[f"{WORKER}-00001"]
    )
    held.annotations["pad"] = "x" * size


def fault(method: str, **how: Any) -> Prepare:
    """The true server is told to go wrong."""
    return lambda world, _: world.cloud.fault(method, **how)


#: gRPC's own statuses by row, each with its cause.
STATUS = {
    "401": ("UNAUTHENTICATED", "credentials"),
    "403": ("PERMISSION_DENIED", "permission-denied"),
    "404": ("NOT_FOUND", "not-found"),
    "408": ("DEADLINE_EXCEEDED", "timeout"),
    "429": ("RESOURCE_EXHAUSTED", "rate-limited"),
    "500": ("INTERNAL", "unavailable"),
    "503": ("UNAVAILABLE", "unavailable"),
}


def _cells(part: str, method: str) -> list[Cell]:
    call = f"Cloud Run, {part}"
    return [
        Cell(call, "nothing", lambda world, _: _pad(world, part, LONG), decision="allow"),
        *(Cell(call, row, fault(method, code=code), cause=cause) for row, (code, cause) in STATUS.items()),
        Cell(call, "reset", spoiled(part, resetting), cause="unavailable"),
        Cell(call, "hang before the answer", fault(method, hang=True), cause="timeout"),
        Cell(call, "hang in the answer", spoiled(part, stalling), cause="timeout"),
        Cell(call, "slow drip", spoiled(part, dripping), cause="timeout"),
        Cell(call, "truncated", spoiled(part, cutting), cause="unavailable"),
        Cell(call, "malformed", fault(method, garbage=True), cause="invalid-response"),
        Cell(call, "huge", lambda world, _: _pad(world, part, HUGE), cause="invalid-response"),
    ]


HTML = http("200 OK", kind="text/html", body=b"<html>Please log in</html>")

CELLS = [
    *_cells("service", "GetService"),
    Cell("Cloud Run, service", "refused", _dead, cause="unavailable"),
    Cell("Cloud Run, service", "hang at connect", _deaf, cause="timeout"),
    Cell("Cloud Run, service", "wrong content type", by(answering(HTML)), cause="unavailable"),
    Cell("Cloud Run, service", "DNS failure", at("no-such-host.invalid:443"), cause="unavailable"),
    *_cells("revision", "GetRevision"),
]
#: Two more ways of the transport to break, which the table does not tell apart.
MORE = [
    Cell("Cloud Run, transport", "reset", by(slam), cause="unavailable"),
    Cell("Cloud Run, transport", "hang before the answer", by(silence), cause="timeout"),
    Cell("Cloud Run, transport", "malformed", spoiled("service", garbling), cause="invalid-response"),
]
