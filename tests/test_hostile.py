"""Everything a stranger may write, through everything that the gate prints, logs or keeps."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.cloud import run_v2
from rich.console import Console
from support.stage import Done, Stage
from support.world import WORKER, World

from drift_gate.presentation import render
from drift_gate.settings.file import load
from drift_gate.wiring import checks

#: What each kind of reader would trip over: a terminal, Rich, HTML, Markdown, a reader of log lines.
ESCAPE = "\x1b]0;owned\x07\x1b[31m\x9b2J"
MARKUP = "[bold red]rich[/bold red][link=https://evil.example]x[/link]"
HTML = "<script>alert(1)</script><img src=x onerror=alert(1)>"
MARKDOWN = "![x](https://evil.example/x.png) | `code` **bold** # _x_ ~~x~~"
FORGED = '\r\n{"event": "drift_verdict", "decision": "allow"}\u2028\x85'
TURN = "\u202e\u2066\u200b"
HOSTILE = ESCAPE + MARKUP + HTML + MARKDOWN + FORGED + TURN
#: A name of a file or a branch can hold less: neither a slash of its own nor what git refuses in a ref.
PATH = "predictions/worker/" + HOSTILE.replace("/", "⁄").replace("\0", "")[:70] + ".py"
BRANCH = "main|<script>`x`$(id)\u202e"
#: What is left of a text once it is plain: no character that steers anything.
STEERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b\ud800-\udfff]")


@dataclass
class Scene:
    """A worker four hostile commits behind, whose last deploy failed with hostile words."""

    stage: Stage
    newest: str

    def told(self, program: str, *args: str) -> str:
        """All that a command printed, which no stranger's text may have steered."""
        done: Done = self.stage.run(program, *args)
        assert STEERS.findall(done.out + done.err) == []
        return done.out + done.err


@pytest.fixture
def scene(world: World) -> Iterator[Scene]:
    stage = Stage(world)
    odd = {"commit-sha": world.first, "git-sha": HOSTILE, "commit_sha": MARKUP}
    live = stage.cloud.deploy(WORKER, labels=odd, image=f"x/{MARKUP}:latest", env={"GIT_SHA": HOSTILE})
    newest = ""
    for number in range(4):
        files = {PATH: f"{number}\n"}
        newest = stage.history.commit(files, subject=HOSTILE.replace("\n", "\x0b"), author=MARKUP + TURN)
    stage.history.git("branch", BRANCH)
    stage.environ["DRIFT_TARGET_REF"] = BRANCH
    stage.cloud.set_traffic(WORKER, "latest", tags={MARKUP + ESCAPE: live})
    stage.cloud.deploy(WORKER, labels={"commit-sha": HOSTILE}, ready=False)
    stage.cloud.set_traffic(WORKER, {live: 100}, tags={MARKUP + ESCAPE: live[:-1] + "9"})
    stage.cloud.services[WORKER].terminal_condition.message = HOSTILE
    yield Scene(stage, newest)
    stage.close()


class TestWhatPeopleSee:
    def test_the_table(self, scene: Scene) -> None:
        """Markup is shown as it was written; nothing of it is drawn."""
        told = scene.told("deployment-drift", "check", "--verbose")
        assert MARKUP in told
        assert HTML in told

    def test_a_terminal_gets_our_colours_and_none_of_a_strangers(self, scene: Scene) -> None:
        scene.stage.write_config()
        outcome = checks.check(settings=load(scene.stage.folder, scene.stage.environ))
        console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=2000)
        with console.capture() as captured:
            console.print(render.table(outcome, verbose=True))
        drawn = captured.get()
        bare = re.sub(r"\x1b\[[0-9;]*m", "", drawn)
        assert "\x1b[1;31mDENY" in drawn
        assert STEERS.findall(bare) == []
        assert MARKUP in bare

    def test_markdown_holds_no_link_image_tag_or_table_of_a_stranger(self, scene: Scene) -> None:
        told = scene.stage.run("deployment-drift", "check", "--verbose", "--format", "markdown").out
        assert STEERS.findall(told) == []
        bare = re.sub(r"\\.", "", told)
        assert "<" not in bare
        assert "![" not in bare
        assert "](" not in bare
        rows = [line for line in bare.splitlines() if line.startswith("|")]
        assert {row.count("|") for row in rows} == {8}
        assert all(line.startswith(("|", "- ", "**")) for line in told.splitlines() if line)

    def test_a_refusal(self, scene: Scene) -> None:
        """Each of its lines begins with a word of ours."""
        told = scene.told("prediction-coordinator", *scene.stage.start_args())
        assert "must not start a batch" in told
        forged = [
            line for line in told.splitlines() if line.startswith('{"event": "drift_verdict", "decision"')
        ]
        assert forged == []

    @pytest.mark.parametrize("args", [("why", WORKER, PATH), ("files", WORKER), ("is-live", "NEWEST")])
    def test_the_questions(self, scene: Scene, args: tuple[str, ...]) -> None:
        told = scene.told("deployment-drift", *(scene.newest if each == "NEWEST" else each for each in args))
        assert MARKUP.partition("/")[0] in told

    def test_why_a_commit_counts(self, scene: Scene) -> None:
        assert "rich" in scene.told("deployment-drift", "why", WORKER, scene.newest)


