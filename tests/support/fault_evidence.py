"""The fault matrix's columns for further evidence: a registry, and the live revision's own answer.

Both say more than the platform does and neither is needed: what they do not say is a warning.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from support.fault_cells import Cell, Prepare, ground
from support.fault_server import (
    Address,
    FaultServer,
    answering,
    dead_port,
    deaf_port,
    forever,
    http,
    over_http,
)
from support.health import document
from support.world import WORKER, World

from drift_gate.evidence.image import LABEL_KEYS
from drift_gate.testing.registry import FakeRegistry

REGISTRY, HEALTH = "registry", "health"
#: Bytes of an answer that are sound: its head, and the beginning of what it says.
MIDDLE = {REGISTRY: 350, HEALTH: 220}
HUGE = answering(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", forever(b" " * 65_536))

#: Puts the source at a host (``127.0.0.1:port``) into the world.
Put = Callable[[World, str, str], None]


def _registry(world: World, host: str, digest: str) -> None:
    """The worker's image is at ``host``, and its label is worth asking for."""
    world.toml += 'evidence = ["registry"]\n'
    world.cloud.deploy(WORKER, labels={"commit-sha": world.first}, image=f"{host}/w@{digest}")


def _health(world: World, host: str, _: str) -> None:
    """The worker is at ``host``, and what it says of its files is worth asking for."""
    world.toml += 'evidence = ["health"]\nhealth_timeout = "10s"\n'
    scheme = "http" if host.startswith("127.0.0.1:") else "https"
    world.cloud.services[WORKER].uri = f"{scheme}://{host}"


def _address(host: str) -> Address:
    name, _, port = host.partition(":")
    return name, int(port)


def _image_of(world: World, stack: ExitStack) -> tuple[Address, str]:
    """A true registry, and the digest of the worker's image in it."""
    registry = stack.enter_context(FakeRegistry())
    # What is known of a digest is kept in the process, so each cell has one of its own.
    digest = registry.push("w", labels={LABEL_KEYS[0]: world.first, "cell": str(world.folder)})
    return _address(registry.host), digest


def in_registry(world: World, stack: ExitStack) -> None:
    """The worker's image is in a true registry, which is asked about it."""
    (host, port), digest = _image_of(world, stack)
    _registry(world, f"{host}:{port}", digest)


def _worker_of(world: World, stack: ExitStack) -> tuple[Address, str]:
    """A worker that truly runs the commit, and says so."""
    files = ground().blobs
    said = document(
        f"{WORKER}-00001", files=files, covers=["predictions/worker/", "shared/"], commit=world.first
    )
    answer = http("200 OK", body=json.dumps(said).encode(), kind="application/json")
    return ("127.0.0.1", stack.enter_context(FaultServer(answering(answer))).port), ""


Truth = Callable[[World, ExitStack], tuple[Address, str]]


def seen_through(fault: str, truth: Truth, put: Put, middle: int) -> Prepare:
    def prepare(world: World, stack: ExitStack) -> None:
        there, digest = truth(world, stack)
        way = over_http(there, middle=middle, huge=HUGE)[fault]
        put(world, stack.enter_context(FaultServer(way)).host, digest)

    return prepare


def at_port(port: Callable[[], AbstractContextManager[int]], put: Put) -> Prepare:
    return lambda world, stack: put(world, f"127.0.0.1:{stack.enter_context(port())}", NO_DIGEST)


def nowhere(put: Put) -> Prepare:
    return lambda world, _: put(world, "no-such-host.invalid", NO_DIGEST)


NO_DIGEST = "sha256:" + "0" * 64

CAUSES = {
    "401": "credentials",
    "403": "permission-denied",
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
    "huge": "invalid-response",
}


def _cells(call: str, truth: Truth, put: Put) -> list[Cell]:
    def unheard(cause: str) -> tuple[str, ...]:
        return (f"evidence-unreachable ({cause})",)

    elsewhere = {
        "refused": (at_port(dead_port, put), "unavailable"),
        "hang at connect": (at_port(deaf_port, put), "timeout"),
        "DNS failure": (nowhere(put), "unavailable"),
    }
    return [
        Cell(call, "nothing", seen_through("nothing", truth, put, MIDDLE[call]), decision="allow"),
        *(
            Cell(
                call,
                fault,
                seen_through(fault, truth, put, MIDDLE[call]),
                decision="warn",
                codes=unheard(cause),
            )
            for fault, cause in CAUSES.items()
        ),
        *(
            Cell(call, fault, prepare, decision="warn", codes=unheard(cause))
            for fault, (prepare, cause) in elsewhere.items()
        ),
    ]


CELLS = [*_cells(REGISTRY, _image_of, _registry), *_cells(HEALTH, _worker_of, _health)]
