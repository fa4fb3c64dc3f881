"""The places that a slate is read from: real files, a real SQLite, the real BigQuery client on loopback."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
import tempfile
import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from coordinator.worlds import HEADER
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bigquery import FakeBigQuery, serving
from support.heavy import light

from drift_gate.commands.exit_codes import code_of
from predictions.coordinator.commands.main import EXIT_CODES
from predictions.coordinator.exceptions import EmptySlateError, MissingExtraError, SlateError
from predictions.coordinator.slate import COLUMNS, Slate, read_slate
from predictions.coordinator.slate.bigquery_table import MAXIMUM_BYTES_BILLED, BigQueryTable
from predictions.coordinator.slate.reader import named
from predictions.coordinator.slate.rows import numbered, slate_of
from predictions.coordinator.slate.sqlite_table import SqliteTable

DAY = date(2026, 2, 5)
GOOD = ("G1", "2026-02-05", "P1", "Player One", "T1", "T2", "10 20 30")


def reasons(slate: Slate) -> list[str]:
    return [str(row) for row in slate.set_aside]


def sqlite_file(folder: Path, rows: Sequence[Sequence[Any]], extra: str = "") -> Path:
    """A SQLite file with the table ``players``."""
    file = folder / "day.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"CREATE TABLE players ({', '.join(COLUMNS)}{extra})")
        marks = ", ".join("?" * len(COLUMNS))
        connection.executemany(f"INSERT INTO players VALUES ({marks})", rows)  # noqa: S608 (question marks)
    return file


def with_minutes(folder: Path) -> str:
    """A SQLite file with a column of expected minutes, by its name."""
    rows = [(*GOOD[:2], f"P{each}", *GOOD[3:]) for each in range(5)]
    file = sqlite_file(folder, rows)
    minutes = {"P0": 31.5, "P1": "12", "P2": 0, "P3": None, "P4": "much"}
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("ALTER TABLE players ADD COLUMN expected_minutes")
        connection.executemany(
            "UPDATE players SET expected_minutes = ? WHERE player_id = ?",
            [(value, player) for player, value in minutes.items()],
        )
    return f"sqlite:{file}?table=players"


def parquet_file(file: Path, select: str) -> Path:
    """What DuckDB's ``select`` gives, as a Parquet file."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"COPY ({select}) TO '{file}' (FORMAT parquet)")
    return file


def typed(values: str) -> str:
    return f"FROM (VALUES {values}) AS t({', '.join(COLUMNS)})"


