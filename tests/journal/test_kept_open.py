"""The journal's file while a process keeps it open: no less is kept than where each call opens it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from journal.stores import at, entry
from support.forkserver import forkserver

from drift_gate.errors import JournalError
from drift_gate.journal.kept_open import KEPT
from drift_gate.journal.sqlite import SqliteJournal

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """The file of a process that keeps it open."""
    with KEPT.wanted():
        yield tmp_path / "journal.sqlite"


def rows(path: Path) -> int:
    """Decisions, as somebody else reads them."""
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM decisions").fetchone()
    return int(count)


def beside(path: Path) -> list[str]:
    return sorted(each.name.removeprefix(path.name) for each in path.parent.iterdir())


def test_what_is_written_is_there_for_others_at_once_and_in_the_file_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with KEPT.wanted():
        for hours in range(3):
            SqliteJournal(path).record([entry(hours)])
            assert rows(path) == hours + 1
        assert beside(path) == ["", "-shm", "-wal", ".lock"]
    assert beside(path) == ["", ".lock"]
    SqliteJournal(path).record([entry(3)])
    assert beside(path) == ["", ".lock"]
    assert rows(path) == 4


def test_others_write_meanwhile(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.record([entry(0)])
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE decisions SET decided_at = ?", (at(1).isoformat(timespec="microseconds"),))
    assert [each.at for each in journal.entries()] == [at(1)]


def test_several_at_once_wait_for_nobody_who_hangs(path: Path) -> None:
    """Whoever has it open has it alone: another opens it for itself."""
    journal = SqliteJournal(path)
    journal.record([entry(0)])
    with journal._reading() as one, journal._reading() as other:
        assert one is not other
        journal.record([entry(1)])
    assert len(journal.entries()) == 2


@pytest.mark.parametrize("names", [("", "-wal", "-shm"), ("",)])
def test_a_file_that_was_moved_away_gets_no_more(path: Path, names: tuple[str, ...]) -> None:
    journal, moved = SqliteJournal(path), path.with_name("moved.sqlite")
    journal.record([entry(0)])
    for name in names:
        path.with_name(path.name + name).rename(moved.with_name(moved.name + name))
    journal.record([entry(1), entry(2)])
    assert rows(path) == 2
    if "-wal" in names:
        assert rows(moved) == 1


def test_one_that_was_deleted_is_made_anew(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.record([entry(0)])
    path.unlink()
    journal.record([entry(1)])
    assert rows(path) == 1


def test_one_that_a_later_version_brought_to_its_schema_is_written_no_more(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.record([entry(0)])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(
        JournalError,
        match=r"it has schema 99, this version knows \d+; install the one that wrote it, or a later one$",
    ):
        journal.record([entry(1)])
    assert rows(path) == 1


def test_what_fails_is_not_half_there_and_stops_no_other(path: Path) -> None:
    journal = SqliteJournal(path, busy_s=0)
    journal.record([entry(0)])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="database is locked"):
            journal.record([entry(1)])
    journal.record([entry(1)])
    assert rows(path) == 2


def test_each_call_waits_for_another_writer_as_long_as_it_says(path: Path) -> None:
    SqliteJournal(path, busy_s=0).record([entry(0)])
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        ending = threading.Timer(0.2, other.execute, ("COMMIT",))
        ending.start()
        SqliteJournal(path, busy_s=60).record([entry(1)])
        ending.join()
    assert rows(path) == 2


#: A process of its own, since a fork of the test's would take pytest's threads and clients along.
PROGRAM = """
import os, sys
from pathlib import Path
from journal.stores import entry
from drift_gate.journal.kept_open import KEPT
from drift_gate.journal.sqlite import SqliteJournal

path = Path(sys.argv[1])
journal = SqliteJournal(path, busy_s=60)

def held():
    links = (os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
             if os.path.lexists(f"/proc/self/fd/{fd}"))
    return [each for each in links if path.name in each and not each.endswith(".lock")]

with KEPT.wanted():
    journal.record([entry(0)])
    assert held()
    children = []
    for number in range(1, 20, 2):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                assert not held(), held()
                journal.record([entry(number)])
                code = 0
            finally:
                os._exit(code)
        children.append(child)
        journal.record([entry(number + 1)])
    assert [os.waitpid(each, 0)[1] for each in children] == [0] * len(children)
    assert len(journal.entries()) == 21
    assert held()
