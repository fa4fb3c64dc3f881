"""Work that blocks, beside an event loop: on a bounded number of threads that nobody waits for at the end.

The threads are daemons, since a check may wait for minutes and a process that was told to end has ten
seconds; what they had begun is on record, and is resumed.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, TypeVar

from predictions.coordinator.http.problems import BusyError, LateError, ShuttingDownError

log = logging.getLogger("prediction_coordinator")

T = TypeVar("T")


class Places:
    """Requests at work beside each other: ``ordinary`` ones, and ``kept`` more of those that are kept places.

    Only for the thread of the event loop.
    """

    def __init__(self, ordinary: int, kept: int) -> None:
        self._most = {False: ordinary, True: ordinary + kept}
        self._taken = 0

    @contextmanager
    def one(self, kept: bool) -> Iterator[None]:
        """A place while the block lasts. Raises ``BusyError`` where none is free."""
        if self._taken >= self._most[kept]:
            raise BusyError("all places are taken by other requests; ask again")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


class Threads:
    """At most ``at_once`` jobs at the same time; ``close`` ends the waiting for all of them."""

    def __init__(self, at_once: int) -> None:
        self._slots = threading.BoundedSemaphore(at_once)
        self._closed = False
        self._waiting: set[asyncio.Future[None]] = set()

    def close(self) -> None:
        """Let whoever waits for a job be answered now. Only from the thread of the event loop."""
        self._closed = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def run(self, job: Callable[[], T], *, within: float) -> T:
        """``job()``'s answer, or its error.

        Raises ``BusyError`` at once when all threads are taken, ``LateError`` after ``within`` seconds and
        ``ShuttingDownError`` on ``close``; the job itself goes on, and keeps its thread until it ends.
        """
        if self._closed:
            raise ShuttingDownError("this instance is about to end; ask again")
        if not self._slots.acquire(blocking=False):
            raise BusyError("all threads are taken by other requests; ask again")
        future = self._started(job)
        answer = asyncio.wrap_future(future)
        closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(closing)
        waited: set[asyncio.Future[Any]] = {answer, closing}
        try:
            await asyncio.wait(waited, timeout=within, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
        finally:
            self._waiting.discard(closing)
            answer.cancel()
        future.add_done_callback(_told_late)
        if closing.done():
            raise ShuttingDownError("this instance is about to end; what was begun is on record")
        raise LateError(
            f"no answer within {within:g} s; what was begun may still come to its end: look at the "
            "batches, or repeat the request with the same Idempotency-Key"
        )

    def _started(self, job: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        context = copy_context()  # so that what the job logs belongs to the trace of its request
        future.set_running_or_notify_cancel()

        def work() -> None:
            try:
                result = context.run(job)
            except BaseException as error:  # whoever waits for the answer raises it
                self._slots.release()
                future.set_exception(error)
            else:
                self._slots.release()
                future.set_result(result)

        threading.Thread(target=work, name="coordinator request", daemon=True).start()
        return future


def _told_late(future: Future[Any]) -> None:
    """What became of a job whose caller has been answered already."""
    error = future.exception()
    log.warning("a request came to its end after its answer: %s", "done" if error is None else error)