class TestAName:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("day.csv", "day.csv"),
            ("a:b/day.csv", "a:b/day.csv"),
            ("./sqlite:day.csv", "sqlite:day.csv"),
            ("day.parquet", "day.parquet"),
            ("sqlite:day.db?table=players", "day.db, table players"),
            ("sqlite:/d/what?.db?table=players", "/d/what?.db, table players"),
            ("bigquery://example-project/nba.players", "BigQuery example-project.nba.players"),
            ("bigquery://example.com:old-one/nba.day-1", "BigQuery example.com:old-one.nba.day-1"),
        ],
    )
    def test_names_one_place(self, text: str, name: str) -> None:
        assert named(text).name == name

    def test_may_bring_its_own_cost_guard(self) -> None:
        assert named("bigquery://example-project/nba.p").maximum_bytes_billed == MAXIMUM_BYTES_BILLED  # type: ignore[attr-defined]  # a BigQueryTable
        mine = named("bigquery://example-project/nba.p?maximum_bytes_billed=10485760")
        assert mine.maximum_bytes_billed == 10485760  # type: ignore[attr-defined]  # a BigQueryTable

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("day.cvs", "its name ends in neither .csv nor .parquet; did you mean .csv?"),
            ("day.CSV", "did you mean .csv?"),
            ("day", "a slate is FILE.csv, FILE.parquet, sqlite:FILE?table=NAME or bigquery://PROJECT"),
            ("sqllite:day.db?table=t", "no scheme 'sqllite'; did you mean sqlite?"),
            ("https://example.com/day.csv", "no scheme 'https'"),
            ("sqlite:day.db", "write sqlite:FILE?table=NAME"),
            ("sqlite:?table=t", "write sqlite:FILE?table=NAME"),
            ("sqlite://day.db?table=t", "write sqlite:FILE?table=NAME"),
            ("sqlite:day.db?tabel=t", "unknown parameter 'tabel'; did you mean table?"),
            ("sqlite:day.db?table", "'table' is not KEY=VALUE"),
            ("sqlite:day.db?table=t&table=u", "a parameter is given twice"),
            ('sqlite:day.db?table=t"; DROP TABLE t; --', "is no table name of letters, digits and"),
            ("sqlite:day.db?table=t%22", "is no table name of letters, digits and underscores"),
            ("bigquery:example-project/nba.players", "write bigquery://PROJECT/DATASET.TABLE"),
            ("bigquery://example-project/nba", "write bigquery://PROJECT/DATASET.TABLE"),
            ("bigquery://example-project.nba.players", "write bigquery://PROJECT/DATASET.TABLE"),
            ("bigquery://example-project/nba.p`; SELECT 1", "write bigquery://PROJECT/DATASET.TABLE"),
            ("bigquery://example-project/nba.p\n", "write bigquery://PROJECT/DATASET.TABLE"),
            ("bigquery://example-project/nba.p?max_bytes_billed=1", "did you mean maximum_bytes_billed?"),
            ("bigquery://example-project/nba.p?maximum_bytes_billed=0", "which is no number of bytes"),
            ("bigquery://example-project/nba.p?maximum_bytes_billed=1GB", "which is no number of bytes"),
        ],
    )
    def test_that_is_none_is_refused_with_what_it_may_have_been(self, text: str, said: str) -> None:
        with pytest.raises(SlateError, match=re.escape(said)):
            named(text)

    @settings(deadline=None)
    @given(st.text(max_size=60))
    def test_of_any_text_is_a_place_or_a_slate_error(self, text: str) -> None:
        for start in ("", "sqlite:", "bigquery://example-project/"):
            try:
                assert named(start + text).name
            except SlateError:
                continue

    @settings(deadline=None)
    @given(st.text(max_size=12))
    def test_never_carries_sql_into_a_query(self, text: str) -> None:
        """Whatever is taken for a table name holds no quote of either database."""
        for start in ("sqlite:f?table=", "bigquery://example-project/nba."):
            try:
                source = named(start + text)
            except SlateError:
                continue
            assert re.fullmatch(r"[\w-]+", source.table, re.ASCII)  # type: ignore[attr-defined]  # both have one


