"""Which batches ran with a fix, and which without: by what was judged at their starts, and by git."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator

import pytest
from support.stage import BYPASS, Stage
from support.world import WORKER, World

from drift_gate.wiring import answers
from predictions.coordinator.batches.ran_with import ran_with
from predictions.coordinator.batches.stamp import Stamp
from predictions.coordinator.store.sqlite import open_sqlite


@pytest.fixture
def stage(world: World) -> Iterator[Stage]:
    with contextlib.closing(Stage(world)) as ready:
        yield ready


def asked(stage: Stage, commit: str) -> tuple[list[str], str]:
    """What each batch ran with, the newest first, and what was said beside it."""
    done = stage.run("prediction-coordinator", "status", "--ran-with", commit)
    assert done.code == 0
    rows = done.out.splitlines()
    assert rows[0].split()[:5] == ["batch", "state", "predicted", "ran", "gate"]
    return [re.split("  +", row)[3] for row in rows[1:]], done.talk


class TestStatus:
    def test_a_batch_ran_with_what_its_live_commit_descends_from(self, stage: Stage) -> None:
        assert stage.start().code == 0
        fix = stage.world.change()
        later = stage.world.change()
        stage.deploy(commit=later)
        assert stage.start().code == 0
        assert asked(stage, fix) == (["with it", "without"], "")
        assert asked(stage, fix[:10].upper())[0] == ["with it", "without"]
        assert asked(stage, stage.world.first)[0] == ["with it", "with it"]
        assert asked(stage, later)[0] == ["with it", "without"]

    @pytest.mark.usefixtures("asked_once")
    def test_what_nobody_judged_is_unknown(self, stage: Stage) -> None:
        """A bypass with Cloud Run down has seen no commit: that is no batch without the fix."""
        stage.cloud.fault("GetService", code="UNAVAILABLE")
        assert stage.start(*BYPASS).code == 0
        told, talk = asked(stage, stage.world.first)
        assert told == ["unknown"]
        assert "does not name each commit" in talk

    def test_a_commit_that_git_does_not_know_is_without_nowhere(self, stage: Stage) -> None:
        assert stage.start().code == 0
        told, talk = asked(stage, "1234567890" * 4)
        assert told == ["unknown"]
        assert talk == f"the repository has no commit {'1234567890' * 4}"

    def test_a_service_that_is_declared_no_more_is_unknown(self, stage: Stage) -> None:
        assert stage.start().code == 0
        stage.toml = stage.toml.replace(f"[services.{WORKER}]", "[services.other]")
        told, talk = asked(stage, stage.world.first)
        assert told == ["unknown"]
        assert f"{WORKER} is not declared" in talk

    def test_nothing_but_a_commit_id_is_taken(self, stage: Stage) -> None:
        with pytest.raises(SystemExit) as ended:
            stage.run("prediction-coordinator", "status", "--ran-with", "--upload-pack=x")
        assert ended.value.code == 2
        with pytest.raises(SystemExit):
            stage.run("prediction-coordinator", "status", "--ran-with", "main")


class TestRounds:
    """A batch whose requests were handed out again was judged again."""

    def test_all_of_them_count(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        assert stage.start().code == 0
        fix = stage.world.change()
        for name, value in stage.environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(stage.folder)
        with open_sqlite(stage.state) as store:
            (batch,) = store.batches()
        again = batch.stamp.model_copy(update={"live_commits": (fix,)})
        unknown = Stamp(gate_decision="deny", enforced=False)
        cases = {"partly": (again,), "unknown": (again, unknown)}
        for word, resumed in cases.items():
            told = ran_with(fix, [batch.model_copy(update={"resumed": resumed})])
            assert told.by_batch == {batch.id: word}
        both = batch.model_copy(update={"stamp": again, "resumed": (again,)})
        assert ran_with(fix, [both]).by_batch == {batch.id: "with"}
        assert ran_with(fix, [batch]).by_batch == {batch.id: "without"}
        assert ran_with(fix, []) == ({}, ())
        answer = answers.holding(fix, {WORKER: [fix, fix[:9], batch.stamp.live_commits[0] or "", "f" * 40]})
        assert answer == {WORKER: {fix: True, fix[:9]: True, stage.world.first: False}}


def test_the_state_of_an_older_version_is_unknown(stage: Stage) -> None:
    """It did not keep the service: its commits are nobody's."""
    assert stage.start().code == 0
    with contextlib.closing(sqlite3.connect(stage.state)) as state, state:
        state.execute("UPDATE batches SET stamp = json_remove(stamp, '$.service')")
    assert asked(stage, stage.world.first)[0] == ["unknown"]
