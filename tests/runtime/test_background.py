"""Work beside its caller: waited for at the end, up to its deadline, and what it begins itself, too."""

from __future__ import annotations

import threading

from support.limits import ENOUGH_S

from drift_gate.runtime import background
from drift_gate.runtime.deadline import Deadline


def test_what_is_begun_by_what_goes_on_is_waited_for() -> None:
    begin, done = threading.Event(), list[str]()

    def first() -> None:
        begin.wait(ENOUGH_S)
        background.start(lambda: done.append("second"), Deadline(ENOUGH_S), "second")
        done.append("first")

    background.start(first, Deadline(ENOUGH_S), "first")
    assert done == []
    begin.set()
    background.finish()
    assert sorted(done) == ["first", "second"]


def test_what_never_ends_is_left_at_its_deadline() -> None:
    end = threading.Event()
    thread = background.start(lambda: end.wait(ENOUGH_S), Deadline(0), "endless")
    background.finish()
    assert thread.is_alive()
    end.set()
    thread.join(ENOUGH_S)
    assert not thread.is_alive()


def test_an_error_ends_it() -> None:
    """The thread's own hook says what it was."""
    hooked: list[str] = []
    before, threading.excepthook = threading.excepthook, lambda told: hooked.append(str(told.exc_value))
    try:
        background.start(lambda: 1 // 0, Deadline(ENOUGH_S), "broken")
        background.finish()
    finally:
        threading.excepthook = before
    assert hooked == ["integer division or modulo by zero"]