class TestParquet:
    def test_gives_the_same_slate_as_the_csv_file(self, tmp_path: Path) -> None:
        shipped = read_slate(DAY)
        rows = Path(str(sys.modules["predictions.coordinator"].__file__)).parent / "slates" / f"{DAY}.csv"
        select = f"FROM read_csv('{rows}', comment='#', all_varchar=true)"
        slate = read_slate(DAY, parquet_file(tmp_path / "day.parquet", select))
        assert slate.requests == shipped.requests
        assert (slate.games, slate.set_aside) == (8, ())

    def test_takes_typed_columns_and_lists_and_names_bad_rows(self, tmp_path: Path) -> None:
        rows = typed(
            "('G1', DATE '2026-02-05', 1, 'One', 'T1', 'T2', [10.5, 20]), "
            "('G1', DATE '2026-02-04', 2, 'Two', 'T1', 'T2', [1]), "
            "('G1', NULL, 3, 'Three', 'T1', 'T2', [1]), "
            "('G1', DATE '2026-02-05', 4, 'Four', 'T1', 'T2', []), "
            "('G1', DATE '2026-02-05', 5, 'Five', 'T1', 'T2', [1, NULL]), "
            "('G1', DATE '2026-02-05', 1, 'One', 'T1', 'T2', [1])"
        )
        slate = read_slate(DAY, str(parquet_file(tmp_path / "day.parquet", rows)))
        assert [(each.player_id, each.recent_points) for each in slate.requests] == [("1", (10.5, 20.0))]
        assert reasons(slate) == [
            "row 2 (2): game_date is '2026-02-04', not 2026-02-05",
            "row 3 (3): game_date is empty",
            "row 4 (4): recent_points is empty",
            "row 5 (5): recent_points holds None, which is no number",
            "row 6 (1): the player is on the slate already, in game G1",
        ]

    def test_a_path_is_no_pattern(self, tmp_path: Path) -> None:
        """Two files would match; the one that is named is read."""
        row = "('G1', '2026-02-05', '{}', 'One', 'T1', 'T2', '1')"
        parquet_file(tmp_path / "day1.parquet", typed(row.format("wrong")))
        named_so = parquet_file(tmp_path / "day[1]*.parquet", typed(row.format("right")))
        assert [each.player_id for each in read_slate(DAY, named_so).requests] == ["right"]

    def test_another_column_is_named_with_its_near_miss(self, tmp_path: Path) -> None:
        rows = typed("('G1', '2026-02-05', 'P1', 'One', 'T1', 'T2', '1')").replace(" team,", " teams,")
        file = parquet_file(tmp_path / "day.parquet", rows)
        with pytest.raises(SlateError, match=r"has no column team; did you mean teams\?"):
            read_slate(DAY, file)

    def test_a_file_that_is_missing_or_no_parquet(self, tmp_path: Path) -> None:
        file = tmp_path / "day.parquet"
        with pytest.raises(SlateError, match="cannot be read: no such file"):
            read_slate(DAY, file)
        file.write_text("game_id,game_date\n" * 10)
        with pytest.raises(SlateError, match=r"day\.parquet cannot be read: .*[Pp]arquet"):
            read_slate(DAY, file)

    def test_without_its_extra_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "duckdb", None)
        with pytest.raises(
            MissingExtraError, match=r"pip install prediction-coordinator\[duckdb\]"
        ) as caught:
            read_slate(DAY, tmp_path / "day.parquet")
        assert code_of(caught.value, EXIT_CODES) == 2


