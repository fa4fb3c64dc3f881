"""A child that is forked: it has loaded what its parent has, and has nothing else of it.

A fork copies one thread. Whatever another thread holds, a lock of gRPC's for instance, stays held in the
child for ever. So a program asks for it, ours alone do, and it is done only while there is no other thread.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import NoReturn

#: Seconds between two looks at a child that is waited for.
POLL_S = 0.001
#: Threads that this process may have when it forks; none where it may not.
_threads = 0


@contextlib.contextmanager
def allowed(threads: int = 1) -> Iterator[None]:
    """Within the block, for a program of ours: what it starts may be forked. A library asks for nothing.

    ``threads``: those that it may have then, itself among them. Any other has to be known to hold no lock.
    """
    global _threads
    before, _threads = _threads, threads
    try:
        yield
    finally:
        _threads = before


def possible() -> bool:
    """Whether a child may be forked now: it is ``allowed``, and the system knows of no further thread.

    gRPC has threads of its own from the first channel to the last, which no list of Python's names. Where
    there is no ``/proc`` nothing says so.
    """
    try:
        return 0 < _threads >= len(os.listdir("/proc/self/task"))
    except OSError:
        return False


class Forked:
    """A child of this process; what it offers is that of ``subprocess.Popen``."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        #: Its exit status as ``Popen`` has it; None while it runs, or nobody has looked.
        self.returncode: int | None = None
        self._looking = threading.Lock()

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        with self._looking:
            if self.returncode is None:
                try:
                    ended, status = os.waitpid(self.pid, os.WNOHANG)
                except ChildProcessError:  # somebody else has waited for it
                    self.returncode = 0
                else:
                    self.returncode = os.waitstatus_to_exitcode(status) if ended else None
            return self.returncode

    def wait(self, timeout: float) -> int:
        """Its exit status, within so many seconds. Raises ``subprocess.TimeoutExpired``."""
        until = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > until:
                from subprocess import TimeoutExpired  # whoever only asks for help needs no subprocess

                raise TimeoutExpired(f"the fork {self.pid}", timeout)
            time.sleep(POLL_S)
        return status


def start(run: Callable[[], object], keep: Collection[int]) -> Forked:
    """Fork a child that calls ``run``, and ends with it.

    It is as ``subprocess`` would start it: at ``/``, in a session of its own, with ``/dev/null`` as its
    streams, signals as they are by default, and of all other descriptors those of ``keep`` alone, which are
    above 2. Nothing that its parent meant to do at its end is done in it. Raises ``OSError``.
    """
    # A signal that came in between would have the child end as its parent does: with all that it cleans up.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        if pid := os.fork():
            return Forked(pid)
        _become(run, keep, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _become(run: Callable[[], object], keep: Collection[int], mask: Collection[int]) -> NoReturn:
    status = 1
    try:
        gc.freeze()  # what is garbage here is the parent's: nothing of it is closed twice
        os.setsid()  # neither Ctrl-C nor the end of a terminal reaches it
        os.chdir("/")
        _let_go(keep)
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        run()
        status = 0
    finally:
        os._exit(status)


def _let_go(keep: Collection[int]) -> None:
    """Of all descriptors ``keep`` stays, and the streams lead nowhere."""
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2 and fd not in keep:
            with contextlib.suppress(OSError):  # the one of the list itself
                os.close(fd)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    if nowhere > 2:
        os.close(nowhere)
