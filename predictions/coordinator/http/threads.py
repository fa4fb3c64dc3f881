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
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from predictions.coordinator.http.problems import BusyError, LateError, ShuttingDownError

log = logging.getLogger("prediction_coordinator")

#: Seconds for which a thread stays that has nothing to do: to start one takes longer than a short request.
KEPT_S = 5.0

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
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._idle = threading.Semaphore(0)
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
        future = self.begin(job)
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

    def begin(self, job: Callable[[], T]) -> Future[T]:
        """``job`` on a thread of its own. Raises ``BusyError`` at once when all are taken."""
        if not self._slots.acquire(blocking=False):
            raise BusyError("all threads are taken by other requests; ask again")
        future: Future[T] = Future()
        context = copy_context()  # so that what the job logs belongs to the trace of its request
        future.set_running_or_notify_cancel()

        def work() -> None:
            try:
                result = context.run(job)
            except BaseException as error:  # whoever waits for the answer raises it
                self._free()
                future.set_exception(error)
            else:
                self._free()
                future.set_result(result)

        self._jobs.put(work)
        if not self._idle.acquire(blocking=False):
            threading.Thread(target=self._serve, name="coordinator request", daemon=True).start()
        return future

    def _free(self) -> None:
        """Before the answer, so that whoever asks again on it finds this thread."""
        self._slots.release()
        self._idle.release()

    def _serve(self) -> None:
        """One thread: does what is to be done, and ends where nothing was for ``KEPT_S`` seconds."""
        while True:
            try:
                work = self._jobs.get(timeout=KEPT_S)
            except Empty:
                if self._idle.acquire(blocking=False):
                    return
                continue  # it is counted upon already
            work()
            del work  # what a job held is not kept for as long as nothing comes


def _told_late(future: Future[Any]) -> None:
    """What became of a job whose caller has been answered already."""
    error = future.exception()
    log.warning("a request came to its end after its answer: %s", "done" if error is None else error)
