"""What lets a batch start: the verdict, the error, and a bypass that nothing can stop."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from support.bigquery import FakeBigQuery, serving

from drift_gate.errors import DriftConfigError
from predictions.coordinator.commands.readiness import occasion_of
from predictions.coordinator.exceptions import NotReadyError, ReadinessUnknownError
from predictions.coordinator.readiness.enforcement import require_ready
from predictions.coordinator.readiness.facts import Occasion
from predictions.coordinator.readiness.verdict import Readiness
from scripts.make_readiness import write

ROOT = Path(__file__).parents[3]
EXAMPLE = (ROOT / "examples" / "readiness.toml").read_text(encoding="utf-8")
WHEN = occasion_of(date(2026, 2, 5), None)
#: Seconds of a bypass: 2 are granted, and a busy machine gets some more.


class Place:
    """The example in a folder, found through its variable."""

    def __init__(self, root: Path, database: Path) -> None:
        self.toml, self.database = root / "readiness.toml", root / "readiness.sqlite"
        self.environ = {"COORDINATOR_READINESS": str(self.toml), "USER": "ada"}
        self.toml.write_text(EXAMPLE.replace("../.drift/", ""))
        shutil.copy(database, self.database)

    def spoil(self) -> None:
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute("DELETE FROM upstream_cache")

    def require(
        self, *, skip: bool = False, reason: str | None = None, actor: str | None = None
    ) -> Readiness | None:
        return require_ready(WHEN, skip=skip, reason=reason, actor=actor, environ=self.environ)  # fmt: skip


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("made") / "readiness.sqlite"
    write(file)
    return file


@pytest.fixture
def place(database: Path, tmp_path: Path) -> Place:
    return Place(tmp_path, database)


@pytest.fixture(autouse=True)
def _heard(_loggers_as_they_were: None, caplog: pytest.LogCaptureFixture) -> None:
    """The gate's loggers as a library has them, whatever a command line made of them before."""
    for name in ("drift_gate", "drift_gate.verdict"):
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = [], True
        logger.setLevel(logging.INFO)
    caplog.set_level(logging.INFO)


def lines(caplog: pytest.LogCaptureFixture, name: str) -> list[tuple[int, str]]:
    return [(each.levelno, each.getMessage()) for each in caplog.records if each.name == name]


class TestWithoutABypass:
    def test_a_good_day_is_let_through_with_one_line_in_the_log(
        self, place: Place, caplog: pytest.LogCaptureFixture
    ) -> None:
        readiness = place.require()
        assert readiness is not None
        assert (readiness.decision, readiness.enforced) == ("allow", True)
        ((level, line),) = lines(caplog, "drift_gate.verdict")
        assert (level, json.loads(line)["event"]) == (logging.INFO, "readiness_verdict")

    def test_something_bad_refuses_names_it_and_says_what_to_paste(
        self, place: Place, caplog: pytest.LogCaptureFixture
    ) -> None:
        place.spoil()
        with pytest.raises(NotReadyError) as caught:
            place.require()
        assert not isinstance(caught.value, ReadinessUnknownError)
        assert caught.value.readiness is not None
        assert caught.value.readiness.decision == "deny"
        said = str(caught.value)
        assert "the data for a batch of 2026-02-05 are not ready" in said
        assert "deny    upstream-cache: too-low: 0, at least 1" in said
        assert "prediction-coordinator readiness --game-date 2026-02-05 --phase pre-game" in said
        assert '--skip-readiness-checks --reason "WHY"' in said
        ((level, _),) = lines(caplog, "drift_gate.verdict")
        assert level == logging.ERROR

    def test_what_is_only_unknown_refuses_as_such(self, place: Place) -> None:
        place.database.unlink()
        with pytest.raises(ReadinessUnknownError, match="could not be judged"):
            place.require()

    @pytest.mark.heavy
    def test_a_library_that_never_loads_refuses_as_unknown(self, tmp_path: Path) -> None:
        """A disk that hangs must not hold the batch up for ever, nor let it through."""
        (tmp_path / "duckdb.py").write_text("import time; time.sleep(60)")
        (tmp_path / "readiness.toml").write_text(
            '[sources.lake]\nkind = "parquet"\ntables = {facts = "facts.parquet"}\n'
            '[checks.rows]\nsource = "lake"\nphases = ["pre-game"]\nunit = "count"\n'
            'query = "SELECT 1 WHERE :day"\nthreshold = {at_least = 1}\n'
        )
        code = (
            "from datetime import date\n"
            "from predictions.coordinator.exceptions import ReadinessUnknownError\n"
            "from predictions.coordinator.readiness import runner\n"
            "from predictions.coordinator.commands.readiness import occasion_of\n"
            "from predictions.coordinator.readiness.enforcement import require_ready\n"
            "runner.LOAD_SECONDS = 0.5\n"
            "try:\n"
            "    require_ready(occasion_of(date(2026, 2, 5), None))\n"
            "except ReadinessUnknownError as error:\n"
            "    print(error)\n"
        )
        environ = {
            **os.environ,
            "PYTHONPATH": f"{tmp_path}:{ROOT}",
            "COORDINATOR_READINESS": str(tmp_path / "readiness.toml"),
        }
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "a library of a source did not load within 0.5 s" in done.stdout, done.stdout + done.stderr

    def test_the_error_survives_a_process_boundary(self, place: Place) -> None:
        place.spoil()
        with pytest.raises(NotReadyError) as caught:
            place.require()
        again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 (our own bytes)
        assert (str(again), again.readiness) == (str(caught.value), caught.value.readiness)

    def test_nothing_declared_is_no_verdict(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "drift.toml").write_text("")
        monkeypatch.chdir(tmp_path)
        assert require_ready(WHEN, environ={}) is None
        assert caplog.records == []

    def test_a_broken_file_stops(self, place: Place) -> None:
        place.toml.write_text("[checks\n")
        with pytest.raises(DriftConfigError):
            place.require()


