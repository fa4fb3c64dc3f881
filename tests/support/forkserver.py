"""Command lines that cost no start: a process that has loaded both programs forks for each.

What is forked is a process of its own, with its own folder, variables, streams, signals and exit code. What
the libraries read once, when they are loaded, is the fork server's: a test of that starts an interpreter.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import marshal
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any, NoReturn

from drift_gate.commands.main import COMMANDS

#: Bytes of one request at most.
LONGEST = 1 << 18
#: The command line of the gate, as its console script is.
GATE = "import sys; from drift_gate.commands.main import main; sys.exit(main())"
#: That of the coordinator.
COORDINATOR = "import sys; from predictions.coordinator.commands.main import main; sys.exit(main())"
#: Whatever a check, a batch, or the server loads late.
LOADED = (
    *(f"drift_gate.commands.{entry.module}" for entry in COMMANDS.values()),
    "drift_gate.journal.messages",
    "drift_gate.presentation.looks",
    "drift_gate.sources.cloud_run.reader",
    "drift_gate.sources.git.mirror",
    "drift_gate.sources.ledger",
    "drift_gate.testing.cloud_run.command",
    "drift_gate.wiring.enforcement",
    "drift_gate.wiring.monitors",
    "drift_gate.wiring.rollouts",
    "grpc._channel",
    "grpc._interceptor",
    "predictions.coordinator.commands.main",
    "predictions.coordinator.commands.serve",
    "predictions.coordinator.dispatch.local",
    "predictions.coordinator.http.server",
    "predictions.coordinator.slate.csv_file",
    "predictions.coordinator.store.sqlite",
    "rich._emoji_codes",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.auto",
)
#: A program that has a fork do its work. It loads next to nothing, and a signal to it reaches no fork.
ASKS = """\
#!{python} -IS
import marshal, os, sys
from _socket import AF_UNIX, SCM_RIGHTS, SOCK_SEQPACKET, SOL_SOCKET, socket
told, tells = os.pipe()
asked = {{"code": {code!r}, "args": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}}
line = socket(AF_UNIX, SOCK_SEQPACKET)
line.connect({address!r})
streams = b"".join(each.to_bytes(4, sys.byteorder) for each in (tells, 0, 1, 2))
line.sendmsg([marshal.dumps(asked)], [(SOL_SOCKET, SCM_RIGHTS, streams)])
os.close(tells)
_, code = os.fdopen(told).read().split()
sys.exit(int(code) if int(code) >= 0 else 128 - int(code))
"""


class Forked:
    """A process that was forked; what it takes and tells is that of ``subprocess.Popen``."""

    def __init__(self, told: int) -> None:
        self._told = open(told, "rb", buffering=0)  # noqa: SIM115 - closed when it has ended
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, when it has ended. Raises ``subprocess.TimeoutExpired``."""
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"the fork {self.pid}", timeout or 0)
            self.returncode = int(self._told.readline())
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send it SIGKILL, unless it has ended."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The process that has loaded the programs; it ends with this one."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._folder = TemporaryDirectory()
        self._address = f"{self._folder.name}/forks"
        path = os.pathsep.join(filter(None, sys.path))
        with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(self._address)
            listener.listen(64)
            passed = [theirs.fileno(), listener.fileno()]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "support.forkserver", *map(str, passed)],
                env={"PATH": os.environ["PATH"], "PYTHONPATH": path},
                pass_fds=passed,
            )

    def fork(
        self,
        code: str,
        args: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: IO[bytes],
        stdout: IO[bytes],
        stderr: IO[bytes],
    ) -> Forked:
        """What ``python -c code args…`` does in ``cwd``, with ``env`` as all of its variables."""
        asked = marshal.dumps({"code": code, "args": list(args), "cwd": str(cwd), "env": dict(env)})
        assert len(asked) < LONGEST
        told, tells = os.pipe()
        streams = [each.fileno() for each in (stdin, stdout, stderr)]
        with self._asking:
            socket.send_fds(self._line, [asked], [tells, *streams])
        os.close(tells)
        return Forked(told)

    def run(
        self, code: str, args: Sequence[str], *, cwd: Path, env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """The same, to its end, without an input."""
        with open(os.devnull, "rb") as nothing, TemporaryFile() as out, TemporaryFile() as err:
            process = self.fork(code, args, cwd=cwd, env=env, stdin=nothing, stdout=out, stderr=err)
            try:
                status = process.wait(240)
            finally:
                process.kill()
            said = [_read(out), _read(err)]
        return subprocess.CompletedProcess([code, *args], status, *said)

    @contextmanager
    def running(
        self, code: str, args: Sequence[str], *, cwd: Path, env: Mapping[str, str]
    ) -> Iterator[tuple[Forked, IO[str], IO[str]]]:
        """The same, under way: the process, its stdout and its stderr; the end of the block kills it."""
        (out, said), (err, told) = os.pipe(), os.pipe()
        with open(os.devnull, "rb") as nothing, open(said, "wb") as stdout, open(told, "wb") as stderr:
            process = self.fork(code, args, cwd=cwd, env=env, stdin=nothing, stdout=stdout, stderr=stderr)
        with open(out, encoding="utf-8") as reads, open(err, encoding="utf-8") as hears:
            try:
                yield process, reads, hears
            finally:
                process.kill()

    def program(self, path: Path, code: str) -> None:
        """Make ``path`` a program that does what ``python -c code`` does, for whatever starts programs."""
        path.write_text(ASKS.format(python=sys.executable, code=code, address=self._address))
        path.chmod(0o755)

    def close(self) -> None:
        """End it."""
        self._line.close()
        self._process.wait(60)
        self._folder.cleanup()


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8")


@cache
def forkserver() -> ForkServer:
    """The one of this process, started with its first use."""
    server = ForkServer()
    atexit.register(server.close)
    return server


def main(line: socket.socket, listener: socket.socket) -> None:
    for name in LOADED:
        importlib.import_module(name)
    gc.freeze()
    while True:
        if listener in select.select([line, listener], [], [])[0]:
            with listener.accept()[0] as program:
                asked, streams, _, _ = socket.recv_fds(program, LONGEST, 4)
        else:
            asked, streams, _, _ = socket.recv_fds(line, LONGEST, 4)
            if not asked:
                return
        if os.fork() == 0:
            line.close()
            listener.close()
            _watch(streams, marshal.loads(asked))  # noqa: S302 - a test of ours sent it
        for stream in streams:
            os.close(stream)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue


def _watch(streams: Sequence[int], asked: Mapping[str, Any]) -> None:
    """Fork the program, and tell its process id and its exit code."""
    tells, *its_own = streams
    if (process_id := os.fork()) == 0:
        os.close(tells)
        for number, stream in enumerate(its_own):
            os.dup2(stream, number)
            os.close(stream)
        _become(**asked)
    for stream in its_own:
        os.close(stream)
    os.write(tells, f"{process_id}\n".encode())
    _, status = os.waitpid(process_id, 0)
    os.write(tells, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(code: str, args: Sequence[str], cwd: str, env: Mapping[str, str]) -> NoReturn:
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[0] = ""
    sys.argv = ["-c", *args]
    try:
        exec(code, {"__name__": "__main__"})  # noqa: S102 - the test's own
        sys.exit()
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            _end(ended.code or 0)
        raise


def _end(code: int) -> None:
    """End as Python ends, but for taking apart what was loaded, which would copy all of it for this fork.

    It comes back where a stream takes nothing: Python's own end says so.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # as multiprocessing ends its forks
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(*(socket.socket(fileno=int(each)) for each in sys.argv[1:]))
