"""``prediction-coordinator``: exit codes, what is printed where, and the bypass against every obstacle."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from coordinator.worlds import HEADER, SETTINGS, World
from support.forkserver import COORDINATOR, forkserver
from support.heavy import light

import shared.utils.deployment_checker as front_door
from drift_gate.commands.exit_codes import code_of
from drift_gate.commands.main import main as gate_main
from predictions.coordinator import exceptions
from predictions.coordinator.commands.main import EXIT_CODES, main

ROOT = Path(__file__).parents[3]
ID = re.compile(r"2026-02-05-[0-9a-f]{8}")
START = ["start", "--game-date", "2026-02-05"]
BYPASS = [*START, "--skip-drift-check", "--reason", "tip-off in ten minutes", "--actor", "ops@example.com"]


def counts(file: Path = Path(".drift/predictions.sqlite")) -> tuple[int, int, int] | None:
    """Rows in the three tables; None where the file does not exist."""
    if not file.exists():
        return None
    with sqlite3.connect(file) as connection:
        tables = ("batches", "requests", "predictions")
        found = tuple(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)  # noqa: S608 - fixed names
    connection.close()
    return found[0], found[1], found[2]


class TestStart:
    def test_0_done_with_the_summary_on_stdout_and_the_talk_on_stderr(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(START) == 0
        out, err = capsys.readouterr()
        assert ID.sub("ID", out).splitlines() == [
            "batch ID for 2026-02-05 completed: 273 players in 8 games predicted, 0 rows set aside",
            "gate: allow",
            "predictions: .drift/predictions-2026-02-05.csv",
            "state: .drift/predictions.sqlite",
        ]
        for said in ("prediction-worker  ALLOW", "slate: 273 players in 8 games", "predicting", "273/273"):
            assert said in err
        assert counts() == (1, 273, 273)

    def test_the_tree_stays_clean_without_a_gitignore(self, world: World) -> None:
        """A file of our own that git showed would be a change that nobody made."""
        shutil.rmtree(".drift")
        git = ["git", "-c", "user.name=T", "-c", "user.email=t@example.com"]
        subprocess.run([*git, "add", "drift.toml"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", "settings"], check=True)
        head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        assert gate_main(["record", "prediction-worker", "--commit", head.stdout.strip()]) == 0
        assert main(START) == 0
        status = subprocess.run([*git, "status", "--porcelain"], check=True, capture_output=True, text=True)
        assert status.stdout == ""
        assert {"ledger.jsonl", "journal.sqlite", "predictions.sqlite"} <= set(os.listdir(".drift"))

    def test_piped_output_holds_no_control_sequence(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main(START)
        out, err = capsys.readouterr()
        assert "\x1b" not in out + err

    def test_1_the_worker_is_behind_and_nothing_was_made(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        world.fall_behind()
        assert main(START) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert "4 relevant commits behind, more than 3 allowed" in err
        assert "--skip-drift-check --reason" in err
        assert "Traceback" not in err
        assert counts() is None

    def test_3_nobody_knows_what_is_live(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        (world.root / ".drift" / "ledger.jsonl").unlink()
        assert main(START) == 3
        assert "could not be determined" in capsys.readouterr().err
        assert counts() is None

    def test_2_the_configuration_is_broken(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        world.write_settings("[defaults\n")
        assert main(START) == 2
        assert "drift.toml:1: is no valid TOML" in capsys.readouterr().err
        assert counts() is None

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["start"], "--game-date"),
            (["start", "--game-date", "5.2.2026"], "is no date; write it as 2026-02-05"),
            ([*START, "--batch-size", "0"], "is no number from 1 upwards"),
            ([], "COMMAND"),
        ],
    )
    def test_2_usage(self, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert said in err

    def test_2_no_such_slate(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([*START, "--slate", "none.csv"]) == 2
        assert "prediction-coordinator: the slate none.csv cannot be read" in capsys.readouterr().err
        assert counts() is None

    def test_4_an_empty_slate(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        Path("empty.csv").write_text(f"{HEADER}\n")
        assert main([*START, "--slate", "empty.csv"]) == 4
        assert "nobody to predict for" in capsys.readouterr().err
        assert counts() is None

    def test_4_the_batch_failed_and_status_says_so(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Path(".drift/predictions-2026-02-05.csv").mkdir()
        assert main(START) == 4
        assert main(["status"]) == 0
        out, err = capsys.readouterr()
        assert "cannot be written to .drift/predictions-2026-02-05.csv" in err
        out = ID.sub("ID", out)
        assert out.splitlines()[1].split()[:3] == ["ID", "failed", "273/273"]
        assert "batch ID failed: the predictions cannot be written" in out

    @pytest.mark.parametrize(
        ("error", "code", "said", "traced"),
        [
            (
                LookupError("nobody thought of this"),
                3,
                "ERROR prediction-coordinator: unexpected error: LookupError: nobody thought of this\n",
                True,
            ),
            (KeyboardInterrupt(), 130, "prediction-coordinator: interrupted\n", False),
        ],
    )
    def test_3_an_unexpected_error_with_its_traceback_and_130_ctrl_c(
        self,
        error: BaseException,
        code: int,
        said: str,
        traced: bool,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Both in one sentence, as the gate's own command line has it; a bug also says where."""

        def breaks(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("predictions.coordinator.coordinator.Coordinator.start", breaks)
        assert main(START) == code
        told = capsys.readouterr().err
        assert told.startswith(said)
        assert (told != said) == traced == ("Traceback" in told)

    def test_a_batch_size_larger_than_the_slate_is_one_call(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([*START, "--batch-size", "1000"]) == 0
        assert "273/273" in capsys.readouterr().err

    def test_rows_that_are_set_aside_are_named_up_to_ten_and_counted(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        good = "G1,2026-02-05,P1,One,T1,T2,1"
        bad = [f"G1,2026-02-05,X{number},[red]Name,T1,T2,oops" for number in range(12)]
        Path("slate.csv").write_text("\n".join([HEADER, good, *bad]))
        assert main([*START, "--slate", "slate.csv"]) == 0
        out, err = capsys.readouterr()
        assert "1 players in 1 games predicted, 12 rows set aside" in out
        assert err.count("which is no number") == 10
        assert "set aside: 2 more rows" in err


def test_130_interrupted_by_ctrl_c_before_anything_exists(world: World) -> None:
    """The slate is a view without an end: the process waits there, gate passed."""
    with closing(sqlite3.connect("day.db")) as connection, connection:
        connection.execute(
            "CREATE VIEW players AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n)"
            " SELECT i AS game_date, i AS game_id, i AS player_id, i AS player_name, i AS team,"
            " i AS opponent, i AS recent_points FROM n"
        )
    args = [*START, "--slate", "sqlite:day.db?table=players"]
    with forkserver().running(COORDINATOR, args, cwd=Path.cwd(), env=os.environ) as (process, _, told):
        for line in told:
            if line.startswith("drift "):  # the last line of the verdict's table
                break
        process.send_signal(signal.SIGINT)
        rest = told.read()
        assert process.wait(120) == 130
    assert rest.splitlines()[-1] == "prediction-coordinator: interrupted"
    assert "Traceback" not in rest
    assert counts() is None


def unknown_service(world: World) -> None:
    world.write_settings(SETTINGS + '[batch]\nrequires = ["predction-worker"]\n')


def no_history(world: World) -> None:
    (world.root / ".git").rename(world.root / "git-is-gone")


def no_text(world: World) -> None:
    (world.root / "drift.toml").write_bytes(b"\xff\xfe")


OBSTACLES: dict[str, tuple[Callable[[World], None], int]] = {
    "drift": (World.fall_behind, 1),
    "no ledger": (lambda world: (world.root / ".drift" / "ledger.jsonl").unlink(), 3),
    "no git history": (no_history, 3),
    "no drift.toml": (lambda world: (world.root / "drift.toml").unlink(), 2),
    "a drift.toml that is no TOML": (lambda world: world.write_settings("[defaults\n"), 2),
    "a drift.toml that is no text": (no_text, 2),
    "a misspelt key": (lambda world: world.write_settings("[defualts]\n" + SETTINGS), 2),
    "a negative limit": (lambda world: world.write_settings(SETTINGS + "max_commits_behind = -1\n"), 2),
    "an unknown service": (unknown_service, 2),
}
#: A refusal, two kinds of not knowing, and a file that cannot be read.
KEPT = ("drift", "no ledger", "no git history", "a drift.toml that is no TOML")


class TestEveryObstacle:
    @pytest.mark.parametrize("obstacle", OBSTACLES)
    def test_refuses_without_the_bypass(self, world: World, obstacle: str) -> None:
        prepare, code = OBSTACLES[obstacle]
        prepare(world)
        assert main(START) == code
        assert counts() is None

    @pytest.mark.parametrize("obstacle", light(OBSTACLES, KEPT))
    def test_is_overridden_by_the_bypass_in_time_and_with_a_warning(
        self, world: World, obstacle: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        prepare, _ = OBSTACLES[obstacle]
        prepare(world)
        assert main(BYPASS) == 0
        out, err = capsys.readouterr()
        (warning,) = [line for line in err.splitlines() if line.startswith("WARNING drift gate bypassed")]
        assert "ops@example.com" in warning
        assert "tip-off in ten minutes" in warning
        assert "gate: deny, not enforced (break-glass)" in out
        assert counts() == (1, 273, 273)


class TestStatus:
    def test_says_on_stderr_that_there_is_nothing_yet_and_makes_nothing(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["status"]) == 0
        out, err = capsys.readouterr()
        assert (out, err) == ("", "no batch yet: .drift/predictions.sqlite does not exist\n")
        assert counts() is None

    def test_lists_the_batches_of_a_date(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        main(START)
        capsys.readouterr()
        assert main(["status", "--game-date", "2026-02-05"]) == 0
        assert "completed" in capsys.readouterr().out
        assert main(["status", "--game-date", "2026-02-06"]) == 0
        assert capsys.readouterr().out == ""

    def test_of_a_file_that_is_none_is_4(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "state").write_text("no database at all, but long enough for a header\n" * 9)
        assert main(["status", "--state", str(tmp_path / "state")]) == 4
        assert "cannot be used" in capsys.readouterr().err


class TestExceptions:
    def test_the_gates_error_is_one_object_through_every_door(self) -> None:
        assert exceptions.DeploymentDriftError is front_door.DeploymentDriftError

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (exceptions.DeploymentDriftError("behind"), 1),
            (exceptions.DriftUnknownError("unknown"), 3),
            (exceptions.DriftConfigError("drift.toml"), 2),
            (exceptions.SlateError("no slate"), 2),
            (exceptions.EmptySlateError("empty"), 4),
            (exceptions.BatchError("failed"), 4),
            (exceptions.BatchRunningError("running"), 4),
            (exceptions.StateError("disk full"), 4),
            (RuntimeError("?"), 3),
            (KeyboardInterrupt(), 130),
        ],
    )
    def test_each_has_its_exit_code(self, error: BaseException, code: int) -> None:
        assert code_of(error, EXIT_CODES) == code
