"""Work that goes on beside its caller; a program that ends before it waits for it, up to its deadline."""

from __future__ import annotations

import atexit
import contextvars
import threading
from collections.abc import Callable

from drift_gate.runtime.deadline import Deadline

#: What goes on, and when it is over at the latest.
_running: dict[threading.Thread, Deadline] = {}


def start(job: Callable[[], object], within: Deadline, name: str) -> threading.Thread:
    """Run ``job`` on a thread of its own, which ``name`` names; whoever ends the process waits ``within``.

    What it logs belongs to the caller's trace and batch. Raises ``RuntimeError`` where there is no room for a
    thread.
    """
    inside = contextvars.copy_context()

    def run() -> None:
        try:
            inside.run(job)
        finally:
            _running.pop(threading.current_thread(), None)

    thread = threading.Thread(target=run, name=f"drift-gate {name}", daemon=True)
    _running[thread] = within
    try:
        thread.start()
    except BaseException:
        _running.pop(thread)
        raise
    return thread


def finish() -> None:
    """Wait until all of it is done, or its deadline is over; also what is begun meanwhile."""
    waited: set[threading.Thread] = set()
    while left := [each for each in tuple(_running.items()) if each[0] not in waited]:
        for thread, deadline in left:
            thread.join(deadline.remaining())
            waited.add(thread)


@atexit.register
def _at_exit() -> None:
    try:
        finish()
    except KeyboardInterrupt:  # whoever presses it twice does not want the trace
        return
