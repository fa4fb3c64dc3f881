"""``--wait``: a rollout may end first, drift that it would not cure is judged at once, time is bounded."""

from __future__ import annotations

import logging
import re
import signal
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from support.forkserver import GATE, forkserver
from support.heavy import light
from support.stage import Stage
from support.world import WORKER, World, codes

from drift_gate.commands import main
from drift_gate.errors import DriftConfigError, SourceError
from drift_gate.policy.verdict import Outcome, Verdict
from drift_gate.wiring import liveness, rollouts
from shared.utils.deployment_checker import DeploymentDriftError, require_current_worker


@dataclass
class Time:
    """Time that passes only while somebody sleeps; ``events`` happen one by one, each in a sleep."""

    events: Sequence[Callable[[], object]] = ()
    now: float = 0.0
    slept: list[float] = field(default_factory=list)
    chance: float = 0.5

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if len(self.slept) < len(self.events):
            self.events[len(self.slept)]()
        self.slept.append(seconds)

    @property
    def pace(self) -> rollouts.Pace:
        return rollouts.Pace(clock=lambda: self.now, sleep=self.sleep, chance=lambda: self.chance)


def judged(world: World, passing: Time, wait: float = 600) -> Verdict:
    outcome: Outcome = rollouts.check(wait=wait, settings=world.settings(), pace=passing.pace)
    return next(each for each in outcome.services if each.service == WORKER)


def stale_with_a_cure_under_way(world: World) -> str:
    """Four commits behind, and a rollout of the newest has begun; returns its revision."""
    world.cloud.deploy(WORKER, commit=world.first)
    newest = [world.change() for _ in range(4)][-1]
    return world.cloud.roll_out(WORKER, commit=newest)


def nothing() -> None:
    """Nothing happens in this sleep."""


def test_it_waits_until_the_rollout_has_landed(world: World) -> None:
    name = stale_with_a_cure_under_way(world)
    passing = Time([nothing, nothing, lambda: world.cloud.land(WORKER)])
    verdict = judged(world, passing)
    assert (verdict.decision, [live.revision for live in verdict.report.live]) == ("allow", [name])
    assert passing.slept == [5.0, 5.0, 5.0]


def test_it_waits_no_longer_once_the_rollout_has_failed(world: World) -> None:
    stale_with_a_cure_under_way(world)
    passing = Time([nothing, lambda: world.cloud.fail(WORKER)])
    verdict = judged(world, passing)
    assert (verdict.decision, len(passing.slept)) == ("deny", 2)
    assert "rollout-failed" in codes(verdict)


def test_a_rollout_that_would_change_nothing_for_the_worse_is_let_to_land_too(world: World) -> None:
    """What serves may start a batch; what it ends with is better known before."""
    world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.roll_out(WORKER, commit=world.first)
    passing = Time([lambda: world.cloud.land(WORKER)])
    assert (codes(judged(world, passing)), passing.slept) == ([], [5.0])


