"""The one place where git is started: fixed arguments, clean environment, one deadline, nothing left behind.

A child's three pipes are served by whoever reads from it, in one loop, so that a full stderr cannot
block git, no thread is needed, and an answer that never comes ends at the deadline.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO

from drift_gate.errors import SourceError
from drift_gate.runtime import background
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.errors import unavailable
from drift_gate.sources.git.fixed import (
    ASK_HOOKS,
    OPTIONS,
    WRITING,
    as_options,
    clean_environment,
    without_hooks,
)

#: Bytes read at a time; a pipe on Linux holds 64 kB.
CHUNK = 1 << 16
#: Of stderr the first and the last so many bytes are kept: the reason stands at one of the two ends.
STDERR_END = 4096
#: Bytes that a command may answer where nobody says otherwise.
ANSWER_LIMIT = 16 << 20
#: Seconds between two looks at a git that closed its stdout, where the system has no signal for its exit.
EXIT_POLL_S = 0.001
#: Seconds of one wait at most, whatever the deadline: the system calls take no infinite one.
LONGEST_POLL_S = 3600.0
#: Seconds given to the system to collect a killed child.
REAP_S = 1.0

#: What runs, and a mark for each that is just being started: its process is there before we know it.
_running: set[subprocess.Popen[bytes]] = set()
_starting: set[object] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """Git at one repository, for the length of one check.

    ``cwd`` is where git runs. ``git_dir`` is the repository; None lets git look for it from ``cwd``
    upwards, with its own check of who owns it. ``environ`` is the caller's and is cleaned here.
    ``settings`` (``key=value``) win over the user's, as those of every command do.
    """

    cwd: str
    environ: Mapping[str, str]
    deadline: Deadline
    git_dir: str | None = None
    settings: tuple[str, ...] = ()

    def within(self, share: float) -> Git:
        """The same with only ``share`` (0 to 1) of the time that is left."""
        return replace(self, deadline=self.deadline.sooner(self.deadline.remaining() * (1 - share)))

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        limit: int = ANSWER_LIMIT,
        accept: Collection[int] = (0,),
        settings: Collection[str] = (),
        failure: Callable[[str, str], SourceError] = unavailable,
    ) -> bytes:
        """What ``git ARGS`` writes to stdout.

        ``limit`` bounds the answer in bytes; ``accept`` are the exit statuses that are no failure;
        ``settings`` are more of them for this command.
        Raises ``SourceError``: what ``failure`` makes of the command's name and stderr, ``timeout``,
        or ``history-unavailable`` where there is no git or the answer is over the limit.
        """
        parts: list[bytes] = []
        size = 0
        with self.stream(*args, stdin=stdin, accept=accept, settings=settings, failure=failure) as chunks:
            for chunk in chunks:
                parts.append(chunk)
                size += len(chunk)
                if size > limit:
                    raise SourceError(f"`git {args[0]}` answered over {limit} bytes", "history-unavailable")
        return b"".join(parts)

    @contextlib.contextmanager
    def stream(
        self,
        *args: str,
        stdin: bytes = b"",
        accept: Collection[int] = (0,),
        settings: Collection[str] = (),
        failure: Callable[[str, str], SourceError] = unavailable,
    ) -> Iterator[Iterator[bytes]]:
        """The same, chunk by chunk as git writes it; the last step raises when git failed.

        Leaving the block, by whatever way, ends git and all that it started. Nothing is read ahead:
        git waits while the caller is busy.
        """
        child = _Child(self, args, (*settings, *self._without_hooks(args[0])), stdin)
        try:
            yield child.chunks(accept, failure)
        finally:
            child.close()

    def _without_hooks(self, command: str) -> tuple[str, ...]:
        """The settings by which ``command`` calls no hook that stands in the settings."""
        if command not in WRITING:
            return ()
        keys = self.run(*ASK_HOOKS, accept=(0, 1))
        try:
            return without_hooks(os.fsdecode(keys))
        except ValueError as error:
            raise SourceError(str(error), "history-unavailable") from None

    def argv(self, args: Collection[str], settings: Collection[str] = ()) -> list[str]:
        """The full command line of ``git ARGS``."""
        where = [f"--git-dir={self.git_dir}"] if self.git_dir is not None else []
        return ["git", *where, *OPTIONS, *as_options((*self.settings, *settings)), *args]


class _Child:
    """One running git and its pipes."""

    def __init__(self, git: Git, args: Sequence[str], settings: Collection[str], stdin: bytes) -> None:
        self.name = f"git {args[0]}"
        self._deadline = git.deadline
        self._deadline.require(f"`{self.name}`")
        self._pending = memoryview(stdin)
        self._errors = _Ends()
        mark = object()
        _starting.add(mark)
        try:
            self._process = _start(git, git.argv(args, settings), with_stdin=bool(stdin))
            _running.add(self._process)
        finally:
            _starting.discard(mark)
        self._selector = selectors.DefaultSelector()
        self._out = self._serve(self._process.stdout, selectors.EVENT_READ)
        self._err = self._serve(self._process.stderr, selectors.EVENT_READ)
        self._in = self._serve(self._process.stdin, selectors.EVENT_WRITE)

    def _serve(self, pipe: IO[bytes] | None, event: int) -> int:
        """Its file descriptor; -1 where there is no pipe."""
        if pipe is None:
            return -1
        os.set_blocking(pipe.fileno(), False)
        self._selector.register(pipe, event)
        return pipe.fileno()

    def chunks(self, accept: Collection[int], failure: Callable[[str, str], SourceError]) -> Iterator[bytes]:
        """stdout as it comes, then the verdict on the exit status."""
        while self._open(self._out):
            yield from self._ready(self._deadline.remaining())
        self._await_exit()
        status = self._process.returncode
        if status not in accept:
            raise failure(self.name, self._errors.text() or f"exit status {status}")

    def _open(self, fd: int) -> bool:
        return fd in self._selector.get_map()

    def _ready(self, seconds: float) -> Iterator[bytes]:
        """Serves the pipes that are ready within ``seconds``; chunks of stdout come out."""
        if self._deadline.remaining() <= 0:
            raise self._late()
        for key, _ in self._selector.select(min(seconds, LONGEST_POLL_S)):
            if key.data == "exit":
                continue
            if key.fd == self._in:
                self._feed()
            elif not (chunk := os.read(key.fd, CHUNK)):
                self._selector.unregister(key.fileobj)
            elif key.fd == self._out:
                yield chunk
            else:
                self._errors.add(chunk)

    def _feed(self) -> None:
        """Gives git what it takes of its stdin now; closes it after the last byte, or when git did."""
        try:
            self._pending = self._pending[os.write(self._in, self._pending[:CHUNK]) :]
        except BrokenPipeError:
            self._pending = self._pending[:0]
        if not self._pending and self._process.stdin is not None:
            self._selector.unregister(self._process.stdin)
            self._process.stdin.close()
            self._in = -1

    def _await_exit(self) -> None:
        """Waits for the exit inside the deadline; stderr is read on so that git can end."""
        with _exit_signal(self._process) as exited:
            if exited >= 0:
                self._selector.register(exited, selectors.EVENT_READ, data="exit")
            while self._process.poll() is None:
                for _ in self._ready(self._deadline.remaining() if exited >= 0 else EXIT_POLL_S):
                    continue
        self._drain_errors()

    def _drain_errors(self) -> None:
        """What is left of git's last words; never waits, as a helper may hold the pipe open for long."""
        while self._open(self._err) and (chunk := _read_now(self._err)):
            self._errors.add(chunk)

    def _late(self) -> SourceError:
        return SourceError(
            f"`{self.name}` did not end within {self._deadline.seconds:.3g} s", "timeout", True
        )

    def close(self) -> None:
        """Ends git and its helpers if they still run, and frees what they held. Never waits long."""
        _kill(self._process)
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(REAP_S)
        _running.discard(self._process)


