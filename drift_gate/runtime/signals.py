"""Ctrl-C and SIGTERM, heeded however a program was started."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: What each means by default; Python's own for Ctrl-C is ``KeyboardInterrupt``.
_DEFAULTS: dict[signal.Signals, Callable[..., object] | signal.Handlers] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


@contextmanager
def heeded() -> Iterator[None]:
    """Within the block Ctrl-C and SIGTERM are not ignored; a handler that somebody installed stays.

    A background job of a script is started with Ctrl-C ignored, and a program may be started with either
    ignored or blocked; Python leaves that as it is. Outside the main thread nothing is changed: there
    signals belong to whoever runs it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ignored = [number for number in _DEFAULTS if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, _DEFAULTS[number])
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, _DEFAULTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


class Terminated(SystemExit):
    """SIGTERM came: the process ends with the status that a shell shows for it."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)

    def __str__(self) -> str:
        return "SIGTERM"


@contextmanager
def in_order() -> Iterator[None]:
    """Within the block the first SIGTERM raises ``Terminated``, so that nothing begun is left behind.

    A second one ends the process at once. A handler that somebody installed stays, and so it does outside the
    main thread.
    """
    mine = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if not mine:
        yield
        return

    def end(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def deferred() -> Iterator[None]:
    """Within the block Ctrl-C and SIGTERM wait; the first that came is heeded as it ends.

    For the moment between a child's start and its being known. Outside the main thread nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in _DEFAULTS}
    ours = [number for number, handler in before.items() if handler is not None]
    for number in ours:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])
        for each in came[:1]:
            signal.raise_signal(each)
