"""``readiness.toml``: what is accepted, and what stops with file and key."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from drift_gate.errors import DriftConfigError
from predictions.coordinator.exceptions import MissingExtraError
from predictions.coordinator.readiness import assembly, runner, settings
from predictions.coordinator.readiness.checks import FeaturesCheck, GradingCheck, MetricCheck
from predictions.coordinator.readiness.facts import ByHistory, Fixed
from predictions.coordinator.readiness.settings import find, load
from predictions.coordinator.readiness.sources.bigquery import BigQuery
from predictions.coordinator.readiness.sources.parquet import Parquet
from predictions.coordinator.readiness.sources.sqlite import Sqlite
from predictions.coordinator.readiness.verdict import Policy

SOURCE = '[sources.db]\nkind = "sqlite"\npath = "x.sqlite"\n'
BIGQUERY = '[sources.db]\nkind = "bigquery"\nproject = "a-project"\n'
CHECK = """
[checks.cache]
phases = ["pre-game"]
source = "db"
unit = "count"
query = "SELECT count(*) FROM t WHERE day = :day"
threshold = {at_least = 1}
"""
HISTORY = """
[checks.lines]
phases = ["pre-game", "post-game"]
source = "db"
unit = "percent"
query = "SELECT 1 WHERE :day"
history = "SELECT 1, 2 WHERE :first_day"
threshold = {days = 30, direction = "low"}
"""
GRADING = """
[checks.grading]
kind = "grading"
phases = ["pre-game"]
source = "db"
query = "SELECT 1, 2, 3, 4 WHERE :day"
of_players = {at_least = 90}
"""
FEATURES = """
[checks.features]
kind = "features"
phases = ["pre-game"]
source = "db"
query = "SELECT id FROM t WHERE day = :day"
"""
WHOLE = SOURCE + CHECK


def read(folder: Path, text: str) -> settings.Settings:
    file = folder / "readiness.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, {})


class TestWhatIsDeclared:
    def test_becomes_checks_with_their_sources(self, tmp_path: Path) -> None:
        told = read(tmp_path, WHOLE + HISTORY + GRADING + FEATURES)
        cache, lines, grading, features = assembly.checks_of(told, "pre-game")
        assert isinstance(cache, MetricCheck)
        assert (cache.name, cache.day, cache.fails, cache.threshold) == (
            "cache",
            "game-date",
            "deny",
            Fixed(at_least=1),
        )
        assert isinstance(lines, MetricCheck)
        assert lines.threshold == ByHistory(days=30, direction="low")
        assert isinstance(grading, GradingCheck)
        assert (grading.day, grading.of_predictions) == ("day-before", Fixed())
        assert isinstance(features, FeaturesCheck)
        assert features.at_least == 100
        assert cache.source is lines.source is grading.source
        assert isinstance(cache.source, Sqlite)

    def test_holds_for_its_phases(self, tmp_path: Path) -> None:
        told = read(tmp_path, WHOLE + HISTORY)
        assert [check.name for check in assembly.checks_of(told, "post-game")] == ["lines"]
        assert runner.plan(told, "post-game").other_phases == ("cache",)

    def test_without_a_policy_is_as_strict_as_the_drift_gate(self, tmp_path: Path) -> None:
        told = read(tmp_path, SOURCE + CHECK)
        assert assembly.policy_of(told) == Policy(failure_policy="fail", enforcement="deny")
        assert told.policy.deadline == 10

    def test_paths_stand_beside_the_file(self, tmp_path: Path) -> None:
        assert read(tmp_path, SOURCE + CHECK).beside("x.sqlite") == tmp_path / "x.sqlite"

    def test_every_kind_of_source_can_be_declared(self, tmp_path: Path) -> None:
        sources = {
            "a": (Sqlite, SOURCE),
            "b": (Parquet, '[sources.db]\nkind = "parquet"\ntables = {lines = "lake/*.parquet"}\n'),
            "c": (BigQuery, BIGQUERY + 'location = "EU"\n'),
        }
        for kind, text in sources.values():
            (check,) = assembly.checks_of(read(tmp_path, text + CHECK), "pre-game")
            assert isinstance(check, MetricCheck)
            assert isinstance(check.source, kind)

    @pytest.mark.parametrize(
        ("library", "source", "extra"),
        [
            ("duckdb", '[sources.db]\nkind = "parquet"\ntables = {t = "t.parquet"}\n', "duckdb"),
            ("google.cloud", BIGQUERY, "bigquery"),
        ],
    )
    def test_a_library_that_is_not_installed_is_named_with_its_extra(
        self, library: str, source: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("parquet", "bigquery"):
            monkeypatch.delitem(
                sys.modules, f"predictions.coordinator.readiness.sources.{name}", raising=False
            )
            monkeypatch.delattr(f"predictions.coordinator.readiness.sources.{name}", raising=False)
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(MissingExtraError, match=rf"\[sources.db\] needs the extra '{extra}'"):
            assembly.checks_of(read(tmp_path, source + CHECK), "pre-game")


BAD = [
    ("[checks\n", "is no valid TOML"),
    (SOURCE, "no [checks.NAME] table: nothing to check"),
    (SOURCE + CHECK.replace("checks", "cheks"), "unknown key 'cheks'; did you mean checks"),
    (CHECK, "[checks.cache] source: no source 'db'"),
    (
        SOURCE.replace("db", "database") + CHECK.replace('"db"', '"databse"'),
        "no source 'databse'; did you mean database",
    ),
    (WHOLE.replace('"sqlite"', '"sqlit"'), "[sources.db] kind: no kind 'sqlit'; did you mean sqlite"),
    (SOURCE.replace('kind = "sqlite"\n', "") + CHECK, "[sources.db] kind: is missing"),
    (
        SOURCE.replace("path", "paht") + CHECK,
        "[sources.db] path: is missing; it is a text",
    ),
    (SOURCE + 'pth = "y"\n' + CHECK, "[sources.db] pth: unknown key; did you mean path"),
    (SOURCE + CHECK.replace("cache", "Cache"), "[checks.Cache]: a name has lower-case letters"),
    (
        SOURCE + CHECK.replace("pre-game", "pregame"),
        'phases: must be a list of "pre-game" or "post-game", such as ["pre-game"]; did you mean pre-game',
    ),
    (
        SOURCE + CHECK.replace('["pre-game"]', "[]"),
        '"post-game", such as ["pre-game"], with at least 1 in it',
    ),
    (SOURCE + CHECK.replace('["pre-game"]', "5"), "[checks.cache] phases: must be a list of"),
    (SOURCE + CHECK.replace("unit", "unti"), '[checks.cache] unit: is missing; it is "percent"'),
    (
        SOURCE + CHECK.replace('"count"', '"counts"'),
        '[checks.cache] unit: must be "percent", "count" or "number"; did you mean count?',
    ),
    (SOURCE + CHECK.replace(":day", "'2026-02-05'"), "[checks.cache] query: the query names no day"),
    (SOURCE + CHECK.replace("{at_least = 1}", "{}"), "a limit is missing"),
    (SOURCE + CHECK.replace("{at_least = 1}", "1"), "threshold: must be a table"),
    (
        WHOLE.replace("{at_least", "{at_leest"),
        "cache.threshold] at_leest: unknown key; did you mean at_least",
    ),
    (
        SOURCE + CHECK.replace("1}", "-1}"),
        "cache.threshold] at_least: must be a number such as 1.5, at least 0",
    ),
    (
        SOURCE + CHECK.replace("1}", "nan}"),
        "cache.threshold] at_least: must be a number such as 1.5, and finite",
    ),
    (SOURCE + CHECK.replace("1}", "5, at_most = 4}"), "at_most is less than at_least"),
    (WHOLE + 'history = "SELECT 1 WHERE :day"\n', "history: no threshold uses it"),
    (SOURCE + HISTORY.replace('history = "SELECT 1, 2 WHERE :first_day"\n', ""), "needs the query for it"),
    (SOURCE + HISTORY.replace(":first_day", "1"), "history: the query names neither first_day nor day"),
    (
        SOURCE + HISTORY.replace('"low"', '"lower"'),
        'threshold] direction: must be "low", "high" or "both"; did you mean low',
    ),
    (SOURCE + HISTORY.replace(', direction = "low"', ""), "threshold] direction: is missing"),
    (SOURCE + HISTORY.replace("days = 30", "days = 5"), "least_days = 10 is more than days = 5 can hold"),
    (SOURCE + HISTORY.replace("days = 30", "days = 30, at_least = 1"), "threshold] at_least: unknown key"),
    (
        SOURCE + HISTORY.replace("days = 30", "days = 30, spreads = 0"),
        "threshold] spreads: must be a number",
    ),
    (SOURCE + GRADING.replace("of_players = {at_least = 90}", ""), "a threshold is missing"),
    (SOURCE + GRADING + "threshold = {at_least = 1}\n", "[checks.grading] threshold: unknown key"),
    (SOURCE + FEATURES + 'unit = "count"\n', "[checks.features] unit: unknown key"),
    (SOURCE + FEATURES + "at_least = 101\n", "[checks.features] at_least: "),
    (WHOLE + '[policy]\nenforcment = "warn"\n', "enforcment: unknown key; did you mean enforcement"),
    (WHOLE + '[policy]\nfailure_policy = "ignor"\n', "[policy] failure_policy: "),
    (WHOLE + '[policy]\nfailure_policy = {timeot = "ignore"}\n', "no cause 'timeot'; did you mean timeout"),
    (WHOLE + '[policy]\nreasons = {too-lo = "warn"}\n', "no reason code 'too-lo'; did you mean too-low"),
    (WHOLE + '[policy]\nreasons = {unknown-readiness = "warn"}\n', "is judged by failure_policy"),
    (WHOLE + '[policy]\ndeadline = "soon"\n', "[policy] deadline: 'soon' is no duration"),
    (WHOLE + '[policy]\ndeadline = "0s"\n', "[policy] deadline: "),
    (WHOLE + "[calendar]\nseason_start = []\n", "[calendar] season_start: unknown key"),
    (WHOLE + '[calendar]\nseason_starts = ["soon"]\n', "[calendar] season_starts: "),
    (
        WHOLE + "[calendar]\nbreaks = [{first = 2026-02-05, last = 2026-02-01}]\n",
        "[calendar] breaks 1: the break ends on 2026-02-01, before it begins on 2026-02-05",
    ),
    (WHOLE + "[calendar]\nbreaks = [2026-02-05]\n", "[calendar] breaks 1: must be a table"),
    (SOURCE + "checks = 5\n", "[sources.db] checks: unknown key"),
    ("checks = 5\n", "checks must be a table, [checks]"),
    (BIGQUERY + "maximum_bytes_billed = 0\n" + CHECK, "[sources.db] maximum_bytes_billed: "),
    (BIGQUERY.replace("a-project", "A Project") + CHECK, "[sources.db] project: "),
    ('[sources.db]\nkind = "parquet"\ntables = {}\n' + CHECK, "[sources.db] tables: "),
]


@pytest.mark.parametrize(("text", "said"), BAD, ids=range(len(BAD)))
def test_what_is_wrong_stops_with_file_and_key(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DriftConfigError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'readiness.toml'}:")
    assert said in str(caught.value)


class TestTheFile:
    def test_stands_beside_drift_toml(self, tmp_path: Path) -> None:
        (tmp_path / "drift.toml").write_text("")
        (tmp_path / "readiness.toml").write_text("")
        (tmp_path / "below").mkdir()
        assert find({}, tmp_path / "below") == tmp_path / "readiness.toml"

    def test_is_found_without_a_drift_toml_too(self, tmp_path: Path) -> None:
        """Whoever bypasses the drift gate, whose file is gone, does not bypass these checks."""
        (tmp_path / ".git").mkdir()
        (tmp_path / "readiness.toml").write_text("")
        assert find({}, tmp_path) == tmp_path / "readiness.toml"

    def test_is_none_where_there_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "drift.toml").write_text("")
        assert find({}, tmp_path) is None

    def test_is_the_one_that_the_variable_names(self, tmp_path: Path) -> None:
        (tmp_path / "other.toml").write_text("")
        assert find({"COORDINATOR_READINESS": str(tmp_path / "other.toml")}) == tmp_path / "other.toml"

    def test_that_is_named_and_missing_stops(self, tmp_path: Path) -> None:
        """Else a slip in a name would be no check at all."""
        with pytest.raises(DriftConfigError, match="COORDINATOR_READINESS: there is no file"):
            find({"COORDINATOR_READINESS": str(tmp_path / "none.toml")})

    def test_that_cannot_be_read_stops(self, tmp_path: Path) -> None:
        (tmp_path / "readiness.toml").write_bytes(b"\xff\xfe")
        with pytest.raises(DriftConfigError, match="is no valid TOML"):
            load(tmp_path / "readiness.toml", {})
        with pytest.raises(DriftConfigError, match="cannot be read"):
            load(tmp_path, {})

    def test_that_is_a_pipe_is_told_as_such(self, tmp_path: Path) -> None:
        """Else whoever waits for it would judge no data at all."""
        (tmp_path / "drift.toml").write_text("")
        os.mkfifo(tmp_path / "readiness.toml")
        assert find({}, tmp_path) == tmp_path / "readiness.toml"
        with pytest.raises(DriftConfigError, match="cannot be read: it is a named pipe"):
            load(tmp_path / "readiness.toml", {})

    def test_tells_all_its_mistakes_at_once(self, tmp_path: Path) -> None:
        text = SOURCE + 'pth = "y"\n' + CHECK.replace('"count"', '"counts"') + "[policy]\ndeadline = []\n"
        with pytest.raises(DriftConfigError) as caught:
            read(tmp_path, text)
        lines = [line.removeprefix(f"{tmp_path}/readiness.toml:") for line in str(caught.value).splitlines()]
        assert lines == [
            "4: [sources.db] pth: unknown key; did you mean path?",
            '9: [checks.cache] unit: must be "percent", "count" or "number"; did you mean count?',
            '13: [policy] deadline: must be a duration such as "10m"',
        ]

    def test_of_bigquery_is_pointed_elsewhere_by_the_variable_of_googles_client(self, tmp_path: Path) -> None:
        (tmp_path / "readiness.toml").write_text(SOURCE + CHECK)
        told = load(tmp_path / "readiness.toml", {"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:9050"})
        assert told.emulator == "http://127.0.0.1:9050"
