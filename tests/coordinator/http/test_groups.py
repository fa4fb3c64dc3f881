"""What arrives together is done together, each with an answer of its own, and nobody waits for company."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, TypeVar

import pytest
from support.limits import ENOUGH_S, OVER_S

from predictions.coordinator.http.groups import Groups
from predictions.coordinator.http.problems import LateError, ShuttingDownError

T = TypeVar("T")


class Work:
    """Doubles numbers, and notes which came together; it waits for ``held``, and cannot do 13."""

    def __init__(self) -> None:
        self.together: list[list[int]] = []
        self.begun = threading.Event()
        self.held = threading.Event()

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.begun.set()
        self.together.append(list(numbers))
        self.held.wait()
        if 13 in numbers:
            raise KeyError(13)
        return [2 * each for each in numbers]


@pytest.fixture
def work() -> Iterator[Work]:
    made = Work()
    yield made
    made.held.set()


def run(what: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(what, ENOUGH_S))


async def asked(groups: Groups[int, int], work: Work, numbers: Sequence[int]) -> list[asyncio.Task[int]]:
    """``numbers`` asked for at once, while a first one, 1, is at work."""
    tasks = [asyncio.create_task(groups.run(1, within=60))]
    await asyncio.to_thread(work.begun.wait)
    tasks += [asyncio.create_task(groups.run(each, within=60)) for each in numbers]
    await asyncio.sleep(0)
    return tasks


def test_a_lone_one_is_at_work_at_once(work: Work) -> None:
    work.held.set()
    assert run(Groups(work).run(21, within=60)) == 42
    assert work.together == [[21]]


def test_what_arrives_meanwhile_is_one_group_and_each_has_its_own_answer(work: Work) -> None:
    async def all_of_them() -> list[int]:
        tasks = await asked(Groups(work), work, [2, 3, 4])
        work.held.set()
        return await asyncio.gather(*tasks)

    assert run(all_of_them()) == [2, 4, 6, 8]
    assert work.together == [[1], [2, 3, 4]]


def test_nobody_has_the_error_of_another(work: Work) -> None:
    async def all_of_them() -> list[int | BaseException]:
        tasks = await asked(Groups(work), work, [2, 13, 4])
        work.held.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    came_to = run(all_of_them())
    assert [came_to[0], came_to[1], came_to[3]] == [2, 4, 8]
    assert isinstance(came_to[2], KeyError)
    assert work.together == [[1], [2, 13, 4], [2], [13], [4]]


def test_whoever_waits_too_long_is_answered_and_the_others_are_done(work: Work) -> None:
    async def all_of_them() -> int:
        groups = Groups(work)
        with pytest.raises(LateError):
            await groups.run(1, within=OVER_S)
        later = asyncio.create_task(groups.run(2, within=60))
        await asyncio.sleep(0)
        work.held.set()
        return await later

    assert run(all_of_them()) == 4


def test_of_a_group_that_failed_nothing_is_tried_again_that_nobody_waits_for(work: Work) -> None:
    """A store that does not answer would be asked by each of them in turn, for as long as that takes."""

    async def all_of_them() -> None:
        groups = Groups(work)
        first = asyncio.create_task(groups.run(1, within=60))
        await asyncio.to_thread(work.begun.wait)
        gone = [asyncio.create_task(groups.run(each, within=OVER_S)) for each in (13, 2)]
        for each in await asyncio.gather(*gone, return_exceptions=True):
            assert isinstance(each, LateError)
        last = asyncio.create_task(groups.run(3, within=60))
        await asyncio.sleep(0)
        work.held.set()
        assert (await first, await last) == (2, 6)

    run(all_of_them())
    assert work.together == [[1], [13, 2, 3], [3]]


def test_closing_answers_everybody_who_waits_and_takes_no_more(work: Work) -> None:
    async def all_of_them() -> None:
        groups = Groups(work)
        tasks = await asked(groups, work, [2, 3])
        groups.close()
        for each in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(each, ShuttingDownError)
        with pytest.raises(ShuttingDownError):
            await groups.run(4, within=60)
        work.held.set()

    run(all_of_them())
    assert work.together == [[1]]
