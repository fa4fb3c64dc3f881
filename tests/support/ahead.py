"""Asked of a process that reads: what a second core makes beside it, and what becomes of that one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from drift_gate.relevance.by_blob import ByBlob
from drift_gate.relevance.memory import Memory
from drift_gate.relevance.python.import_facts import ImportFacts
from drift_gate.runtime import ahead


def facts_by_two(contents: Mapping[str, bytes]) -> tuple[int, dict[str, ImportFacts]]:
    """How many of ``contents`` a second process has read, when this one has looked at each; and the facts."""
    read_here: list[bytes] = []

    def read(content: bytes) -> ImportFacts:
        read_here.append(content)
        return Memory().facts.of("", lambda: content)

    memory = ByBlob(read, form=Memory().facts._form)
    with memory.ahead(contents):
        found = {blob: memory.of(blob, partial(bytes, content)) for blob, content in contents.items()}
    return len(contents) - len(read_here), found


def made_beside(name: str) -> tuple[list[str], bool]:
    """Of ``a``, ``b`` and ``c`` what a fork makes by the function of that name; whether it has ended."""
    work = ahead.Ahead({"a": b"1", "b": b"2", "c": b"3"}, _WORKS[name])
    made = [*work.told("")]
    while name == "copies" and len(made) < 3:
        made += work.told("")
    pid = work._fork.pid
    work.end()
    return made, not Path("/proc", str(pid)).exists()


def work_for_ever() -> int:
    """Has a fork that never ends, whose id goes out; this process does not wait for it."""
    return ahead.Ahead({"a": b""}, _WORKS["hangs"])._fork.pid


def is_begun(size: int) -> bool:
    """Whether a fork is begun for so many bytes."""
    work = ahead.begun({"a": b"#" * size}, bytes)
    if work is not None:
        work.end()
    return work is not None


def _hangs(content: bytes) -> bytes:
    time.sleep(600)
    return content


def _ends(content: bytes) -> bytes:
    os._exit(1)


_WORKS: Mapping[str, Callable[[bytes], bytes]] = {"copies": bytes, "hangs": _hangs, "ends": _ends}
