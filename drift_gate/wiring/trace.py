"""Runs a program and tells which files of a folder it loads and opens, to hold a closure against."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from drift_gate.errors import DriftConfigError
from drift_gate.evidence import trace_hook

#: Seconds that a program has to end in, once it was asked to; then it is killed.
GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class Traced:
    """What a run came to.

    ``files`` are those of the folder that were loaded or opened for reading, relative to it, sorted; a byte
    that is no UTF-8 is a lone surrogate. ``interpreters`` counts the Pythons that were seen to start; in none
    of them nothing could be noticed. ``code`` is how the command ended, None where it was ended.
    """

    files: tuple[str, ...]
    interpreters: int
    code: int | None


def run(
    command: Sequence[str],
    root: Path,
    environ: Mapping[str, str],
    *,
    cwd: Path | None = None,
    seconds: float | None = None,
    out: TextIO | None = None,
) -> Traced:
    """Runs ``command`` and notes which files below ``root`` its Pythons and theirs load and open.

    ``environ`` is what it is started with, ``cwd`` where and ``out`` where its output goes (None: as this
    process's own).
    After ``seconds`` (None: never), or at Ctrl-C, it is ended, with all that it has started. What it had
    loaded until then counts. Not seen is what another program than Python opens, or a C library by itself,
    and a Python that is started without ``PYTHONPATH`` (``python -I``, an environment that was cleared).
    Raises ``DriftConfigError`` where the command cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="drift-trace-", ignore_cleanup_errors=True) as name:
        folder, notes = Path(name), Path(name, trace_hook.NOTES)
        shutil.copyfile(trace_hook.__file__, folder / "sitecustomize.py")
        (folder / trace_hook.ROOT).write_bytes(os.fsencode(os.path.realpath(root)))
        notes.touch()
        folder.chmod(0o755)  # a program may go on as another user
        notes.chmod(0o666)
        search = os.pathsep.join(filter(None, (name, environ.get("PYTHONPATH"))))
        code = _ran(command, {**environ, "PYTHONPATH": search}, cwd, seconds, out)
        return _read(notes.read_bytes(), code)


def _read(notes: bytes, code: int | None) -> Traced:
    told = notes.split(b"\0")[:-1]
    files = {note.decode("utf-8", "surrogateescape") for note in told if note}
    return Traced(tuple(sorted(files)), told.count(b""), code)


def _ran(
    command: Sequence[str],
    environ: Mapping[str, str],
    cwd: Path | None,
    seconds: float | None,
    out: TextIO | None,
) -> int | None:
    """How ``command`` ended, by itself; None where it was ended."""
    try:
        process = subprocess.Popen(command, env=environ, cwd=cwd, stdout=out, start_new_session=True)
    except OSError as error:
        raise DriftConfigError(f"{command[0]} cannot be started: {error.strerror}") from error
    with process, _ending(process):
        try:
            return process.wait(seconds)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            return None


@contextlib.contextmanager
def _ending(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ends whatever of the process's group is there afterwards."""
    try:
        yield
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    finally:
        _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