def hangs(place: Place) -> None:
    """BigQuery that takes each question and answers none."""
    text = place.toml.read_text()
    place.toml.write_text(
        text.replace(
            'kind = "sqlite"\npath = "readiness.sqlite"',
            'kind = "bigquery"\nproject = "a-project"',
        )
    )


HANGING = """
[sources.hangs]
kind = "bigquery"
project = "a-project"

[checks.hangs]
phases = ["pre-game"]
source = "hangs"
unit = "count"
query = "SELECT 1 WHERE @day"
threshold = {at_least = 1}

"""
OBSTACLES = {
    "a bad day": Place.spoil,
    "no database": lambda place: place.database.unlink(),
    "a database that is none": lambda place: place.database.write_text("no database\n" * 99),
    "a file that is no TOML": lambda place: place.toml.write_text("[checks\n"),
    "a file that is no text": lambda place: place.toml.write_bytes(b"\xff\xfe"),
    "a misspelt key": lambda place: place.toml.write_text(EXAMPLE.replace("phases", "phase")),
    "no file where the variable points": lambda place: place.toml.unlink(),
    "a source that hangs": hangs,
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_a_bypass_overrides_it_in_time_with_a_warning_that_says_what(
    obstacle: str, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    OBSTACLES[obstacle](place)
    fake = FakeBigQuery()
    fake.hangs_after = -1
    with serving(fake):
        place.environ["BIGQUERY_EMULATOR_HOST"] = f"http://127.0.0.1:{fake.port}"
        readiness = place.require(skip=True, reason="tip-off in ten minutes", actor="ops@example.com")
    assert readiness is not None
    assert (readiness.decision, readiness.enforced) == ("deny", False)
    assert readiness.not_enforced_because == "break-glass"
    (warning,) = [line for level, line in lines(caplog, "drift_gate") if level == logging.WARNING]
    assert warning.startswith(
        "readiness checks bypassed for 2026-02-05 by ops@example.com via --skip-readiness-checks; "
        "reason: tip-off in ten minutes; overridden: "
    )
    assert "overridden: nothing" not in warning
    ((level, line),) = lines(caplog, "drift_gate.verdict")
    assert (level, json.loads(line)["break_glass"]["actor"]) == (logging.WARNING, "ops@example.com")


def test_under_a_bypass_each_check_is_heard_on_its_own(place: Place) -> None:
    """One source hangs; what the others say is known, and overridden by name."""
    place.spoil()
    place.toml.write_text(place.toml.read_text() + HANGING)
    fake = FakeBigQuery()
    fake.hangs_after = -1
    with serving(fake):
        place.environ["BIGQUERY_EMULATOR_HOST"] = f"http://127.0.0.1:{fake.port}"
        readiness = place.require(skip=True)
    assert readiness is not None
    said = {check.name: [reason.code for reason in check.reasons] for check in readiness.checks}
    assert said["hangs"] == ["unknown-readiness"]
    assert said["upstream-cache"] == ["too-low"]
    assert readiness.break_glass is not None
    assert set(readiness.break_glass.overrode) == {"unknown-readiness", "too-low"}


class TestABypass:
    def test_of_a_good_day_overrides_nothing_and_is_still_logged(
        self, place: Place, caplog: pytest.LogCaptureFixture
    ) -> None:
        readiness = place.require(skip=True)
        assert readiness is not None
        assert readiness.break_glass is not None
        assert (readiness.break_glass.actor, readiness.break_glass.reason) == ("ada", None)
        (warning,) = [line for level, line in lines(caplog, "drift_gate") if level == logging.WARNING]
        assert warning.endswith("by ada via --skip-readiness-checks; reason: none given; overridden: nothing")

    def test_of_a_slate_that_cannot_be_read_is_a_bypass_too(self, place: Place) -> None:
        readiness = require_ready(
            occasion_of(date(2026, 2, 5), "no-slate.csv"), skip=True, environ=place.environ
        )
        assert readiness is not None
        assert not readiness.enforced

    def test_where_nothing_is_declared_there_is_nothing_to_override(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "drift.toml").write_text("")
        monkeypatch.chdir(tmp_path)
        assert require_ready(WHEN, skip=True, environ={}) is None
        assert len(lines(caplog, "drift_gate")) == 1

    @pytest.mark.parametrize("name", ["DRIFT_SKIP_CHECK", "COORDINATOR_SKIP_READINESS"])
    def test_of_the_drift_gate_is_none_of_these_checks(self, name: str, place: Place) -> None:
        """No variable skips them, least of all the drift gate's."""
        place.spoil()
        place.environ[name] = "true"
        with pytest.raises(NotReadyError):
            place.require()

    @pytest.mark.parametrize("error", [SystemExit(3), RuntimeError("panic"), MemoryError()])
    def test_survives_whatever_a_library_does(self, error: BaseException, place: Place) -> None:
        def players() -> list[str]:
            raise error

        when = Occasion(game_date=date(2026, 2, 5), players=players)
        readiness = require_ready(when, skip=True, environ=place.environ)
        assert readiness is not None
        assert type(error).__name__ in readiness.checks[0].reasons[0].message
