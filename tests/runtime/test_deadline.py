"""One deadline per check: nothing outlasts it, and what was learned before it ends is kept."""

from __future__ import annotations

import logging
import pickle
import re
import threading
import time
from collections.abc import Callable

import pytest
from support.limits import ENOUGH_S, OVER_S, in_time

from drift_gate.errors import SourceError
from drift_gate.runtime import deadline as calling
from drift_gate.runtime.deadline import (
    AT_ONCE,
    LAST_ATTEMPT_S,
    Deadline,
    Lookup,
    gather,
    retrying,
    wait_logged,
)


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def failing(
    *errors: SourceError, then: str = "answer", clock: Clock | None = None
) -> tuple[Callable[[], str], list[float]]:
    """A call that ends with each of ``errors`` in turn and then answers, and when it was called."""
    pending, called, now = list(errors), list[float](), clock or Clock()

    def call() -> str:
        called.append(now())
        if pending:
            raise pending.pop(0)
        return then

    return call, called


DOWN = SourceError("down", "unavailable", True)
DENIED = SourceError("denied", "permission-denied", False)


class TestDeadline:
    def test_what_is_left_falls_with_the_clock_and_never_below_zero(self) -> None:
        clock = Clock()
        deadline = Deadline(2.0, clock)
        assert deadline.remaining() == 2.0
        clock.now += 1.5
        assert deadline.remaining() == pytest.approx(0.5)
        clock.now += 10
        assert deadline.remaining() == 0

    def test_nothing_is_begun_when_nothing_is_left(self) -> None:
        clock = Clock()
        deadline = Deadline(1.5, clock)
        assert deadline.require("the service") == 1.5
        clock.now += 1.5
        with pytest.raises(SourceError, match=r"no time left for the service \(deadline 1.5 s\)") as caught:
            deadline.require("the service")
        assert (caught.value.cause, caught.value.retryable) == ("timeout", True)

    def test_a_sooner_one_ends_before_it_on_the_same_clock(self) -> None:
        clock = Clock()
        deadline = Deadline(2.0, clock)
        clock.now += 1.0
        inner = deadline.sooner(0.25)
        assert inner.remaining() == 0.75
        clock.now += 0.75
        assert (inner.remaining(), deadline.remaining()) == (0, 0.25)
        assert deadline.sooner(5).remaining() == 0


