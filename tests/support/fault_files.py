"""The fault matrix's columns for files and for the clock: the ledger, the decisions, what was confirmed."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.fault_cells import Cell, Prepare, verdict_before_the_fault
from support.fault_git import address_at, put_remote, upstream
from support.fault_server import FaultServer, relay
from support.world import WORKER, World

LEDGER, JOURNAL, CLOCK = "ledger file", "journal", "clock"
NOTED, CONFIRMED, MIRROR = "ledger file, noted in", "git remote, noted as confirmed", "git mirror, made"
#: Bytes that no file of a check needs, and no file that a check writes fits into.
FULL = 64
#: Bytes of a line that nobody wrote by hand.
HUGE = 64 << 20


def _line(world: World, **more: str) -> bytes:
    said = {"service": WORKER, "commit": world.first, "recorded_at": "2026-02-05T09:00:00+00:00", **more}
    return json.dumps(said).encode() + b"\n"


def ledger(spoil: Callable[[World, Path, ExitStack], object]) -> Prepare:
    """The ledger says that the worker is current, and is then spoiled."""

    def prepare(world: World, stack: ExitStack) -> None:
        world.toml = world.toml.replace("[defaults]", '[defaults]\nlive = "ledger"')
        file = world.folder / ".drift" / "ledger.jsonl"
        file.parent.mkdir()
        file.write_bytes(_line(world))
        spoil(world, file, stack)

    return prepare


def journal(spoil: Callable[[World, Path, ExitStack], object]) -> Prepare:
    """A table of decisions is asked for where something is in its way."""

    def prepare(world: World, stack: ExitStack) -> None:
        file = world.folder.parent / "kept" / "journal.sqlite"
        file.parent.mkdir()
        world.toml += f'\n[journal]\nstore = "{file}"\n'
        spoil(world, file, stack)

    return prepare


def nothing(*_: object) -> None:
    """All is well."""


def remove(_: World, file: Path, __: ExitStack) -> None:
    file.unlink()


def folder_instead(_: World, file: Path, __: ExitStack) -> None:
    """Root may read every file, so what cannot be read is a folder."""
    file.unlink(missing_ok=True)
    file.mkdir()


def pipe_instead(_: World, file: Path, __: ExitStack) -> None:
    """A pipe that nobody writes into: whoever opens or reads it waits for ever."""
    file.unlink(missing_ok=True)
    os.mkfifo(file)


def append(content: bytes) -> Callable[[World, Path, ExitStack], object]:
    def spoil(_: World, file: Path, __: ExitStack) -> None:
        with file.open("ab") as out:
            out.write(content)

    return spoil


def cut(world: World, file: Path, _: ExitStack) -> None:
    """A newer line, of which half was written."""
    with file.open("ab") as out:
        out.write(_line(world)[:40])


def locked(_: World, file: Path, stack: ExitStack) -> None:
    """Another process is writing, and does not end."""
    held = sqlite3.connect(file, check_same_thread=False)
    stack.callback(held.close)
    held.execute("BEGIN EXCLUSIVE")


def text_instead(_: World, file: Path, __: ExitStack) -> None:
    file.write_text("decided_at,service,decision\n" * 100)


def mirror(world: World, _: ExitStack) -> None:
    """There is no mirror yet."""
    world.toml = world.toml.replace("[defaults]", '[defaults]\nhistory = "mirror"')
    world.environ = {**world.environ, "DRIFT_CACHE_DIR": str(world.folder.parent / "cache")}


def remote(world: World, stack: ExitStack) -> None:
    """origin/main is wanted, and there."""
    server = stack.enter_context(FaultServer(relay(upstream())))
    put_remote(world, address_at(server.host))


def confirmed_at(ago: timedelta) -> Prepare:
    """The remote is gone; what it last confirmed was noted so long ago, by the clock as it is now."""

    def prepare(world: World, stack: ExitStack) -> None:
        server = stack.enter_context(FaultServer(relay(upstream())))
        put_remote(world, address_at(server.host))
        assert verdict_before_the_fault(world).decision == "allow"
        server.stop()
        [file] = (world.folder / ".git").rglob("confirmed.json")
        kept = json.loads(file.read_text())
        for entry in kept.values():
            entry["confirmed_at"] = (datetime.now(UTC) - ago).isoformat()
        file.write_text(json.dumps(kept))

    return prepare


def rollout_since(ago: timedelta) -> Prepare:
    """A rollout is under way that began so long ago, by the clock as it is now."""
    return lambda world, _: world.cloud.roll_out(WORKER, commit=world.first, since=datetime.now(UTC) - ago)


def commits_from_tomorrow(world: World, _: ExitStack) -> None:
    """Four missing commits were made by a machine whose clock is a day ahead."""
    for number in range(4):
        world.history.commit(
            {"predictions/worker/worker.py": f"V = {number}\n"}, when=datetime.now(UTC) + timedelta(days=1)
        )


BACK, FORWARD = "clock jumps back", "clock jumps forward"
WARNED = "is not in the journal"

CELLS = [
    Cell(LEDGER, "nothing", ledger(nothing), decision="allow"),
    Cell(LEDGER, "404", ledger(remove), cause="not-found"),
    Cell(LEDGER, "not readable", ledger(folder_instead), cause="unavailable"),
    Cell(LEDGER, "hang before the answer", ledger(pipe_instead), cause="unavailable"),
    Cell(LEDGER, "truncated", ledger(cut), cause="invalid-response"),
    Cell(LEDGER, "malformed", ledger(append(b'{"service": \xff}\n')), cause="invalid-response"),
    Cell(LEDGER, "huge", ledger(append(b"x" * HUGE)), cause="invalid-response"),
    Cell(LEDGER, "wrong content type", ledger(append(b"SQLite format 3\0\n")), cause="invalid-response"),
    Cell(NOTED, "nothing", ledger(nothing), decision="recorded", own_process=True, record=True),
    Cell(
        NOTED, "disk full", ledger(nothing), decision="error", cause="unavailable",
        own_process=True, record=True, file_size=FULL,
    ),
    Cell(
        NOTED, "not readable", ledger(folder_instead), decision="error", cause="unavailable",
        own_process=True, record=True,
    ),
    Cell(JOURNAL, "nothing", journal(nothing), decision="allow"),
    Cell(JOURNAL, "not readable", journal(folder_instead), decision="allow", warning=WARNED),
    Cell(JOURNAL, "hang before the answer", journal(pipe_instead), decision="allow", warning=WARNED),
    Cell(JOURNAL, "malformed", journal(text_instead), decision="allow", warning=WARNED),
    Cell(JOURNAL, "locked", journal(locked), decision="allow", warning=WARNED),
    Cell(MIRROR, "nothing", mirror, decision="allow", own_process=True),
    Cell(MIRROR, "disk full", mirror, cause="history-unavailable", own_process=True, file_size=FULL),
    Cell(CONFIRMED, "nothing", remote, decision="allow", own_process=True),
    Cell(CONFIRMED, "disk full", remote, decision="allow", own_process=True, file_size=FULL),
    Cell(CLOCK, "nothing", nothing, decision="allow"),
    Cell(CLOCK, BACK, confirmed_at(timedelta(minutes=-5)), cause="unavailable"),
    Cell(CLOCK, FORWARD, confirmed_at(timedelta(hours=2)), cause="unavailable"),
]  # fmt: skip
ROLLOUT, COMMITS = "clock, of a rollout", "clock, of commits"
CELLS += [
    Cell(ROLLOUT, BACK, rollout_since(timedelta(hours=-3)), decision="warn", codes=("rollout-in-progress",)),
    Cell(ROLLOUT, FORWARD, rollout_since(timedelta(hours=3)), codes=("rollout-stalled",)),
    Cell(COMMITS, BACK, commits_from_tomorrow, codes=("too-many-commits-behind",)),
    Cell(
        JOURNAL, "disk full", journal(nothing), decision="allow", warning=WARNED,
        own_process=True, file_size=FULL,
    ),
]  # fmt: skip