class TestSqlite:
    def test_gives_the_rows_of_the_date_and_names_the_bad_ones(self, tmp_path: Path) -> None:
        """Another day is not this slate's matter; a date that nobody can read may be."""
        rows = [
            ("G1", "2026-02-05", 7, "Seven", "T1", "T2", "1 2"),
            ("G1", "2026-02-04", 8, "Eight", "T1", "T2", "1"),
            ("G2", "2026-02-05", "P9", b"\xff", "T1", "T2", "1"),
            ("G3", None, "P10", "Ten", "T1", "T2", "1"),
            ("G4", "5 Feb 2026", "P11", "Eleven", "T1", "T2", "1"),
            ("G5", "2026-02-05T23:00:00-05:00", "P12", "Twelve", "T1", "T2", "1"),
            ("G6", "2026-02-05", 13.0, "Thirteen", "T1", "T2", "1"),
            ("G7", "2026-02-05", "P14", "Fourteen", "T1", "T2", 12.5),
        ]
        slate = read_slate(DAY, f"sqlite:{sqlite_file(tmp_path, rows)}?table=players")
        assert [(each.player_id, each.recent_points) for each in slate.requests] == [
            ("7", (1.0, 2.0)),
            ("P14", (12.5,)),
        ]
        assert reasons(slate) == [
            "row 2 (P9): player_name is b'\\xff', which is neither text nor a whole number",
            "row 3 (P10): game_date is empty",
            "row 4 (P11): game_date is '5 Feb 2026', not 2026-02-05",
            "row 5 (P12): game_date is '2026-02-05T23:00:00-05:00', not 2026-02-05",
            "row 6 (13.0): player_id is 13.0, which is neither text nor a whole number",
        ]

    def test_text_that_is_no_utf8_costs_its_row_only(self, tmp_path: Path) -> None:
        file = sqlite_file(tmp_path, [GOOD])
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(
                "INSERT INTO players VALUES ('G1', '2026-02-05', 'P2', CAST(x'ff41' AS TEXT), 'T', 'T', '1')"
            )
        slate = read_slate(DAY, f"sqlite:{file}?table=players")
        assert len(slate.requests) == 1
        assert "player_name is b'\\xffA'" in reasons(slate)[0]

    def test_a_view_serves_as_well(self, tmp_path: Path) -> None:
        file = sqlite_file(tmp_path, [GOOD])
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute('ALTER TABLE players RENAME TO "raw players"')
            connection.execute('CREATE VIEW today AS SELECT * FROM "raw players"')
        assert len(read_slate(DAY, f"sqlite:{file}?table=today").requests) == 1

    def test_an_empty_one_is_its_own_answer(self, tmp_path: Path) -> None:
        file = sqlite_file(tmp_path, [])
        with pytest.raises(EmptySlateError, match="table players has no rows: nobody to predict for"):
            read_slate(DAY, f"sqlite:{file}?table=players")

    def test_another_table_or_column_is_named_with_its_near_miss(self, tmp_path: Path) -> None:
        """Not taken for a text, as SQLite would with an unknown name in quotes."""
        file = sqlite_file(tmp_path, [])
        with pytest.raises(SlateError, match=r"no table 'player'; did you mean players\? \(there: players\)"):
            read_slate(DAY, f"sqlite:{file}?table=player")
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("ALTER TABLE players RENAME COLUMN team TO teams")
        with pytest.raises(SlateError, match=r"has no column team; did you mean teams\?"):
            read_slate(DAY, f"sqlite:{file}?table=players")

    def test_a_missing_file_is_not_made(self, tmp_path: Path) -> None:
        with pytest.raises(SlateError, match="cannot be read: no such file"):
            read_slate(DAY, f"sqlite:{tmp_path}/none.db?table=t")
        assert list(tmp_path.iterdir()) == []

    def test_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        (tmp_path / "day?1.db").write_text("no database " * 100)
        with pytest.raises(SlateError, match="cannot be read: file is not a database"):
            read_slate(DAY, f"sqlite:{tmp_path}/day?1.db?table=t")

    def test_reading_changes_nothing(self, tmp_path: Path) -> None:
        file = sqlite_file(tmp_path, [GOOD])
        before = file.read_bytes()
        read_slate(DAY, f"sqlite:{file}?table=players")
        assert (file.read_bytes(), os.listdir(tmp_path)) == (before, [file.name])


@pytest.fixture
def bigquery() -> Iterator[FakeBigQuery]:
    with serving(FakeBigQuery()) as fake:
        yield fake
    readers_end()


def readers_end() -> None:
    """No thread goes on asking after its test: each query that is heard may be billed."""
    for reader in threading.enumerate():
        if reader.name == "slate from BigQuery":
            reader.join(60)
            assert not reader.is_alive()


def table(fake: FakeBigQuery, **more: Any) -> BigQueryTable:
    return BigQueryTable(
        project="example-project", dataset="nba", table="players", connect=fake.client, **more
    )


def read(source: BigQueryTable) -> Slate:
    return slate_of(DAY, source.name, source.rows(DAY))


