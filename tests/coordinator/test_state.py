"""The state file: whole steps, one start per date, and what is left when a coordinator dies."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from coordinator.worlds import NOW

from predictions.coordinator.exceptions import BatchError, BatchRunningError, StateError
from predictions.coordinator.results import write_predictions
from predictions.coordinator.state import NewBatch, Result, State, open_state
from predictions.worker.worker import Prediction, PredictionRequest

DAY = date(2026, 2, 5)
ROOT = Path(__file__).parents[2]


def a_batch(players: int = 2) -> NewBatch:
    requests = [
        PredictionRequest(player_id=f"P{number}", player_name="N", game_id="G", recent_points=(1,))
        for number in range(players)
    ]
    return NewBatch(
        game_date=DAY, slate="a file", requests=requests, set_aside=1, decision="warn", enforced=True
    )


def a_prediction(player: str) -> Prediction:
    return Prediction(player_id=player, game_id="G", points=7.5)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state.sqlite"


class TestABatch:
    def test_is_kept_from_pending_to_completed(self, file: Path) -> None:
        with open_state(file) as state:
            batch_id = state.create(a_batch(), NOW)
            (row,) = state.batches()
            assert (row.state, row.requested, row.predicted, row.set_aside) == ("pending", 2, 0, 1)
            state.keep(batch_id, [a_prediction("P0")])
            assert state.results(batch_id) == [Result("P0", "N", "G", 7.5)]
            state.complete(batch_id, NOW + timedelta(minutes=1))
            (row,) = state.batches()
        assert (row.state, row.predicted, row.error, row.decision) == ("completed", 1, None, "warn")
        assert row.ended_at == "2026-02-05T16:01:00+00:00"

    def test_is_listed_by_date_the_newest_first(self, file: Path) -> None:
        with open_state(file) as state:
            first, second = state.create(a_batch(), NOW), state.create(a_batch(), NOW)
            assert [row.id for row in state.batches(DAY)] == [second, first]
            assert state.batches(date(2026, 2, 6)) == []

    def test_is_there_with_all_of_its_requests_or_not_at_all(self, file: Path) -> None:
        twice = [*a_batch(1).requests, *a_batch(1).requests]
        broken = NewBatch(
            game_date=DAY, slate="s", requests=twice, set_aside=0, decision="allow", enforced=True
        )
        with open_state(file) as state:
            with pytest.raises(StateError, match="UNIQUE"):
                state.create(broken, NOW)
            assert state.batches() == []

    def test_counts_no_prediction_twice_and_none_that_nobody_asked_for(self, file: Path) -> None:
        with open_state(file) as state:
            batch_id = state.create(a_batch(), NOW)
            state.keep(batch_id, [a_prediction("P0")])
            for player in ("P0", "P99"):
                with pytest.raises(StateError, match="constraint failed"):
                    state.keep(batch_id, [a_prediction("P1"), a_prediction(player)])
            assert [row.player_id for row in state.results(batch_id)] == ["P0"]


class TestTheClaim:
    def test_a_second_start_of_the_date_hears_which_batch_is_at_work(self, file: Path) -> None:
        with open_state(file) as state, state.claim(DAY, NOW), open_state(file) as other:
            batch_id = state.create(a_batch(), NOW)
            expected = f"at work on 2026-02-05: batch {batch_id}, 0 of 2 predicted"
            with pytest.raises(BatchRunningError, match=expected), other.claim(DAY, NOW):
                pytest.fail("two starts hold the same date")
            with other.claim(date(2026, 2, 6), NOW):
                assert other.batches(date(2026, 2, 6)) == []

    def test_a_claim_without_a_batch_yet_is_told_as_well(self, file: Path) -> None:
        with open_state(file) as state, state.claim(DAY, NOW), open_state(file) as other:
            claim = other.claim(DAY, NOW)
            with pytest.raises(BatchRunningError, match="at work on 2026-02-05; `prediction"), claim:
                pytest.fail("two starts hold the same date")

    def test_ends_with_its_block(self, file: Path) -> None:
        with open_state(file) as state:
            with state.claim(DAY, NOW):
                batch_id = state.create(a_batch(), NOW)
            with state.claim(DAY, NOW):
                assert [row.id for row in state.batches()] == [batch_id]

    def test_a_killed_coordinator_frees_the_date_and_its_batch_is_marked_failed(self, file: Path) -> None:
        """kill -9 in the middle of a batch: the next start goes on, and the record says what happened."""
        script = (
            "import sys, time; sys.path[:0] = ['.', 'tests']\n"
            "from pathlib import Path\n"
            "from coordinator.test_state import DAY, NOW, a_batch\n"
            "from predictions.coordinator.state import open_state\n"
            "with open_state(Path(sys.argv[1])) as state, state.claim(DAY, NOW):\n"
            "    state.create(a_batch(), NOW)\n"
            "    print('ready', flush=True)\n"
            "    time.sleep(60)\n"
        )
        argv = [sys.executable, "-c", script, str(file)]
        with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            with open_state(file) as state, pytest.raises(BatchRunningError), state.claim(DAY, NOW):
                pytest.fail("the date is held by the other process")
            process.send_signal(signal.SIGKILL)
        with open_state(file) as state, state.claim(DAY, NOW):
            (row,) = state.batches()
        assert (row.state, row.error) == ("failed", "its coordinator ended before it")

    def test_a_folder_that_takes_no_lock_file_is_a_state_error(self, file: Path) -> None:
        with open_state(file) as state:
            file.with_name("state.sqlite.2026-02-05.lock").mkdir()
            with pytest.raises(StateError, match="cannot be locked"), state.claim(DAY, NOW):
                pytest.fail("a directory was locked")


class TestAFileThatCannotBeUsed:
    def test_a_directory(self, tmp_path: Path) -> None:
        with pytest.raises(StateError, match="cannot be opened"), open_state(tmp_path):
            pytest.fail("a directory was opened")

    def test_no_sqlite_file(self, tmp_path: Path) -> None:
        file = tmp_path / "state.sqlite"
        file.write_text("not a database, but long enough to look like a broken one\n" * 40)
        with pytest.raises(StateError, match="cannot be used: file is not a database"), open_state(file):
            pytest.fail("a text file was used")

    def test_a_file_of_another_version(self, file: Path) -> None:
        with open_state(file):
            pass
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
        with pytest.raises(StateError, match="it has schema 99, this version knows 1"), open_state(file):
            pytest.fail("a foreign schema was used")


def test_processes_may_create_the_same_file_at_once(file: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, '.')\n"
        "from pathlib import Path\n"
        "from predictions.coordinator.state import open_state\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "with open_state(Path(sys.argv[1])) as state: print(len(state.batches()))\n"
    )
    argv = [sys.executable, "-c", script, str(file)]
    processes = [
        subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=30)[0] for process in processes] == ["0\n"] * 4


class TestThePredictionsFile:
    def test_is_replaced_as_a_whole(self, tmp_path: Path) -> None:
        file = tmp_path / "predictions.csv"
        file.write_text("older and longer than what comes\n" * 10)
        write_predictions(file, [Result("P1", "Öner, A", "G", 7.5)])
        text = file.read_text(encoding="utf-8")
        assert text == 'player_id,player_name,game_id,points\nP1,"Öner, A",G,7.5\n'
        assert os.listdir(tmp_path) == ["predictions.csv"]

    def test_that_cannot_be_written_is_a_batch_error_and_leaves_nothing_beside(self, tmp_path: Path) -> None:
        (tmp_path / "predictions.csv").mkdir()
        with pytest.raises(BatchError, match="cannot be written"):
            write_predictions(tmp_path / "predictions.csv", [])
        assert os.listdir(tmp_path) == ["predictions.csv"]


def test_an_open_state_is_what_the_module_says(file: Path) -> None:
    """Write-ahead logging, so that `status` can read while a batch is written."""
    with open_state(file) as state:
        assert isinstance(state, State)
        with sqlite3.connect(file) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.close()
