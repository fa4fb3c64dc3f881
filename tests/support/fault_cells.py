"""The cells of the fault matrix: one outside call, one fault, and what a check has to make of it.

A world is prepared in which the worker is current, so that without the fault the gate would allow: that
is the first cell of every call. Then one thing goes wrong.
"""

from __future__ import annotations

import atexit
import logging
import random
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from support.github import certificate
from support.processes import left_running
from support.world import CLOUD_RUN, WORKER, World
from support.zygote import Zygote, zygote

from drift_gate.policy.verdict import Reason, Verdict
from drift_gate.runtime import background
from drift_gate.testing import FakeCloudRun, HistoryBuilder
from drift_gate.testing.git_server import GitServer
from drift_gate.wiring import rollouts

#: The deadline of every cell, and those of one that ran out of time and should not have, by itself.
DEADLINE_S, LONGER_S = 1.0, (2.0, 6.0, 20.0)
#: How many cells run side by side.
AT_ONCE = 6
#: Seconds after which a thread of a check that ended at its deadline is one that nothing ends.
WIND_UP_S = 60.0

#: The rows, in the order of the table.
FAULTS = (
    "nothing",
    "refused",
    "reset",
    "hang at connect",
    "hang before the answer",
    "hang in the answer",
    "slow drip",
    "401",
    "403",
    "404",
    "408",
    "429",
    "429 with Retry-After",
    "500",
    "503",
    "truncated",
    "malformed",
    "huge",
    "wrong content type",
    "TLS failure",
    "DNS failure",
    "not readable",
    "locked",
    "disk full",
    "clock jumps back",
    "clock jumps forward",
)

#: Puts the fault into the world; what it opens stays open on the stack until all cells are done.
Prepare = Callable[[World, ExitStack], object]


@dataclass(frozen=True)
class Cell:
    """``call`` is the column, ``fault`` the row.

    ``decision`` and ``cause`` (None: the drift is known) are what the verdict has to be, ``codes`` the
    reason codes that it has to have. ``words`` must be there in its messages, ``warning`` in a line of the
    log. ``held`` is the number of threads that a call holds which nothing can interrupt: daemons that nobody
    waits for. ``own_process``: the check runs in a fork of its own; ``file_size`` is the most bytes that a
    file may take there (None: any), and with ``record`` not a check is made but a note in the ledger.
    """

    call: str
    fault: str
    prepare: Prepare
    decision: str = "deny"
    cause: str | None = None
    codes: tuple[str, ...] = ()
    words: str = ""
    warning: str = ""
    held: int = 0
    own_process: bool = False
    file_size: int | None = None
    record: bool = False

    @property
    def outcome(self) -> str:
        """What the table says."""
        if self.warning and not self.cause:
            return f"{self.decision}, with a warning"
        told = self.cause or ", ".join(self.codes)
        return f"{self.decision}: {told}" if told and self.decision != "deny" else told or self.decision


def coded(reason: Reason) -> str:
    """The code of ``reason``; with the cause where no evidence could be had."""
    unheard = reason.code == "evidence-unreachable"
    return f"{reason.code} ({reason.data['cause']})" if unheard else reason.code


@dataclass(frozen=True)
class Seen:
    """What a check came to, and how long it took."""

    decision: str
    cause: str | None
    codes: tuple[str, ...]
    seconds: float
    warnings: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    message: str = ""
    threads: int = 0


@dataclass
class Column:
    """What all cells of one call came to, and the threads that were still at it when all had ended."""

    seen: dict[str, Seen] = field(default_factory=dict)
    threads: int = 0


