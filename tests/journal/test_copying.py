"""The copy in BigQuery: each row arrives at least once, refused, lost or late, and counts once."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pytest
from journal.stores import SERVICE, at, bypassed, entry, look
from support.bigquery import FakeBigQuery, serving
from support.fault_server import FaultServer, silence
from support.limits import ENOUGH_S, OVER_S
from support.world import WORKER, World

from drift_gate.errors import JournalError, SourceError
from drift_gate.journal import copying, sink
from drift_gate.journal.bigquery_table import LABEL, SCHEMA, VERSION, BigQueryTable
from drift_gate.journal.copying import Row, copy, row_of
from drift_gate.journal.firestore import Database, FirestoreJournal
from drift_gate.journal.records import Journal
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.runtime import background
from drift_gate.runtime.deadline import Deadline
from drift_gate.settings.file import Settings
from drift_gate.wiring import checks, copies, monitors
from shared.utils.deployment_checker import require_current_worker

PAGE = Path(__file__).parents[2] / "docs" / "journal.md"
TABLE = "/bigquery/v2/projects/example-project/datasets/drift/tables/deployment_drift_log"


@pytest.fixture(params=["sqlite", "firestore"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    """An empty one whose rows are copied."""
    if request.param == "firestore":
        host = request.getfixturevalue("firestore_emulator")
        return FirestoreJournal(Database(f"p{uuid4().hex[:12]}", emulator=host), busy_s=ENOUGH_S, copied=True)
    return SqliteJournal(tmp_path / "journal.sqlite", copied=True)


@pytest.fixture
def there() -> Iterator[FakeBigQuery]:
    """A BigQuery without a table."""
    with serving(FakeBigQuery()) as fake:
        yield fake


def table(there: FakeBigQuery) -> BigQueryTable:
    """Ours, as a process sees it that begins."""
    return BigQueryTable("example-project", "drift", f"http://127.0.0.1:{there.port}", Deadline(ENOUGH_S))


def copied(journal: Journal, there: FakeBigQuery) -> int:
    """Copy what waits; how many rows were sent."""
    return copy(journal, table(there), Deadline(ENOUGH_S)).sent


def ids(there: FakeBigQuery) -> list[str]:
    """Which rows arrived, in order."""
    return [row["id"] for _, row in there.streamed]


def waiting(journal: Journal) -> list[str]:
    """Which rows wait."""
    return [each.row.id for each in journal.uncopied("", 99)]


class TestEachRow:
    def test_arrives_whole_and_waits_no_more(self, journal: Journal, there: FakeBigQuery) -> None:
        kept = [entry(0), entry(1, 4, door="start", batch="b1"), bypassed(2), entry(3, None)]
        journal.record(kept[2:])
        journal.record(kept[:2], look(1))
        journal.record(kept[:2], look(1))
        assert copied(journal, there) == 5
        assert ids(there) == [*(each.id for each in kept), look(1).id]
        by_id = {row["id"]: row for _, row in there.streamed}
        for each in kept:
            row = by_id[each.id]
            assert json.loads(row["body"]) == json.loads(each.verdict.model_dump_json())
            assert (row["kind"], datetime.fromisoformat(row["happened_at"])) == ("decision", each.at)
            assert (row["service"], row["door"], row["batch"]) == (SERVICE, each.door, each.batch)
        assert by_id[kept[2].id]["bypass_actor"] == "bob"
        assert by_id[look(1).id]["body"] == look(1).model_dump_json()
        assert len({insert for insert, _ in there.streamed}) == 5
        assert (copied(journal, there), waiting(journal)) == (0, [])

    def test_waits_where_nobody_answers_and_arrives_late(self, journal: Journal, there: FakeBigQuery) -> None:
        journal.record([entry(0), entry(1)], look(1))
        there.fails = (503, "backendError", "try again")
        with pytest.raises(SourceError, match=r"deployment_drift_log: .*try again"):
            copied(journal, there)
        assert len(waiting(journal)) == 3
        there.fails = None
        journal.record([entry(-5, 1)])
        assert copied(journal, there) == 4

    def test_that_is_refused_stops_no_other(self, journal: Journal, there: FakeBigQuery) -> None:
        journal.record([entry(hour) for hour in range(3)], look(1))
        there.refuses = lambda row: "too odd" if row["id"] == entry(1).id else None
        sent, refused = copy(journal, table(there), Deadline(ENOUGH_S))
        assert (sent, [*refused.values()]) == (3, ["invalid : too odd"])
        assert waiting(journal) == [entry(1).id]
        there.refuses = lambda row: None
        assert copied(journal, there) == 1
        assert sorted(ids(there)) == sorted([*(entry(hour).id for hour in range(3)), look(1).id])

    def test_comes_again_where_that_could_not_be_noted_and_counts_once(
        self, journal: Journal, there: FakeBigQuery, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal.record([entry(0), entry(1, 4, door="start")], look(1))

        def lost(_: object) -> None:
            raise JournalError("gone")

        with monkeypatch.context() as patch:
            patch.setattr(journal, "copied", lost)
            with pytest.raises(JournalError):
                copied(journal, there)
        assert copied(journal, there) == 3
        inserts = [insert for insert, _ in there.streamed]
        assert (len(inserts), len(set(inserts))) == (6, 3)
        assert counted(there) == [(SERVICE, 1)]

    def test_of_many_goes_in_lots(
        self, journal: Journal, there: FakeBigQuery, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(copying, "LOT", 2)
        journal.record([entry(hour) for hour in range(3)], look(1))
        journal.record([entry(4)], look(5))
        assert copied(journal, there) == 6

    def test_that_is_kept_no_more_does_not_wait(self, journal: Journal) -> None:
        journal.record([entry(0), entry(30)], look(0))
        journal.prune(at(40))
        assert waiting(journal) == [entry(30).id]

    def test_is_not_kept_for_it_where_none_is_copied(self, journal: Journal, tmp_path: Path) -> None:
        plain = SqliteJournal(tmp_path / "plain.sqlite")
        plain.record([entry(0)], look(0))
        assert waiting(plain) == []


def counted(there: FakeBigQuery) -> list[Any]:
    """What the query of the page says, of the rows that arrived."""
    (query,) = re.findall(
        r"```sql\n(SELECT[^`]*`example[^`]*`.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    with duckdb.connect() as connection:
        columns = ", ".join(
            f"{each.name} {'VARCHAR' if each.field_type == 'STRING' else each.field_type}" for each in SCHEMA
        )
        connection.execute(f"CREATE TABLE log ({columns})")
        for _, row in there.streamed:
            names = ", ".join(row)
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO log ({names}) VALUES ({marks})", [*row.values()])  # noqa: S608 - our names
        return connection.execute(
            query.replace("`example-project.drift.deployment_drift_log`", "log")
        ).fetchall()


class TestTheTable:
    def test_is_made_at_first_use_by_day(self, tmp_path: Path, there: FakeBigQuery) -> None:
        journal = SqliteJournal(tmp_path / "journal.sqlite", copied=True)
        journal.record([entry(0)])
        copied(journal, there)
        made = there.tables[TABLE]
        assert made["timePartitioning"] == {"type": "DAY", "field": "happened_at"}
        assert made["labels"] == {LABEL: str(VERSION)}

    @pytest.mark.parametrize(
        ("labels", "says"), [({}, "somebody else"), ({LABEL: "99"}, r"a later version \(99\)")]
    )
    def test_of_somebody_else_is_left_alone(
        self, labels: dict[str, str], says: str, there: FakeBigQuery
    ) -> None:
        theirs = {"labels": labels, "schema": {"fields": []}}
        there.tables[TABLE] = {**theirs, "tableReference": reference()}
        with pytest.raises(SourceError, match=f"{says} has made it; name another dataset"):
            table(there).insert({"1": row_of(entry(0))})
        assert there.tables[TABLE]["schema"] == {"fields": []}
        assert there.streamed == []

    def test_of_an_earlier_version_gets_the_columns_that_it_lacks(self, there: FakeBigQuery) -> None:
        old = [each.to_api_repr() for each in SCHEMA[:3]]
        there.tables[TABLE] = {
            "labels": {LABEL: "0", "team": "a"},
            "schema": {"fields": old},
            "tableReference": reference(),
        }
        assert table(there).insert({"1": row_of(entry(0))}) == {}
        made = there.tables[TABLE]
        assert made["labels"] == {LABEL: str(VERSION), "team": "a"}
        assert [each["name"] for each in made["schema"]["fields"]] == [each.name for each in SCHEMA]

    def test_without_the_right_the_role_is_named(self, there: FakeBigQuery) -> None:
        there.fails = (403, "accessDenied", "Access Denied")
        with pytest.raises(SourceError, match=r"roles/bigquery\.dataEditor"):
            table(there).insert({"1": row_of(entry(0))})


def reference() -> dict[str, str]:
    """The name of the table, as BigQuery writes it."""
    return {"projectId": "example-project", "datasetId": "drift", "tableId": "deployment_drift_log"}


class TestLongRows:
    def test_go_in_requests_that_are_short_enough(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = SqliteJournal(tmp_path / "journal.sqlite", copied=True)
        journal.record([entry(hour) for hour in range(4)])
        one = len(json.dumps(row_of(entry(0))))
        asked: list[Mapping[str, Row]] = []

        class Noted:
            def insert(self, rows: Mapping[str, Row]) -> Mapping[str, str]:
                asked.append(rows)
                return {}

        monkeypatch.setattr(copying, "MOST", one * 2 + 50)
        assert copy(journal, Noted(), Deadline(ENOUGH_S)).sent == 4
        assert [len(rows) for rows in asked] == [2, 2]
        monkeypatch.setattr(copying, "MOST", 10)
        assert row_of(entry(0))["body"] is None


def told(world: World, address: str) -> Settings:
    """Settings that copy to ``address``."""
    world.toml = '[journal]\nbigquery = "example-project.drift"\n' + world.toml
    world.environ = {"BIGQUERY_EMULATOR_HOST": address}
    world.cloud.deploy(WORKER, commit=world.first)
    return world.settings()


class TestThroughTheGate:
    """Whoever writes and whoever looks copies; no verdict waits for it or is another one."""

    @pytest.fixture(autouse=True)
    def ample(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module, name in (
            (checks, "WRITE_S"),
            (sink, "WRITE_S"),
            (copies, "BESIDE_S"),
            (copies, "LOOK_S"),
        ):
            monkeypatch.setattr(module, name, ENOUGH_S)

    def test_a_start_and_a_look_are_copied(self, world: World, there: FakeBigQuery) -> None:
        settings = told(world, f"http://127.0.0.1:{there.port}")
        require_current_worker(settings=settings)
        background.finish()
        assert [row["door"] for _, row in there.streamed] == ["start"]
        monitors.look(settings)
        assert [row.get("door", "look") for _, row in there.streamed[1:]] == ["monitor", "look"]

    def test_one_that_says_nothing_changes_no_verdict_and_no_look(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        for name in ("BESIDE_S", "LOOK_S"):
            monkeypatch.setattr(copies, name, OVER_S)
        with FaultServer(silence) as server:
            settings = told(world, f"http://127.0.0.1:{server.port}")
            assert require_current_worker(settings=settings).decision == "allow"
            background.finish()
            assert monitors.look(settings).look.whole
        assert caplog.text.count("rows of the journal wait for being copied") == 2
        assert len(waiting(SqliteJournal(world.folder / ".drift" / "journal.sqlite"))) == 3

    def test_without_the_library_the_next_step_is_named(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setitem(sys.modules, "drift_gate.journal.bigquery_table", None)
        require_current_worker(settings=told(world, "http://127.0.0.1:1"))
        background.finish()
        assert "pip install 'prediction-drift-gate[bigquery]'" in caplog.text


class TestAJournalThatCannotBeUsed:
    """The copy waits with it: nothing is half there, and nobody is stopped."""

    def test_locked_it_is_said_and_what_waits_stays(
        self, world: World, there: FakeBigQuery, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings = told(world, f"http://127.0.0.1:{there.port}")
        path = world.folder / ".drift" / "journal.sqlite"
        journal = SqliteJournal(path, busy_s=0, copied=True)
        journal.record([entry(0)])
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            copies.run(settings, journal, Deadline(ENOUGH_S))
        assert "wait for being copied: the journal" in caplog.text
        assert waiting(journal) == [entry(0).id]
        copies.run(settings, journal, Deadline(ENOUGH_S))
        assert waiting(journal) == []

    def test_full_no_row_is_kept_without_its_place_in_the_queue(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.sqlite"
        journal = SqliteJournal(path, copied=True)
        journal.record([entry(0)])
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON uncopied"
                " BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
            )
        with pytest.raises(JournalError, match="disk is full"):
            journal.record([entry(1)], look(1))
        assert ([each.id for each in journal.entries()], journal.looks()) == ([entry(0).id], [])
