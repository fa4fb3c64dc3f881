"""Work that blocks has a bounded number of threads, and whoever waits for it is answered in time."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from support.limits import ENOUGH_S, OVER_S

from predictions.coordinator import logs
from predictions.coordinator.http.problems import BusyError, LateError, ShuttingDownError
from predictions.coordinator.http.threads import Threads

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, ENOUGH_S))


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """An event that jobs wait for; it is set at the end, so that no thread outlives the test."""
    event = threading.Event()
    yield event
    event.set()


def test_the_answer_and_the_error_of_a_job_are_its_own() -> None:
    def fail() -> None:
        raise KeyError("x")

    assert run(Threads(1).run(lambda: 42, within=60)) == 42
    with pytest.raises(KeyError):
        run(Threads(1).run(fail, within=60))


def test_one_job_too_many_is_told_to_come_back_at_once(held: threading.Event) -> None:
    """It waits for no thread, since it could not say for how long."""

    async def work() -> None:
        threads = Threads(2)
        first = [asyncio.create_task(threads.run(held.wait, within=60)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await threads.run(held.wait, within=60)
        held.set()
        assert await asyncio.gather(*first) == [True, True]
        assert await threads.run(lambda: "free again", within=60) == "free again"

    run(work())


def test_whoever_waits_too_long_is_answered_and_the_job_goes_on(
    held: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """The thread stays taken until the job ends, and its late end is in the log."""
    caplog.set_level(logging.INFO)

    async def work() -> None:
        threads = Threads(1)
        with pytest.raises(LateError, match="Idempotency-Key"):
            await threads.run(held.wait, within=OVER_S)
        with pytest.raises(BusyError):
            await threads.run(held.wait, within=60)
        held.set()
        while "after its answer" not in caplog.text:
            await asyncio.sleep(0.01)

    run(work())


def test_closing_answers_everybody_who_waits_and_takes_no_more(held: threading.Event) -> None:
    async def work() -> None:
        threads = Threads(3)
        waiting = [asyncio.create_task(threads.run(held.wait, within=60)) for _ in range(3)]
        await asyncio.sleep(0)
        threads.close()
        for answer in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(answer, ShuttingDownError)
        with pytest.raises(ShuttingDownError):
            await threads.run(lambda: 1, within=60)

    run(work())


def test_a_job_logs_into_the_trace_of_its_request() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"

    async def work() -> str:
        with logs.traced({"traceparent": f"00-{trace}-b7ad6b7169203331-01"}):
            return await Threads(1).run(_line, within=60)

    assert trace in run(work())


def _line() -> str:
    record = logging.LogRecord("prediction_coordinator", logging.INFO, "", 0, "hello", (), None)
    return logs.CloudFormatter("example-project").format(record)


def test_a_thread_that_is_free_is_used_again() -> None:
    """To start one takes longer than what a short request asks."""

    async def work() -> set[int]:
        threads = Threads(4)
        return {await threads.run(threading.get_ident, within=60) for _ in range(20)}

    assert len(run(work())) == 1
