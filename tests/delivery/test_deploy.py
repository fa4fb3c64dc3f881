"""A deploy: what it comes to, in which order, what is kept; killed anywhere, it ends in the same place."""

from __future__ import annotations

import os
import random
import re
import signal
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.deliveries import BEGIN, WORKER, Killed, Points, Time, World

from drift_gate.delivery.contracts import Candidate, Look, Probe
from drift_gate.delivery.deploy import deploy
from drift_gate.delivery.rollback import rollback
from drift_gate.delivery.run import LEASE_S
from drift_gate.delivery.traffic import shared
from drift_gate.errors import (
    BuildError,
    CandidateError,
    DriftConfigError,
    JournalError,
    OvertakenError,
    SourceError,
)
from drift_gate.journal.deploys import Deploy
from drift_gate.runtime.deadline import Deadline
from drift_gate.runtime.signals import Terminated

STEPS = ["lock", "plan", "build", "push", "release", "prove", "forward", "move", "watch"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The worker serves the first commit of three."""
    world = World(tmp_path / "world")
    world.serve(WORKER, world.merge(WORKER))
    world.merge(WORKER)
    world.merge(WORKER)
    return world


def head(world: World) -> str:
    with world.state() as state:
        return str(list(state["commits"])[-1])


def kept(world: World, service: str = WORKER) -> list[Deploy]:
    """The deploys in the journal, the oldest first."""
    return world.deploys.deploys(service)[::-1]


def assert_unlocked(world: World, service: str = WORKER) -> None:
    lock = world.deploys.lock(service)
    assert (lock.holder, lock.waiting) == (None, None)


def assert_forward(world: World, service: str = WORKER) -> None:
    """The traffic was never on a commit older than before."""
    oldest = [min(str(commit) for commit in move) for move in world.moves(service)]
    assert oldest == sorted(oldest)


class TestWhatItComesTo:
    """Whole, one after the other."""

    def test_all_steps_in_their_order_each_kept_once(self, world: World) -> None:
        said: list[str] = []
        done = deploy(world.parts(say=lambda step, sentence: said.append(step)), head(world), "ann")
        assert done.state == "done"
        assert world.serving(WORKER) == {head(world): 100}
        assert [each.name for each in done.steps] == said == STEPS
        assert all(each.ended_at and each.result and each.attempts == 1 for each in done.steps)
        assert kept(world) == [done]
        assert_unlocked(world)

    def test_a_commit_that_is_live_is_nothing(self, world: World) -> None:
        """By commit: whatever was pushed since that does not matter to the service."""
        deploy(world.parts(), head(world), "ann")
        moves = world.moves(WORKER)
        docs = world.merge()
        assert deploy(world.parts(), docs, "ann").state == "nothing"
        assert world.moves(WORKER) == moves
        assert [each.state for each in kept(world)] == ["done", "nothing"]

    def test_the_traffic_goes_in_steps_and_is_watched_after_each(self, world: World) -> None:
        deploy(world.parts(traffic=(10, 50, 100), watch=60.0), head(world), "ann")
        old, new = next(iter(world.moves(WORKER)[0])), head(world)
        assert world.moves(WORKER)[1:] == [{new: 10, old: 90}, {new: 50, old: 50}, {new: 100}]
        assert world.time.elapsed >= 3 * 60

    def test_a_red_build_changes_nothing(self, world: World) -> None:
        red = world.merge(WORKER, red=True)
        with pytest.raises(BuildError, match="cannot be built"):
            deploy(world.parts(), red, "ann")
        assert len(world.moves(WORKER)) == 1
        assert kept(world)[-1].state == "failed"
        assert_unlocked(world)

    def test_a_candidate_that_is_not_healthy_gets_no_traffic(self, world: World) -> None:
        sick = world.merge(WORKER, sick=[WORKER])
        with pytest.raises(CandidateError, match="it answers 500; no traffic was moved"):
            deploy(world.parts(), sick, "ann")
        assert len(world.moves(WORKER)) == 1
        assert_unlocked(world)

    def test_one_that_fails_under_traffic_goes_back(self, world: World) -> None:
        """To the split that was, whatever that was."""
        new = head(world)
        sick = Points(turn=lambda name: fall_ill(world, new) if name == "moved" else None)
        with pytest.raises(
            CandidateError, match=f"it answers 500; the traffic is where it was: 100 % {WORKER}-00001"
        ):
            deploy(world.parts(points=sick, traffic=(10, 100)), new, "ann")
        first = next(iter(world.moves(WORKER)[0]))
        assert world.serving(WORKER) == {first: 100}
        assert kept(world)[-1].state == "rolled-back"
        assert_unlocked(world)

    def test_the_smoke_command_has_a_say(self, world: World) -> None:
        asked: list[Candidate] = []

        def smoke(candidate: Candidate, commit: str) -> str | None:
            asked.append(candidate)
            return "exit status 1: no odds for tonight"

        with pytest.raises(CandidateError, match="no odds for tonight"):
            deploy(world.parts(smoke=smoke), head(world), "ann")
        assert [each.revision for each in asked] == [f"{WORKER}-00002"]
        assert len(world.moves(WORKER)) == 1

    def test_health_is_told_of_what_was_asked_alone(self, world: World) -> None:
        """Of a revision that its marks prove nobody knows whether it is healthy."""
        parts = world.parts()
        marked = replace(parts, probe=Marked(parts.probe))
        watched = deploy(marked, head(world), "ann").step("watch")
        assert watched is not None
        assert watched.result == "ready for 10 s; it was not asked itself"

    def test_a_job_gets_its_template_and_is_asked_nothing(self, world: World) -> None:
        done = deploy(world.parts(kind="job"), head(world), "ann")
        assert [each.name for each in done.steps] == [
            each for each in STEPS if each not in ("prove", "watch")
        ]

    def test_a_job_has_no_shares_whatever_the_services_beside_it_get(self, world: World) -> None:
        """``traffic`` of ``[deploy]`` is for all: a template cannot be replaced for a tenth."""
        deploy(world.parts(kind="job", traffic=(10, 50, 100)), head(world), "ann")
        assert world.moves(WORKER)[1:] == [{head(world): 100}]

    def test_a_commit_nobody_knows_is_replaced_by_name_alone(self, world: World) -> None:
        """The first deploy of a service whose image names no commit."""
        serving = world.serve(WORKER, None)
        with pytest.raises(SourceError) as told:
            deploy(world.parts(), head(world), "ann")
        assert told.value.cause == "no-commit-evidence"
        assert kept(world)[-1].state == "interrupted"
        assert deploy(world.parts(), head(world), "ann", replace=serving).state == "done"


@dataclass
class Marked:
    """A ``Probe`` that asks no revision."""

    probe: Probe

    def look(self, candidate: Candidate, commit: str, within: Deadline) -> Look:
        return replace(self.probe.look(candidate, commit, within), proven=False)


def fall_ill(world: World, commit: str) -> None:
    with world.state() as state:
        state["commits"][commit]["sick"] = [WORKER]


class TestForwardOnly:
    """The traffic never goes to what is older."""

    def test_an_older_build_that_ends_later_gets_nothing(self, world: World) -> None:
        """It was ahead when it began; while it built, a newer one landed."""
        older, newer = head(world), world.merge(WORKER)
        late = Points(turn=lambda name: overtake(world, newer) if name == "built" else None)
        with pytest.raises(OvertakenError, match="a deploy would go backwards"):
            deploy(world.parts(points=late), older, "bob")
        assert world.serving(WORKER) == {newer: 100}
        assert_forward(world)

    def test_the_split_is_compared_again_as_it_is_moved(self, world: World) -> None:
        """A newer one lands after the last look and before the move: the etag says so."""
        older, newer = head(world), world.merge(WORKER)
        late = Points(turn=lambda name: overtake(world, newer) if name == "move" else None)
        with pytest.raises(OvertakenError, match="a deploy would go backwards"):
            deploy(world.parts(points=late), older, "bob")
        with world.state() as state:
            assert state["refused"] == 1
        assert world.serving(WORKER) == {newer: 100}
        assert_forward(world)

    def test_an_old_commit_is_refused_at_once(self, world: World) -> None:
        with world.state() as state:
            first = next(iter(state["commits"]))
        deploy(world.parts(), head(world), "ann")
        with pytest.raises(OvertakenError, match="would go backwards"):
            deploy(world.parts(), first, "bob")
        assert kept(world)[-1].step("build") is None

    def test_what_somebody_else_moved_meanwhile_is_left_alone(self, world: World) -> None:
        """Unfit, and not ours to put back any more."""
        new = head(world)

        def turn(name: str) -> None:
            if name == "moved":
                overtake(world, new, by_hand=True)
                fall_ill(world, new)

        with pytest.raises((CandidateError, OvertakenError)):
            deploy(world.parts(points=Points(turn=turn)), new, "ann")
        assert list(world.shares(WORKER)) == [f"{WORKER}-00003"]


def overtake(world: World, commit: str, *, by_hand: bool = False) -> None:
    """Somebody deploys ``commit`` in another way, once; the platform knows, and the journal does not."""
    with world.state() as state:
        held = state["services"][WORKER]
        if any(each["image"] == "other" for each in held["revisions"].values()):
            return
        name = f"{WORKER}-{len(held['revisions']) + 1:05d}"
        held["revisions"][name] = {"image": "other", "commit": commit}
        held["shares"] = {name: 100}
        held["moves"].append(held["shares"])
        held["etag"] += 1


@pytest.mark.parametrize(
    ("shares", "percent", "asked"),
    [
        ({"a": 100}, 10, {"new": 10, "a": 90}),
        ({"a": 100}, 100, {"new": 100}),
        ({"a": 70, "b": 30}, 50, {"new": 50, "a": 35, "b": 15}),
        ({"a": 34, "b": 33, "c": 33}, 50, {"new": 50, "a": 18, "b": 16, "c": 16}),
        ({"new": 10, "a": 90}, 50, {"new": 50, "a": 50}),
        ({"a": 99, "b": 1}, 99, {"new": 99, "a": 1}),
        ({}, 10, {"new": 100}),
    ],
)
def test_the_rest_is_shared_as_before(shares: dict[str, int], percent: int, asked: dict[str, int]) -> None:
    assert shared(shares, "new", percent) == asked


class TestTheQueue:
    """One at a time; at most one waits, the newest."""

    def test_whoever_comes_later_with_less_is_brought_along(self, world: World) -> None:
        """The commit that is being deployed holds it: nobody has to wait."""
        older, newer = head(world), world.merge(WORKER)
        told: list[str] = []

        def turn(name: str) -> None:
            if name == "built":
                with pytest.raises(OvertakenError) as error:
                    deploy(world.parts(), older, "bob")
                told.append(str(error.value))

        deploy(world.parts(points=Points(turn=turn)), newer, "ann")
        assert "which ann asked for, is being deployed and brings it along" in told[0]
        assert [each.state for each in kept(world)] == ["done", "overtaken"]

    @pytest.mark.parametrize("ended", [KeyboardInterrupt(), Terminated(), JournalError("it is locked")])
    def test_whoever_stops_waiting_gives_the_place_back(self, world: World, ended: BaseException) -> None:
        """It ends as interrupted, and the one that it waited behind goes on as if it had never come."""
        older, newer = head(world), world.merge(WORKER)

        def stop(name: str) -> None:
            if name == "sleep":
                raise ended

        def turn(name: str) -> None:
            if name == "built":
                with pytest.raises(type(ended)):
                    deploy(world.parts(points=Points(turn=stop)), newer, "bob")
                assert world.deploys.lock(WORKER).waiting is None

        with pytest.raises(Killed):
            deploy(world.parts(points=Points(kill_at=70, turn=turn)), older, "ann")
        first, second = kept(world)
        assert (second.state, second.ended_at is not None) == ("interrupted", True)
        assert second.message == f"{type(ended).__name__}: {ended}"
        assert deploy(world.parts(), first.commit, "ann").id == first.id  # it goes on where it was
        assert deploy(world.parts(), newer, "bob").id != second.id
        assert_unlocked(world)

    def test_a_dead_holders_lock_ends(self, world: World) -> None:
        """After its time; another commit goes on, and says whose lock it took."""
        with pytest.raises(Killed):
            deploy(world.parts(points=killed_at("built")), head(world), "ann")
        newer = world.merge(WORKER)
        assert deploy(world.parts(), newer, "bob").state == "done"
        assert world.time.elapsed > 60
        first, second = kept(world)
        assert (first.state, first.overtaken_by) == ("interrupted", second.id)
        assert_unlocked(world)

    def test_starvation_is_told(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        """Deploys are overtaken again and again, and none lands."""
        last = world.merge(WORKER)

        def turn(name: str) -> None:
            if name == "build" and not kept(world)[1:]:
                for commit in [head(world)] * 3:
                    with pytest.raises(OvertakenError):
                        deploy(world.parts(), f"{int(commit, 16) - 1:040x}", "bot")

        with pytest.raises(Killed):
            deploy(world.parts(points=Points(kill_at=60, turn=turn)), last, "ann")
        deploy(world.parts(time=Time(3600)), world.merge(WORKER), "ann")
        told = r"3 deploys of prediction-worker were overtaken in \d+ min \d+ s, and none has landed"
        assert re.search(told, caplog.text)

    def test_two_services_do_not_wait_for_each_other(self, world: World) -> None:
        """An image that both share: each has its own digest, and its own lock."""
        commit = world.merge(WORKER, "front")
        world.serve("front", head(world)[:-1] + "1")
        deploy(
            world.parts(
                points=Points(
                    turn=lambda name: name == "built" and deploy(world.parts("front"), commit, "bob")
                )
            ),
            commit,
            "ann",
        )
        assert world.serving(WORKER) == world.serving("front") == {commit: 100}


def killed_at(name: str, nth: int = 1) -> Points:
    """Killed at the ``nth`` point of that name."""
    points = Points()

    def turn(passed: str) -> None:
        if points.passed.count(name) >= nth:
            raise Killed(passed)

    points._turn = turn
    return points


class TestKilled:
    """SIGKILL anywhere; the same command again ends in the same place."""

    def test_at_some_points(self, tmp_path: Path) -> None:
        """Of the points of a deploy one in nine, before and after calls and writes of the journal."""
        self.at_points(tmp_path, 9)

    @pytest.mark.heavy
    def test_at_each_point(self, tmp_path: Path) -> None:
        self.at_points(tmp_path, 1)

    def at_points(self, folder: Path, every: int) -> None:
        whole, plain = Points(), self.world(folder / "whole")
        deploy(plain.parts(points=whole, traffic=(50, 100)), head(plain), "ann")
        assert len(whole.passed) > 80
        for number in range(1, len(whole.passed) + 1, every):
            self.kill_and_repeat(self.world(folder / f"{number}"), number, traffic=(50, 100))

    @pytest.mark.heavy
    def test_200_deploys_killed_at_random(self, tmp_path: Path) -> None:
        """One after the other of one service, some of them killed twice."""
        chance = random.Random(14)  # noqa: S311 (a seed)
        world = self.world(tmp_path / "world")
        for _ in range(200):
            world.merge(*chance.choice([(WORKER,), (WORKER,), ()]))
            for _ in range(chance.randint(0, 1)):
                points = Points(kill_at=chance.randint(1, 12))
                with pytest.raises(Killed):
                    deploy(world.parts(points=points), head(world), "ann")
            self.kill_and_repeat(world, chance.randint(1, 90))
        assert_forward(world)

    @pytest.mark.heavy
    def test_real_processes_killed_with_sigkill(self, tmp_path: Path) -> None:
        """Over the SQLite journal; the repetition knows at once that the first process is dead."""
        chance = random.Random(15)  # noqa: S311 (a seed)
        world = self.world(tmp_path / "world")
        world.journal = None
        for _ in range(25):
            commit = world.merge(WORKER)
            self.killed_process(world, commit, chance.randint(2, 90))
            began = world.time.elapsed
            deploy(world.parts(), commit, "ann")
            assert world.time.elapsed - began < LEASE_S
            assert world.serving(WORKER) == {commit: 100}
            assert_unlocked(world)
            (ours,) = [each for each in kept(world) if each.commit == commit and each.state != "nothing"]
            assert all(step.ended_at for step in ours.steps)
        assert_forward(world)

    @staticmethod
    def killed_process(world: World, commit: str, number: int) -> None:
        """A deploy in a process of its own, which is killed at its point of that number."""
        points = Points()

        def turn(name: str) -> None:
            if len(points.passed) >= number:
                os.kill(os.getpid(), signal.SIGKILL)

        points._turn = turn
        child = os.fork()
        if child == 0:
            try:
                deploy(world.parts(points=points), commit, "ann")
            finally:
                os._exit(0)
        os.waitpid(child, 0)

    @staticmethod
    def world(folder: Path) -> World:
        world = World(folder)
        world.serve(WORKER, world.merge(WORKER))
        world.merge(WORKER)
        return world

    @staticmethod
    def kill_and_repeat(world: World, number: int, **limits: Any) -> None:
        commit = head(world)
        try:
            deploy(world.parts(points=Points(kill_at=number), **limits), commit, "ann")
        except Killed as killed:
            point = str(killed)
        else:
            point = "none"
        deploy(world.parts(**limits), commit, "ann")
        with world.state() as state:
            last = [each for each, told in state["commits"].items() if WORKER in told["touches"]][-1]
        assert world.serving(WORKER) == {last: 100}, point
        assert_unlocked(world)
        assert_forward(world)
        ours = [each for each in kept(world) if each.commit == commit]
        # Whoever waited when he was killed has lost his place to the repetition.
        states = [each.state for each in ours if each.state not in ("nothing", "overtaken")]
        assert states in (["done"], []), point
        for each in ours:
            names = [step.name for step in each.steps]
            assert len(set(names)) == len(names)
            assert all(step.ended_at for step in each.steps), point

    def test_an_unfit_candidate_stays_unfit(self, world: World) -> None:
        """Killed while the traffic went back: the repetition puts it back, though it has recovered."""
        new = head(world)
        moves = 0

        def turn(name: str) -> None:
            nonlocal moves
            moves += name == "move"
            if name == "moved":
                fall_ill(world, new)
            if moves == 2:
                raise Killed(name)

        with pytest.raises(Killed):
            deploy(world.parts(points=Points(turn=turn)), new, "ann")
        world.heal(new)
        with pytest.raises(CandidateError, match="the traffic is where it was"):
            deploy(world.parts(), new, "ann")
        assert list(world.shares(WORKER)) == [f"{WORKER}-00001"]


class TestRollback:
    """On purpose, at once, and not undone by the next deploy."""

    UNTIL = BEGIN + timedelta(days=3)

    def test_to_what_served_before(self, world: World) -> None:
        deploy(world.parts(), head(world), "ann")
        done = rollback(world.parts(), None, "bob", "wrong odds", self.UNTIL)
        assert (done.state, done.kind, done.revision) == ("done", "rollback", f"{WORKER}-00001")
        assert world.shares(WORKER) == {f"{WORKER}-00001": 100}
        assert_unlocked(world)

    def test_no_deploy_undoes_it_unless_it_is_told_to(self, world: World) -> None:
        """Until its time: a merge in between would bring back what was taken away on purpose."""
        deploy(world.parts(), head(world), "ann")
        rollback(world.parts(), None, "bob", "wrong odds", self.UNTIL)
        fix = world.merge(WORKER)
        with pytest.raises(
            OvertakenError, match=f"bob rolled {WORKER} back .*wrong odds.*--replace {WORKER}-00001"
        ):
            deploy(world.parts(), fix, "ann")
        assert deploy(world.parts(), fix, "ann", replace=f"{WORKER}-00001").state == "done"
        assert deploy(world.parts(), world.merge(WORKER), "ann").state == "done"

    def test_it_ends_at_its_time(self, world: World) -> None:
        deploy(world.parts(), head(world), "ann")
        rollback(world.parts(), None, "bob", "wrong odds", self.UNTIL)
        later = Time(4 * 86_400)
        assert deploy(world.parts(time=later), world.merge(WORKER), "ann").state == "done"

    def test_one_that_was_killed_is_heeded_where_it_took_effect(self, tmp_path: Path) -> None:
        """Whatever the journal has of it: the split that is live says so, and holds up no fix where not."""
        whole = Points()
        rollback(self.newer(tmp_path / "whole").parts(points=whole), None, "bob", "why", self.UNTIL)
        heeded = []
        for number in range(1, len(whole.passed) + 1):
            world = self.newer(tmp_path / f"{number}")
            with pytest.raises(Killed):
                rollback(world.parts(points=Points(number)), None, "bob", "wrong odds", self.UNTIL)
            heeded.append(world.shares(WORKER) == {f"{WORKER}-00001": 100})
            fix = world.merge(WORKER)
            if heeded[-1]:
                with pytest.raises(OvertakenError, match=f"--replace {WORKER}-00001"):
                    deploy(world.parts(), fix, "ann")
                deploy(world.parts(), fix, "ann", replace=f"{WORKER}-00001")
            else:
                deploy(world.parts(), fix, "ann")
            assert world.serving(WORKER) == {fix: 100}
            assert deploy(world.parts(), world.merge(WORKER), "ann").state == "done"
        assert 0 < heeded.count(True) < len(heeded)

    def test_one_that_takes_effect_after_its_process_has_died_is_heeded(self, world: World) -> None:
        """The platform has its request and answers nobody: the deploy sees it as it is about to move."""
        deploy(world.parts(), head(world), "ann")
        with pytest.raises(Killed):
            rollback(world.parts(points=killed_at("move")), None, "bob", "wrong odds", self.UNTIL)

        def turn(name: str) -> None:
            if name == "built":
                self.let_serve(world, f"{WORKER}-00001")

        with pytest.raises(OvertakenError, match=r"gets no traffic: bob rolled .* wrong odds"):
            deploy(world.parts(points=Points(turn=turn)), world.merge(WORKER), "ann")
        assert world.shares(WORKER) == {f"{WORKER}-00001": 100}

    def test_also_where_nothing_is_missing_then(self, world: World) -> None:
        """What is rolled back to holds all that counts of the commit; the traffic stays there."""
        deploy(world.parts(), head(world), "ann")
        self.let_serve(world, f"{WORKER}-00001")
        with pytest.raises(Killed):
            rollback(
                world.parts(points=killed_at("move")), f"{WORKER}-00002", "bob", "wrong odds", self.UNTIL
            )

        def turn(name: str) -> None:
            if name == "built":
                self.let_serve(world, f"{WORKER}-00002")

        with pytest.raises(OvertakenError, match=r"gets no traffic: bob rolled .* wrong odds"):
            deploy(world.parts(points=Points(turn=turn)), world.merge(), "ann")
        assert world.shares(WORKER) == {f"{WORKER}-00002": 100}

    def test_where_nothing_is_missing_there_is_nothing_to_do(self, world: World) -> None:
        """It is no failure to deploy what serves; the rollback still holds for what comes after it."""
        deploy(world.parts(), head(world), "ann")
        rollback(world.parts(), None, "bob", "wrong odds", self.UNTIL)
        (first,) = world.serving(WORKER)
        assert deploy(world.parts(), str(first), "ann").state == "nothing"
        with pytest.raises(OvertakenError, match=f"--replace {WORKER}-00001"):
            deploy(world.parts(), world.merge(WORKER), "ann")
        assert world.serving(WORKER) == {first: 100}

    @staticmethod
    def let_serve(world: World, revision: str) -> None:
        """As a request to the platform does that lands now."""
        with world.state() as state:
            held = state["services"][WORKER]
            held["shares"] = {revision: 100}
            held["etag"] += 1

    def test_one_that_did_not_end_gives_way_to_a_later_one(self, world: World) -> None:
        """Which ends sooner, at the same revision."""
        deploy(world.parts(), head(world), "ann")
        with pytest.raises(Killed):
            rollback(world.parts(points=killed_at("moved")), None, "bob", "wrong odds", self.UNTIL)
        soon = BEGIN + timedelta(days=1)
        rollback(world.parts(), f"{WORKER}-00001", "eve", "until tomorrow", soon)
        later = Time(2 * 86_400)
        assert deploy(world.parts(time=later), world.merge(WORKER), "ann").state == "done"

    @staticmethod
    def newer(folder: Path) -> World:
        """A world in which a deploy has just landed."""
        world = World(folder)
        world.serve(WORKER, world.merge(WORKER))
        deploy(world.parts(), world.merge(WORKER), "ann")
        return world

    def test_it_waits_for_no_deploy(self, world: World) -> None:
        """Whoever deploys meanwhile is told at his next step, and moves nothing."""
        deploy(world.parts(), head(world), "ann")
        newer = world.merge(WORKER)

        def turn(name: str) -> None:
            if name == "built":
                rollback(world.parts(), None, "bob", "wrong odds", self.UNTIL)

        with pytest.raises(OvertakenError):
            deploy(world.parts(points=Points(turn=turn)), newer, "ann")
        assert world.shares(WORKER) == {f"{WORKER}-00001": 100}
        assert_unlocked(world)

    def test_a_revision_that_is_none_is_told_with_those_that_are(self, world: World) -> None:
        deploy(world.parts(), head(world), "ann")
        with pytest.raises(DriftConfigError, match=f"did you mean {WORKER}-00001"):
            rollback(world.parts(), f"{WORKER}-0001", "bob", "why", self.UNTIL)

    def test_without_a_journal_of_it_a_person_has_to_say_to_what(self, world: World) -> None:
        with pytest.raises(DriftConfigError, match="there is no other revision that is ready"):
            rollback(world.parts(), None, "bob", "why", self.UNTIL)
        with world.state() as state:
            state["services"][WORKER]["shares"] = {}
        with pytest.raises(DriftConfigError, match=f"say --to REVISION: {WORKER}-00001"):
            rollback(world.parts(), None, "bob", "why", self.UNTIL)
