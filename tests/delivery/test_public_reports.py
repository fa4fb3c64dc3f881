"""Nine public reports of production gone stale behind a green pipeline: what comes of each here.

Each of them deployed what a push had changed. The ninth, a base commit that was guessed wrong, is in
``tests/commands/test_plan_command.py``: an error, and no empty answer.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from support.deliveries import BEGIN, WORKER, Killed, Points, Turns, World

from drift_gate.delivery.deploy import deploy
from drift_gate.delivery.rollback import rollback
from drift_gate.errors import BuildError, CandidateError, OvertakenError


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The worker serves the first commit."""
    world = World(tmp_path / "world")
    world.serve(WORKER, world.merge(WORKER))
    return world


def cancelled(world: World, commit: str) -> None:
    """A run that ends in the middle of its build."""
    with pytest.raises(Killed):
        deploy(world.parts(points=Points(kill_at=20)), commit, "bot")


def test_the_run_of_a_fix_is_cancelled(world: World) -> None:
    """The next one deploys it, whatever that one's own push has changed."""
    fix = world.merge(WORKER)
    cancelled(world, fix)
    deploy(world.parts(), world.merge("front"), "bot")
    assert all(str(commit) >= fix for commit in world.serving(WORKER))


def test_a_docs_commit_cancels_it_and_skips_its_own(world: World) -> None:
    """The docs commit matters to nobody, and the fix before it is missing all the same."""
    cancelled(world, world.merge(WORKER))
    docs = world.merge()
    assert deploy(world.parts(), docs, "bot").state == "done"
    assert world.serving(WORKER) == {docs: 100}


def test_an_older_build_ends_later(world: World) -> None:
    """The newer one lands while the older one stands still, for longer than its claim lasts."""
    older, newer = world.merge(WORKER), world.merge(WORKER)

    def turn(name: str) -> None:
        if name == "pushed" and world.serving(WORKER).keys().isdisjoint({newer}):
            world.time.sleep(120)
            assert deploy(world.parts(), newer, "bot").state == "done"

    with pytest.raises(OvertakenError):
        deploy(world.parts(points=Points(turn=turn)), older, "bot")
    assert world.serving(WORKER) == {newer: 100}


def test_twelve_merges_at_once(world: World) -> None:
    """Each starts a run; the newest is live, and not each of them was built."""
    every: list[Points] = []

    def merged() -> Callable[[Points], object]:
        def act(points: Points) -> None:
            every.append(points)
            commit = world.merge(WORKER)
            points.at("begin")
            deploy(world.parts(points=points), commit, "bot")

        return act

    Turns(random.Random(12), deadly=10**9).run([merged() for _ in range(12)])  # noqa: S311 (a seed)
    with world.state() as state:
        newest = list(state["commits"])[-1]
    assert world.serving(WORKER) == {newest: 100}
    assert sum(points.passed.count("built") for points in every) < 12
    states = [each.state for each in world.deploys.deploys(WORKER)]
    assert sorted({*states}) == ["done", "overtaken"]


def test_a_red_build_in_between(world: World) -> None:
    """What it was to deploy comes with the next that is green."""
    red = world.merge(WORKER, red=True)
    with pytest.raises(BuildError):
        deploy(world.parts(), red, "bot")
    green = world.merge()
    assert deploy(world.parts(), green, "bot").state == "done"
    assert world.serving(WORKER) == {green: 100}


def test_an_image_that_two_services_share(world: World) -> None:
    """Pushed for one of them, it changes nothing of the other, which lacks the commit until its turn."""
    first = next(iter(world.serving(WORKER)))
    world.serve("front", str(first))
    both = world.merge(WORKER, "front")
    deploy(world.parts(), both, "bot")
    assert world.serving("front") == {first: 100}
    assert deploy(world.parts("front"), both, "bot").state == "done"


def test_a_candidate_that_fails(world: World) -> None:
    """The traffic stays, the next commit is tried anew, and what the first brought comes with it."""
    sick = world.merge(WORKER, sick=[WORKER])
    with pytest.raises(CandidateError):
        deploy(world.parts(), sick, "bot")
    fixed = world.merge(WORKER)
    assert deploy(world.parts(), fixed, "bot").state == "done"
    assert len(world.moves(WORKER)) == 2


def test_a_rollback_in_between(world: World) -> None:
    """Merged and deployed, taken back on purpose; the next merge does not bring it back by itself."""
    deploy(world.parts(), world.merge(WORKER), "bot")
    rollback(world.parts(), None, "ann", "wrong odds", BEGIN + timedelta(days=3))
    before = world.shares(WORKER)
    with pytest.raises(OvertakenError, match="wrong odds"):
        deploy(world.parts(), world.merge(WORKER), "bot")
    assert world.shares(WORKER) == before