def drift_without_a_rollout(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    for _ in range(4):
        world.change()


def rollout_of_old_code(world: World) -> None:
    drift_without_a_rollout(world)
    world.cloud.roll_out(WORKER, commit=world.first)


def rollout_of_nobody_knows_what(world: World) -> None:
    drift_without_a_rollout(world)
    world.cloud.roll_out(WORKER, image="worker:latest")


def rollout_that_cannot_be_read(world: World) -> None:
    del world.cloud.revisions[stale_with_a_cure_under_way(world)]


def rollout_behind_a_pin(world: World) -> None:
    old = world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.pin(WORKER, old)
    world.cloud.roll_out(WORKER, commit=[world.change() for _ in range(4)][-1])


def rollout_that_stalled(world: World) -> None:
    world.toml = world.toml.replace("[defaults]", '[defaults]\nrollout_timeout = "1s"')
    stale_with_a_cure_under_way(world)
    world.cloud.services[WORKER].terminal_condition.last_transition_time = "2026-02-05T10:00:00Z"


def another_service_is_stale(world: World) -> None:
    stale_with_a_cure_under_way(world)
    world.toml += "\n[services.grader]\n"
    world.cloud.deploy("grader", commit=world.first)


def no_service(world: World) -> None:
    """Nothing is known, and nothing is under way."""


#: Drift that no rollout is about to cure.
UNCURED = [
    drift_without_a_rollout,
    rollout_of_old_code,
    rollout_of_nobody_knows_what,
    rollout_that_cannot_be_read,
    rollout_behind_a_pin,
    rollout_that_stalled,
    another_service_is_stale,
    no_service,
]
#: No rollout, one that brings too little, one that nobody sees through, and one that cures another service.
KEPT = [
    drift_without_a_rollout,
    rollout_of_old_code,
    rollout_behind_a_pin,
    rollout_that_stalled,
    another_service_is_stale,
]


@pytest.mark.parametrize("arrange", light(UNCURED, KEPT))
def test_it_never_waits_for_drift_that_no_rollout_is_about_to_cure(
    world: World, arrange: Callable[[World], None]
) -> None:
    arrange(world)
    passing = Time()
    outcome = rollouts.check(wait=600, settings=world.settings(), pace=passing.pace)
    assert (outcome.decision, passing.slept) == ("deny", [])


@pytest.mark.parametrize(
    "arrange", light([each for each in UNCURED if each is not another_service_is_stale], KEPT[:3])
)
def test_whoever_is_refused_is_not_sent_to_wait_for_it_either(
    world: World, arrange: Callable[[World], None]
) -> None:
    arrange(world)
    assert not rollouts.cures(world.verdict(), settings=world.settings())


def test_whoever_is_refused_can_tell_that_the_rollout_under_way_is_the_cure(world: World) -> None:
    """And nothing is written down of that look: the refusal was."""
    world.toml += '\n[journal]\nstore = "journal.sqlite"\n'
    stale_with_a_cure_under_way(world)
    verdict = world.verdict()
    assert verdict.decision == "deny"
    assert rollouts.cures(verdict, settings=world.settings())
    with closing(sqlite3.connect(world.folder / "journal.sqlite")) as rows:
        assert rows.execute("SELECT count(*) FROM decisions").fetchone() == (1,)


def test_no_rollout_no_wait(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    passing = Time()
    assert (judged(world, passing).decision, passing.slept) == ("allow", [])


def test_the_time_is_a_bound(world: World) -> None:
    """The last pause is as long as what is left, and the last answer holds."""
    stale_with_a_cure_under_way(world)
    passing = Time()
    verdict = judged(world, passing, wait=12)
    assert (verdict.decision, passing.slept, passing.now) == ("deny", [5.0, 5.0, 2.0], 12.0)
    assert "rollout-in-progress" in codes(verdict)


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 2.5), (0.5, 5.0), (1.0, 7.5)])
def test_pauses_spread_by_half(chance: float, pause: float) -> None:
    assert Time(chance=chance).pace.pause(600) == pause


@pytest.mark.usefixtures("asked_once")
def test_a_look_that_finds_nothing_out_is_no_answer(world: World) -> None:
    """The API is down in the middle of the wait; the rollout lands meanwhile."""
    stale_with_a_cure_under_way(world)

    def back_and_landed() -> None:
        world.cloud.heal()
        world.cloud.land(WORKER)

    passing = Time(
        [
            lambda: world.cloud.fault("GetService", code="UNAVAILABLE"),
            back_and_landed,
        ]
    )
    assert (judged(world, passing).decision, len(passing.slept)) == ("allow", 2)


def test_when_time_ends_without_a_new_answer_the_known_one_holds(world: World) -> None:
    """A later look gets no more than what is left, however long the deadline is."""
    stale_with_a_cure_under_way(world)
    world.toml = world.toml.replace('"60s"', '"3600s"')
    passing = Time([lambda: world.cloud.fault("GetService", hang=True)])
    verdict = judged(world, passing, wait=5.5)
    assert "too-many-commits-behind" in codes(verdict)
    assert passing.now == 5.5


