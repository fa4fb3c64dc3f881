"""What durable batches cost: the store against bare SQLite, dispatch against Google's own client."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.measuring import Row, in_turn, wall
from predictions.coordinator.batches.batch import NewBatch, new_id
from predictions.coordinator.batches.stamp import Stamp, Terms
from predictions.coordinator.dispatch.pubsub import PubSub
from predictions.coordinator.store.sqlite import SqliteStore, open_sqlite
from predictions.worker.messages import Completion, Task
from predictions.worker.pubsub import publisher
from predictions.worker.worker import Prediction, PredictionRequest

ROOT = Path(__file__).parents[1]
REQUESTS, ROUNDS = 100_000, 3
#: Completions that are counted in one transaction, as ``local`` and ``http`` do.
AT_A_TIME = 50
DAY, NOW = date(2026, 2, 5), datetime(2026, 2, 5, 16, 0, tzinfo=UTC)
STAMP = Stamp(
    service="prediction-worker",
    gate_decision="allow",
    enforced=True,
    live_revisions=("prediction-worker-00041-abc",),
    live_commits=("a" * 40,),
    target_commit="a" * 40,
    policy_hash="0123456789ab",
)


def requests(count: int) -> Iterator[PredictionRequest]:
    """Players who are made as they are asked for."""
    for number in range(count):
        yield PredictionRequest(
            player_id=f"P{number:06}", player_name="Name", game_id="G1", recent_points=(1.0, 2.0, 3.0)
        )


def new_batch(count: int) -> NewBatch:
    """A batch of so many requests."""
    return NewBatch(
        id=new_id(DAY),
        game_date=DAY,
        slate="made up",
        requests=requests(count),
        set_aside=0,
        dispatch="pubsub",
        stamp=STAMP,
        terms=Terms(),
    )


def completions(batch_id: str, count: int) -> Iterator[Completion]:
    """The answer to each request."""
    for each in requests(count):
        yield Completion(
            batch_id=batch_id,
            request_id=each.player_id,
            prediction=Prediction(player_id=each.player_id, game_id=each.game_id, points=2.0),
            revision="prediction-worker-00041-abc",
            commit="a" * 40,
        )


def store_rows() -> list[Row]:
    """A batch written and all of its results counted, beside the same rows by ``executemany``.

    In memory where there is such a folder: a disk that others use would be most of what is measured.
    """
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - the folder in it has a random name
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        rows = in_turn(
            {
                "bare SQLite, 100,000 rows in": wall(partial(_bare_insert, Path(folder))),
                "a batch of 100,000 created": wall(partial(_create, Path(folder))),
                "bare SQLite, 100,000 rows changed, 50 a transaction": _changed(Path(folder), _bare_update),
                "100,000 results counted, 50 a transaction": _changed(Path(folder), _count),
            },
            ROUNDS,
        )
    names = list(rows)
    for bare, ours in ((names[0], names[1]), (names[2], names[3])):
        ratio = rows[ours].median_ms / rows[bare].median_ms
        rows[ours] = replace(rows[ours], remark=f"{ratio:.2f} times bare SQLite")
    return list(rows.values())


def _fresh(folder: Path) -> Path:
    return folder / f"{uuid4().hex}.sqlite"


def _bare_insert(folder: Path) -> None:
    with closing(_bare(_fresh(folder))):
        pass


def _bare(file: Path) -> sqlite3.Connection:
    """The rows of ``requests`` in a table of their own, in one transaction."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(
        "CREATE TABLE requests (player_id TEXT PRIMARY KEY, player_name TEXT, game_id TEXT,"
        " recent_points TEXT, state TEXT, points REAL, worker_revision TEXT, worker_commit TEXT)"
        " WITHOUT ROWID"
    )
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT INTO requests VALUES (?, ?, ?, ?, 'pending', NULL, NULL, NULL)",
        (
            (each.player_id, each.player_name, each.game_id, json.dumps(each.recent_points))
            for each in requests(REQUESTS)
        ),
    )
    connection.execute("COMMIT")
    return connection


def _create(folder: Path) -> None:
    with open_sqlite(_fresh(folder)) as store:
        store.create(new_batch(REQUESTS), NOW)


def _changed(folder: Path, change: Callable[[Path], float]) -> Callable[[], float]:
    return lambda: change(_fresh(folder))


