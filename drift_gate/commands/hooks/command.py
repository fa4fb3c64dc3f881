"""``deployment-drift hooks``: installs or removes the reminder. Exit codes: 0 done, 2 it cannot be done."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from drift_gate.commands.exit_codes import OK
from drift_gate.errors import DriftConfigError


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Have git call `deployment-drift remind` after commits, merges and rebases, in this repository with "
        "all of its work trees: by git's own configuration from git 2.54 on, else by files in its folder of "
        "hooks, which first call whatever was there before. `remove` leaves everything as it was. "
        "Exit code: 0 done, 2 it cannot be done, and why."
    )
    command.add_argument("action", choices=("install", "remove"), help="may be repeated")


def run(arguments: argparse.Namespace) -> int:
    """Do it, and say what was done."""
    from drift_gate.commands.hooks.places import Places
    from drift_gate.settings.location import environment

    places = Places(Path.cwd(), environment())
    done = places.install(_program()) if arguments.action == "install" else places.remove()
    for line in done:
        print(line)
    return OK


def _program() -> Path:
    """The command, by a path that a hook can use. Raises ``DriftConfigError`` where there is none."""
    beside = Path(sys.executable).with_name("deployment-drift")
    found = beside if beside.is_file() else shutil.which("deployment-drift")
    if found is None:
        raise DriftConfigError(
            "deployment-drift is not on the PATH: a hook would not find it; install it first"
        )
    return Path(found).absolute()