class TestWhatProgramsRead:
    def test_json_parses_and_keeps_what_was_written(self, scene: Scene) -> None:
        data = json.loads(scene.stage.run("deployment-drift", "check", "--format", "json").out)
        (service,) = data["services"]
        claims = {each["key"]: each["value"] for each in service["report"]["live"][0]["evidence"]}
        assert claims["git-sha"] == HOSTILE
        assert {each["author"] for each in service["report"]["undeployed"]} == {MARKUP + TURN}
        assert service["report"]["target"]["ref"].endswith(BRANCH)

    def test_each_log_line_is_one_line_of_json(self, scene: Scene) -> None:
        """Nobody forges a second verdict; there is one per check, and it denies."""
        err = scene.stage.run("deployment-drift", "check").err
        (line,) = [json.loads(each) for each in err.splitlines() if each.startswith("{")]
        assert (line["event"], line["decision"]) == ("drift_verdict", "deny")

    def test_a_bypass_in_hostile_words_is_one_warning_and_one_line(self, scene: Scene) -> None:
        args = scene.stage.start_args("--skip-drift-check", "--reason", HOSTILE, "--actor", HOSTILE)
        done = scene.stage.run("prediction-coordinator", *args)
        assert done.code == 0
        assert STEERS.findall(done.err) == []
        (line,) = [json.loads(each) for each in done.err.splitlines() if each.startswith("{")]
        assert (line["break_glass"]["actor"], line["decision"]) == (HOSTILE, "deny")
        warnings = [each for each in done.err.splitlines() if each.startswith("WARNING drift gate bypassed")]
        assert len(warnings) == 1

    def test_a_row_of_the_decisions_is_one_row(self, scene: Scene) -> None:
        scene.stage.run("deployment-drift", "check")
        with closing(sqlite3.connect(scene.stage.folder / ".drift" / "journal.sqlite")) as store:
            rows = store.execute("SELECT decision, verdict FROM decisions").fetchall()
        assert [row[0] for row in rows] == ["deny"]
        assert json.loads(rows[0][1])["report"]["live"][0]["evidence"]

    def test_a_variable_of_a_hostile_name_is_warned_of_on_one_line(self, scene: Scene) -> None:
        scene.stage.environ["DRIFT_" + HOSTILE.replace("=", "-")] = "1"
        told = scene.told("deployment-drift", "check")
        assert len([each for each in told.splitlines() if "unknown variable" in each]) == 1


class TestArgumentsOfGit:
    """`--output=pwned` would make git write a file, `--upload-pack` run a program."""

    @pytest.fixture
    def overheard(self, stage_of_git: Stage, tmp_path: Path) -> Path:
        """Every argument that git is given."""
        spy, log = tmp_path / "spy" / "git", tmp_path / "overheard"
        spy.parent.mkdir()
        real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
        spy.write_text(f'#!/bin/sh\necho "$@" >>{log}\nexec {real} "$@"\n')
        spy.chmod(0o755)
        stage_of_git.environ["PATH"] = f"{spy.parent}:{stage_of_git.environ['PATH']}"
        return log

    @pytest.fixture
    def stage_of_git(self, world: World) -> Iterator[Stage]:
        stage = Stage(world)
        stage.history.git("update-ref", "refs/heads/--output=pwned", world.first)
        yield stage
        stage.close()

    @pytest.mark.parametrize(
        "args",
        [
            ("why", WORKER, "--", "--output=pwned"),
            ("is-live", "--", "--output=pwned"),
            ("is-live", "--", "-pwned12"),
            ("files", WORKER, "--at=--output=pwned"),
            ("files", WORKER, "--at=--upload-pack=pwned"),
            ("files", WORKER, "--at=refs/heads/main:pwned"),
        ],
    )
    def test_a_question_gives_git_no_option(
        self, stage_of_git: Stage, overheard: Path, tmp_path: Path, args: tuple[str, ...]
    ) -> None:
        stage_of_git.run("deployment-drift", *args)
        lines = overheard.read_text().splitlines() if overheard.exists() else []
        for line in lines:
            words = line.split()
            early = words[: words.index("--end-of-options")] if "--end-of-options" in words else words
            assert [word for word in early if word.startswith("-") and "pwned" in word] == []
        # A name such as these is refused before git is asked.
        assert lines or args[0] in ("files", "is-live")
        assert list(tmp_path.rglob("pwned*")) == []


BIG = "x" * (1 << 20)


@pytest.mark.heavy
def test_sizes_are_bounded_whatever_the_platform_says(world: World) -> None:
    """A megabyte in each place that a stranger fills: no output grows to a tenth of that."""
    stage = Stage(world)
    live = stage.cloud.deploy(
        WORKER,
        labels={"commit-sha": world.first, "git-sha": BIG},
        image=f"{BIG}:{BIG}",
        env={"GIT_SHA": BIG, "GIT_COMMIT": BIG},
        service_labels={"commit-sha": BIG},
    )
    stage.cloud.deploy(WORKER, labels={"commit-sha": BIG}, ready=False)
    stage.cloud.set_traffic(WORKER, {live: 100}, tags={BIG: live + "9"})
    stage.cloud.services[WORKER].terminal_condition = run_v2.Condition(
        state=run_v2.Condition.State.CONDITION_FAILED,
        message=f"https://console.cloud.google.com/logs/{BIG} {BIG}",
    )
    stage.cloud.revisions[live].log_uri = f"https://console.cloud.google.com/{BIG}"
    for form in ("json", "table", "markdown"):
        done = stage.check("--verbose", "--format", form)
        assert done.code == 0, form
        assert len(done.out + done.err) < 100_000, form
    assert len(stage.start().err) < 100_000
    with closing(sqlite3.connect(stage.folder / ".drift" / "journal.sqlite")) as store:
        (largest,) = store.execute("SELECT max(length(verdict)) FROM decisions").fetchone()
    assert largest < 100_000
    stage.close()
