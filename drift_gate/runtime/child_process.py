"""Calls that are answered in a process of their own, which is ended where they do not end in time.

Nothing else bounds work on a stranger's text: a pattern or a parser holds the interpreter for as long as
it likes. A child is started with a fresh interpreter, so that it inherits no channel and no lock, and serves
one call after another. It knows nothing of the program that embeds the gate: it gets that program's
``sys.path``, and what it is to do by name. A program of ours forks it instead where nothing is to inherit
(``forked``), which saves the loading.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import pickle
import selectors
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any, TypeVar

from drift_gate.errors import SourceError
from drift_gate.runtime import background, family, forked, interpreter
from drift_gate.runtime.deadline import Deadline

T = TypeVar("T")

#: Children of one process at most: checks that run side by side have one each.
MOST = 4
#: Children that are kept for the next check; each takes some 60 MB.
KEPT = 2
#: Seconds given to the system to collect a killed child.
REAP_S = 1.0
#: Bytes that a child's answer begins with: its length.
LENGTH = 8
CHUNK = 1 << 16
#: Seconds of one wait at most, whatever the deadline: the system calls take no infinite one.
LONGEST_POLL_S = 3600.0
_WHAT = "reading the repository"

#: What a child runs: the first thing that it reads says where the gate is installed.
_BOOT = f"""\
import os, pickle, sys
asked, answers = open(int(sys.argv[1]), "rb"), int(sys.argv[2])
try:
    sys.path[:] = pickle.load(asked)
    from drift_gate.wiring.child import main
except BaseException as error:
    told = pickle.dumps(("broken", f"{{type(error).__name__}}: {{error}}"))
    os.write(answers, len(told).to_bytes({LENGTH}, "big") + told)
else:
    main(asked, answers)
"""

#: What runs, by whoever started it: a fork must let go of it, and the end of the process end it.
_running: set[Child] = set()


class Child:
    """One process that answers calls, one at a time; whoever uses it has it alone.

    Raises ``SourceError`` (``gate-error``) where no process can be started.
    """

    def __init__(self) -> None:
        theirs, self._asks = _pipe()
        try:
            self._answers, out = _pipe()
        except SourceError:
            os.close(theirs)
            os.close(self._asks)
            raise
        try:
            self._process = _started(theirs, out)
        except BaseException:
            os.close(self._asks)
            os.close(self._answers)
            raise
        finally:
            os.close(theirs)
            os.close(out)
        _running.add(self)
        self.ended = False
        self._using = threading.Lock()
        #: Whether it has said that it is ready.
        self.loaded = False
        #: Whether an answer is still to be heard.
        self._owes = False
        self._heard = bytearray()
        os.set_blocking(self._asks, False)
        os.set_blocking(self._answers, False)
        self._unsent = memoryview(pickle.dumps(list(map(interpreter.absolute, sys.path))))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return not self.ended and self._process.poll() is None

    @property
    def busy(self) -> bool:
        """Whether it has still to answer somebody."""
        return self._owes or self._using.locked()

    def ready(self, deadline: Deadline) -> None:
        """Wait until it has loaded what it needs. Raises ``SourceError``."""
        with self._used():
            while not self.loaded:
                self._next(deadline)

    def call(self, function: Callable[..., T], args: Sequence[object], deadline: Deadline) -> T:
        """``function(*args)`` over there; ``function`` is one of a module, and both cross as pickles.

        What ``function`` raises is raised here. Raises ``SourceError``: ``timeout`` at the deadline, when
        the process is ended, ``gate-error`` where it ends by itself.
        """
        self.ask(function, args, deadline)
        return self.answer(deadline)  # type: ignore[no-any-return]  # what the function returns comes back

    def ask(self, function: Callable[..., object], args: Sequence[object], deadline: Deadline) -> None:
        """The first half of ``call``, which waits for nothing; until ``answer`` has told it is busy."""
        with self._used():
            if self._owes:
                raise RuntimeError("it is asked for one thing at a time")
            asked = pickle.dumps((deadline.remaining(), function, args))
            self._unsent = memoryview(bytes(self._unsent) + asked)
            self._owes = True
            self._send()

    def answer(self, deadline: Deadline) -> Any:
        """The second half of ``call``: what the function returns. Raises as ``call``."""
        with self._used():
            while (said := self._next(deadline)) is None:
                continue
            self._owes = False
        kind, answer = said
        if kind == "failed":
            raise answer
        return answer

    def end(self) -> None:
        """End it now, whatever it does, with every git that it started; who waits for an answer is told."""
        self._kill()
        if self._using.acquire(blocking=False):  # else whoever uses the pipes closes them
            self._close()
            self._using.release()

    def _kill(self) -> None:
        if self.ended:
            return
        self.ended = True
        _running.discard(self)
        if self._process.poll() is None:
            family.kill(self._process.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(REAP_S)

    def dismiss(self, seconds: float) -> None:
        """Let it end by itself, as a process that has to write something at its end; then end it."""
        os.close(self._asks)
        self._asks = -1
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.end()

    def forget(self) -> None:
        """In the child of a fork: it is the parent's, and must see the end of the parent."""
        self.ended = True
        self._process.returncode = 0  # it is not ours to wait for
        self._close()

    def _close(self) -> None:
        for pipe in (self._asks, self._answers):
            if pipe >= 0:
                os.close(pipe)
        self._asks = self._answers = -1

    @contextlib.contextmanager
    def _used(self) -> Iterator[None]:
        """Whatever ends the block early leaves the process in the middle of something: end it."""
        with self._using:
            try:
                yield
            except BaseException:
                self._kill()
                raise
            finally:
                if self.ended:
                    self._close()

    def _next(self, deadline: Deadline) -> tuple[str, Any] | None:
        """The answer, or None for whatever it says on the way; what it logs is logged here."""
        kind, said = self._message(deadline)
        if kind == "broken":
            raise _broken(said)
        if kind in ("done", "failed"):
            return kind, said
        if kind == "log":
            name, level, words = said
            logging.getLogger(name).log(level, "%s", words)
        self.loaded = self.loaded or kind == "ready"
        return None

    def _message(self, deadline: Deadline) -> tuple[str, Any]:
        with selectors.PollSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            if self._unsent:
                selector.register(self._asks, selectors.EVENT_WRITE)
            while not (message := self._whole()):
                ready = selector.select(min(deadline.remaining(), LONGEST_POLL_S))
                if not ready and deadline.remaining() <= 0:
                    raise self._late()
                for key, _ in ready:
                    self._hear() if key.fd == self._answers else self._say(selector)
        kind, said = pickle.loads(message)  # noqa: S301 - from a process of our own
        return str(kind), said

    def _late(self) -> SourceError:
        return SourceError(f"{_WHAT} did not end within the deadline", "timeout", True)

    def _whole(self) -> bytes | None:
        """The next message where all of it is there."""
        size = int.from_bytes(self._heard[:LENGTH], "big")
        if len(self._heard) < LENGTH or len(self._heard) < LENGTH + size:
            return None
        message = bytes(self._heard[LENGTH : LENGTH + size])
        del self._heard[: LENGTH + size]
        return message

    def _hear(self) -> None:
        if not (chunk := os.read(self._answers, CHUNK)):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(REAP_S)
            raise _broken(f"it ended by itself (exit status {self._process.returncode})")
        self._heard += chunk

    def _say(self, selector: selectors.BaseSelector) -> None:
        self._send()
        if not self._unsent:
            selector.unregister(self._asks)

    def _send(self) -> None:
        """As much as it takes now."""
        try:
            self._unsent = self._unsent[os.write(self._asks, self._unsent[:CHUNK]) :]
        except BlockingIOError:  # it has not read yet what it was told before
            return
        except BrokenPipeError:
            raise _broken("it ended by itself") from None


