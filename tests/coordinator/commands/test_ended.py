"""A coordinator that is told to end while a worker has its requests."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator

import pytest
from coordinator.worlds import World
from support.forkserver import COORDINATOR, forkserver

from drift_gate.settings.location import environment
from predictions.coordinator.store.sqlite import open_sqlite


@pytest.fixture
def silent_worker() -> Iterator[socket.socket]:
    """It is connected to, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(120)
        yield listening


@pytest.mark.parametrize(
    ("number", "code", "state"),
    [(signal.SIGTERM, 143, "pending"), pytest.param(signal.SIGINT, 130, "failed", marks=pytest.mark.heavy)],
)
def test_does_not_wait_for_the_worker_and_leaves_the_batch_to_the_next(
    number: signal.Signals, code: int, state: str, world: World, silent_worker: socket.socket
) -> None:
    """SIGTERM: somebody else will go on; Ctrl-C: somebody gave it up. The worker has an hour to answer."""
    environ = {
        **environment(),
        "COORDINATOR_DISPATCH": "http",
        "COORDINATOR_WORKER_URL": f"http://127.0.0.1:{silent_worker.getsockname()[1]}",
        "COORDINATOR_WORKER_TIMEOUT": "3600",
    }
    start = ["start", "--game-date", "2026-02-05"]
    with forkserver().running(COORDINATOR, start, cwd=world.root, env=environ) as (process, _, told):
        connection, _ = silent_worker.accept()
        with connection:
            connection.recv(1)
            process.send_signal(number)
            said = told.read()
        assert process.wait(120) == code, said
    with open_sqlite(world.root / ".drift" / "predictions.sqlite") as store:
        (batch,) = store.batches()
        assert (batch.state, batch.progress.dispatched) == (state, 0)
        with store.claim(batch.game_date, batch.created_at):
            assert store.active() == ([batch] if state == "pending" else [])
