"""The fault matrix's columns for the list of recent revisions, which is asked for on two occasions.

Beside a registry, it says what an image and its revisions have in common; where a revision names no commit,
one of the same image may. Nothing is decided by it either way.
"""

from __future__ import annotations

from contextlib import ExitStack

from support.fault_cells import Cell, Prepare
from support.fault_cloud_run import HUGE, LONG, STATUS, fault, spoiled
from support.fault_evidence import in_registry
from support.fault_server import cutting, dripping, resetting, stalling
from support.world import WORKER, World

METHOD = "ListRevisions"
COMPARED, NAMELESS = "Cloud Run, list of revisions", "Cloud Run, list for a nameless one"
IMAGE = "us-west2-docker.pkg.dev/test-project/images/w@sha256:" + "a" * 64


def _compared(then: Prepare) -> Prepare:
    """The registry is asked about the worker's image, and the list beside it."""

    def prepare(world: World, stack: ExitStack) -> None:
        in_registry(world, stack)
        then(world, stack)

    return prepare


def _nameless(then: Prepare) -> Prepare:
    """The worker's revision names no commit; the one before had the same image."""

    def prepare(world: World, stack: ExitStack) -> None:
        for _ in range(2):
            world.cloud.deploy(WORKER, image=IMAGE, labels={}, service_labels={})
        then(world, stack)

    return prepare


def _padded(size: int) -> Prepare:
    """What the list alone says is so long."""

    def prepare(world: World, _: ExitStack) -> None:
        world.cloud.revisions[f"{WORKER}-00001"].annotations["pad"] = "x" * size

    return prepare


#: What goes wrong in both columns, and the cause.
FAULTS: dict[str, tuple[Prepare, str]] = {
    **{row: (fault(METHOD, code=code), cause) for row, (code, cause) in STATUS.items()},
    "hang before the answer": (fault(METHOD, hang=True), "timeout"),
    "malformed": (fault(METHOD, garbage=True), "invalid-response"),
    "huge": (_padded(HUGE), "invalid-response"),
}
#: What goes wrong in the middle of a connection, on which no other answer may be under way.
BROKEN: dict[str, Prepare] = {
    "reset": spoiled("revision", resetting),
    "hang in the answer": spoiled("revision", stalling),
    "slow drip": spoiled("revision", dripping),
    "truncated": spoiled("revision", cutting),
}


def _cells() -> list[Cell]:
    unknown, unread = "no-commit-evidence", "whether another revision of the same image names a commit is not"
    alike = [(row, prepare) for row, (prepare, _) in FAULTS.items()] + [*BROKEN.items()]
    return [
        Cell(COMPARED, "nothing", _compared(_padded(LONG)), decision="allow"),
        *(
            Cell(
                COMPARED,
                row,
                _compared(prepare),
                decision="warn",
                codes=(f"evidence-unreachable ({cause})",),
            )
            for row, (prepare, cause) in FAULTS.items()
        ),
        Cell(NAMELESS, "nothing", _nameless(_padded(LONG)), cause=unknown),
        *(Cell(NAMELESS, row, _nameless(prepare), cause=unknown, words=unread) for row, prepare in alike),
    ]


CELLS = _cells()