class TestMinutes:
    """``min_minutes``: who is expected to play less is left out and counted; who knows is set aside."""

    def test_fewer_leave_a_player_out(self, tmp_path: Path) -> None:
        slate = read_slate(DAY, with_minutes(tmp_path), 12)
        assert ([each.player_id for each in slate.requests], slate.left_out) == (["P0", "P1"], 1)
        assert reasons(slate) == [
            "row 4 (P3): expected_minutes is empty",
            "row 5 (P4): expected_minutes is 'much', which is no number",
        ]

    def test_are_not_looked_at_unless_asked_for(self, tmp_path: Path) -> None:
        slate = read_slate(DAY, with_minutes(tmp_path))
        assert (len(slate.requests), slate.left_out, slate.set_aside) == (5, 0, ())

    def test_that_nobody_reaches_are_an_empty_slate(self, tmp_path: Path) -> None:
        with pytest.raises(EmptySlateError, match="expected to play that long: 3 left out, 2 set aside"):
            read_slate(DAY, with_minutes(tmp_path), 48)

    def test_need_the_column(self, tmp_path: Path) -> None:
        """Leaving nobody out would pass for having looked."""
        with pytest.raises(SlateError, match="has no column expected_minutes"):
            read_slate(DAY, f"sqlite:{sqlite_file(tmp_path, [GOOD])}?table=players", 10)
        with pytest.raises(SlateError, match=r"must have the columns .*, expected_minutes; found game_id"):
            read_slate(DAY, None, 10)

    def test_may_stand_in_a_csv_file(self, tmp_path: Path) -> None:
        file = tmp_path / "day.csv"
        file.write_text(f"{HEADER},expected_minutes\n{','.join(GOOD)},30\n{','.join(GOOD)},3\n")
        assert read_slate(DAY, file, 10).left_out == 1
        assert len(read_slate(DAY, file).set_aside) == 1


class TestBigQuery:
    def test_asks_for_one_date_by_a_parameter_and_within_its_guard(self, bigquery: FakeBigQuery) -> None:
        bigquery.rows = [["G1", "2026-02-05", 7, "Seven", "T1", "T2", [10.5, 20]]]
        slate = read(table(bigquery, maximum_bytes_billed=12_000_000))
        assert [(each.player_id, each.recent_points) for each in slate.requests] == [("7", (10.5, 20.0))]
        assert slate.source == "BigQuery example-project.nba.players"
        (asked,) = bigquery.queries
        assert asked["project"] == "example-project"
        assert asked["maximumBytesBilled"] == "12000000"
        assert asked["parameterMode"] == "NAMED"
        assert asked["queryParameters"] == [
            {
                "name": "game_date",
                "parameterType": {"type": "DATE"},
                "parameterValue": {"value": "2026-02-05"},
            }
        ]
        assert asked["useLegacySql"] is False
        assert "2026" not in asked["query"]
        assert "FROM `example-project`.`nba`.`players` WHERE game_date = @game_date" in asked["query"]
        assert 0 < int(asked["jobTimeoutMs"]) <= 60_000

    def test_is_read_page_by_page(self, bigquery: FakeBigQuery) -> None:
        bigquery.rows = [["G1", "2026-02-05", each, "Name", "T1", "T2", [1.0]] for each in range(2500)]
        assert len(read(table(bigquery)).requests) == 2500
        assert (len(bigquery.queries), bigquery.pages) == (1, 3)

    def test_bad_rows_are_set_aside(self, bigquery: FakeBigQuery) -> None:
        bigquery.rows = [
            ["G1", None, 7, "Seven", "T1", "T2", [1.0]],
            ["G1", "2026-02-05", None, "Eight", "T1", "T2", [1.0]],
            ["G1", "2026-02-05", 9, "Nine", "T1", "T2", []],
            ["G1", "2026-02-05", 10, "Ten", "T1", "T2", [1.0]],
        ]
        slate = read(table(bigquery))
        assert [each.player_id for each in slate.requests] == ["10"]
        assert reasons(slate) == [
            "row 1 (7): game_date is empty",
            "row 2 (Eight): player_id is empty",
            "row 3 (9): recent_points is empty",
        ]

    def test_an_empty_one_is_its_own_answer(self, bigquery: FakeBigQuery) -> None:
        with pytest.raises(EmptySlateError, match=r"BigQuery example-project\.nba\.players has no rows"):
            read(table(bigquery))

    @pytest.mark.parametrize(
        ("fails", "said"),
        [
            ((404, "notFound", "Not found: Table p:nba.players"), "cannot be read: .*Not found: Table"),
            ((403, "accessDenied", "Access Denied"), r"it takes roles/bigquery\.jobUser on the project exa"),
            (
                (400, "bytesBilledLimitExceeded", "Query exceeded limit for bytes billed: 1. 2 or higher"),
                r"partition the table by game_date, or name a higher \?maximum_bytes_billed",
            ),
            ((400, "invalidQuery", "Unrecognized name: team at [1:20]"), "Unrecognized name: team"),
        ],
    )
    def test_a_failure_is_a_sentence_with_the_next_step(
        self, bigquery: FakeBigQuery, fails: tuple[int, str, str], said: str
    ) -> None:
        bigquery.fails = fails
        with pytest.raises(SlateError, match=said) as caught:
            read(table(bigquery))
        assert caught.value.__cause__ is not None
        assert len(bigquery.queries) == 1

    @pytest.mark.parametrize("answered", [0, 1])
    def test_a_silent_one_costs_the_deadline(self, bigquery: FakeBigQuery, answered: int) -> None:
        """Whether no answer comes at all, or no further page."""
        bigquery.rows = [["G1", "2026-02-05", each, "Name", "T1", "T2", [1.0]] for each in range(2500)]
        bigquery.hangs_after = answered
        source = table(bigquery, deadline_s=1.0)
        import google.cloud.bigquery  # noqa: F401 (as in rows(): loading it is not on the clock)

        with pytest.raises(SlateError, match=r"did not answer within 1 s|Timeout|[Tt]imed out"):
            read(source)

    def test_nobody_there_is_a_slate_error_within_the_deadline(self) -> None:
        nobody = FakeBigQuery()
        nobody.port = 9  # the discard service: nothing listens
        with pytest.raises(SlateError, match=r"did not answer within 1 s|cannot be read"):
            read(table(nobody, deadline_s=1.0))
        readers_end()

    def test_without_its_extra_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "google.cloud.bigquery", None)
        with pytest.raises(MissingExtraError, match=r"pip install prediction-coordinator\[bigquery\]"):
            read_slate(DAY, "bigquery://example-project/nba.players")


