"""The journal's file: written by an earlier version or a later one, locked, full, damaged."""

from __future__ import annotations

import logging
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from journal.stores import SERVICE, bypassed, entry, look

from drift_gate.errors import JournalError
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.journal.sqlite_schema import SCHEMA_VERSION

ROOT = Path(__file__).parents[2]
#: Written by the version before the journal: ``DecisionsSink`` of 2026-11-29.
OLD = Path(__file__).with_name("old") / "decisions.sql"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A decisions file of the version before."""
    path = tmp_path / "decisions.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD.read_text(encoding="utf-8"))
    return path


class TestTakenOver:
    """No row of an earlier version is lost, and none counts twice."""

    def test_each_row_with_all_that_it_says(self, old: Path, tmp_path: Path) -> None:
        with closing(sqlite3.connect(old)) as connection:
            rows = connection.execute(
                "SELECT decided_at, service, verdict FROM decisions ORDER BY id"
            ).fetchall()
        journal = SqliteJournal(tmp_path / "journal.sqlite", old=old)
        for _ in range(2):
            found = journal.entries()
            assert sorted(
                (each.at.isoformat(), each.verdict.service, each.verdict.model_dump_json()) for each in found
            ) == sorted(rows)
        assert {(each.door, each.by, each.version) for each in found} == {(None, None, None)}

    def test_its_incidents_too(self, old: Path, tmp_path: Path) -> None:
        journal = SqliteJournal(tmp_path / "journal.sqlite", old=old)
        assert {(each.id, each.state) for each in journal.incidents()} == {
            (f"{SERVICE}#1", "resolved"),
            ("reports#1", "open"),
        }
        assert journal.incidents() == journal.rebuild()

    def test_what_the_earlier_version_goes_on_writing(self, old: Path, tmp_path: Path) -> None:
        journal = SqliteJournal(tmp_path / "journal.sqlite", old=old)
        before = len(journal.entries())
        with closing(sqlite3.connect(old)) as connection, connection:
            connection.execute(
                "INSERT INTO decisions (decided_at, service, decision, enforced, status, reasons, verdict)"
                " SELECT decided_at, service, decision, enforced, status, reasons, verdict"
                " FROM decisions WHERE id = 1"
            )
        assert len(journal.entries()) == before + 1

    @pytest.mark.parametrize(
        "content", [b"no database at all, but long enough to be taken for one" * 20, b""]
    )
    def test_a_file_that_is_none_stops_nothing(
        self, content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "decisions.sqlite").write_bytes(content)
        journal = SqliteJournal(tmp_path / "journal.sqlite", old=tmp_path / "decisions.sqlite")
        with caplog.at_level(logging.WARNING, "drift_gate"):
            journal.record([entry(0)])
        assert [each.id for each in journal.entries()] == [entry(0).id]
        assert "are not taken over" in caplog.text


class TestNotUsable:
    """One sentence with the file's name, and the cause behind it."""

    def test_locked_by_another(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.sqlite"
        journal = SqliteJournal(path, busy_s=0)
        journal.record([entry(0)])
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(JournalError, match=rf"{path} cannot be used: database is locked") as caught:
                journal.record([entry(1)])
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        journal.record([entry(1)])
        assert len(journal.entries()) == 2

    def test_from_a_later_version(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.sqlite"
        journal = SqliteJournal(path)
        journal.record([entry(0)])
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 99")
        with pytest.raises(JournalError, match=f"schema 99, this version knows {SCHEMA_VERSION}"):
            journal.record([entry(1)])

    def test_damaged(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.sqlite"
        path.write_bytes(b"not a database, but as long as a header of one would be" * 9)
        with pytest.raises(JournalError, match="file is not a database"):
            SqliteJournal(path).entries()

    def test_a_folder_in_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "journal.sqlite").mkdir()
        with pytest.raises(JournalError, match="unable to open"):
            SqliteJournal(tmp_path / "journal.sqlite").record([entry(0)])

    def test_full(self, tmp_path: Path) -> None:
        """What does not fit is not half there."""
        path = tmp_path / "journal.sqlite"
        journal = SqliteJournal(path)
        journal.record([entry(0)])
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON incidents"
                " BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
            )
        with pytest.raises(JournalError, match="disk is full"):
            journal.record([entry(1), entry(2, 4)], look(2))
        assert ([each.id for each in journal.entries()], journal.looks()) == ([entry(0).id], [])


#: Writes decisions until it is killed, and says each time which one is kept.
PROGRAM = """
import sys
from pathlib import Path
from journal.stores import entry
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.journal.sqlite_schema import SCHEMA_VERSION
journal = SqliteJournal(Path(sys.argv[1]))
for hour in range(10_000):
    journal.record([entry(hour, hour % 3)])
    print(hour, flush=True)
"""


def test_killed_in_the_middle_it_keeps_what_it_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            said = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        said = max([said, *map(int, writer.stdout.read().split())])
    journal = SqliteJournal(path)
    kept = len(journal.entries())
    assert kept in (said + 1, said + 2)
    assert journal.incidents() == journal.rebuild()


@pytest.mark.parametrize("number", range(3))
def test_the_queries_of_the_page_answer(tmp_path: Path, number: int) -> None:
    """docs/journal.md says what may be asked in SQL, and promises these columns."""
    page = (ROOT / "docs" / "journal.md").read_text(encoding="utf-8")
    queries = re.findall(r"```sql\n(.*?)```", page.partition("## For programs")[2], re.DOTALL)
    file = tmp_path / "journal.sqlite"
    SqliteJournal(file).record([entry(0, 1), entry(1, 4, door="start"), bypassed(2)])
    with closing(sqlite3.connect(file)) as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(decisions)")}
        found = connection.execute(queries[number]).fetchall()
    assert (len(queries), bool(found)) == (3, number != 2), "no commit of these was named"
    rows = re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} <= columns