class _Ends:
    """The first and the last bytes of a text of any length."""

    def __init__(self) -> None:
        self._first = b""
        self._last = b""

    def add(self, chunk: bytes) -> None:
        room = STDERR_END - len(self._first)
        self._first += chunk[:room]
        self._last = (self._last + chunk[room:])[-STDERR_END:]

    def text(self) -> str:
        return (self._first + self._last).decode("utf-8", "backslashreplace").strip()


def _start(git: Git, argv: list[str], *, with_stdin: bool) -> subprocess.Popen[bytes]:
    """Starts git as the leader of a process group (and without a terminal to prompt on)."""
    try:
        return subprocess.Popen(
            argv,
            cwd=git.cwd,
            env=clean_environment(git.environ),
            stdin=subprocess.PIPE if with_stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
    except FileNotFoundError as error:
        if error.filename == git.cwd:
            raise SourceError(f"the folder {git.cwd} does not exist", "history-unavailable") from None
        raise SourceError(
            "git is not installed, or not on the PATH; the gate reads history with it", "history-unavailable"
        ) from None
    except OSError as error:
        raise SourceError(f"git could not be started in {git.cwd}: {error}", "history-unavailable") from None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kills the whole process group, unless its leader was collected: only until then is the number ours."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _exit_signal(process: subprocess.Popen[bytes]) -> Iterator[int]:
    """A file descriptor that becomes readable when ``process`` ends; -1 where the system has none.

    The end of stderr is no such signal: a helper may hold it open (the master of ssh's ControlPersist).
    """
    try:
        fd = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        yield -1
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _read_now(fd: int) -> bytes:
    """What can be read without waiting; empty when there is nothing."""
    try:
        return os.read(fd, CHUNK)
    except BlockingIOError:
        return b""


@background.at_end
def end_all() -> None:
    """A git that runs on a thread which nobody waits for has a session of its own: Ctrl-C misses it."""
    until = time.monotonic() + REAP_S
    while _starting and time.monotonic() < until:
        time.sleep(EXIT_POLL_S)
    for process in tuple(_running):
        _kill(process)


def _forget_all() -> None:
    """What the parent of a fork started is the parent's: its child must not end it."""
    _running.clear()
    _starting.clear()


os.register_at_fork(after_in_child=_forget_all)
