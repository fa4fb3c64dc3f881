"""One configuration, many processes and threads: as under a server that preloads and forks."""

from __future__ import annotations

import multiprocessing
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.world import WORKER, World

from shared.deployment import assembly, building
from shared.deployment.settings import Settings


def decide(settings: Settings, answers: Any) -> None:
    answers.put(assembly.check(settings=settings).decision)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_checks_after_its_parent_did(world: World, method: str) -> None:
    """The child connects anew; what the parent connected before the fork is not used in it."""
    world.cloud.deploy(WORKER, commit=world.first)
    settings = world.settings()
    assert assembly.check(settings=settings).decision == "allow"
    context: Any = multiprocessing.get_context(method)
    answers = context.SimpleQueue()
    children = [context.Process(target=decide, args=(settings, answers)) for _ in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # 3.12 warns of what is tested here: fork and threads
        for child in children:
            child.start()
    for child in children:
        child.join(20)
    try:
        assert [child.exitcode for child in children] == [0, 0]
    finally:
        for child in children:
            child.kill()
    assert [answers.get() for _ in children] == ["allow", "allow"]
    assert assembly.check(settings=settings).decision == "allow"


def test_the_child_of_a_fork_uses_nothing_that_its_parent_connected(world: World) -> None:
    """A channel does not survive a fork, whatever it may look like."""
    inherited = building.process().clients(world.cloud.host)
    context: Any = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def compare() -> None:
        answers.put(building.process().clients(world.cloud.host) is inherited)

    child = context.Process(target=compare)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as above
        child.start()
    child.join(20)
    assert (child.exitcode, answers.get()) == (0, False)
    assert building.process().clients(world.cloud.host) is inherited


def test_threads_share_one_process(world: World) -> None:
    """Side by side, over one channel and one memory, each gets the true answer."""
    world.cloud.deploy(WORKER, commit=world.first)
    for _ in range(4):
        world.change()
    settings = world.settings()
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: assembly.check(settings=settings), range(40)))
    assert {outcome.decision for outcome in outcomes} == {"deny"}
    assert {outcome.services[0].report.commits_behind for outcome in outcomes} == {4}
