"""A file system on which SQLite answers ``wal`` and then cannot map its shared memory.

Here a directory is where ``-shm`` belongs: real SQLite then fails in the same way.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from coordinator.stores import a_batch
from coordinator.worlds import NOW

from predictions.coordinator.exceptions import StateError
from predictions.coordinator.store.sqlite import open_sqlite

ROOT = Path(__file__).parents[3]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A place where WAL cannot be used."""
    place = tmp_path / "there" / "store.sqlite"
    place.with_name("store.sqlite-shm").mkdir(parents=True)
    return place


def _journal(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    return str(mode)


def _made(file: Path) -> str:
    """The id of a batch that is kept in ``file``."""
    with open_sqlite(file) as store:
        return store.create(a_batch(), NOW).id


def test_sqlite_itself_answers_wal_and_then_fails(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        assert connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("BEGIN IMMEDIATE")


def test_a_new_file_has_a_rollback_journal_and_one_warning_says_so(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    batch = _made(file)
    with open_sqlite(file) as store:
        assert [each.id for each in store.batches()] == [batch]
    assert _journal(file) == "delete"
    (warning,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert warning.getMessage().startswith(f"{file} has a rollback journal, since WAL cannot be used there")
    assert sorted(each.name for each in file.parent.iterdir()) == [
        "store.sqlite",
        "store.sqlite-shm",
        "store.sqlite.lock",
    ]


def test_a_file_with_a_rollback_journal_keeps_it_where_wal_would_do(
    file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    batch = _made(file)
    caplog.clear()
    moved = Path(shutil.copy(file, tmp_path / "moved.sqlite"))
    with open_sqlite(moved) as store:
        assert [each.id for each in store.batches()] == [batch]
    assert _journal(moved) == "delete"
    assert not caplog.records


def test_a_file_that_was_there_is_never_removed(file: Path, tmp_path: Path) -> None:
    """Its rows are in the file and in its ``-wal``: both stay as they are, and the next step is named."""
    elsewhere = tmp_path / "elsewhere.sqlite"
    with open_sqlite(elsewhere) as store:
        batch = store.create(a_batch(), NOW).id
        wal = Path(shutil.copy(f"{elsewhere}-wal", f"{file}-wal"))
        shutil.copy(elsewhere, file)
    before = (file.read_bytes(), wal.read_bytes())
    with open_sqlite(file) as store, pytest.raises(StateError, match="another folder") as raised:
        store.batches()
    assert str(raised.value).startswith(f"{file} cannot be used: ")
    assert (file.read_bytes(), wal.read_bytes()) == before
    file.with_name("store.sqlite-shm").rmdir()
    with open_sqlite(file) as store:
        assert [each.id for each in store.batches()] == [batch]


def test_an_empty_file_that_was_there_is_not_ours_to_remove(file: Path) -> None:
    file.touch()
    inode = file.stat().st_ino
    _made(file)
    assert file.stat().st_ino == inode
    assert _journal(file) == "delete"


@pytest.mark.heavy
def test_processes_may_create_it_at_once_and_one_of_them_warns(file: Path) -> None:
    script = (
        "import sys; sys.path[:0] = ['.', 'tests']\n"
        "from pathlib import Path\n"
        "from datetime import timedelta\n"
        "from coordinator.stores import DAY, a_batch\n"
        "from coordinator.worlds import NOW\n"
        "from predictions.coordinator.store.sqlite import open_sqlite\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "day = DAY + timedelta(int(sys.argv[2]))\n"
        "with open_sqlite(Path(sys.argv[1])) as store: store.create(a_batch(day=day), NOW)\n"
    )
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(file), str(number)],
            cwd=ROOT,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = "".join(process.communicate()[1] for process in processes)
    assert said.count("has a rollback journal") == 1, said
    with open_sqlite(file) as store:
        assert len(store.batches()) == 4
