"""What the coordinator's server takes: completions and looks, each beside the least that does the same."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from urllib.request import Request, urlopen
from uuid import uuid4

from benchmarks.batches import DAY, NOW, completions, emulator, new_batch, requests
from benchmarks.measuring import Row, in_turn, wall
from predictions.coordinator.batches.batch import new_id
from predictions.coordinator.store.firestore import open_firestore

ROOT = Path(__file__).parents[1]
#: A checkout of an older build, which takes its turn beside ours; without it there is no row for it.
BEFORE = os.environ.get("BENCH_BEFORE")
ASKED, ROUNDS = 1_200, 7
CONNECTIONS = (1, 24)
BATCHES, UNDER_WAY = 1_000, 60


@dataclass(slots=True)
class _Server:
    """One that serves: its port, what it is still to be told, and the CPU seconds that this took of it."""

    process: subprocess.Popen[str]
    port: int
    bodies: Iterator[bytes]
    cpu: list[float] = field(default_factory=list)

    def seconds(self) -> float:
        """CPU seconds since it began (Linux)."""
        told = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def completion_rows() -> list[Row]:
    """Completions over 1 and 24 kept connections; a commit goes to memory, or to a disk."""
    rows = []
    for where, place in (("memory", "/dev/shm"), ("disk", None)):  # noqa: S108 - the folder in it has a random name
        if place is None or Path(place).is_dir():
            for connections in CONNECTIONS:
                rows += _rows(where, place, connections)
    return rows


def _rows(where: str, place: str | None, connections: int) -> list[Row]:
    asked = ASKED if where == "memory" else ASKED // 4
    with tempfile.TemporaryDirectory(dir=place) as folder, ExitStack() as stack:
        servers = {"bare FastAPI": stack.enter_context(_bare(Path(folder)))}
        for name, build in {"before": BEFORE, "ours": str(ROOT)}.items():
            if build:
                servers[name] = stack.enter_context(_served(Path(folder) / name, Path(build)))
        subjects: dict[str, Callable[[], float]] = {
            name: partial(_ask, server, connections, asked) for name, server in servers.items()
        }
        rows = in_turn(subjects, ROUNDS)
    bare = rows["bare FastAPI"]
    told = []
    for name, row in rows.items():
        cpu = {each: median(server.cpu[1:]) / asked for each, server in servers.items()}
        remark = f"{asked / row.median_ms * 1000:,.0f} a second, {cpu[name] * 1e6:,.0f} µs of CPU each"
        if row is not bare:
            fast, lean = bare.median_ms / row.median_ms, cpu["bare FastAPI"] / cpu[name]
            remark += f"; {fast:.2f} times bare, {lean:.2f} by CPU"
        told.append(replace(row, subject=f"{name}, {connections} connections, {where}", remark=remark))
    return told


@contextmanager
def _bare(folder: Path) -> Iterator[_Server]:
    argv = [sys.executable, "-m", "benchmarks.bare_server", str(folder / "bare.sqlite")]
    with _serving(argv, ROOT, {}) as (process, port):
        yield _Server(process, port, _bodies("b"))


@contextmanager
def _served(folder: Path, build: Path) -> Iterator[_Server]:
    """The coordinator of ``build``, with a batch at which workers are."""
    file = folder / "batches.sqlite"
    made = subprocess.run(
        [sys.executable, "-c", _MADE, str(file)],
        cwd=build,
        env={**os.environ, "PYTHONPATH": str(build)},
        capture_output=True,
        text=True,
        check=True,
    )
    argv = [sys.executable, "-c", _SERVE, "serve", "--port", "0"]
    with _serving(argv, build, {"COORDINATOR_STORE": str(file)}) as (process, port):
        yield _Server(process, port, _bodies(made.stdout.strip()))


def look_rows() -> list[Row]:
    """``GET /batches`` with 1,000 batches in Firestore's emulator, 60 of them under way."""
    with emulator("firestore") as host, ExitStack() as stack:
        project = f"p{uuid4().hex[:8]}"
        _fill(host, project)
        environ = {"COORDINATOR_STORE": f"firestore://{project}", "FIRESTORE_EMULATOR_HOST": host}
        argv, servers = [sys.executable, "-c", _SERVE, "serve", "--port", "0"], {}
        for name, build in {"before": BEFORE, "ours": str(ROOT)}.items():
            if build:
                servers[name] = stack.enter_context(_serving(argv, Path(build), environ))[1]
        subjects = {f"GET /batches, {name}": wall(partial(_look, port)) for name, port in servers.items()}
        return list(in_turn(subjects, 2 * ROUNDS).values())