def wrong(cell: Cell, seen: Seen) -> list[str]:
    """What is not as it has to be, in words."""
    found = []
    if (seen.decision, seen.cause) != (cell.decision, cell.cause):
        found.append(f"{seen.decision}, cause {seen.cause}, not {cell.decision}, cause {cell.cause}")
    if missing := set(cell.codes) - set(seen.codes):
        found.append(f"no reason {missing}")
    if cell.words not in seen.message:
        found.append(f"nothing that says {cell.words!r}")
    if not any(cell.warning in each for each in seen.warnings or [""] * (not cell.warning)) and cell.warning:
        found.append(f"no warning that says {cell.warning!r}: {seen.warnings}")
    if cell.own_process and seen.threads > cell.held:
        found.append(f"{seen.threads} threads went on")
    if seen.left:
        found.append(f"left behind: {seen.left}")
    return [f"{cell.call}, {cell.fault}: {each} ({seen.message})" for each in found]


#: Which check goes on; what it leaves to go on beside it has the same.
_CHECK = ContextVar("check", default="")


class _Heard(logging.Handler):
    """The warnings of the gate, by the check that they belong to."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append((_CHECK.get(), record.getMessage()))

    def of_this_check(self) -> tuple[str, ...]:
        return tuple(text for check, text in self.told if check == _CHECK.get())


def trust() -> dict[str, str]:
    """What makes Google's clients trust the certificate that stands in for Google's."""
    return {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(google_certificate()), "GRPC_VERBOSITY": "NONE"}


@cache
def google_certificate() -> Path:
    """Key and certificate of what passes for Google on this machine, for as long as this process lives."""
    folder = tempfile.mkdtemp(prefix="fault-matrix-")
    atexit.register(shutil.rmtree, folder, True)
    return certificate(Path(folder), "run.googleapis.com")


#: Bytes of a file that nobody needs, which make a pack that is long enough to be cut.
LARGE = 400_000


@dataclass(frozen=True)
class Ground:
    """What every cell starts from, made once: ``repo``, its ``remote``, and one that is a commit ``ahead``.

    ``server`` serves all three over HTTP. ``blobs`` are the worker's files: the content's id by path.
    """

    folder: Path
    first: str
    server: GitServer
    blobs: dict[str, str]


@cache
def ground() -> Ground:
    folder = Path(tempfile.mkdtemp(prefix="fault-matrix-"))
    atexit.register(shutil.rmtree, folder, True)
    with FakeCloudRun() as cloud:
        world = World(folder / "repo", cloud)
    world.history.clone(folder / "remote")
    ahead = world.history.clone(folder / "ahead")
    large = random.Random(1).randbytes(LARGE)  # noqa: S311 - any bytes that do not compress
    ahead.commit({"docs/large.bin": large}, when=datetime.now(UTC) - timedelta(minutes=30))
    listed = world.history.git("ls-tree", "-r", "main", "predictions/worker", "shared").splitlines()
    blobs = {path: entry.split()[2] for entry, path in (line.split("\t") for line in listed)}
    return Ground(folder, world.first, GitServer(folder).__enter__(), blobs)


class CellWorld(World):
    """A world whose repository is a copy of the ground's, since there is one for each cell."""

    def __post_init__(self) -> None:
        shutil.copytree(ground().folder / "repo", self.folder)
        self.history = HistoryBuilder(self.folder)
        self.first = ground().first


@contextmanager
def _listening() -> Iterator[_Heard]:
    heard = _Heard()
    log = logging.getLogger("drift_gate")
    log.addHandler(heard)
    try:
        yield heard
    finally:
        log.removeHandler(heard)


def ours() -> int:
    """How many threads of the gate there are."""
    return sum(thread.name.startswith("drift-gate") for thread in threading.enumerate())


