"""Kills a coordinator with SIGKILL, resumes what it left, and counts what was lost and what counted twice.

``python -m support.killing --runs 200`` kills at random moments; ``--steps`` at every SQL statement, one run
each. A process of its own, which forks and has no threads while it does. Two kinds of load: ``local``, and
``spool``, where two worker processes answer through a queue that delivers some messages twice.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from coordinator.worlds import a_verdict
from support.spool import Spool, SpoolDispatcher, note, received, work

from predictions.coordinator.batches.batch import Batch, Result
from predictions.coordinator.batches.contracts import Dispatcher
from predictions.coordinator.batches.orders import Order
from predictions.coordinator.batches.results import write_predictions
from predictions.coordinator.coordinator import Coordinator
from predictions.coordinator.dispatch.local import Local, local_worker
from predictions.coordinator.slate import Slate
from predictions.coordinator.store.sqlite import SqliteStore, open_sqlite
from predictions.worker.answering import Identity
from predictions.worker.worker import Prediction, PredictionRequest

DAY = date(2026, 2, 5)
#: Seconds after which a resumed batch that is not done is lost.
PATIENCE = 60.0
_WORKERS = 2

#: Each time that a request becomes completed, whoever made it so: this is how counting twice would show.
_AUDIT = """
CREATE TABLE audit (player_id TEXT NOT NULL);
CREATE TRIGGER counted AFTER UPDATE ON requests WHEN NEW.state = 'completed' BEGIN
    INSERT INTO audit VALUES (NEW.player_id);
END"""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run came to. ``found``: the batch's state after the kill; ``none``: there was none yet.

    ``lost``: requests without a prediction, or that no worker was asked. ``twice``: requests that counted
    more than once. ``again``: requests that were handed out more than once.
    """

    kind: str
    killed_at: str
    found: str
    requests: int
    lost: int
    twice: int
    again: int
    duplicates: int


class World:
    """A store, a log of whom a worker was asked, and for ``spool`` the queues with their workers."""

    def __init__(self, folder: Path, kind: str, players: int) -> None:
        self.kind = kind
        self.players = [f"P{number:04}" for number in range(players)]
        self.store = folder / "store.sqlite"
        self.log = folder / "asked.log"
        self.csv = folder / "predictions.csv"
        self.tasks, self.completions = Spool(folder / "tasks"), Spool(folder / "completions")
        self.workers = [_forked(self._work) for _ in range(_WORKERS)] if kind == "spool" else []
        with open_sqlite(self.store) as store:
            store.batches()
        with closing(sqlite3.connect(self.store)) as connection:
            connection.executescript(_AUDIT)

    def coordinator(self, store: SqliteStore) -> Coordinator:
        """One whose gate lets all pass; everything else is real."""
        local = Local(self._ask, at_a_time=10)
        dispatcher: Dispatcher = SpoolDispatcher(self.tasks) if self.kind == "spool" else local
        return Coordinator(
            store,
            dispatcher,
            gate=lambda **_: a_verdict(),
            read=self._slate,
            live=lambda _: "nobody looked",
            deliver=self._deliver,
        )

    def run(self, statement: int | None = None) -> None:
        """A coordinator from the start to the last result; it kills itself before the SQL ``statement``."""
        with open_sqlite(self.store) as store:
            if statement is not None:
                store._connection.set_trace_callback(_kills_at(statement))
            coordinator = self.coordinator(store)
            feeding = threading.Thread(target=self._feed, args=(coordinator,), daemon=True)
            if self.kind == "spool":
                feeding.start()
            coordinator.start(Order(game_date=DAY))
            while store.batches()[0].active:
                time.sleep(0.005)

    def go_on(self) -> str:
        """Resume, or start where nothing was begun, and wait for the end; the state that was found."""
        with open_sqlite(self.store) as store:
            left = store.batches()
            coordinator = self.coordinator(store)
            if left:
                coordinator.resume()
            else:
                coordinator.start(Order(game_date=DAY))
            deadline = time.monotonic() + PATIENCE
            while store.active() and time.monotonic() < deadline:
                self._take(coordinator)
        return left[0].state if left else "none"

    def judged(self, killed_at: str, found: str) -> Run:
        """What the files say, read without the coordinator's code."""
        with closing(sqlite3.connect(self.store)) as connection:
            counted = Counter(row[0] for row in connection.execute("SELECT player_id FROM audit"))
            (duplicates,) = connection.execute("SELECT sum(duplicates) FROM batches").fetchone()
            states = connection.execute("SELECT state, requested, completed FROM batches").fetchall()
        asked = Counter(self.log.read_text().split())
        with self.csv.open(newline="") as stream:
            written = Counter(row["player_id"] for row in csv.DictReader(stream))
        whole = states == [("completed", len(self.players), len(self.players))]
        lost = [each for each in self.players if not (counted[each] and asked[each] and written[each])]
        return Run(
            kind=self.kind,
            killed_at=killed_at,
            found=found,
            requests=len(self.players),
            lost=len(lost) if whole else len(self.players),
            twice=sum(count > 1 for each in (counted, written) for count in each.values()),
            again=sum(count > 1 for count in asked.values()),
            duplicates=duplicates,
        )

    def close(self) -> None:
        """End the workers."""
        for worker in self.workers:
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)

    def _slate(self, _: Order) -> Slate:
        requests = tuple(
            PredictionRequest(player_id=each, player_name="N", game_id="G", recent_points=(1.0, 2.0))
            for each in self.players
        )
        return Slate(game_date=DAY, source="made up", requests=requests)

    def _ask(self, asked: Sequence[PredictionRequest]) -> Sequence[Prediction]:
        for each in asked:
            note(self.log, each.player_id)
        return local_worker(asked)

    def _deliver(self, _: Batch, results: Iterable[Result]) -> None:
        write_predictions(self.csv, results)

    def _work(self) -> None:
        work(self.tasks, self.completions, self.log, Identity("w-1", None))

    def _feed(self, coordinator: Coordinator) -> None:
        while True:
            self._take(coordinator)

    def _take(self, coordinator: Coordinator) -> None:
        """As ``POST /complete``: counted first, then acked."""
        for file, completion in received(self.completions):
            coordinator.complete(completion)
            file.unlink()
        time.sleep(0.002)


