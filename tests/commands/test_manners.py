"""The manners of ``deployment-drift``: what every command takes, and what happens to its output."""

from __future__ import annotations

import json
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
from drift_gate.runtime import background

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
    end = "\x04"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("NO_COLOR", raising=False)
    with open(theirs, "w", encoding="utf-8") as terminal, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", terminal)
        main.main(argv)
        terminal.write(end)
        # Read while it is open: what is under way when the last writer closes a terminal may be lost.
        terminal.flush()
        shown = b""
        while not shown.endswith(end.encode()):
            shown += os.read(ours, 65_536)
    os.close(ours)
    return shown.decode().replace("\r\n", "\n").removesuffix(end)


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

    @pytest.mark.heavy
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
        assert main.main([*named, "why", WORKER, "shared/odds.py"]) == 0
        assert main.main([*named, "warm"]) == 0
        assert main.main([*named, "bypass", "--for", "1h"]) == 0
        assert "settings not used" not in capsys.readouterr().err

    def test_a_bypass_reads_the_file_of_settings_too(
        self, here: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (here.folder / "drift.toml").rename(here.folder / "other.toml")
        argv = ["--config", "other.toml", "require", "--skip-drift-check", "--reason", "x", WORKER]
        assert main.main(argv) == 0
        background.finish()
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


#: What a fresh interpreter runs.
MAIN = {
    program: f"import sys; from {module}.commands.main import main; sys.exit(main(sys.argv[1:]))"
    for program, module in (
        ("deployment-drift", "drift_gate"),
        ("prediction-coordinator", "predictions.coordinator"),
    )
}


@pytest.mark.parametrize(
    ("stdout", "why"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")]
)
@pytest.mark.parametrize(
    ("program", "argument"),
    [
        ("deployment-drift", "explain"),
        ("deployment-drift", "--help"),
        ("deployment-drift", "stats"),
        ("deployment-drift", "report"),
        ("prediction-coordinator", "--help"),
    ],
)
def test_a_stdout_that_takes_nothing(
    program: str, argument: str, stdout: str, why: str, tmp_path: Path
) -> None:
    """One sentence and 3: nobody takes an empty answer for a pass."""
    (tmp_path / "drift.toml").write_text('[defaults]\nlive = "ledger"\n[services.worker]\n')
    main.main(["-C", str(tmp_path), "check"])  # there is something to show
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {argument} {stdout}', sys.executable, MAIN[program]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = f"{program}: cannot write to stdout: {why}\n"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", said)


@pytest.mark.parametrize("program", ["deployment-drift", "prediction-coordinator"])
@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-"])
def test_a_stderr_that_takes_nothing(program: str, stderr: str) -> None:
    """The exit code stays what it is."""
    argv = ["sh", "-c", f'exec "$0" -c "$1" nonsense {stderr}', sys.executable, MAIN[program]]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


def behind(world: World, commits: int) -> None:
    for _ in range(commits):
        world.change()


class TestCheck:
    def test_another_target_for_once(self, here: World, capsys: pytest.CaptureFixture[str]) -> None:
        """``--target`` overrides the file as ``DRIFT_TARGET_REF`` does, and is told in the same way."""
        behind(here, 4)
        here.history.git("branch", "release", here.first)
        assert main.main(["check", "--format", "json"]) == 1
        capsys.readouterr()
        assert main.main(["check", "--target", "release", "--format", "json"]) == 0
        out, err = capsys.readouterr()
        (service,) = json.loads(out)["services"]
        assert service["report"]["target"]["commit"] == here.first
        assert service["policy"]["overrides"] == {"DRIFT_TARGET_REF": "release"}
        stands = f"stands before {here.folder / 'drift.toml'}"
        assert f"WARNING DRIFT_TARGET_REF=release (or --target) {stands}" in err

    def test_another_target_that_is_none_is_mended_where_it_was_named(
        self, here: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main.main(["check", "--target", "nosuch"]) == 3
        out = " ".join(capsys.readouterr().out.split())
        assert "target-not-found: correct the ref where it comes from (`--target`, else" in out

    def test_what_is_no_name_of_a_commit_is_named(
        self, here: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Once, and with what may be named."""
        assert main.main(["is-live", "HEAD~1"]) == 2
        said = "'HEAD~1' is no commit id and no name of a ref: name a branch, a tag or HEAD"
        assert capsys.readouterr().err == f"deployment-drift: {said}\n"
        assert main.main(["is-live", "mian"]) == 2
        said = f"'mian' is no commit id, and {here.folder} has no ref mian; did you mean main?"
        assert capsys.readouterr().err == f"deployment-drift: {said}\n"

    def test_quiet_is_silent_where_all_is_well(self, here: World, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.main(["check", "--quiet"]) == 0
        assert capsys.readouterr() == ("", "")
        behind(here, 4)
        assert main.main(["check", "--quiet"]) == 1
        out, err = capsys.readouterr()
        assert (out, json.loads(err)["decision"]) == ("", "deny")

    def test_a_warning_fails_where_it_is_asked_to(self, here: World) -> None:
        """So does what is denied and not enforced; an allowed service never."""
        fail = ["check", "--fail-on", "warn"]
        assert main.main(fail) == 0
        behind(here, 1)
        assert (main.main(["check"]), main.main(fail)) == (0, 1)
        behind(here, 4)
        here.toml += '\n[policy]\nenforcement = "warn"\n'
        here.settings()
        assert (main.main(["check"]), main.main(fail)) == (0, 1)
        here.cloud.services.clear()
        here.toml = here.toml.replace('enforcement = "warn"', "")
        here.settings()
        assert (main.main(["check"]), main.main(fail)) == (3, 3)

    def test_several_files_beside_what_is_printed(
        self, here: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        asked = [f"--output={form}=out/{form}" for form in ("json", "junit", "github", "markdown", "table")]
        Path("out").mkdir()
        Path("out/json").symlink_to("real.json")
        assert main.main(["check", *asked, "--format", "markdown"]) == 0
        assert capsys.readouterr().out == Path("out/markdown").read_text()
        assert json.loads(Path("out/real.json").read_text())["decision"] == "allow"
        assert Path("out/json").is_symlink()
        assert 'tests="1"' in Path("out/junit").read_text()
        assert "ALLOW" in Path("out/table").read_text()
        assert sorted(os.listdir("out")) == ["github", "json", "junit", "markdown", "real.json", "table"]

    @pytest.mark.parametrize(
        ("file", "why"), [("none/x", "No such file or directory"), ("/dev/null", "is no regular file")]
    )
    def test_a_file_that_cannot_be_written(
        self, here: World, file: str, why: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The answer is printed, and 3 says that the file is not there."""
        assert main.main(["check", "--output", f"json={file}"]) == 3
        out, err = capsys.readouterr()
        assert "ALLOW" in out
        assert f"deployment-drift: --output json={file}: {why}\n" in err

    def test_a_known_denial_stays_one_where_a_file_cannot_be_written(
        self, here: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The others are written, and the sentence stands on stderr."""
        behind(here, 4)
        assert main.main(["check", "--output", "json=none/x", "--output", "json=real.json"]) == 1
        out, err = capsys.readouterr()
        assert "DENY" in out
        assert "deployment-drift: --output json=none/x: No such file or directory\n" in err
        assert json.loads(Path("real.json").read_text())["decision"] == "deny"

    def test_a_file_is_written_whatever_becomes_of_stdout(
        self, here: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdout", None)  # as Python has it where it is closed
        assert main.main(["check", "--output", "json=real.json"]) == 3
        assert json.loads(Path("real.json").read_text())["decision"] == "allow"

    def test_no_link_beside_leads_a_file_elsewhere(self, here: World) -> None:
        """Nor does a name that another run may use at the same time."""
        victim = here.folder / "victim"
        victim.write_text("theirs")
        Path("out").mkdir()
        Path("out/.real.json.new").symlink_to(victim)
        assert main.main(["check", "--output", "json=out/real.json"]) == 0
        assert victim.read_text() == "theirs"
        assert sorted(os.listdir("out")) == [".real.json.new", "real.json"]

    @pytest.mark.parametrize("again", ["real", "./real", "link"])
    def test_a_file_for_two_formats(
        self, here: World, again: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Path("link").symlink_to("real")
        assert main.main(["check", "--output", "json=real", "--output", f"junit={again}"]) == 2
        sentence = f"--output names {Path(again)} twice: give each format a file of its own"
        assert capsys.readouterr() == ("", f"deployment-drift: {sentence}\n")
        assert not Path("real").exists()

    @pytest.mark.parametrize("text", ["json", "yaml=x", "json=", "=x"])
    def test_an_output_that_is_none(self, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main.main(["check", "--output", text])
        assert ended.value.code == 2
        assert "FORMAT=FILE, with one of table, json," in capsys.readouterr().err

    @pytest.mark.parametrize("columns", [20, 40])
    def test_a_narrow_terminal_cuts_no_id(
        self, here: World, columns: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Commit, revision and service are whole, in the full table and in the line of an allowed one."""
        second = f"{WORKER}-with-a-name-as-long-as-cloud-run-takes"
        here.toml += f"\n[services.{second}]\n"
        here.settings()
        revision = here.cloud.deploy(second, commit=here.first)
        shown = on_terminal(monkeypatch, "--no-color", "check", columns=columns)
        verbose = on_terminal(monkeypatch, "--no-color", "check", "--verbose", columns=columns)
        for each in (second, here.first[:12]):
            assert each in shown
            assert each in verbose
        assert revision in verbose
