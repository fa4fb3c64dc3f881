"""Where the settings stand: the environment, and the file ``drift.toml``. Loads nothing that parses them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from drift_gate.errors import DriftConfigError

FILE_NAME = "drift.toml"
#: The variable that names the file.
CONFIG = "DRIFT_CONFIG"
#: The variable that switches the reminder after commits off; and what our variables begin with.
REMIND, PREFIX = "DRIFT_REMIND", "DRIFT_"
#: A service of Cloud Run, and whatever a file of ours names like one.
SERVICE_NAME = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"


def environment() -> Mapping[str, str]:
    """The process environment, as it is now; a copy that nothing changes."""
    return dict(os.environ)


def find(start: Path | None, environ: Mapping[str, str]) -> Path:
    """Where ``drift.toml`` is: as ``DRIFT_CONFIG`` says, else the nearest from ``start`` upwards.

    ``start`` None: the working directory. No further than the repository root. Raises ``DriftConfigError``.
    """
    named = environ.get(CONFIG)
    try:
        if named:
            return Path(named).expanduser().absolute()
        start = (start or Path.cwd()).absolute()
    except (OSError, RuntimeError) as error:  # a working directory that is gone, a user that is none
        raise DriftConfigError(f"no {FILE_NAME}: {named or 'the working directory'}: {error}") from error
    for folder in (start, *start.parents):
        # Whatever has the name: a pipe or a folder there is told as such, and no file further up is taken.
        if os.path.lexists(folder / FILE_NAME):
            return folder / FILE_NAME
        if (folder / ".git").exists():
            break
    raise DriftConfigError(
        f"no {FILE_NAME} in {start} or above, up to the repository root; `deployment-drift init` writes one, "
        f"{CONFIG} names one elsewhere"
    )
