"""What a reminder remembers for the next one, in a file of the work tree's own folder of git."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from drift_gate import __version__
from drift_gate.runtime import regular_files
from drift_gate.settings.location import PREFIX, REMIND

_PATHS = ("net", "sure", "counts", "read")


class Known(NamedTuple):
    """What was found out of one service at ``commit``, held against ``base``.

    The paths are those of ``questions.Watched``.
    """

    commit: str
    base: str
    net: frozenset[str]
    sure: frozenset[str]
    counts: frozenset[str]
    read: frozenset[str]
    verbatim: bool


class Service(NamedTuple):
    """What the settings say of one service of this repository, and what is known of it (None: nothing).

    ``deploy``: the line that deploys it, with ``{commit}`` for the commit; None: nobody declared one.
    """

    target_ref: str
    deploy: str | None
    known: Known | None = None


class Remembered(NamedTuple):
    """All that is remembered under one ``key``. ``journal``: the SQLite file; None: it is somewhere else."""

    key: str
    journal: str | None
    services: dict[str, Service]


def key_of(file: Path, environ: Mapping[str, str]) -> str:
    """A digest of all but git that an answer follows from. Raises ``OSError``: ``file`` is unreadable."""
    ours = sorted(each for each in environ.items() if each[0].startswith(PREFIX) and each[0] != REMIND)
    told = repr((__version__, sys.version_info[:2], str(file), ours)).encode("utf-8", "surrogateescape")
    return hashlib.sha256(told + b"\0" + regular_files.read(file)).hexdigest()


def place(git_dir: str) -> Path:
    """Where it is kept: each linked work tree has a folder of its own."""
    return Path(git_dir) / "drift-gate" / "remind.json"


def read(path: Path, key: str) -> Remembered | None:
    """What is remembered under ``key``; None: nothing, or nothing that can be read."""
    try:
        found = json.loads(path.read_bytes())
        if found["key"] != key:
            return None
        services = {name: _service(each) for name, each in found["services"].items()}
        return Remembered(key, found["journal"], services)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _service(written: dict[str, Any]) -> Service:
    known = written["known"]
    if known is None:
        return Service(written["target_ref"], written["deploy"])
    paths = {name: frozenset(known[name]) for name in _PATHS}
    return Service(written["target_ref"], written["deploy"], Known(**known | paths))


def write(path: Path, remembered: Remembered) -> None:
    """Remember it; where that cannot be, the next reminder takes the long way again."""
    services = {}
    for name, service in remembered.services.items():
        told = service._asdict()
        if service.known is not None:
            known = service.known
            paths = {each: sorted(getattr(known, each)) for each in _PATHS}
            told["known"] = known._asdict() | paths
        services[name] = told
    text = json.dumps({"key": remembered.key, "journal": remembered.journal, "services": services})
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="ascii")
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