def test_only_what_is_returned_is_written_down(world: World) -> None:
    """One log line and one row for the verdict; nothing for the looks before, nor for what would be."""
    world.toml += '\n[journal]\nstore = "journal.sqlite"\n'
    stale_with_a_cure_under_way(world)
    judged(world, Time([nothing, lambda: world.cloud.land(WORKER)]))
    with closing(sqlite3.connect(world.folder / "journal.sqlite")) as store:
        assert store.execute("SELECT decision FROM decisions").fetchall() == [("allow",)]


def test_each_pause_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """How long it has waited of how long it may, and for what."""
    stale_with_a_cure_under_way(world)
    with caplog.at_level(logging.INFO, "drift_gate"):
        judged(world, Time([nothing, lambda: world.cloud.land(WORKER)]))
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("waiting")]
    assert [line.split(", until")[0] for line in told] == ["waiting, 0 s of 10 min", "waiting, 5 s of 10 min"]
    assert all("UTC at the latest: prediction-worker: a rollout" in line for line in told)
    assert f"a rollout of {WORKER} is under way" in told[0]


@pytest.mark.parametrize("wait", [-1.0, float("nan"), float("inf")])
def test_a_wait_that_is_no_time_is_refused(world: World, wait: float) -> None:
    with pytest.raises(DriftConfigError, match="give a number of seconds"):
        rollouts.check(wait=wait, settings=world.settings())