class Pool:
    """The children of one process; safe across threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._idle: list[Child] = []
        self._lent = 0

    def start(self) -> None:
        """Start one where none is at hand, and wait for nothing: it loads while others do.

        Where none can be started, who takes one is told.
        """
        with self._changed, contextlib.suppress(SourceError):
            self._bury()
            if not self._idle and not self._lent:
                self._idle.append(Child())

    def take(self, deadline: Deadline) -> Child:
        """One for the caller alone, until it is given back. Raises ``SourceError``."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._lent < MOST, deadline.remaining()):
                raise SourceError(f"{MOST} other checks read repositories all the time", "timeout", True)
            self._bury()
            child = self._idle.pop() if self._idle else Child()
            self._lent += 1
            return child

    def give(self, child: Child) -> None:
        """Give back what was taken, in whatever state it is."""
        with self._changed:
            self._lent -= 1
            if child.alive and not child.busy and len(self._idle) < KEPT:
                self._idle.append(child)
            else:
                child.end()
            self._changed.notify()

    @property
    def at_hand(self) -> bool:
        """Whether one is idle that has loaded what it needs."""
        with self._changed:
            return any(child.alive and child.loaded for child in self._idle)

    def ready(self, deadline: Deadline, load: Callable[[], None] | None = None) -> None:
        """Wait until one has loaded what it needs, and more by ``load`` (or None). Raises ``SourceError``."""
        child = self.take(deadline)
        try:
            child.ready(deadline)
            if load is not None:
                child.call(load, (), deadline)
        finally:
            self.give(child)

    def close(self, seconds: float) -> None:
        """Let those that are idle end by themselves, within so many seconds each."""
        with self._changed:
            idle, self._idle = self._idle, []
        for child in idle:
            child.dismiss(seconds)

    def _bury(self) -> None:
        """Those that somebody else has ended are none."""
        for child in self._idle:
            if not child.alive:
                child.end()
        self._idle = [child for child in self._idle if not child.ended]


def pool() -> Pool:
    """The children of this process; those of a parent of it are the parent's."""
    return _pool_of(os.getpid())


@cache
def _pool_of(process_id: int) -> Pool:
    return Pool()


def _pipe() -> list[int]:
    """A pipe above the streams, which may be closed here: the child has streams of its own."""
    try:
        ends = os.pipe()
    except OSError as error:
        raise _broken(f"it could not be started: {error}") from None
    if min(ends) > 2:
        return list(ends)
    try:
        return [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 3) for each in ends]
    finally:
        for each in ends:
            os.close(each)


def _started(asked: int, answers: int) -> subprocess.Popen[bytes] | forked.Forked:
    try:
        if forked.possible():
            return forked.start(partial(_boot, asked, answers), keep=(asked, answers))
        return subprocess.Popen(
            [interpreter.program(), "-c", _BOOT, str(asked), str(answers)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(asked, answers),
            start_new_session=True,  # neither Ctrl-C nor the end of a terminal reaches it
        )
    except OSError as error:
        raise _broken(f"it could not be started: {error}") from None


def _boot(asked: int, answers: int) -> None:
    sys.argv[:] = ["-c", str(asked), str(answers)]
    exec(_BOOT, {})  # noqa: S102 - the very lines that a fresh interpreter runs


def _broken(why: str) -> SourceError:
    return SourceError(f"{_WHAT} takes a process of its own, and {why}", "gate-error", True)


@background.at_end
def _end_all() -> None:
    for child in tuple(_running):
        child.end()


def _forget_all() -> None:
    for child in tuple(_running):
        child.forget()
    _running.clear()


os.register_at_fork(after_in_child=_forget_all)