assert not held()
"""


def test_it_crosses_no_fork(tmp_path: Path) -> None:
    """Parent and children keep all that they wrote."""
    done = forkserver().run(PROGRAM, [str(tmp_path / "journal.sqlite")], cwd=ROOT, env={"PATH": ""})
    assert done.returncode == 0, done.stderr


def test_one_that_was_moved_alone_takes_its_rows_along(path: Path) -> None:
    journal, moved = SqliteJournal(path), path.with_name("moved.sqlite")
    journal.record([entry(0)])
    path.rename(moved)
    journal.record([entry(1), entry(2)])
    assert rows(moved) == 1
    assert rows(path) == 2


def test_a_copy_that_takes_its_place_is_not_overwritten_by_what_it_lacks(path: Path) -> None:
    """What waits in the ``-wal`` belongs to the file that was there."""
    journal, copy = SqliteJournal(path), path.with_name("copy.sqlite")
    journal.record([entry(0), entry(1)])
    with closing(sqlite3.connect(path)) as connection, closing(sqlite3.connect(copy)) as other:
        connection.backup(other)
        other.execute("DELETE FROM decisions")
        other.commit()
        other.execute("PRAGMA journal_mode = DELETE")
    journal.record([entry(number) for number in range(2, 40)])
    copy.rename(path)
    journal.record([entry(41)])
    assert rows(path) == 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


@pytest.mark.parametrize("names", [("-wal",), ("-wal", "-shm")])
def test_rows_outlive_what_was_deleted_beside_the_file(path: Path, names: tuple[str, ...]) -> None:
    journal = SqliteJournal(path)
    journal.record([entry(0)])
    for name in names:
        path.with_name(path.name + name).unlink()
    journal.record([entry(1)])
    assert rows(path) == 2


#: Two processes that keep the same file open, told one after the other what to write.
SEVERAL = """
import os, sqlite3, sys
from pathlib import Path
from journal.stores import entry
from drift_gate.journal.kept_open import KEPT
from drift_gate.journal.sqlite import SqliteJournal

path, copy = Path(sys.argv[1]), sys.argv[2] == "replace"
moved = path.with_name("moved.sqlite")

def rows(path):
    connection = sqlite3.connect(path)
    [(ids,)] = connection.execute("SELECT group_concat(id) FROM decisions").fetchall()
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    return sorted(int(each.split()[1]) for each in ids.split(","))

def writer():
    asked, told = os.pipe(), os.pipe()
    if os.fork():
        def write(number):
            os.write(asked[1], bytes([number]))
            assert os.read(told[0], 1) == b"y"
        return write
    try:
        with KEPT.wanted():
            while (number := os.read(asked[0], 1)) != b"\\xff":
                SqliteJournal(path, busy_s=60).record([entry(number[0])])
                os.write(told[1], b"y")
        os.write(told[1], b"y")
    finally:
        os._exit(0)

one, other = writer(), writer()
one(0)
other(1)
if copy:
    connection, made = sqlite3.connect(path), sqlite3.connect(path.with_name("copy"))
    connection.backup(made)
    made.execute("PRAGMA journal_mode = DELETE")
    made.close()
    connection.close()
one(2)
other(3)
os.link(path, moved)
path.with_name("copy").rename(path) if copy else path.unlink()
if not copy:  # somebody who keeps nothing open makes the new file
    SqliteJournal(path).record([entry(8)])
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
for number, write in enumerate([one, other, one, other], 4):
    write(number)
there = [0, 1, 4, 5, 6, 7] if copy else [4, 5, 6, 7, 8]
assert rows(path) == there, rows(path)
one(255)
other(255)
assert rows(path) == there, rows(path)
assert rows(moved) == [0, 1, 2, 3], rows(moved)
"""


@pytest.mark.parametrize("how", ["move", "replace"])
def test_several_processes_leave_the_file_without_taking_each_other_s_rows(tmp_path: Path, how: str) -> None:
    asked = [str(tmp_path / "journal.sqlite"), how]
    done = forkserver().run(SEVERAL, asked, cwd=ROOT, env={"PATH": ""})
    assert done.returncode == 0, done.stderr
