"""Two things at the same time, and one answer for both of them."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest
from support.limits import ENOUGH_S

from predictions.coordinator.readiness.concurrently import Once, beside

TRACE: ContextVar[str | None] = ContextVar("TRACE", default=None)


class TestBeside:
    def test_the_answer_comes_when_it_is_asked_for(self) -> None:
        assert beside(lambda: 5)() == 5

    def test_an_error_comes_when_it_is_asked_for(self) -> None:
        def fails() -> None:
            raise ValueError("x")

        answer = beside(fails)
        with pytest.raises(ValueError, match="x"):
            answer()

    def test_the_job_is_of_the_callers_trace(self) -> None:
        """Log lines of a request carry its trace in a context variable."""
        before = TRACE.set("a-trace")
        try:
            assert beside(TRACE.get)() == "a-trace"
        finally:
            TRACE.reset(before)

    def test_two_jobs_run_at_the_same_time(self) -> None:
        meeting = threading.Barrier(2, timeout=ENOUGH_S)
        answer = beside(meeting.wait)
        meeting.wait()
        answer()


class TestOnce:
    def test_a_call_that_comes_meanwhile_waits_for_the_first_and_gets_its_answer(self) -> None:
        begun, go_on, calls = threading.Event(), threading.Event(), []

        def read(what: str) -> list[str]:
            calls.append(what)
            begun.set()
            go_on.wait(ENOUGH_S)
            return [what]

        once = Once(read)
        first = beside(lambda: once("slate"))
        assert begun.wait(ENOUGH_S)
        second = beside(lambda: once("slate"))
        go_on.set()
        assert first() is second()
        assert calls == ["slate"]

    def test_a_call_that_fails_is_none(self) -> None:
        calls = []

        def read(what: str) -> str:
            calls.append(what)
            if len(calls) == 1:
                raise ValueError("x")
            return what

        once = Once(read)
        with pytest.raises(ValueError, match="x"):
            once("slate")
        assert once("slate") == "slate"
