"""Checks in processes of their own that cost no start: a process that has loaded all forks for each.

For what the libraries read once per process (who to ask for credentials), and for limits that a whole
process has. The forks know nothing of each other.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drift_gate.errors import DriftGateError
from drift_gate.runtime import background
from drift_gate.settings.file import load
from drift_gate.wiring import answers, rollouts


@dataclass(frozen=True)
class Answer:
    """What a check in a process of its own came to.

    ``threads`` are those of the gate that nothing had ended ``WIND_UP_S`` after it, ``warnings`` the gate's
    log.
    """

    decision: str
    cause: str | None
    codes: tuple[str, ...]
    message: str
    seconds: float
    threads: int
    warnings: tuple[str, ...]


#: Seconds after the check until the threads that are still at it are counted.
WIND_UP_S = 0.5


@dataclass(frozen=True)
class Zygote:
    """Where the process that forks listens."""

    path: str

    def check(
        self,
        folder: Path,
        environ: Mapping[str, str],
        *,
        file_size: int | None = None,
        record: str | None = None,
    ) -> Answer:
        """A check by the ``drift.toml`` of ``folder`` under ``environ``, which is the whole environment.

        ``file_size``: no file may grow beyond so many bytes, as on a full disk. ``record``: not a check, but
        a note in the ledger that the worker runs this commit.
        """
        asked = {"folder": str(folder), "environ": dict(environ), "file_size": file_size, "record": record}
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(self.path)
            line.sendall(json.dumps(asked).encode() + b"\n")
            with line.makefile() as answers:
                told = json.loads(answers.readline())
        return Answer(**{**told, "codes": tuple(told["codes"]), "warnings": tuple(told["warnings"])})


@contextmanager
def zygote(environ: Mapping[str, str]) -> Iterator[Zygote]:
    """One that runs while the block lasts; ``environ`` is what only a fresh process reads."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/zygote"
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **environ}
        process = subprocess.Popen(
            [sys.executable, "-m", "support.zygote", path], stdout=subprocess.PIPE, env=env
        )
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield Zygote(path)
        finally:
            process.terminate()
            process.wait(60)
            process.stdout.close()


def main(path: str) -> None:
    # Not what looks for credentials: that reads its environment when it loads, and each fork has its own.
    for name in ("cloud_run.reader", "git.checkout", "git.mirror", "ledger"):
        importlib.import_module(f"drift_gate.sources.{name}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            line, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                with line, line.makefile("rw") as file:
                    file.write(json.dumps(asdict(_answer(**json.loads(file.readline())))) + "\n")
                os._exit(0)  # threads that hang are not waited for
            line.close()
            _reap()


def _reap() -> None:
    """Collect the forks that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


def _answer(folder: str, environ: dict[str, str], file_size: int | None, record: str | None) -> Answer:
    os.environ.update(environ)
    for name in ("auth.compute_engine", "oauth2.credentials"):
        importlib.import_module(f"google.{name}")  # it takes its time, and none of the deadline
    heard = _Heard()
    logging.getLogger("drift_gate").addHandler(heard)
    settings = load(Path(folder), environ)
    if file_size is not None:
        # Or the limit leaves bytecode cut off, here and in the process that reads, for every later import.
        sys.dont_write_bytecode, os.environ["PYTHONDONTWRITEBYTECODE"] = True, "1"
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    started = time.monotonic()
    told: dict[str, Any] = {"decision": "recorded", "cause": None, "codes": (), "message": ""}
    try:
        if record is not None:
            answers.record(next(iter(settings.services)), record, settings)
        else:
            told = _told(rollouts.check(wait=0, settings=settings))
    except DriftGateError as error:
        told |= {"decision": "error", "cause": getattr(error, "cause", None), "message": str(error)}
    seconds = time.monotonic() - started
    until = time.monotonic() + WIND_UP_S
    while (threads := _at_it()) and time.monotonic() < until:
        time.sleep(0.02)
    background.finish()
    return Answer(**told, seconds=seconds, threads=threads, warnings=tuple(heard.told))


def _at_it() -> int:
    """How many threads of the gate there are, but for the teller of long waits, which outlives them."""
    named = [thread.name for thread in threading.enumerate() if thread.name.startswith("drift-gate")]
    return len(named) - named.count("drift-gate wait log")


def _told(outcome: Any) -> dict[str, Any]:
    [verdict] = outcome.services
    unknown = verdict.report.unknown
    return {
        "decision": outcome.decision,
        "cause": unknown.cause if unknown else None,
        "codes": tuple(reason.code for reason in verdict.reasons),
        "message": "; ".join(reason.message for reason in verdict.reasons),
    }


if __name__ == "__main__":
    main(sys.argv[1])
