"""``prediction-coordinator readiness`` over the shipped example: a real SQLite file, real exit codes."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from predictions.coordinator.commands.main import main
from scripts.make_readiness import write

ROOT = Path(__file__).parents[3]
EXAMPLE = (ROOT / "examples" / "readiness.toml").read_text(encoding="utf-8")
ASK = ["readiness", "--game-date", "2026-02-05"]


class Place:
    """A folder with the example beside a ``drift.toml``, and its database."""

    def __init__(self, root: Path, database: Path) -> None:
        self.toml = root / "readiness.toml"
        self.database = root / "readiness.sqlite"
        (root / "drift.toml").write_text("")
        self.toml.write_text(EXAMPLE.replace("../.drift/", ""))
        shutil.copy(database, self.database)

    def run(self, script: str) -> None:
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.executescript(script)

    def edit(self, old: str, new: str) -> None:
        text = self.toml.read_text()
        assert old in text
        self.toml.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("made") / "readiness.sqlite"
    write(file)
    return file


@pytest.fixture
def place(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name in ("COORDINATOR_READINESS", "DRIFT_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path, database)


def test_0_the_example_as_it_stands(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """38.8 % of the players have a line, on a history of 37 to 49.5 %: normal."""
    assert main(ASK) == 0
    out, err = capsys.readouterr()
    assert "readiness for 2026-02-05, pre-game  ALLOW" in out
    (features,) = [line for line in out.splitlines() if line.startswith("features")]
    assert features.split() == [
        "features",
        "allow",
        "273",
        "of",
        "273",
        "100",
        "%",
        "at",
        "least",
        "100",
        "%",
    ]
    (coverage,) = [line for line in out.splitlines() if line.startswith("line-coverage")]
    assert "38.8 %" in coverage
    assert "usually 41.8 %" in coverage
    assert json.loads(err)["event"] == "readiness_verdict"


def test_the_json_holds_what_the_table_shows_and_stderr_one_line(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*ASK, "--format", "json"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["schema_version"], told["decision"], told["enforced"]) == (1, "allow", True)
    assert (told["game_date"], told["phase"], told["other_phases"]) == ("2026-02-05", "pre-game", ["results"])
    coverage = {each["name"]: each for each in told["checks"]}["line-coverage"]
    (measure,) = coverage["measures"]
    values = [value for _, value in measure["history"]["days"]]
    assert 37 <= round(min(values), 1) <= max(values) <= 49.5
    assert round(measure["value"], 1) == 38.8
    assert measure["normal"]["low"] < 38.8
    assert len(err.splitlines()) == 1


def test_the_two_definitions_of_grading_are_shown_and_their_difference_explained(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    main([*ASK, "--format", "json"])
    grading = {each["name"]: each for each in json.loads(capsys.readouterr().out)["checks"]}["grading"]
    assert [each["label"] for each in grading["measures"]] == ["graded predictions", "graded players"]
    (reason,) = grading["reasons"]
    assert reason["code"] == "definitions-differ"
    assert reason["data"] == {"did_not_play": 64, "not_predicted": 8, "not_graded": 1}


BAD = {
    "a player without features": ("DELETE FROM features WHERE player_id = 'P0007'", "no features for P0007"),
    "an empty cache": ("DELETE FROM upstream_cache", "too-low: 0, at least 1"),
    "hardly any line": (
        "UPDATE lines SET line = NULL WHERE game_date = '2026-02-05' AND player_id > 'P0100'",
        "line-coverage  abnormally-low: 13.9 %",
    ),
    "nothing graded": ("UPDATE grading SET graded = NULL WHERE game_date = '2026-02-04'", "too-low: graded"),
}


@pytest.mark.parametrize("bad", BAD)
def test_1_something_is_bad(bad: str, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    script, said = BAD[bad]
    place.run(script)
    assert main(ASK) == 1
    assert said in capsys.readouterr().out


def test_0_a_check_that_only_warns_refuses_nothing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.run("UPDATE clean_ups SET removed = 12000 WHERE day = '2026-02-04'")
    assert main(ASK) == 0
    out = capsys.readouterr().out
    assert "WARN" in out
    assert "warn   clean-ups  abnormally-high: 12,000" in out


def test_3_a_source_that_is_gone_is_unknown_and_never_zero(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.database.unlink()
    assert main([*ASK, "--format", "json"]) == 3
    told = json.loads(capsys.readouterr().out)
    for check in told["checks"]:
        assert (check["unknown"]["cause"], check["measures"]) == ("not-found", [])
        assert check["decision"] == ("warn" if check["name"] == "clean-ups" else "deny")
    assert not place.database.exists()


def test_1_one_thing_is_bad_and_another_unknown(place: Place) -> None:
    place.run("DELETE FROM upstream_cache; DROP TABLE lines")
    assert main(ASK) == 1


def test_0_unknown_where_the_policy_ignores_it(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.edit('failure_policy = "fail"', 'failure_policy = "ignore"')
    place.run("DROP TABLE lines")
    assert main(ASK) == 0
    assert "no such table: lines" in capsys.readouterr().out


def test_0_not_enforced(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.edit("[policy]", '[policy]\nenforcement = "warn"')
    place.run("DELETE FROM upstream_cache")
    assert main(ASK) == 0
    assert "DENY (not enforced: the policy only warns)" in capsys.readouterr().out


class TestPhases:
    def test_a_check_of_finished_games_is_no_failure_before_the_first_tip_off(
        self, place: Place, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Today's results are not there yet: before the games nobody asks for them."""
        assert main([*ASK, "--phase", "pre-game"]) == 0
        assert "not asked, they hold for another phase: results" in capsys.readouterr().out

    def test_after_the_games_they_must_be_there(
        self, place: Place, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([*ASK, "--phase", "post-game"]) == 3
        out = capsys.readouterr().out
        assert "unknown-readiness: not-found: results: the query found no value (NULL)" in out
        assert out.splitlines()[-1].endswith("phase: features, upstream-cache, line-coverage, grading")

    def test_a_check_may_hold_for_both(self, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
        for phase in ("pre-game", "post-game"):
            main([*ASK, "--phase", phase, "--format", "json"])
            told = json.loads(capsys.readouterr().out)
            assert "clean-ups" in [each["name"] for each in told["checks"]]

    def test_2_no_check_for_the_phase_is_no_pass(
        self, place: Place, capsys: pytest.CaptureFixture[str]
    ) -> None:
        place.edit('["pre-game", "post-game"]', '["pre-game"]')
        place.edit('["post-game"]', '["pre-game"]')
        assert main([*ASK, "--phase", "post-game"]) == 2
        assert "no check holds for the phase post-game" in capsys.readouterr().err


class TestUsage:
    def test_2_nothing_is_declared(self, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
        place.toml.unlink()
        assert main(ASK) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert "no readiness.toml beside drift.toml; write one, or set COORDINATOR_READINESS" in err

    def test_2_a_misspelt_key(self, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
        place.edit("at_least = 1}", "at_leest = 1}")
        assert main(ASK) == 2
        assert "[checks.upstream-cache.threshold] at_leest: unknown key; did you mean at_least" in (
            capsys.readouterr().err
        )

    @pytest.mark.parametrize("game_date", ["5.2.2026", "tomorrow"])
    def test_2_no_date(self, game_date: str) -> None:
        with pytest.raises(SystemExit) as caught:
            main(["readiness", "--game-date", game_date])
        assert caught.value.code == 2

    def test_2_no_slate_for_the_features(self, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["readiness", "--game-date", "2026-02-04"]) == 2
        assert "no slate comes with the package for 2026-02-04" in capsys.readouterr().err

    def test_the_variable_names_another_file(
        self, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        moved = place.toml.rename(tmp_path / "other.toml")
        monkeypatch.setenv("COORDINATOR_READINESS", str(moved))
        (tmp_path / "drift.toml").unlink()
        assert main(ASK) == 0
