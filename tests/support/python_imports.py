"""What Python itself runs when it imports a module: the truth that an import closure is held against."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from drift_gate.relevance.python.chains import Closure
from drift_gate.relevance.python.closure import close
from drift_gate.relevance.python.imports import facts_of

#: One process answers many questions, each in a fork of its own, so that none sees another's modules.
_SERVER = """
import importlib, json, os, runpy, signal, sys

class TooLong(BaseException):
    pass

def stop(*_):
    raise TooLong

def ran(folder, roots, entry):
    files = set()
    def note(event, args):
        if event == "exec" and hasattr(args[0], "co_filename"):
            files.add(args[0].co_filename)
    sys.addaudithook(note)
    sys.path[:0] = roots
    sys.argv = [entry]
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        if entry.endswith(".py"):
            runpy.run_path(entry, run_name="__main__")
        else:
            importlib.import_module(entry)
    except BaseException:
        pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    files |= {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
    return sorted(file for file in files if file.startswith(folder + "/"))

sys.dont_write_bytecode = True
sys.setrecursionlimit(400)
for line in sys.stdin:
    receiving, sending = os.pipe()
    if os.fork() == 0:
        os.close(receiving)
        sys.stdout = sys.stderr = open(os.devnull, "w")
        with os.fdopen(sending, "w") as answer:
            json.dump(ran(*json.loads(line)), answer)
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as answer:
        print(answer.read(), flush=True)
    os.wait()
"""


class PythonImports:
    """An interpreter that tells which files it ran. Close it when done."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ran(self, folder: Path, roots: Sequence[str], entry: str) -> frozenset[str]:
        """The files under ``folder``, relative to it, that importing ``entry`` (or running its file) ran.

        Also those that failed half-way, and those of a program that had to be stopped after a second.
        ``roots`` are folders under ``folder``, in the order of ``sys.path``.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        start = str(folder / entry) if entry.endswith(".py") else entry
        question = [str(folder), [str(folder / root) for root in roots], start]
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return frozenset(str(Path(file).relative_to(folder)) for file in answer)

    def close(self) -> None:
        with self._process:
            if self._process.stdin is not None:
                self._process.stdin.close()


def write(folder: Path, files: Mapping[str, str]) -> None:
    """``files`` (relative path → text) on disk under ``folder``."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def closure_of(
    files: Mapping[str, str | bytes],
    entries: Sequence[str],
    roots: Sequence[str] = ("/",),
    *,
    layout: Mapping[str, str] | None = None,
    links: Mapping[str, Sequence[str]] | None = None,
) -> Closure:
    """The closure over ``files`` (path in the repository → text).

    Without ``layout`` the image holds all of them at their own paths.
    """
    layout = {f"/{path}": path for path in files} if layout is None else layout
    contents = {path: text if isinstance(text, bytes) else text.encode() for path, text in files.items()}
    return close(entries, roots, layout, lambda path: facts_of(contents[path]), files, links)
