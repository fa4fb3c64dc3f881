"""The SQLite file: what is left when a coordinator dies, files of other versions, and files that are none."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from coordinator.stores import DAY, STAMP, a_batch, answer
from coordinator.worlds import NOW
from support.forkserver import forkserver
from support.limits import ENOUGH_S

from predictions.coordinator.exceptions import BatchRunningError, StateError
from predictions.coordinator.store.sqlite import open_sqlite

ROOT = Path(__file__).parents[3]
OLD = Path(__file__).with_name("old") / "state_1.sql"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "store.sqlite"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of schema version 1 with three batches."""
    file = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(OLD.read_text(encoding="utf-8"))
    return file


@pytest.fixture
def old_2(tmp_path: Path) -> Path:
    """A file of schema version 2 with three batches."""
    file = tmp_path / "old_2.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(OLD.with_name("state_2.sql").read_text(encoding="utf-8"))
    return file


def test_nothing_asked_is_no_file(file: Path) -> None:
    with open_sqlite(file):
        assert not file.parent.exists()


def test_write_ahead_logging_lets_status_read_while_a_batch_is_written(file: Path) -> None:
    with open_sqlite(file) as store:
        assert store.batches() == []
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_killed_coordinator_frees_the_date_at_once_and_leaves_its_batch(file: Path) -> None:
    script = (
        "import sys, time; sys.path[:0] = ['.', 'tests']\n"
        "from pathlib import Path\n"
        "from coordinator.stores import DAY, a_batch\n"
        "from coordinator.worlds import NOW\n"
        "from predictions.coordinator.store.sqlite import open_sqlite\n"
        "with open_sqlite(Path(sys.argv[1])) as store, store.claim(DAY, NOW):\n"
        "    store.create(a_batch(), NOW)\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
    )
    argv = [sys.executable, "-c", script, str(file)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with open_sqlite(file) as store, pytest.raises(BatchRunningError), store.claim(DAY, NOW):
            pytest.fail("the date is held by the other process")
        process.send_signal(signal.SIGKILL)
    with open_sqlite(file) as store, store.claim(DAY, NOW):
        (batch,) = store.active(DAY)
    assert batch.state == "pending"


def test_processes_may_create_the_same_file_at_once(file: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from predictions.coordinator.store.sqlite import open_sqlite\n"
        "print('ready', flush=True); sys.stdin.read()\n"
        "with open_sqlite(Path(sys.argv[1])) as store: print(len(store.batches()))\n"
    )
    (waits, go), (said, says) = os.pipe(), os.pipe()
    with open(waits, "rb") as stdin, open(says, "wb") as out:
        processes = [
            forkserver().fork(
                script, [str(file)], cwd=ROOT, env=os.environ, stdin=stdin, stdout=out, stderr=out
            )
            for _ in range(4)
        ]
    with open(said, encoding="utf-8") as lines:
        assert [lines.readline() for _ in range(4)] == ["ready\n"] * 4
        os.close(go)  # the end of their input, for all of them at once
        assert lines.read() == "0\n" * 4
    assert [process.wait(ENOUGH_S) for process in processes] == [0] * 4


class TestAFileOfVersionOne:
    def test_keeps_its_batches_and_their_predictions(self, old: Path) -> None:
        with open_sqlite(old) as store:
            batches = store.batches()
            assert [(each.id, each.state, each.progress.completed) for each in batches] == [
                ("3", "pending", 1),
                ("2", "failed", 1),
                ("1", "completed", 2),
            ]
            pending, failed, completed = batches
            assert (pending.stamp.gate_decision, pending.stamp.enforced) == ("deny", False)
            assert (failed.error, failed.set_aside) == ("the worker failed on player P1", 1)
            assert completed.ended_at is not None
            assert [(each.player_name, each.points) for each in store.results("1")] == [
                ("Öner 0", 7.5),
                ("Öner 1", 7.5),
            ]

    def test_goes_on_with_what_was_under_way(self, old: Path) -> None:
        with open_sqlite(old) as store:
            store.begin("3", NOW)
            assert [each.player_id for each in store.requests("3", ["pending"])] == ["P0", "P2"]
            told = [answer("3", f"P{number}") for number in range(3)]
            assert store.apply(told, NOW) == ["counted", "duplicate", "counted"]
            assert store.settled("3")

    def test_is_of_our_version_afterwards(self, old: Path) -> None:
        with open_sqlite(old) as store:
            store.batches()
        with closing(sqlite3.connect(old)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (3,)
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with open_sqlite(old) as store:
            assert len(store.batches()) == 3

    def test_keeps_the_newest_of_two_batches_that_were_left_pending(self, old: Path) -> None:
        with closing(sqlite3.connect(old)) as connection, connection:
            connection.execute("UPDATE batches SET state = 'pending', ended_at = NULL WHERE id = 2")
        with open_sqlite(old) as store:
            assert [batch.id for batch in store.active(DAY)] == ["3"]
            assert [batch.state for batch in store.batches(DAY)] == ["pending", "failed"]

    def test_that_cannot_be_brought_up_stays_as_it_was(self, old: Path) -> None:
        """Half a migration would be worse than none."""
        with closing(sqlite3.connect(old)) as connection, connection:
            connection.execute("CREATE TABLE counters (anything TEXT)")
        with open_sqlite(old) as store, pytest.raises(StateError, match="counters"):
            store.batches()
        with closing(sqlite3.connect(old)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (1,)
            assert connection.execute("SELECT count(*) FROM requests WHERE batch_id = 3").fetchone() == (3,)


class TestAFileOfVersionTwo:
    """It kept no terms: what a key was used for is not known, and nothing is tolerated."""

    def test_keeps_its_batches_and_their_predictions(self, old_2: Path) -> None:
        with open_sqlite(old_2) as store:
            batches = store.batches()
            assert [(each.id, each.state, each.terms, each.resumed) for each in batches] == [
                ("2026-02-05-0c0c0c0c", "dispatched", None, ()),
                ("2026-02-04-0b0b0b0b", "failed", None, ()),
                ("2026-02-03-0a0a0a0a", "completed", None, ()),
            ]
            assert [each.gate_decision for each in store.results(batches[2].id)] == ["warn"] * 3
            assert store.errors(batches[1].id, 3) == [("P001", "no games")]

    def test_goes_on_with_what_had_failed_on_another_verdict(self, old_2: Path) -> None:
        failed, again = "2026-02-04-0b0b0b0b", STAMP.model_copy(update={"gate_decision": "allow"})
        with open_sqlite(old_2) as store:
            batch = store.begin(failed, NOW, again)
            assert (batch.state, batch.rounds, batch.stamps) == ("pending", 2, (STAMP, again))
            later = [replace(answer(failed, each), attempt=2) for each in ("P001", "P002")]
            assert store.apply(later, NOW) == ["counted"] * 2
            decisions = {each.player_id: each.gate_decision for each in store.results(failed)}
            assert decisions == {"P000": "warn", "P001": "allow", "P002": "allow"}

    def test_is_of_our_version_afterwards(self, old_2: Path) -> None:
        with open_sqlite(old_2) as store:
            store.batches()
        with closing(sqlite3.connect(old_2)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (3,)
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


class TestAFileThatCannotBeUsed:
    def test_a_directory(self, tmp_path: Path) -> None:
        with (
            open_sqlite(tmp_path) as store,
            pytest.raises(StateError, match="cannot be used: unable to open"),
        ):
            store.batches()

    def test_no_sqlite_file(self, tmp_path: Path) -> None:
        file = tmp_path / "store.sqlite"
        file.write_text("not a database, but long enough to look like a broken one\n" * 40)
        with open_sqlite(file) as store, pytest.raises(StateError, match="file is not a database"):
            store.batches()

    def test_a_file_of_a_later_version(self, file: Path) -> None:
        with open_sqlite(file) as store:
            store.batches()
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA user_version = 99")
        with open_sqlite(file) as store, pytest.raises(StateError, match="schema 99, this version knows 3"):
            store.batches()

    def test_a_folder_that_takes_no_lock_file(self, file: Path) -> None:
        with open_sqlite(file) as store:
            store.batches()
            file.with_name("store.sqlite.2026-02-05.lock").mkdir()
            with pytest.raises(StateError, match="cannot be locked"), store.claim(DAY, NOW):
                pytest.fail("a directory was locked")


def test_a_reader_of_the_file_sees_the_predictions_in_one_place(file: Path) -> None:
    """Whoever asks the file by SQL need not know how requests are kept."""
    with open_sqlite(file) as store:
        batch = store.create(a_batch(), NOW)
        store.apply([answer(batch.id, "P000")], NOW)
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT batch_id, player_id, points FROM predictions").fetchall()
    assert rows == [(batch.id, "P000", 7.5)]


def test_what_is_asked_at_each_look_and_answer_reads_through_no_table(file: Path) -> None:
    """Neither the batches that have ended nor the other requests of a batch are read for it."""
    with open_sqlite(file) as store:
        batch = store.create(a_batch(), NOW)
        asked: list[str] = []
        store._connection.set_trace_callback(asked.append)
        store.get(batch.id)
        store.settled(batch.id)
        store.active()
        store.active(DAY)
        store.stall(NOW - timedelta(seconds=1), NOW)
        assert len(store.stall(NOW + timedelta(seconds=1), NOW)) == 1
        store.apply([answer(batch.id, "P000"), answer(batch.id, "P001")], NOW)
        store._connection.set_trace_callback(None)
        plans = {
            each: [row["detail"] for row in store._read(f"EXPLAIN QUERY PLAN {each}")]
            for each in asked
            if "batches" in each
        }
    assert len(plans) >= 8
    through = {
        each: plan
        for each, plan in plans.items()
        if any(step.startswith("SCAN") and "USING INDEX one_active_batch" not in step for step in plan)
    }
    assert not through
