"""Two cores read the sources of one image: nobody waits for the second, and no answer is another one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from support import ahead as asked
from support.limits import ENOUGH_S
from support.reading import ended

from drift_gate.relevance.memory import Memory
from drift_gate.runtime import ahead
from drift_gate.runtime.child_process import Child, Pool
from drift_gate.runtime.deadline import Deadline

SOURCES = Path(__file__).parents[2] / "drift_gate"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    ours = Pool()
    yield ours
    ours.close(ENOUGH_S)


@pytest.fixture
def child(pool: Pool) -> Iterator[Child]:
    ours = pool.take(Deadline(ENOUGH_S))
    yield ours
    pool.give(ours)


def test_the_facts_are_those_that_one_process_finds(child: Child) -> None:
    contents = {str(path): path.read_bytes() for path in sorted(SOURCES.rglob("*.py"))}
    count, found = child.call(asked.facts_by_two, (contents,), Deadline(ENOUGH_S))
    assert found == {
        name: Memory().facts.of(name, partial(bytes, content)) for name, content in contents.items()
    }
    if len(os.sched_getaffinity(0)) > 1:
        assert count


def test_a_fork_begins_at_the_other_end_and_tells_all_that_it_made(child: Child) -> None:
    assert child.call(asked.made_beside, ("copies",), Deadline(ENOUGH_S)) == (["c", "b", "a"], True)


@pytest.mark.parametrize("what", ["hangs", "ends"])
def test_a_fork_that_tells_nothing_is_not_waited_for(child: Child, what: str) -> None:
    assert child.call(asked.made_beside, (what,), Deadline(ENOUGH_S)) == ([], True)


def test_a_fork_ends_with_the_process_that_is_killed(pool: Pool) -> None:
    child = pool.take(Deadline(ENOUGH_S))
    pid = child.call(asked.work_for_ever, (), Deadline(ENOUGH_S))
    child.end()
    pool.give(child)
    ended(pid)


def test_a_few_sources_are_not_worth_a_fork(child: Child) -> None:
    assert not child.call(asked.is_begun, (ahead.WORTH - 1,), Deadline(ENOUGH_S))
    begun = child.call(asked.is_begun, (ahead.WORTH,), Deadline(ENOUGH_S))
    assert begun == (len(os.sched_getaffinity(0)) > 1)


def test_a_process_that_does_not_only_read_forks_nothing() -> None:
    assert not asked.is_begun(ahead.WORTH)
