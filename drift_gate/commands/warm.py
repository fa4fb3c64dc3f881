"""``deployment-drift warm``: clones or refreshes the mirrors of declared addresses.

Exit codes: 0 done; 3 a repository could not be mirrored.
"""

from __future__ import annotations

import argparse
import sys

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.exit_codes import OK
from drift_gate.presentation.plain_text import plain


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments: none."""
    command.description = (
        "Clone or refresh the mirror of each declared repository address, for the build of an "
        "image or the start of a server. Exit code: 0 done; 3 a repository could not be mirrored."
    )


def run(arguments: argparse.Namespace) -> int:
    """Mirror, and print where each target ref is."""
    from drift_gate.wiring import checks

    warmed = checks.warm(settings=settings_of(arguments))
    for address, target in warmed.items():
        print(plain(f"{address}: {target.ref} is at {target.commit[:12]}"))
    if not warmed:
        print("no service has a repository address: there is nothing to mirror", file=sys.stderr)
    return OK
