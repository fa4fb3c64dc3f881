"""The manners of ``deployment-drift``: what every command takes, and what happens to its output."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from support.world import WORKER, World

import drift_gate
from drift_gate.commands import main
from drift_gate.policy.codes import CAUSE_MEANINGS, REASONS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A worker that is current, seen from the folder of its ``drift.toml``."""
    world.cloud.deploy(WORKER, commit=world.first)
    world.settings()
    monkeypatch.chdir(world.folder)
    monkeypatch.setenv("CLOUD_RUN_EMULATOR_HOST", world.cloud.host)
    monkeypatch.setenv("HOME", str(world.folder))
    return world


def on_terminal(monkeypatch: pytest.MonkeyPatch, *argv: str, columns: int = 120) -> str:
    """What the command line prints on a terminal of its own, in this process."""
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("NO_COLOR", raising=False)
    with open(theirs, "w", encoding="utf-8") as terminal, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", terminal)
        main.main(argv)
        shown = os.read(ours, 65_536).decode()
    os.close(ours)
    return shown.replace("\r\n", "\n")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"deployment-drift {drift_gate.__version__}\n"


def test_explain_alone_lists_every_code_and_cause(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["explain"]) == 0
    begun = {line.split(" ")[0] for line in capsys.readouterr().out.splitlines()}
    assert begun >= {*REASONS, *CAUSE_MEANINGS}


def test_an_explanation_is_folded_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every word is whole in the column beside the labels, however narrow the terminal."""
    shown = on_terminal(monkeypatch, "explain", "content-differs", columns=50)
    assert max(map(len, shown.splitlines())) <= 50
    assert REASONS["content-differs"].when in " ".join(shown.split())


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("too-many", "too-many-commits-behind"),
        ("traffic-s", "traffic-split"),
        ("aheda", "ahead"),
        ("rollout", "rollout-failed or rollout-stalled or rollout-in-progress"),
    ],
)
def test_the_beginning_of_a_code_proposes_it(
    asked: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["explain", asked]) == 2
    assert f"{asked!r}; did you mean {meant}" in capsys.readouterr().err


class TestWhatEveryCommandTakes:
    @pytest.mark.parametrize("before", [True, False])
    def test_a_folder_to_run_in(
        self, here: World, before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``-C`` stands before the command or behind it, and ends with the run."""
        monkeypatch.chdir(tmp_path)
        there = ["-C", str(here.folder)]
        assert main.main([*there, "check"] if before else ["check", *there]) == 0
        assert Path.cwd() == tmp_path

    def test_a_folder_that_is_none(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.main(["-C", "/no/such", "check"]) == 2
        said = "deployment-drift: -C /no/such: No such file or directory\n"
        assert capsys.readouterr() == ("", said)

    def test_a_file_of_settings(
        self, here: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``--config`` stands before ``DRIFT_CONFIG``, for each command that reads settings."""
        (here.folder / "drift.toml").rename(here.folder / "other.toml")
        monkeypatch.setenv("DRIFT_CONFIG", "none.toml")
        assert main.main(["check"]) == 2
        named = ["--config", "other.toml"]
        assert main.main([*named, "check"]) == 0
        assert main.main([*named, "require", WORKER]) == 0
        assert main.main([*named, "doctor"]) == 0
        assert main.main(["files", *named, WORKER]) == 0
        assert main.main([*named, "is-live", here.first]) == 0
        assert main.main([*named, "why", WORKER, "shared/x.py"]) == 0
        assert main.main([*named, "warm"]) == 0
        assert main.main([*named, "bypass", "--for", "1h"]) == 0
        assert "settings not used" not in capsys.readouterr().err

    def test_a_bypass_reads_the_file_of_settings_too(
        self, here: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from drift_gate.wiring import enforcement

        (here.folder / "drift.toml").rename(here.folder / "other.toml")
        argv = ["--config", "other.toml", "require", "--skip-drift-check", "--reason", "x", WORKER]
        assert main.main(argv) == 0
        enforcement.finish()
        assert '"file": "' + str(here.folder / "other.toml") in capsys.readouterr().err

    def test_no_colour(self, here: World, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "\x1b[1;32m" in on_terminal(monkeypatch, "check")
        plain = on_terminal(monkeypatch, "--no-color", "check")
        assert "ALLOW" in plain
        assert "\x1b[1;32m" not in plain

    def test_what_stands_behind_the_two_dashes_belongs_to_the_other_command(self) -> None:
        argv = ["--config", "x.toml", "require", WORKER, "--", "env", "-C", "/", "--", "true"]
        parsed = main.parse(argv)
        assert (parsed.config, parsed.folder) == ("x.toml", None)
        assert parsed.command == ["env", "-C", "/", "--", "true"]

    def test_a_service_called_like_a_command_runs_nothing(self) -> None:
        """Only ``trace`` and ``require`` cut the line at the two dashes."""
        parsed = main.parse(["check", "trace", "--", "require"])
        assert parsed.services == ["trace", "require"]


@pytest.mark.parametrize(
    ("stdout", "why"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")]
)
@pytest.mark.parametrize("argument", ["explain", "--help"])
def test_a_stdout_that_takes_nothing(argument: str, stdout: str, why: str) -> None:
    """One sentence and 3: nobody takes an empty answer for a pass."""
    code = "import sys; from drift_gate.commands.main import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {argument} {stdout}', sys.executable, code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    said = f"deployment-drift: cannot write to stdout: {why}\n"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", said)
