"""Which process holds a claim, so that one that has died on this machine is known at once."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from drift_gate.journal.deploys import Claim

_MARK = re.compile(r"(?P<host>[^/]+)/(?P<pid>\d+)/(?P<started>\d*)/[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Holder:
    """One run of a command in this process. ``mark`` names it, and no other run."""

    mark: str

    @classmethod
    def of_this_process(cls) -> Holder:
        """A new one."""
        pid = os.getpid()
        return cls(f"{_host()}/{pid}/{_started(pid)}/{uuid4().hex[:12]}")


def has_died(mark: str) -> bool:
    """Whether the process of ``mark`` ran on this machine and is no more; False where nobody can say.

    A number is given again: what tells the processes apart is when they started.
    """
    found = _MARK.fullmatch(mark)
    if found is None or found["host"] != _host() or not found["started"]:
        return False
    return _started(int(found["pid"])) != found["started"]


def alive(claim: Claim | None, now: datetime) -> Claim | None:
    """``claim`` where it holds at ``now``; None where it has run out, or its process has died."""
    return None if claim is None or claim.until <= now or has_died(claim.process) else claim


def _host() -> str:
    """This machine; its name alone is shared by many containers."""
    try:
        booted = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        return socket.gethostname().replace("/", "-")
    return f"{socket.gethostname()}:{booted}:{space}".replace("/", "-")


def _started(pid: int) -> str:
    """When the process began, in ticks since the start of the machine; "": there is none, or nobody says.

    A zombie is none: nobody has collected it yet.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    except OSError:
        return ""
    state, *rest = fields.split()
    return "" if state in "ZX" else rest[18]
