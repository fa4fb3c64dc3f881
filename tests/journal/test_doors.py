"""The journal names the batch that a verdict let start, and the door that it was asked for at."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest
from support.stage import BYPASS, Stage
from support.world import World

from drift_gate.journal.records import Entry
from drift_gate.journal.sqlite import SqliteJournal


@pytest.fixture
def stage(world: World) -> Iterator[Stage]:
    with contextlib.closing(Stage(world)) as ready:
        yield ready


def last(stage: Stage) -> Entry:
    return SqliteJournal(stage.folder / ".drift" / "journal.sqlite").entries(limit=1)[0]


def batches(stage: Stage) -> list[str]:
    with contextlib.closing(sqlite3.connect(stage.state)) as state:
        return [id for (id,) in state.execute("SELECT id FROM batches ORDER BY created_at")]


def test_a_start_names_its_batch(stage: Stage) -> None:
    assert stage.start().code == 0
    assert (last(stage).door, last(stage).batch) == ("start", batches(stage)[0])


def test_a_bypass_names_its_batch(stage: Stage) -> None:
    for _ in range(4):
        stage.world.change()
    assert stage.start(*BYPASS).code == 0
    assert (last(stage).door, last(stage).batch) == ("start", batches(stage)[0])
    assert last(stage).verdict.break_glass


def test_what_is_refused_has_no_batch(stage: Stage) -> None:
    for _ in range(4):
        stage.world.change()
    assert stage.start().code == 1
    assert (last(stage).door, last(stage).batch) == ("start", None)
    assert not stage.state.exists()


def test_a_start_that_goes_on_names_the_batch_that_was_left(stage: Stage) -> None:
    assert stage.start().code == 0
    with contextlib.closing(sqlite3.connect(stage.state)) as state, state:
        state.execute("UPDATE batches SET state = 'pending', ended_at = NULL")
    stage.start()
    assert len(batches(stage)) == 1
    assert last(stage).batch == batches(stage)[0]


def test_a_resumption_names_the_batch_that_it_resumes(stage: Stage) -> None:
    assert stage.start().code == 0
    (left,) = batches(stage)
    with contextlib.closing(sqlite3.connect(stage.state)) as state, state:
        state.execute("UPDATE batches SET state = 'failed'")
    stage.run("prediction-coordinator", "resume", left)
    assert len(SqliteJournal(stage.folder / ".drift" / "journal.sqlite").entries()) == 2
    assert (last(stage).door, last(stage).batch) == ("start", left)
