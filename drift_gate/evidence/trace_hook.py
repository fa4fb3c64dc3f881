"""For a program that is traced: notes which files of a folder it loads and opens, as it goes.

``trace`` puts a copy of this file, named ``sitecustomize.py``, first on ``PYTHONPATH``, so that each Python
that is started from there on imports it before anything of the program. It stands alone (the standard
library, Python 3.8 and later), and nothing that goes wrong here reaches the program.
"""

from __future__ import annotations

import _frozen_importlib_external as machinery  # what `importlib.util` would load much else for
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

#: Beside this file: the folder whose files are noted, and where they are noted, each ended by NUL. An empty
#: note is a Python that has started.
ROOT, NOTES = "root", "notes"
#: How many names are remembered, so that a file is noted once: a program may open millions.
REMEMBERED = 100_000

#: A program that takes its ``fingerprint`` opens each of its files in this way, and loads none by that.
HASHING = os.O_NOFOLLOW | os.O_NONBLOCK

#: Where in its arguments an event names files: https://docs.python.org/3/library/audit_events.html
_FILES: dict[str, int] = {"import": 1, "sqlite3.connect": 0, "ctypes.dlopen": 0}
_PROGRAMS = ("subprocess.Popen", "os.exec", "os.posix_spawn")


def hook(root: str, note: Callable[[bytes], None]) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that hands each file below ``root`` to ``note``, once, by its own name and a link's."""
    below = root.rstrip(os.sep) + os.sep
    known: set[str] = set()

    def look(path: str) -> None:
        if path in known:
            return
        if len(known) >= REMEMBERED:
            known.clear()
        known.add(path)
        source = _source(path)
        for each in {source, os.path.realpath(source)}:
            if each.startswith(below):
                note(os.fsencode(each[len(below) :]))

    def noticed(event: str, arguments: tuple[Any, ...]) -> None:
        try:
            for name in _named(event, arguments):
                look(os.path.abspath(os.fsdecode(name)))
        except Exception:  # whatever it is, it is not the program's concern
            return

    return noticed


def _named(event: str, arguments: tuple[Any, ...]) -> Iterator[Any]:
    """What ``event`` says is read: a file, an extension module, a program and the files among its words."""
    if event == "open":
        name, _, flags = arguments
        if not isinstance(name, int) and flags & os.O_ACCMODE != os.O_WRONLY and flags & HASHING != HASHING:
            yield name
    elif event in _FILES and arguments[_FILES[event]] is not None:
        yield arguments[_FILES[event]]
    elif event in _PROGRAMS:
        program, words = arguments[:2]
        yield program
        yield from (word for word in words if isinstance(word, (str, bytes)) and os.path.isfile(word))


def _source(path: str) -> str:
    """The file that ``path`` was compiled from, where it is what Python keeps of one."""
    if path.endswith(".pyc"):
        try:
            return os.path.abspath(machinery.source_from_cache(path))
        except ValueError:
            return path
    return path


def _noting(file: str) -> Callable[[bytes], None]:
    def note(text: bytes) -> None:
        # Opened for each note: a program may close whatever is open, and give the number to another file.
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.write(handle, text + b"\0")
        finally:
            os.close(handle)

    return note


def _begin(here: str) -> None:
    with open(os.path.join(here, ROOT), "rb") as file:
        root = os.fsdecode(file.read())
    note = _noting(os.path.join(here, NOTES))
    note(b"")
    sys.addaudithook(hook(root, note))


def _give_way(here: str) -> None:
    """Runs the ``sitecustomize`` that stands behind this one on ``sys.path``, if there is one."""
    sys.path[:] = [each for each in sys.path if os.path.abspath(each or ".") != here]
    spec = machinery.PathFinder.find_spec(__name__, sys.path)
    if spec is not None and spec.loader is not None:
        from importlib.util import module_from_spec

        sys.modules[__name__] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[__name__])


if __name__ == "sitecustomize":
    _begin(os.path.dirname(os.path.abspath(__file__)))
    _give_way(os.path.dirname(os.path.abspath(__file__)))
