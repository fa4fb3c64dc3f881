"""The sources against the real thing: SQLite files, Parquet files, Google's client on a loopback server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path

import duckdb
import pytest
from google.auth.exceptions import DefaultCredentialsError
from google.cloud.bigquery import Client
from support.bigquery import FakeBigQuery, serving
from support.limits import ENOUGH_S, OVER_S, in_time, told_in_time

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline
from predictions.coordinator.readiness.facts import MOST_ROWS
from predictions.coordinator.readiness.sources.bigquery import BigQuery, client
from predictions.coordinator.readiness.sources.parquet import Parquet
from predictions.coordinator.readiness.sources.sqlite import Sqlite

DAYS = {"game_date": date(2026, 2, 5), "day": date(2026, 2, 4), "first_day": date(2026, 1, 26)}
#: Counts to a hundred million: far more than a second.
ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) SELECT max(i) FROM n"
)
#: Seconds that a busy machine may need beyond a deadline; the promise is 0.2 s.


def failed(source: Sqlite | Parquet | BigQuery, query: str, seconds: float = ENOUGH_S) -> SourceError:
    with pytest.raises(SourceError) as caught:
        source.rows(query, DAYS, Deadline(seconds))
    return caught.value


class TestSqlite:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        file = tmp_path / "a name with #?% in it.sqlite"
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("CREATE TABLE lines (day TEXT, line REAL)")
            rows = [("2026-02-04", 20.5), ("2026-02-04", None), ("2026-02-03", 1.0)]
            connection.executemany("INSERT INTO lines VALUES (?, ?)", rows)
        return file

    @pytest.mark.parametrize("named", [":day", "@day", "$day"])
    def test_answers_with_the_day_as_a_parameter(self, file: Path, named: str) -> None:
        query = f"SELECT count(*), count(line) FROM lines WHERE day = {named}"  # noqa: S608 (fixed names)
        assert Sqlite(file).rows(query, DAYS, Deadline(60)) == [(2, 1)]

    def test_a_missing_file_is_not_found_and_not_made(self, tmp_path: Path) -> None:
        error = failed(Sqlite(tmp_path / "none.sqlite"), "SELECT 1")
        assert error.cause == "not-found"
        assert not (tmp_path / "none.sqlite").exists()

    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("SELECT * FROM line", "no such table: line"),
            ("SELEC 1", "syntax error"),
            ("SELECT :other", ""),
            ("SELECT 1; SELECT 2", "one statement"),
        ],
    )
    def test_a_query_that_is_wrong_is_an_invalid_response(self, file: Path, query: str, said: str) -> None:
        error = failed(Sqlite(file), query)
        assert (error.cause, error.retryable) == ("invalid-response", False)
        assert said in str(error)

    @pytest.mark.parametrize(
        "query",
        [
            "DELETE FROM lines",
            "DROP TABLE lines",
            "CREATE TABLE other (x)",
            "CREATE TEMP TABLE other (x)",
            "PRAGMA user_version = 7",
        ],
    )
    def test_a_query_changes_nothing(self, file: Path, query: str) -> None:
        before = file.read_bytes()
        failed(Sqlite(file), query)
        assert file.read_bytes() == before

    def test_a_file_that_is_none_is_an_invalid_response(self, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("no database, but long enough for a header\n" * 9)
        assert failed(Sqlite(tmp_path / "text"), "SELECT * FROM lines").cause == "invalid-response"

    def test_a_locked_file_is_unavailable_and_may_heal(self, file: Path) -> None:
        with closing(sqlite3.connect(file)) as writer:
            writer.execute("BEGIN EXCLUSIVE")
            error = told_in_time(partial(failed, Sqlite(file), "SELECT * FROM lines"))
        assert (error.cause, error.retryable) == ("unavailable", True)

    def test_an_endless_query_ends_at_the_deadline(self, file: Path) -> None:
        error = failed(Sqlite(file), ENDLESS, 0.2)
        assert (error.cause, str(error)) == ("timeout", f"{file}: interrupted after 0.2 s")

    def test_no_time_left_is_a_timeout(self, file: Path) -> None:
        assert failed(Sqlite(file), "SELECT 1", 0).cause == "timeout"

    def test_more_rows_than_there_can_be_are_an_invalid_response(self, file: Path) -> None:
        numbers = ENDLESS.replace("max(i)", "i").replace("100000000", str(MOST_ROWS + 5))
        assert "more than 100000 rows" in str(failed(Sqlite(file), numbers))


class TestParquet:
    @pytest.fixture
    def source(self, tmp_path: Path) -> Parquet:
        folder = tmp_path / "it's"
        folder.mkdir()
        with closing(duckdb.connect()) as connection:
            for day, count in (("2026-02-03", 4), ("2026-02-04", 5)):
                made = (
                    f"SELECT DATE '{day}' AS day, CASE WHEN i % 2 = 0 THEN i END AS line "  # noqa: S608 (fixed)
                    f"FROM range({count}) t(i)"
                )
                connection.sql(made).write_parquet(f"{folder}/{day}.parquet")
        return Parquet({"lines": f"{folder}/*.parquet"})

    def test_answers_over_all_files_with_the_day_as_a_parameter(self, source: Parquet) -> None:
        query = "SELECT count(*), 100.0 * count(line) / count(*) FROM lines WHERE day = $day"
        ((count, share),) = source.rows(query, DAYS, Deadline(30))
        assert (count, float(str(share))) == (5, 60)

    def test_a_query_may_name_some_of_the_days_or_all(self, source: Parquet) -> None:
        query = "SELECT day, count(*) FROM lines WHERE day >= $first_day AND day < $game_date GROUP BY ALL"
        found = source.rows(f"{query} ORDER BY day", DAYS, Deadline(30))
        assert found == [(date(2026, 2, 3), 4), (date(2026, 2, 4), 5)]

    @pytest.mark.parametrize(
        ("query", "cause"),
        [
            ("SELECT * FROM line", "not-found"),
            ("SELEC 1", "invalid-response"),
            ("SELECT nothing FROM lines", "invalid-response"),
            ("SELECT $other", "invalid-response"),
            ("SELECT 'x'::INTEGER", "invalid-response"),
        ],
    )
    def test_a_query_that_is_wrong_has_its_cause(self, source: Parquet, query: str, cause: str) -> None:
        error = failed(source, query)
        assert error.cause == cause
        assert "\n" not in str(error)

    def test_no_such_file_is_not_found(self, tmp_path: Path) -> None:
        error = failed(Parquet({"lines": f"{tmp_path}/*.parquet"}), "SELECT 1")
        assert (error.cause, error.retryable) == ("not-found", False)

    def test_a_file_that_is_no_parquet_is_an_invalid_response(self, tmp_path: Path) -> None:
        (tmp_path / "x.parquet").write_text("no parquet at all, whatever its name says")
        assert failed(Parquet({"lines": f"{tmp_path}/x.parquet"}), "SELECT 1").cause == "invalid-response"

    def test_an_endless_query_ends_at_the_deadline(self, source: Parquet) -> None:
        endless = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range % 7 = b.range % 11"
        error = failed(source, endless, 0.3)
        assert (error.cause, error.retryable) == ("timeout", True)

    def test_more_rows_than_there_can_be_are_an_invalid_response(self, source: Parquet) -> None:
        assert "more than 100000 rows" in str(failed(source, "SELECT * FROM range(100001)"))


HISTORY_SCHEMA = [
    {"name": "day", "type": "DATE", "mode": "NULLABLE"},
    {"name": "share", "type": "FLOAT", "mode": "NULLABLE"},
]
QUERY = "SELECT day, share FROM d.t WHERE day >= @first_day AND day < @day"


@pytest.fixture
def fake() -> Iterator[FakeBigQuery]:
    with serving(FakeBigQuery([("2026-02-03", 41.5), ("2026-02-02", None)], HISTORY_SCHEMA)) as fake:
        yield fake


def bigquery(fake: FakeBigQuery) -> BigQuery:
    """The source as it is assembled where ``BIGQUERY_EMULATOR_HOST`` is set."""
    return BigQuery(
        location="EU",
        maximum_bytes_billed=123_456_789,
        connect=lambda: client("a-project", f"http://127.0.0.1:{fake.port}"),
    )


class TestBigQuery:
    """The real Google client against a REST server on the loopback interface."""

    def test_answers_with_the_columns_as_they_are_typed(self, fake: FakeBigQuery) -> None:
        found = bigquery(fake).rows(QUERY, DAYS, Deadline(60))
        assert [tuple(row) for row in found] == [(date(2026, 2, 3), 41.5), (date(2026, 2, 2), None)]

    def test_asks_with_parameters_a_limit_of_bytes_and_a_limit_of_time(self, fake: FakeBigQuery) -> None:
        bigquery(fake).rows(QUERY, DAYS, Deadline(ENOUGH_S))
        (asked,) = fake.queries
        assert asked["query"] == QUERY
        assert (asked["project"], asked["location"]) == ("a-project", "EU")
        assert asked["maximumBytesBilled"] == "123456789"
        assert (asked["useLegacySql"], asked["parameterMode"]) == (False, "NAMED")
        assert 0 < int(asked["jobTimeoutMs"]) <= 1000 * ENOUGH_S + 1
        assert asked["queryParameters"] == [
            {"name": name, "parameterType": {"type": "DATE"}, "parameterValue": {"value": value}}
            for name, value in (("day", "2026-02-04"), ("first_day", "2026-01-26"))
        ]

    def test_one_client_serves_every_query(self, fake: FakeBigQuery) -> None:
        made = []

        def connect() -> Client:
            made.append(client("a-project", f"http://127.0.0.1:{fake.port}"))
            return made[-1]

        source = BigQuery(location=None, maximum_bytes_billed=1, connect=connect)
        for _ in range(3):
            source.rows(QUERY, DAYS, Deadline(60))
        assert (len(made), len(fake.queries)) == (1, 3)

    @pytest.mark.parametrize(
        ("status", "reason", "cause", "retryable"),
        [
            (400, "invalidQuery", "invalid-response", False),
            (400, "bytesBilledLimitExceeded", "invalid-response", False),
            (401, "authError", "credentials", False),
            (403, "accessDenied", "permission-denied", False),
            (403, "rateLimitExceeded", "rate-limited", True),
            (403, "quotaExceeded", "rate-limited", True),
            (404, "notFound", "not-found", False),
            (429, "rateLimitExceeded", "rate-limited", True),
            (500, "internalError", "unavailable", True),
            (503, "backendError", "unavailable", True),
        ],
    )
    def test_what_it_refuses_has_its_cause(
        self, fake: FakeBigQuery, status: int, reason: str, cause: str, retryable: bool
    ) -> None:
        fake.fails = (status, reason, "so it says")
        error = told_in_time(partial(failed, bigquery(fake), QUERY))
        assert (error.cause, error.retryable) == (cause, retryable)
        # Nobody can refresh what is anonymous: that is said in place of the server's 401.
        said = "Anonymous credentials" if status == 401 else "so it says"
        assert str(error).startswith("BigQuery: ")
        assert said in str(error)

    def test_what_may_heal_is_asked_again_within_the_deadline(self, fake: FakeBigQuery) -> None:
        fake.fails = (503, "backendError", "in a moment")

        def asked(seconds: float) -> int:
            fake.queries.clear()
            failed(bigquery(fake), QUERY, seconds)
            return len(fake.queries)

        assert in_time(asked, late=lambda queries: queries < 2) > 1

    def test_a_server_that_hangs_ends_at_the_deadline(self, fake: FakeBigQuery) -> None:
        fake.hangs_after = 0
        error = failed(bigquery(fake), QUERY, OVER_S)
        assert error.cause == "timeout"

    def test_nobody_there_is_unavailable(self) -> None:
        source = BigQuery(
            location=None, maximum_bytes_billed=1, connect=lambda: client("a-project", "http://127.0.0.1:9")
        )
        error = told_in_time(partial(failed, source, QUERY))
        assert (error.cause, error.retryable) == ("unavailable", True)

    def test_no_credentials_are_a_cause_of_their_own(self) -> None:
        def connect() -> Client:
            raise DefaultCredentialsError("none were found")  # type: ignore[no-untyped-call]  # google-auth's

        source = BigQuery(location=None, maximum_bytes_billed=1, connect=connect)
        error = failed(source, QUERY)
        assert (error.cause, str(error)) == ("credentials", "BigQuery: none were found")

    def test_more_rows_than_there_can_be_are_an_invalid_response(
        self, fake: FakeBigQuery, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("predictions.coordinator.readiness.sources.bigquery.MOST_ROWS", 1)
        assert "more than 1 rows" in str(failed(bigquery(fake), QUERY))
