"""Two things at the same time: a job beside the caller's own work, and one answer for both of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Generic, TypeVar

T = TypeVar("T")
A = TypeVar("A")


def beside(job: Callable[[], T]) -> Callable[[], T]:
    """Start ``job`` on a thread of its own; what is returned waits for its answer, or raises its error.

    The thread is a daemon: whoever gives up before the answer need not wait for it. What it logs belongs to
    the trace of the caller.
    """
    context = copy_context()
    answers: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(context.run(job))
        except BaseException as error:  # handed to the caller, who raises it
            errors.append(error)

    thread = threading.Thread(target=run, name="coordinator beside", daemon=True)
    thread.start()

    def answer() -> T:
        thread.join()
        if errors:
            raise errors[0]
        return answers[0]

    return answer


class Once(Generic[A, T]):
    """``job`` with the answer that its first call gave; a call that comes meanwhile waits for that one.

    For one argument: whatever a later call brings is not looked at. A call that fails is none: the next
    one tries again.
    """

    def __init__(self, job: Callable[[A], T]) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._answers: list[T] = []

    def __call__(self, argument: A) -> T:
        with self._lock:
            if not self._answers:
                self._answers.append(self._job(argument))
            return self._answers[0]
