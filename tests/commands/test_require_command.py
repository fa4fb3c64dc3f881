"""``deployment-drift require``: the gate for programs that are not Python, as real processes see it."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sqlite3
from collections.abc import Iterator
from typing import IO

import pytest
from support.forkserver import Forked
from support.heavy import light
from support.stage import BYPASS, Done, Stage
from support.world import WORKER, World

#: Is there where it ran.
RAN = ("sh", "-c", "touch ran; echo out; exit 7")


@pytest.fixture
def stage(world: World) -> Iterator[Stage]:
    with contextlib.closing(Stage(world)) as ready:
        yield ready


@pytest.fixture
def behind(stage: Stage) -> Stage:
    """The worker lacks more than is allowed."""
    stage.deadline = "60s"
    for _ in range(5):
        stage.world.change()
    return stage


def require(stage: Stage, *args: str) -> Done:
    return stage.spawn("deployment-drift", "require", *args)


def ran(stage: Stage) -> bool:
    return (stage.folder / "ran").exists()


def rows(stage: Stage) -> list[tuple[str, int, str | None, str | None]]:
    with contextlib.closing(sqlite3.connect(stage.folder / ".drift" / "journal.sqlite")) as kept:
        return kept.execute(
            "SELECT decision, enforced, bypass_actor, bypass_reason FROM decisions"
        ).fetchall()


@contextlib.contextmanager
def started(stage: Stage, *args: str) -> Iterator[tuple[Forked, IO[str]]]:
    """The command under way, and its output; its input stays open."""
    (waits, held), (said, says) = os.pipe(), os.pipe()
    with open(waits, "rb") as stdin, open(says, "wb") as out, open(os.devnull, "wb") as nothing:
        words = ("deployment-drift", "require", *args)
        process = stage.begin(*words, stdin=stdin, stdout=out, stderr=nothing)
    with open(said, encoding="utf-8") as lines, open(held, "wb"):
        try:
            yield process, lines
        finally:
            process.kill()
            process.wait(60)


class TestWhereItIsAllowed:
    @pytest.fixture(autouse=True)
    def _patience(self, stage: Stage) -> None:
        stage.deadline = "60s"

    def test_the_command_runs_and_its_exit_code_and_output_are_its_own(self, stage: Stage) -> None:
        done = require(stage, WORKER, "--", *RAN)
        assert (done.code, done.out, ran(stage)) == (7, "out\n", True)
        assert f"{WORKER}  ALLOW" in done.err

    def test_the_command_is_the_process(self, stage: Stage) -> None:
        """Whoever supervises it sends its signals to the command itself."""
        with started(stage, WORKER, "--", "sh", "-c", "echo $$") as (process, out):
            assert out.read() == f"{process.pid}\n"

    def test_a_broken_pipe_ends_the_command_as_it_would_without_the_gate(self, stage: Stage) -> None:
        """Python ignores SIGPIPE, and what is ignored would stay so."""
        done = require(stage, WORKER, "--", "sh", "-c", "kill -PIPE $$; echo still here")
        assert (done.code, done.out) == (-signal.SIGPIPE, "")

    def test_without_a_command_the_exit_code_is_the_answer(self, stage: Stage) -> None:
        assert (require(stage, WORKER).code, rows(stage)) == (0, [("allow", 1, None, None)])

    @pytest.mark.parametrize(
        ("command", "code"),
        light(
            [("./no-such", 127), ("./drift.toml", 126), ("./", 126)],
            [("./no-such", 127), ("./drift.toml", 126)],
        ),
    )
    def test_what_cannot_be_run_is_told_as_a_shell_does(self, stage: Stage, command: str, code: int) -> None:
        done = require(stage, WORKER, "--", command)
        assert done.code == code
        assert f"deployment-drift: {command}: " in done.err

    def test_what_follows_the_dashes_is_the_commands(self, stage: Stage) -> None:
        done = require(stage, WORKER, "--", "sh", "-c", 'echo "$@"', "sh", "--wait", "x", "--", "--reason")
        assert (done.code, done.out) == (0, "--wait x -- --reason\n")


class TestWhereItIsRefused:
    def test_nothing_runs_and_the_lines_to_paste_are_those_of_the_command(self, behind: Stage) -> None:
        done = require(behind, WORKER, "--", *RAN)
        assert (done.code, done.out, ran(behind)) == (1, "", False)
        again = f"deployment-drift require {WORKER} -- {shlex.join(RAN)}"
        assert f"  again    {again}\n" in done.err
        assert "prediction-coordinator" not in done.err

    def test_the_line_of_the_bypass_starts_it(self, behind: Stage) -> None:
        """Pasted as it stands, with a reason put in."""
        done = require(behind, WORKER, "--", *RAN)
        (line,) = [line for line in done.err.splitlines() if line.startswith("  bypass")]
        _, program, command, *args = shlex.split(line)
        assert (program, command) == ("deployment-drift", "require")
        assert (require(behind, *args).code, ran(behind)) == (7, True)

    def test_3_where_it_could_not_be_found_out(self, stage: Stage) -> None:
        stage.deadline = "60s"
        stage.deploy(label="main")
        assert (require(stage, WORKER, "--", *RAN).code, ran(stage)) == (3, False)

    def test_2_where_the_configuration_is_broken(self, stage: Stage) -> None:
        stage.toml = "[services"
        assert (require(stage, WORKER, "--", *RAN).code, ran(stage)) == (2, False)

    def test_without_a_command_the_way_past_it_is_told_in_words(self, behind: Stage) -> None:
        done = require(behind, WORKER)
        assert done.code == 1
        assert "DRIFT_SKIP_CHECK=1 and DRIFT_SKIP_CHECK_UNTIL=TIME" in done.err


class TestUnderABypass:
    def test_the_command_runs_and_the_trace_is_kept(self, behind: Stage) -> None:
        """The verdict that was overridden is on record, though the command has long ended."""
        done = require(behind, *BYPASS, WORKER, "--", *RAN)
        assert (done.code, done.out, ran(behind)) == (7, "out\n", True)
        assert "drift gate bypassed for" in done.err
        assert "overridden: too-many-commits-behind" in done.err
        assert rows(behind) == [("deny", 0, "ops@example.com", "tip-off in ten minutes")]

    def test_nothing_broken_stands_in_its_way(self, stage: Stage) -> None:
        stage.toml = "[services"
        stage.environ["PATH"] = "/bin:/usr/bin"
        assert (require(stage, *BYPASS, WORKER, "--", *RAN).code, ran(stage)) == (7, True)

    @pytest.mark.parametrize(
        ("trap", "code"),
        [("trap 'exit 9' TERM;", 9), pytest.param("", 128 + signal.SIGTERM, marks=pytest.mark.heavy)],
    )
    def test_signals_reach_the_command(self, behind: Stage, trap: str, code: int) -> None:
        script = f"{trap} echo ready; read never"
        with started(behind, *BYPASS, WORKER, "--", "sh", "-c", script) as (process, out):
            assert out.readline() == "ready\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == code

    def test_what_cannot_be_run_is_told_as_a_shell_does(self, behind: Stage) -> None:
        assert require(behind, *BYPASS, WORKER, "--", "./no-such").code == 127