def run(cells: Sequence[Cell], folder: Path) -> Column:
    """All ``cells`` of one call, side by side. Every fault lasts until the last check has ended."""
    column = Column()
    before = ours()
    with ExitStack() as stack, _listening() as heard:
        worlds = [_world(cell, folder / str(number), stack) for number, cell in enumerate(cells)]
        forks = stack.enter_context(zygote(trust())) if any(cell.own_process for cell in cells) else None

        def seen(cell: Cell, world: World) -> Seen:
            return check(world, heard) if forks is None else _check_apart(cell, world, forks)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            column.seen = dict(
                zip((cell.fault for cell in cells), pool.map(seen, cells, worlds), strict=True)
            )
        for cell, world in zip(cells, worlds, strict=True):
            for seconds in LONGER_S:
                if _starved(cell, column.seen[cell.fault]):
                    world.toml = re.sub(r'deadline = "[^"]*"', f'deadline = "{seconds}s"', world.toml)
                    column.seen[cell.fault] = seen(cell, world)
        held = 0 if forks else sum(cell.held for cell in cells)
        until = time.monotonic() + WIND_UP_S
        while ours() - before > held and time.monotonic() < until:
            time.sleep(0.05)
        column.threads = ours() - before
    return column


def verdict_before_the_fault(world: World) -> Verdict:
    """The verdict that a fault needs to have been given before it; on a busy machine that takes its time."""
    tight = world.toml
    world.toml = re.sub(r'deadline = "[^"]*"', 'deadline = "60s"', tight)
    try:
        return world.verdict()
    finally:
        world.toml = tight


def half_written(folder: Path) -> list[str]:
    """Locks of git, and what it or the mirror began to write and did not end, anywhere below ``folder``.

    But for the packs of a checkout's broken fetches: they are git's own, who removes them with `git gc`. And
    but for the gate's own lock, whose file stays when nobody holds it.
    """
    locks = (each for each in folder.rglob(".git/**/*.lock") if each.parent.name != "drift-gate")
    begun = [*locks, *folder.rglob("tmp_*"), *folder.rglob("making-*")]
    told = [str(path.relative_to(folder)) for path in begun]
    return [each for each in told if not each.startswith("repo/.git/objects/pack/tmp_")]


def _starved(cell: Cell, seen: Seen) -> bool:
    """Whether a check ran out of time that should not have.

    Side by side, and beside whatever else a machine does, it may be kept from the processor for a second. One
    that is still looking for credentials then says that it found none within that time.
    """
    out_of_time = (
        seen.cause == "timeout"
        or any("(timeout)" in code for code in seen.codes)
        or "no Google credentials were found within" in seen.message
    )
    return bool(wrong(cell, seen)) and out_of_time


def _check_apart(cell: Cell, world: World, forks: Zygote) -> Seen:
    """The same in a process of its own."""
    settings = world.settings()
    commit = world.first if cell.record else None
    answer = forks.check(world.folder, settings.environ, file_size=cell.file_size, record=commit)
    return Seen(
        decision=answer.decision,
        cause=answer.cause,
        codes=answer.codes,
        seconds=answer.seconds,
        warnings=answer.warnings,
        left=(*left_running(str(world.folder)), *half_written(world.folder.parent)),
        message=answer.message,
        threads=answer.threads,
    )


def _world(cell: Cell, folder: Path, stack: ExitStack) -> World:
    """A world where the worker is current, and the fault in it."""
    folder.mkdir()
    cloud = stack.enter_context(FakeCloudRun())
    world = CellWorld(folder / "repo", cloud, CLOUD_RUN.replace('"60s"', f'"{DEADLINE_S}s"'))
    cloud.deploy(WORKER, commit=world.first)
    cell.prepare(world, stack)
    return world


def check(world: World, heard: _Heard) -> Seen:
    """One check, and what it left behind."""
    settings = world.settings()
    started = time.monotonic()
    _CHECK.set(f"{world.folder} {started}")
    outcome = rollouts.check(wait=0, settings=settings)  # as every door does
    seconds = time.monotonic() - started
    background.finish()
    [verdict] = outcome.services
    unknown = verdict.report.unknown
    return Seen(
        decision=outcome.decision,
        cause=unknown.cause if unknown else None,
        codes=tuple(map(coded, verdict.reasons)),
        seconds=seconds,
        warnings=heard.of_this_check(),
        left=(*left_running(str(world.folder)), *half_written(world.folder.parent)),
        message="; ".join(reason.message for reason in verdict.reasons),
    )