def _forked(job: Callable[[], None]) -> int:
    """The process id of a child that does ``job`` and nothing else."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        job()
    except BaseException as error:
        print(f"the child failed: {type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)
    os._exit(0)


def _kills_at(statement: int) -> Callable[[str], None]:
    left = [statement]

    def before(_: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return before


def at_random(kind: str, players: int, seconds: float) -> Run:
    """One run, killed after ``seconds``."""
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        world = World(Path(folder), kind, players)
        try:
            child = _forked(world.run)
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return world.judged(f"{seconds:.3f} s", world.go_on())
        finally:
            world.close()


def at_statement(kind: str, players: int, statement: int) -> Run | None:
    """One run, killed before its ``statement``-th SQL statement; None: it came to its end before."""
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        world = World(Path(folder), kind, players)
        try:
            _, status = os.waitpid(_forked(lambda: world.run(statement)), 0)
            if not os.WIFSIGNALED(status):
                return None
            return world.judged(f"statement {statement}", world.go_on())
        finally:
            world.close()


def undisturbed(kind: str, players: int) -> float:
    """Seconds that a run takes that nobody kills."""
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        world = World(Path(folder), kind, players)
        try:
            started = time.monotonic()
            os.waitpid(_forked(world.run), 0)
            return time.monotonic() - started
        finally:
            world.close()


def _memory() -> str | None:
    """A kill leaves what the system was given, so that a disk would only be slower."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - the folder in it has a random name


_SUMS = {"again": "handed out again", "duplicates": "duplicates", "lost": "lost", "twice": "counted twice"}


def table(runs: Sequence[Run]) -> str:
    """The runs in Markdown, added up by kind and by what the kill left behind."""
    names = ["load", "batch when killed", "runs", "requests", *_SUMS.values()]
    lines = [f"| {' | '.join(names)} |", "|---|---|---:|---:|---:|---:|---:|---:|"]
    for kind in sorted({run.kind for run in runs}):
        for found in ("none", "pending", "dispatched", "completed"):
            some = [run for run in runs if (run.kind, run.found) == (kind, found)]
            if some:
                lines.append(_row(kind, {"none": "not there yet"}.get(found, found), some))
    return "\n".join([*lines, _row("**all**", "", runs)])


def _row(kind: str, found: str, runs: Sequence[Run]) -> str:
    sums = [
        sum(getattr(run, name) for run in runs)
        for name in ("requests", "again", "duplicates", "lost", "twice")
    ]
    return " | ".join([f"| {kind} | {found}", f"{len(runs):,}", *(f"{each:,}" for each in sums)]) + " |"


_PAGE = """\
# The kill test

`make kill-test` starts a batch {runs} times, kills its coordinator with SIGKILL at a random moment,
resumes what is left, and counts. Half of the runs let the coordinator predict by itself (`local`); in the
other half (`spool`) two worker processes answer through a queue that keeps a message until it is acked
and delivers one in ten twice, while the coordinator hands out and counts at the same time. A SQL trigger
notes each time that a request becomes completed, the workers note whom they were asked, and the files are
read without the coordinator's code. The tests run ten of these, and one run for each SQL statement at
which a coordinator can be killed.

*lost*: requests without a prediction, or that no worker was asked. *counted twice*: requests that became
completed, or are in the predictions file, more than once. Workers that are asked twice, and completions
that come twice, are no fault.

{table}
"""


def main() -> int:
    """Print a run a line, as JSON; 1 where something was lost or counted twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--players", type=int, default=273)
    parser.add_argument("--steps", choices=("local", "spool"))
    parser.add_argument("--every", type=int, default=1, help="with --steps: each so manieth statement")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, help="a page with the table")
    arguments = parser.parse_args()
    runs = []
    for run in _by_statement(arguments) if arguments.steps else _by_chance(arguments):
        print(json.dumps(asdict(run)), flush=True)
        runs.append(run)
    if arguments.write:
        page = _PAGE.format(runs=len(runs), table=table(runs))
        arguments.write.write_text(page, encoding="utf-8")
        print(table(runs))
    return 1 if any(run.lost or run.twice for run in runs) else 0


def _by_statement(arguments: argparse.Namespace) -> Iterator[Run]:
    for number in itertools.count():
        run = at_statement(arguments.steps, arguments.players, number * arguments.every)
        if run is None:
            return
        yield run


def _by_chance(arguments: argparse.Namespace) -> Iterator[Run]:
    chance = random.Random(arguments.seed)  # noqa: S311 - no secret
    lasts = {kind: undisturbed(kind, arguments.players) for kind in ("local", "spool")}
    for number in range(arguments.runs):
        kind = ("local", "spool")[number % 2]
        yield at_random(kind, arguments.players, chance.uniform(0, lasts[kind]))


if __name__ == "__main__":
    sys.exit(main())