class TestTheDoors:
    @pytest.fixture
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The doors take real time; here its pauses are short."""
        monkeypatch.setattr(rollouts, "PAUSE_S", 0.05)

    def land_on_the_third_look(self, world: World) -> None:
        for _ in range(2):
            world.cloud.before("GetService", nothing)
        world.cloud.before("GetService", lambda: world.cloud.land(WORKER))

    @pytest.mark.usefixtures("at_once")
    def test_python(self, world: World) -> None:
        stale_with_a_cure_under_way(world)
        with pytest.raises(DeploymentDriftError):
            require_current_worker(settings=world.settings())
        self.land_on_the_third_look(world)
        assert require_current_worker(settings=world.settings(), wait=30).decision == "allow"

    @pytest.mark.usefixtures("at_once")
    def test_a_bypass_does_not_wait(self, world: World) -> None:
        stale_with_a_cure_under_way(world)
        verdict = require_current_worker(settings=world.settings(), wait=600, skip=True)
        assert (verdict.decision, verdict.enforced) == ("deny", False)

    @pytest.mark.usefixtures("at_once")
    @pytest.mark.parametrize("program", ["deployment-drift", "prediction-coordinator"])
    def test_the_command_lines(self, world: World, program: str) -> None:
        """The progress is talk, on stderr; the answer is that of the end."""
        stage = Stage(world)
        stale_with_a_cure_under_way(world)
        self.land_on_the_third_look(world)
        args = (
            ["check", "--wait", "30s"] if program == "deployment-drift" else stage.start_args("--wait", "30s")
        )
        done = stage.run(program, *args)
        assert done.code == 0
        assert re.search(r"^INFO waiting, \d+ s of 30 s, until ", done.talk, re.MULTILINE)
        assert "waiting" not in done.out

    @pytest.mark.parametrize("text", ["soon", "-5", "1e3", ""])
    def test_a_wait_that_is_no_duration_is_a_usage_error(
        self, text: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            main.main(["check", f"--wait={text}"])
        assert ended.value.code == 2
        assert "is no duration" in capsys.readouterr().err

    def test_ctrl_c_ends_a_wait(self, world: World) -> None:
        """130 and one line, in the middle of a pause."""
        stage = Stage(world)
        stage.write_config()
        stale_with_a_cure_under_way(world)
        args, environ = ["check", "--wait", "10m"], stage.variables()
        with forkserver().running(GATE, args, cwd=stage.folder, env=environ) as (process, out, err):
            first = err.readline()
            process.send_signal(signal.SIGINT)
            said = (out.read(), err.read(), process.wait(120))
        assert re.match(r"INFO waiting, \d+ s of 10 min", first)
        assert said == ("", "deployment-drift: interrupted\n", 130)


class TestIsLive:
    """``is-live --wait``: until the commit is live, or the time is over."""

    def asked(self, world: World, passing: Time, commit: str, seconds: float = 300) -> list[bool | None]:
        wanted, settings = {WORKER: commit}, world.settings()
        found = liveness.wait(wanted, seconds=seconds, settings=settings, pace=passing.pace)
        return [each.live for each in found[WORKER]]

    def test_it_is_told_at_once_what_is_awaited_and_until_when(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Before anybody is asked: in the first line of the log."""
        world.cloud.deploy(WORKER, commit=world.first)
        fix = world.change()
        passing = Time([nothing, lambda: world.cloud.deploy(WORKER, commit=fix)])
        with caplog.at_level(logging.INFO, "drift_gate"):
            assert self.asked(world, passing, fix) == [True]
        assert passing.slept == [5.0, 5.0]
        told = [record.getMessage() for record in caplog.records]
        first, *later = (each for each in told if each.startswith("waiting, "))
        until = r"until \d\d:\d\d:\d\d UTC at the latest"
        assert re.fullmatch(rf"waiting, 0 s of 5 min, {until}, for {fix[:12]} on {WORKER}", first)
        assert [each.split(", until")[0] for each in later] == [
            "waiting, 5 s of 5 min",
            "waiting, 10 s of 5 min",
        ]

    def test_the_time_is_a_bound(self, world: World) -> None:
        world.cloud.deploy(WORKER, commit=world.first)
        passing = Time()
        assert self.asked(world, passing, world.change(), 12) == [False]
        assert passing.slept == [5.0, 5.0, 2.0]

    def test_there_is_no_wait_for_what_is_live_or_means_nothing(self, world: World) -> None:
        world.cloud.deploy(WORKER, commit=world.first)
        passing = Time()
        assert self.asked(world, passing, world.first) == [True]
        assert self.asked(world, passing, world.history.commit({"docs/notes.md": "words"})) == [False]
        assert passing.slept == []

    @pytest.mark.usefixtures("asked_once")
    def test_a_look_that_finds_nothing_out_is_no_answer(self, world: World) -> None:
        """The API is down at first and in the middle; when time is over, what was found out holds."""
        world.cloud.deploy(WORKER, commit=world.first)
        fix = world.change()
        world.cloud.fault("GetService", code="UNAVAILABLE")
        passing = Time([world.cloud.heal, lambda: world.cloud.fault("GetService", code="UNAVAILABLE")])
        assert self.asked(world, passing, fix, 12) == [False]
        assert len(passing.slept) == 3

    @pytest.mark.usefixtures("asked_once")
    def test_nothing_found_out_in_time_is_unknown(self, world: World) -> None:
        world.cloud.deploy(WORKER, commit=world.first)
        world.cloud.fault("GetService", code="UNAVAILABLE")
        passing = Time()
        with pytest.raises(SourceError) as told:
            self.asked(world, passing, world.first, 5)
        assert (told.value.cause, passing.slept) == ("unavailable", [5.0])

    def test_what_no_wait_heals_is_told_at_once(self, world: World) -> None:
        passing = Time()
        with pytest.raises(SourceError) as told:
            self.asked(world, passing, world.first)
        assert (told.value.cause, passing.slept) == ("not-found", [])

    def test_the_command_line(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """It says so on stderr, and its exit code is that of the end; a name means one commit throughout."""
        monkeypatch.setattr(rollouts, "PAUSE_S", 0.05)
        stage = Stage(world)
        world.cloud.deploy(WORKER, commit=world.first)
        fix = world.change()
        for _ in range(2):
            world.cloud.before("GetService", nothing)

        def go_on() -> None:
            world.cloud.deploy(WORKER, commit=fix)
            world.change()

        world.cloud.before("GetService", go_on)
        done = stage.run("deployment-drift", "is-live", "main", "--wait", "30s")
        assert (done.code, f"main ({fix[:12]}) is live" in done.out) == (0, True)
        assert done.talk.startswith("INFO waiting, 0 s of 30 s, until ")