def _bare_update(file: Path) -> float:
    with closing(_bare(file)) as connection:
        told = completions("b", REQUESTS)

        def update() -> None:
            while lot := list(islice(told, AT_A_TIME)):
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    "UPDATE requests SET state = 'completed', points = ?, worker_revision = ?,"
                    " worker_commit = ? WHERE player_id = ?",
                    ((2.0, each.revision, each.commit, each.request_id) for each in lot),
                )
                connection.execute("COMMIT")

        return wall(update)()


def _count(file: Path) -> float:
    with open_sqlite(file) as store:
        batch = store.create(new_batch(REQUESTS), NOW)
        told = completions(batch.id, REQUESTS)

        def count() -> None:
            while lot := list(islice(told, AT_A_TIME)):
                store.apply(lot, NOW)

        return wall(count)()


def dispatch_rows() -> list[Row]:
    """100,000 messages into one emulator: Google's client by itself, our dispatch, and with the store."""
    with emulator("pubsub") as host, tempfile.TemporaryDirectory() as folder:
        topic = _topic(host)
        rows = in_turn(
            {
                "Google's client, one loop": wall(partial(_bare_publish, host, topic)),
                "dispatch": wall(partial(_dispatch, host, topic)),
                "dispatch out of the store, noted in it": _changed(
                    Path(folder), partial(_noted, host, topic)
                ),
            },
            ROUNDS,
        )
    bare, *ours = rows
    for name in ours:
        ratio = rows[name].median_ms / rows[bare].median_ms
        per_second = REQUESTS / rows[name].median_ms * 1000
        rows[name] = replace(rows[name], remark=f"{ratio:.2f} times; {per_second:,.0f} messages a second")
    return list(rows.values())


def _bare_publish(host: str, topic: str) -> None:
    """The least that hands out the same: the client with our settings, every future waited for at the end."""
    client = publisher(host)
    attributes = {**STAMP.attributes(), "batch_id": "b", "attempt": "1"}
    futures = deque(
        client.publish(topic, Task(batch_id="b", request=each).to_json(), **attributes)
        for each in requests(REQUESTS)
    )
    for future in futures:
        future.result(timeout=120)
    client.stop()


def _dispatch(host: str, topic: str) -> None:
    with tempfile.TemporaryDirectory() as folder, open_sqlite(Path(folder) / "s") as store:
        batch = store.create(new_batch(0), NOW)
    dispatcher = PubSub(partial(publisher, host), topic)
    sent = sum(len(each.request_ids) for each in dispatcher.dispatch(batch, requests(REQUESTS)))
    dispatcher.close()
    if sent != REQUESTS:
        raise ValueError(f"{sent} of {REQUESTS} were handed out")


def _noted(host: str, topic: str, file: Path, count: int = REQUESTS) -> float:
    with open_sqlite(file) as store:
        batch = store.create(new_batch(count), NOW)
        dispatcher = PubSub(partial(publisher, host), topic)
        took = wall(partial(_note, store, dispatcher, batch.id))()
        dispatcher.close()
    return took


def _note(store: SqliteStore, dispatcher: PubSub, batch_id: str) -> None:
    batch = store.get(batch_id)
    if batch is None:
        raise ValueError("the batch is gone")
    for handed in dispatcher.dispatch(batch, store.requests(batch_id, ("pending",))):
        store.mark_dispatched(batch_id, handed.request_ids, NOW)


_MEMORY = """
import sys
from pathlib import Path
from benchmarks import batches
from benchmarks.measuring import peak_mib
took = batches._noted(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
print(took, peak_mib())
"""


def memory_rows() -> list[Row]:
    """The peak of a process that creates a batch of so many requests and hands it out."""
    rows = []
    with emulator("pubsub") as host, tempfile.TemporaryDirectory() as folder:
        topic = _topic(host)
        for count in (1_000, 10_000, 100_000):
            argv = [sys.executable, "-c", _MEMORY, host, topic, str(_fresh(Path(folder))), str(count)]
            done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
            took, peak = (float(each) for each in done.stdout.split())
            rows.append(
                Row(f"{count:,} requests", took * 1000, (took * 1000,) * 2, f"{peak:,.0f} MiB at most")
            )
    return rows


def emulator(name: str) -> Any:
    """``host:port`` of one, for a block; the tests know how to start it."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support.emulators import running

    return running(name)


def _topic(host: str) -> str:
    import grpc
    from google.pubsub_v1.services.publisher import PublisherClient
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

    topic = f"projects/p{uuid4().hex[:8]}/topics/tasks"
    with grpc.insecure_channel(host) as channel:
        PublisherClient(transport=PublisherGrpcTransport(channel=channel)).create_topic(name=topic)
    return topic
