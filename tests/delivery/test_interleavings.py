"""Merges, deploys, crashes and rollbacks of three services, in any order; then it is quiet."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from support.deliveries import BEGIN, Points, Turns, World

from drift_gate.delivery.deploy import deploy
from drift_gate.delivery.parts import Parts
from drift_gate.delivery.rollback import rollback
from drift_gate.errors import CandidateError, OvertakenError
from drift_gate.runtime.deadline import Deadline

SERVICES = ("worker", "front", "coordinator")
#: Longer than anything that happens: how time passes is up to those who sleep.
LONG_S = 1e9


class Story:
    """One world and what happens in it, by ``seed``."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 (a seed)
        self.world = World(folder)
        self.focus = SERVICES[0]
        first = self.world.merge(*SERVICES)
        for service in SERVICES:
            self.world.serve(service, first)

    def happen(self) -> None:
        """Some waves of people and pipelines, all at once."""
        for _ in range(3):
            turns = Turns(self.chance, deadly=300)
            kinds = [
                *[self.merge] * 3,
                *[self.push] * 6,
                self.roll_back,
                self.fall_ill,
                self.by_hand,
                *[self.wait] * 2,
            ]
            self.focus = self.chance.choice(SERVICES)
            turns.run([self.chance.choice(kinds)() for _ in range(12)])

    def merge(self) -> Callable[[Points], object]:
        touches = [self.focus, *self.chance.sample(SERVICES, self.chance.randint(0, 2))]
        sick = [each for each in touches if not self.chance.randrange(20)]
        red = not self.chance.randrange(20)

        def act(points: Points) -> None:
            points.at("merge")
            self.world.merge(*touches, sick=sick, red=red)

        return act

    def push(self) -> Callable[[Points], object]:
        """What a pipeline does: it deploys one service at what is main as it begins."""
        service = self.chance.choice([self.focus, self.focus, *SERVICES])

        def act(points: Points) -> None:
            commit = self.head()
            points.at("begin")
            deploy(self.parts(service, points), commit, "bot")

        return act

    def roll_back(self) -> Callable[[Points], object]:
        service = self.chance.choice(SERVICES)
        until = BEGIN + timedelta(seconds=self.world.time.elapsed + self.chance.choice([60, 1e6]))
        return lambda points: rollback(self.parts(service, points), None, "ann", "wrong odds", until)

    def by_hand(self) -> Callable[[Points], object]:
        """Somebody deploys what is main past all of this, by the platform's own means."""
        service = self.focus

        def act(points: Points) -> None:
            commit, release = self.head(), self.parts(service, points).release
            candidate = release.candidate("by/hand@sha256:1", commit, "hand", Deadline(LONG_S))
            split = release.read(Deadline(LONG_S))
            if all(str(each) <= commit for each in self.world.serving(service)):
                release.move({candidate.revision: 100}, split.etag, Deadline(LONG_S))

        return act

    def fall_ill(self) -> Callable[[Points], object]:
        """What is main may be healthy at first, and no more under traffic."""
        service = self.chance.choice(SERVICES)

        def act(points: Points) -> None:
            points.at("ill")
            with self.world.state() as state:
                state["commits"][list(state["commits"])[-1]]["sick"].append(service)

        return act

    def wait(self) -> Callable[[Points], object]:
        """Time passes, and claims end while whoever holds them lives, and stands still."""

        def act(points: Points) -> None:
            for _ in range(3):
                points.at("later")
                self.world.time.sleep(45)

        return act

    def head(self) -> str:
        with self.world.state() as state:
            return str(list(state["commits"])[-1])

    def parts(self, service: str, points: Points | None = None) -> Parts:
        return self.world.parts(
            service, points, traffic=(50, 100), watch=5.0, release_timeout=LONG_S, build_timeout=LONG_S
        )

    def quiet(self, service: str) -> str | None:
        """The deploy of what is main now, and why that is not live: what a person is told; None: it is."""
        with self.world.state() as state:
            commits = state["commits"]
        told = None
        if commits[self.head()]["red"]:
            self.world.merge(*SERVICES)  # somebody mends it
        try:
            deploy(self.parts(service), self.head(), "bot")
        except (CandidateError, OvertakenError) as error:
            told = str(error)
        return told


def check(folder: Path, seed: int) -> None:
    story = Story(folder, seed)
    story.happen()
    for service in SERVICES:
        told = story.quiet(service)
        with story.world.state() as state:
            relevant = [each for each, told in state["commits"].items() if service in told["touches"]]
        lives = story.world.serving(service)
        current = all(str(commit) >= relevant[-1] for commit in lives)
        assert current or told, f"seed {seed}: {service} is stale, and nobody was told"
        lock = story.world.deploys.lock(service)
        assert (lock.holder, lock.waiting) == (None, None), f"seed {seed}"
        assert_no_step_twice(story, service)
        assert_backwards_on_purpose_alone(story, service)
        assert_no_rollback_is_undone(story, service)


def assert_no_step_twice(story: Story, service: str) -> None:
    for each in story.world.deploys.deploys(service):
        names = [step.name for step in each.steps]
        assert len(set(names)) == len(names)
        assert each.state not in ("running", "waiting")


def assert_backwards_on_purpose_alone(story: Story, service: str) -> None:
    """Each time that the traffic went to an older commit, somebody rolled back, or the newer one was sick."""
    moves = [min(str(commit) for commit in move) for move in story.world.moves(service)]
    back = sum(later < earlier for earlier, later in itertools.pairwise(moves))
    kept = story.world.deploys.deploys(service)
    assert back <= sum(each.kind == "rollback" or each.unfit is not None for each in kept)


def assert_no_rollback_is_undone(story: Story, service: str) -> None:
    """Nobody in these stories says that it may be."""
    done = [each for each in story.world.deploys.deploys(service) if each.state == "done"]
    done.sort(key=lambda each: each.ended_at or BEGIN)
    until = BEGIN
    for each in done:
        assert each.kind == "rollback" or (each.ended_at or BEGIN) >= until
        until = each.until or BEGIN


def test_three_stories(tmp_path: Path) -> None:
    for seed in range(3):
        check(tmp_path / f"{seed}", seed)


@pytest.mark.heavy
def test_fifty_stories(tmp_path: Path) -> None:
    for seed in range(3, 53):
        check(tmp_path / f"{seed}", seed)
