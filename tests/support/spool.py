"""A queue of files that behaves as Pub/Sub does: what it took stays until it is acked, and may come twice."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

from predictions.coordinator.batches.batch import Batch
from predictions.coordinator.batches.contracts import Handed
from predictions.worker.answering import Identity, answer
from predictions.worker.messages import Completion, Task, completion_from, task_from
from predictions.worker.worker import PredictionRequest

#: One message in so many comes twice.
TWICE = 10
_LOT = 10


class Spool:
    """A folder of messages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes) -> None:
        """Take the message, whole; now and then it is there twice."""
        for _ in range(2 if random.randrange(TWICE) == 0 else 1):  # noqa: S311 - no secret
            name = uuid4().hex
            (self._folder / f".{name}").write_bytes(data)
            (self._folder / f".{name}").rename(self._folder / name)

    def messages(self) -> list[Path]:
        """What is not acked, in no order; a message is acked by removing its file."""
        return [self._folder / name for name in os.listdir(self._folder) if not name.startswith(".")]


class SpoolDispatcher:
    """A ``Dispatcher`` into a spool; it goes by the name of the way that it stands for."""

    name = "pubsub"

    def __init__(self, tasks: Spool) -> None:
        self._tasks = tasks

    def dispatch(self, batch: Batch, requests: Iterable[PredictionRequest]) -> Iterator[Handed]:
        """As ``Dispatcher.dispatch``."""
        lot: list[str] = []
        for each in requests:
            self._tasks.put(Task(batch_id=batch.id, request=each, attempt=batch.rounds).to_json())
            lot.append(each.player_id)
            if len(lot) == _LOT:
                yield Handed(tuple(lot))
                lot.clear()
        if lot:
            yield Handed(tuple(lot))


def work(tasks: Spool, completions: Spool, log: Path, who: Identity) -> None:
    """A worker, for ever: answers each task, acks it once the answer is safe, and notes whom it was asked."""
    while True:
        for file in tasks.messages():
            try:
                task = task_from(file.read_bytes())
            except FileNotFoundError:  # another worker was quicker
                continue
            note(log, task.request.player_id)
            completions.put(answer(task, who).to_json())
            file.unlink(missing_ok=True)
        time.sleep(0.001)


def received(completions: Spool) -> Iterator[tuple[Path, Completion]]:
    """The completions that are there, each with the file that acks it."""
    for file in completions.messages():
        yield file, completion_from(file.read_bytes())


def note(log: Path, line: str) -> None:
    """One line more; whole, whoever else writes."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)
