"""A fetch that was cut off in the pack: nothing of it passes for a commit, and the next check is whole."""

from __future__ import annotations

import os
import random
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.fault_cells import CellWorld, ground
from support.fault_git import packed, put_remote
from support.fault_server import FaultServer, relay, stalling
from support.limits import in_time
from support.mirrors import Remoted, serving
from support.world import CLOUD_RUN, WORKER

from drift_gate.errors import SourceError
from drift_gate.testing import FakeCloudRun
from drift_gate.testing.git_server import GitServer


def test_a_checkout_is_not_left_with_a_part_of_what_it_lacked(tmp_path: Path) -> None:
    """Git unpacks a small pack object by object: the commit would be there, and its files would not."""
    with FakeCloudRun() as cloud, ExitStack() as stack:
        reached = threading.Event()

        def stall(connection: socket.socket, rest: bytes, ended: threading.Event) -> None:
            reached.set()
            stalling(connection, rest, ended)

        def cut(seconds: float) -> CellWorld:
            toml = CLOUD_RUN.replace("60s", f"{seconds:g}s")
            world = CellWorld(tmp_path / f"{seconds:g}", cloud, toml)
            cloud.deploy(WORKER, commit=world.first)
            packed(stall)(world, stack)
            unknown = world.verdict().report.unknown
            assert unknown is not None
            assert unknown.cause == "timeout"
            return world

        world = in_time(cut, late=lambda _: not reached.is_set())
        target = (ground().folder / "ahead" / ".git" / "refs/heads/main").read_text().strip()
        assert "missing" in world.history.git("cat-file", "--batch-check", stdin=f"{target}\n".encode())
        world.history.git("remote", "remove", "origin")
        world.toml = CLOUD_RUN
        put_remote(world, f"{ground().server.url}/ahead/.git")
        assert world.verdict().decision == "allow"
        missing = world.history.git("rev-list", "--objects", "--missing=print", target)
        assert not [line for line in missing.splitlines() if line.startswith("?")]


def cut_off(w: Remoted, seconds: float) -> list[Path]:
    """What a fetch that did not end within so many seconds has begun."""
    with pytest.raises(SourceError, match="did not end within"):
        w.mirror(deadline=seconds, limit=-1).target()
    return [*w.current().rglob("tmp_*")]


def test_a_mirror_sweeps_up_what_a_killed_fetch_began(tmp_path: Path) -> None:
    """Else every check that runs out of time would leave a file as large as what it had got by then."""
    remote = serving(tmp_path / "remote")
    remote.commit({"a.py": "1\n"})
    with GitServer(tmp_path) as server:
        there = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        with FaultServer(relay(there)) as road:
            w = Remoted(
                remote, tmp_path / "cache", f"http://{road.host}/remote/.git", {"PATH": os.environ["PATH"]}
            )
            w.mirror().target()
            noise = random.Random(1).randbytes(300_000).hex()  # noqa: S311 - any text that is long
            tip = remote.commit({"a.py": "2\n"}, subject=f"long\n\n{noise}")
            road.way = relay(there, after=100_000, then=stalling)
            begun = in_time(lambda seconds: cut_off(w, seconds), late=lambda begun: not begun)
            assert begun
            road.way = relay(there)
            assert w.mirror().target().commit == tip
        assert [*w.current().rglob("tmp_*")] == []
