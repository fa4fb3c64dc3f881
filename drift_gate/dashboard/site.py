"""The dashboard as files in a folder, for a bucket or to open from a disk."""

from __future__ import annotations

import os
from pathlib import Path

from drift_gate.dashboard.routes import Dashboard
from drift_gate.errors import DriftConfigError


def write(dashboard: Dashboard, folder: Path) -> bool:
    """Write every page into ``folder``, each whole or not at all, the first page last.

    Whether each of them says something; the first one does not where nobody has looked yet.
    Raises ``DriftConfigError`` where that cannot be, and ``JournalError``.
    """
    says_something = True
    try:
        for name in dashboard.names():
            answer = dashboard.answer(name)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                beside.write_bytes(answer.body)
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
            says_something &= answer.status == 200
    except OSError as error:
        raise DriftConfigError(f"--out {folder}: {error.strerror}") from error
    return says_something