def start_rows() -> list[Row]:
    """``POST /start`` of the slate that ships, 273 players, from the gate to the results; on a disk."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        argv, servers = [sys.executable, "-c", _SERVE, "serve", "--port", "0"], {}
        for name, build in {"before": BEFORE, "ours": str(ROOT)}.items():
            if build:
                root = _world(Path(folder) / name)
                servers[name] = stack.enter_context(_serving(argv, Path(build), {}, root))[1]
        subjects = {f"POST /start, {name}": wall(partial(_start, port)) for name, port in servers.items()}
        return list(in_turn(subjects, 2 * ROUNDS).values())


def _world(root: Path) -> Path:
    """A repository whose worker is deployed at HEAD; the tests know how to make one.

    Its settings are those that the build before knows, too.
    """
    sys.path.insert(0, str(ROOT / "tests"))
    from coordinator.worlds import SETTINGS, World

    made = World(root)
    made.write_settings(SETTINGS.replace('[journal]\nstore = ".drift/journal.sqlite"\n', ""))
    made.deploy()
    return root


def _start(port: int) -> None:
    asked = Request(
        f"http://127.0.0.1:{port}/start",
        data=json.dumps({"game_date": DAY.isoformat()}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urlopen(asked, timeout=60) as answer:  # noqa: S310 - our own server
        batch = json.load(answer)["batch"]
    if (batch["state"], batch["progress"]["completed"]) != ("completed", 273):
        raise ValueError(batch)


def _fill(host: str, project: str) -> None:
    """The last sixty of a thousand batches go on; they have two requests each."""
    days = [DAY + timedelta(number) for number in range(BATCHES)]
    with open_firestore(project, "(default)", host) as store, ThreadPoolExecutor(16) as pool:

        def made(day: date) -> None:
            batch = store.create(replace(new_batch(2), id=new_id(day), game_date=day), NOW)
            store.mark_dispatched(batch.id, [each.player_id for each in requests(2)], NOW)
            store.move(batch.id, "dispatched" if day in days[-UNDER_WAY:] else "cancelled", NOW)

        list(pool.map(made, days))


def _look(port: int) -> None:
    with urlopen(f"http://127.0.0.1:{port}/batches", timeout=60) as answer:
        if len(json.load(answer)["batches"]) != 100:
            raise ValueError("that is no page of batches")


_SERVE = """
import sys
try:  # before the coordinator had rooms; asked for first, since an older build's lack is made good by ours
    from predictions.coordinator.cli import main
except ModuleNotFoundError:
    from predictions.coordinator.commands.main import main
sys.exit(main())
"""
_MADE = """
import sys
from pathlib import Path
from benchmarks.batches import NOW, REQUESTS, new_batch
from predictions.coordinator.store.sqlite import open_sqlite
with open_sqlite(Path(sys.argv[1])) as store:
    print(store.create(new_batch(REQUESTS), NOW).id)
"""


def _bodies(batch_id: str) -> Iterator[bytes]:
    """A push for each request of the batch."""
    for number, each in enumerate(completions(batch_id, 100_000)):
        message = {"data": base64.b64encode(each.to_json()).decode(), "messageId": str(number)}
        yield json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"}).encode()


@contextmanager
def _serving(
    argv: list[str], build: Path, environ: dict[str, str], folder: Path | None = None
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server of ``build`` that runs in ``folder`` (None: its own) for the block, and its port."""
    known = {**os.environ, "PYTHONPATH": str(build), **environ}
    with subprocess.Popen(argv, cwd=folder or build, env=known, stderr=subprocess.PIPE, text=True) as process:
        try:
            said = next(line for line in process.stderr or () if "listening on" in line)
            yield process, int(said.split()[-1])
        finally:
            process.kill()


def _ask(server: _Server, connections: int, asked: int) -> float:
    """Seconds until ``asked`` completions are answered as counted."""
    bodies = list(islice(server.bodies, asked))

    async def all_of_them() -> float:
        left = iter(bodies)
        streams = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(connections)]
        before, started = server.seconds(), time.perf_counter()
        await asyncio.gather(*(_one(*stream, left) for stream in streams))
        took = time.perf_counter() - started
        server.cpu.append(server.seconds() - before)
        for _, writer in streams:
            writer.close()
        return took

    return asyncio.run(all_of_them())


async def _one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: Iterator[bytes]) -> None:
    for body in left:
        writer.write(b"POST /complete HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        answer = await reader.readexactly(length)
        if answer != b'{"applied":"counted"}':
            raise ValueError(answer)