class TestRetrying:
    def test_what_heals_is_tried_again(self) -> None:
        call, called = failing(DOWN, DOWN)
        assert retrying(call, Deadline(60)) == "answer"
        assert len(called) == 3

    def test_what_cannot_heal_is_not(self) -> None:
        call, called = failing(DENIED)
        with pytest.raises(SourceError) as caught:
            retrying(call, Deadline(60))
        assert caught.value is DENIED
        assert len(called) == 1

    def test_an_error_of_another_kind_is_let_through_at_once(self) -> None:
        with pytest.raises(ZeroDivisionError):
            retrying(lambda: 1 // 0, Deadline(60))

    def test_the_last_error_is_raised_before_the_deadline(self) -> None:
        """Room for a last attempt is kept, so that an early cause never turns into a late timeout."""
        clock = Clock()
        deadline = Deadline(30, clock)
        call, called = failing(*[SourceError("slow down", "rate-limited", True)] * 1000)
        with pytest.raises(SourceError) as caught:
            retrying(call, deadline, clock.sleep)
        assert caught.value.cause == "rate-limited"
        assert deadline.remaining() >= LAST_ATTEMPT_S
        assert len(called) >= 2

    def test_no_second_attempt_where_the_deadline_leaves_no_room(self) -> None:
        call, called = failing(DOWN)
        with pytest.raises(SourceError):
            retrying(call, Deadline(LAST_ATTEMPT_S))
        assert len(called) == 1

    def test_a_timeout_that_the_other_side_gave_up_early_is_tried_again(self) -> None:
        call, called = failing(SourceError("gave up", "timeout", True))
        assert retrying(call, Deadline(60)) == "answer"
        assert len(called) == 2

    def test_whoever_asks_for_a_pause_gets_it(self) -> None:
        clock = Clock()
        call, called = failing(SourceError("slow down", "rate-limited", True, None, 7), clock=clock)
        assert retrying(call, Deadline(60, clock), clock.sleep) == "answer"
        assert called[1] - called[0] >= 7

    def test_a_pause_beyond_the_deadline_is_not_waited_for(self) -> None:
        slow = SourceError("slow down", "rate-limited", True, None, 60)
        clock = Clock()
        call, called = failing(slow)
        with pytest.raises(SourceError) as caught:
            retrying(call, Deadline(60, clock), clock.sleep)
        assert caught.value is slow
        assert (len(called), clock.now) == (1, Clock().now)

    def test_the_pause_survives_the_way_between_processes(self) -> None:
        error = pickle.loads(pickle.dumps(SourceError("slow", "rate-limited", True, None, 2.5)))  # noqa: S301 - our own bytes
        assert (str(error), error.cause, error.retryable) == ("slow", "rate-limited", True)
        assert error.retry_after == 2.5


class TestLookup:
    def test_what_hangs_holds_one_thread_whoever_waits_for_it(self) -> None:
        """A name server that never answers must not cost a thread with every check."""
        release, asked = threading.Event(), []

        def ask() -> str:
            asked.append(1)
            release.wait()
            return "answer"

        lookup = Lookup(ask, "test")
        for _ in range(3):
            deadline = Deadline(OVER_S)
            with pytest.raises(TimeoutError):
                lookup.result(deadline)
            assert deadline.remaining() == 0
        release.set()
        assert lookup.result(Deadline(60)) == "answer"
        assert lookup.result(Deadline(60)) == "answer"
        assert asked == [1]

    def test_what_failed_is_asked_anew(self) -> None:
        call, called = failing(DOWN)
        lookup = Lookup(call, "test")
        with pytest.raises(SourceError) as caught:
            lookup.result(Deadline(60))
        assert caught.value is DOWN
        assert lookup.result(Deadline(60)) == "answer"
        assert len(called) == 2

    def test_an_answer_that_is_not_for_keeping_is_asked_for_anew(self) -> None:
        call, called = failing()
        lookup = Lookup(call, "test", keep=False)
        assert [lookup.result(Deadline(60)) for _ in range(3)] == ["answer"] * 3
        assert len(called) == 3

    def test_what_no_thread_could_ask_is_asked_once_there_is_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        lookup = Lookup(failing()[0], "test")
        with monkeypatch.context() as full:
            full.setattr(threading.Thread, "start", refused)
            with pytest.raises(RuntimeError):
                lookup.begin()
        assert lookup.result(Deadline(60)) == "answer"


class TestGather:
    def test_each_job_has_its_answer_or_its_error_in_the_order_asked(self) -> None:
        down, _ = failing(DOWN)
        answers = gather({"b": lambda: "B", "a": down}, Deadline(60))
        assert list(answers.items()) == [("b", "B"), ("a", DOWN)]

    def test_no_jobs_no_answers(self) -> None:
        assert gather({}, Deadline(60)) == {}

    def test_jobs_run_side_by_side(self) -> None:
        """Each of them waits until all of them have begun."""
        together = threading.Barrier(AT_ONCE)
        jobs = {index: lambda: together.wait(ENOUGH_S) for index in range(AT_ONCE)}
        assert set(gather(jobs, Deadline(60)).values()) == set(range(AT_ONCE))

    def test_never_more_than_so_many_at_once(self) -> None:
        """Three rounds: each waits until the others of its round have begun."""
        lock, running, most = threading.Lock(), 0, 0
        together = threading.Barrier(AT_ONCE)

        def job() -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            together.wait(ENOUGH_S)
            with lock:
                running -= 1

        gather(dict.fromkeys(range(3 * AT_ONCE), job), Deadline(60))
        assert most == AT_ONCE

    def test_what_hangs_is_a_timeout_and_the_others_are_kept(self) -> None:
        release = threading.Event()
        answers = in_time(
            lambda seconds: gather({"hangs": release.wait, "answers": lambda: True}, Deadline(seconds)),
            late=lambda answers: answers["answers"] is not True,
        )
        release.set()
        hung = answers["hangs"]
        assert isinstance(hung, SourceError)
        assert (hung.cause, hung.retryable) == ("timeout", True)
        assert re.fullmatch(r"no answer within [\d.]+ s", str(hung))
        assert answers["answers"] is True

    def test_what_waits_behind_something_that_hangs_is_never_begun_after_the_end(self) -> None:
        release, begun = threading.Event(), threading.Event()
        jobs: dict[str, Callable[[], bool]] = {f"hangs {index}": release.wait for index in range(AT_ONCE)}

        def late() -> bool:
            begun.set()
            return True

        answers = gather({**jobs, "late": late}, Deadline(OVER_S))
        release.set()
        for thread in threading.enumerate():
            if thread.name == "drift-gate late":
                thread.join(60)
        assert not begun.is_set()
        assert isinstance(answers["late"], SourceError)

    def test_what_ends_by_itself_is_done_by_the_caller_meanwhile(self) -> None:
        """The other job waits for it: were it done before or afterwards, that would not end."""
        begun, down = threading.Event(), failing(DOWN)[0]

        def ours() -> str:
            begun.set()
            return threading.current_thread().name

        answers = gather({"a": lambda: begun.wait(ENOUGH_S)}, Deadline(60), here={"b": ours, "c": down})
        assert answers == {"a": True, "b": threading.current_thread().name, "c": DOWN}

    def test_the_caller_begins_nothing_after_the_end(self) -> None:
        answers = gather({}, Deadline(0), here={"late": lambda: True})
        assert isinstance(answers["late"], SourceError)
        assert answers["late"].cause == "timeout"

    def test_an_error_that_is_no_answer_is_raised_here(self) -> None:
        with pytest.raises(ZeroDivisionError):
            gather({"broken": lambda: 1 // 0}, Deadline(60))
        with pytest.raises(ZeroDivisionError):
            gather({}, Deadline(60), here={"broken": lambda: 1 // 0})


class TestWhatIsWaitedFor:
    """Is said while it is waited for, and not afterwards: the block ends because of what was said."""

    def test_is_told_with_its_end(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(calling, "LOG_AFTER_S", 0.0)
        caplog.set_level(logging.INFO, "drift_gate")
        with wait_logged("the other side", Deadline(60)):
            while not caplog.messages:
                time.sleep(0.01)
        (said,) = caplog.messages
        assert re.fullmatch(r"waiting for the other side, until \d\d:\d\d:\d\d UTC at the latest", said)

    def test_is_not_told_where_the_answer_comes_at_once(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "drift_gate")
        with wait_logged("the other side", Deadline(60)):
            pass
        assert caplog.messages == []
