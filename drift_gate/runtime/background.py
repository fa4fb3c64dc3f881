"""Work that goes on beside its caller; a program that ends before it waits for it, up to its deadline."""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import threading
from collections.abc import Callable

from drift_gate.runtime.deadline import Deadline

#: What goes on, and when it is over at the latest.
_running: dict[threading.Thread, Deadline] = {}
#: What is called when the process ends and nothing goes on any more.
_ends: list[Callable[[], None]] = []


def start(job: Callable[[], object], within: Deadline, name: str) -> threading.Thread:
    """Run ``job`` on a thread of its own, which ``name`` names; whoever ends the process waits ``within``.

    What it logs belongs to the caller's trace and batch. Raises ``RuntimeError`` where there is no room for a
    thread.
    """
    inside = contextvars.copy_context()
    thread = threading.Thread(target=inside.run, args=(job,), name=f"drift-gate {name}", daemon=True)
    thread.start()
    for over in [each for each in tuple(_running) if not each.is_alive()]:
        _running.pop(over, None)
    _running[thread] = within  # who waits for what began it finds it: it is kept before that is over
    return thread


def finish() -> None:
    """Wait until all of it is done, or its deadline is over; also what is begun meanwhile."""
    waited: set[threading.Thread] = set()
    while left := [each for each in tuple(_running.items()) if each[0] not in waited]:
        for thread, deadline in left:
            thread.join(deadline.remaining())
            waited.add(thread)


def at_end(end: Callable[[], None]) -> Callable[[], None]:
    """Call ``end`` when the process ends, once nothing goes on any more.

    An ``atexit`` of its own would come too early: it is called before those of all modules loaded before it,
    and would end the processes that what goes on still asks.
    """
    _ends.append(end)
    return end


@atexit.register
def _at_exit() -> None:
    with contextlib.suppress(KeyboardInterrupt):  # whoever presses it twice does not want the trace
        finish()
    for end in reversed(_ends):
        end()