def many(folder: Path, kind: str) -> None:
    """A file of 25,000 rows in ``folder``."""
    rows = [(*GOOD[:2], f"P{each:06}", *GOOD[3:]) for each in range(25_000)]
    if kind == "sqlite":
        sqlite_file(folder, rows)
        return
    (folder / "day.csv").write_text("\n".join([HEADER, *map(",".join, rows)]))
    if kind == "parquet":
        parquet_file(folder / "day.parquet", f"FROM read_csv('{folder}/day.csv', all_varchar=true)")


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("kind", "name"),
    light(
        [
            ("csv", "{}/day.csv"),
            ("parquet", "{}/day.parquet"),
            ("sqlite", "sqlite:{}/day.sqlite?table=players"),
        ],
        [("csv", "{}/day.csv")],
    ),
)
def test_rows_are_streamed(tmp_path: Path, kind: str, name: str) -> None:
    """25,000 rows are over 10 MB as Python values; a source holds less than a fifth at a time."""
    many(tmp_path, kind)
    source = named(name.format(tmp_path))
    next(source.rows(DAY))  # loads the library
    tracemalloc.start()
    try:
        count = sum(1 for _ in source.rows(DAY))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 25_000
    assert peak < 2_000_000, f"{peak / 1e6:.1f} MB"


cells = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=6), st.binary(max_size=4)
)


@settings(deadline=None)
@given(st.lists(st.tuples(*[cells] * len(COLUMNS)), max_size=8))
def test_every_row_is_used_or_set_aside(rows: list[tuple[Any, ...]]) -> None:
    """Whatever types a source has: no row is dropped in silence, and none raises."""
    slate = slate_of(DAY, "s", numbered([GOOD, *rows], COLUMNS))
    assert len(slate.requests) + len(slate.set_aside) == 1 + len(rows)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(*[cells] * len(COLUMNS)), max_size=8))
def test_sqlite_passes_over_no_row_without_a_date(rows: list[tuple[Any, ...]]) -> None:
    """Only an ISO date of another day makes a row not ours."""
    undated = [(row[0], None, *row[2:]) for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        found = list(SqliteTable(sqlite_file(Path(folder), undated), "players").rows(DAY))
    assert len(found) == len(rows)
