"""The targets of a check are asked for before its plans are made, where a process is there to be asked."""

from __future__ import annotations

import pytest
from support.limits import ENOUGH_S
from support.world import WORKER, World

from drift_gate.runtime.child_process import MOST, pool
from drift_gate.runtime.deadline import Deadline
from drift_gate.wiring.plans import Builder


@pytest.fixture
def build(world: World) -> Builder:
    settings = world.settings()
    build = Builder(settings)
    build.load(settings.services.values())
    return build


def begin(build: Builder, world: World) -> Deadline:
    deadline = Deadline(ENOUGH_S)
    build.begin(world.settings().services.values(), deadline)
    return deadline


def test_what_was_found_out_meanwhile_is_told(build: Builder, world: World) -> None:
    deadline = begin(build, world)
    plan = build.plan(WORKER, world.settings().service(WORKER), deadline)
    assert plan.repository.target().commit == world.first
    build.close()


def test_an_answer_that_nobody_heard_is_no_answer_to_the_next_check(build: Builder, world: World) -> None:
    """A plan could not be made, say."""
    world.cloud.deploy(WORKER, commit=world.first)
    begin(build, world)
    build.close()
    world.change()
    assert world.verdict().report.commits_behind == 1


def test_where_others_have_all_processes_it_is_asked_later(build: Builder, world: World) -> None:
    """To wait for one is left to the question: whatever else the check asks goes on meanwhile."""
    lent = [pool().take(Deadline(ENOUGH_S)) for _ in range(MOST)]
    deadline = begin(build, world)
    for each in lent:
        pool().give(each)
    plan = build.plan(WORKER, world.settings().service(WORKER), deadline)
    assert plan.repository.target().commit == world.first
    build.close()
