"""Short work that is done together: whatever arrives while a group is at work is the next group.

Nobody waits for a group to grow: a lone one is at work at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from predictions.coordinator.http.problems import LateError, ShuttingDownError
from predictions.coordinator.http.threads import Threads

T = TypeVar("T")
R = TypeVar("R")


class _One(NamedTuple, Generic[T, R]):
    """What is to be done, and where somebody waits for what it comes to."""

    item: T
    waits: asyncio.Future[R]


class Groups(Generic[T, R]):
    """Does ``work`` for a list at a time, on one thread; only for the thread of the event loop.

    ``work`` answers for each item, in their order. Where it raises for several at once, each is done by
    itself, so that nobody has another's error.
    """

    def __init__(self, work: Callable[[Sequence[T]], Sequence[R]]) -> None:
        self._work = work
        self._threads = Threads(1)
        self._next: list[_One[T, R]] = []
        self._at_work: list[_One[T, R]] = []
        self._closed = False

    def close(self) -> None:
        """Let whoever waits be answered now; what is at work goes on."""
        self._closed = True
        for each in (*self._at_work, *self._next):
            if not each.waits.done():
                each.waits.set_exception(
                    ShuttingDownError("this instance is about to end; what was begun is on record")
                )
        self._next.clear()

    async def run(self, item: T, *, within: float) -> R:
        """What ``work`` answers for ``item``, or its error.

        Raises ``LateError`` after ``within`` seconds, whatever it still comes to, and ``ShuttingDownError``
        on ``close``.
        """
        if self._closed:
            raise ShuttingDownError("this instance is about to end; ask again")
        loop = asyncio.get_running_loop()
        mine: _One[T, R] = _One(item, loop.create_future())
        # A timer, since each way of waiting for one of two things takes a turn of the loop more.
        late = loop.call_later(within, _give_up, mine.waits, within)
        self._next.append(mine)
        self._begin()
        try:
            return await mine.waits
        finally:
            late.cancel()

    def _begin(self) -> None:
        """Be at work on all who wait, unless a group is."""
        if self._at_work or not self._next:
            return
        self._at_work, self._next = self._next, []
        loop, group = asyncio.get_running_loop(), self._at_work
        done = self._threads.begin(partial(self._outcomes, group))
        done.add_done_callback(lambda future: _told(loop, partial(self._answer, group, future)))

    def _answer(self, group: Sequence[_One[T, R]], done: Future[list[R | Exception]]) -> None:
        self._at_work = []
        for each, outcome in zip(group, done.result(), strict=True):
            if each.waits.done():  # it gave up, or was told to come back
                continue
            if isinstance(outcome, Exception):
                each.waits.set_exception(outcome)
            else:
                each.waits.set_result(outcome)
        self._begin()

    def _outcomes(self, group: Sequence[_One[T, R]]) -> list[R | Exception]:
        try:
            return list(self._work([each.item for each in group]))
        except Exception as error:
            if len(group) == 1:
                return [error]
            # Where the store does not answer, nobody waits any more after some of them.
            return [error if each.waits.done() else self._outcomes([each])[0] for each in group]


def _give_up(waits: asyncio.Future[Any], within: float) -> None:
    if not waits.done():
        waits.set_exception(
            LateError(f"no answer within {within:g} s; what was begun may still come to its end: ask again")
        )


def _told(loop: asyncio.AbstractEventLoop, answer: Callable[[], None]) -> None:
    """Let ``loop`` give the answers; where it is closed, nobody waits for them."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(answer)
