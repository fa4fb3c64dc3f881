"""``deployment-drift warm``: gets ready what the first check would have to wait for.

Exit codes: 0 done; 3 a repository could not be mirrored.
"""

from __future__ import annotations

import argparse
import sys

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.exit_codes import OK
from drift_gate.errors import SourceError
from drift_gate.presentation.plain_text import plain


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments: none."""
    command.description = (
        "Clone or refresh the mirror of each declared repository address, and read what each service with a "
        "Dockerfile or an entry point imports, for the build of an image or the start of a server. Exit "
        "code: 0 done; 3 a repository could not be mirrored."
    )


def run(arguments: argparse.Namespace) -> int:
    """Mirror and read, and print where each target ref is and what was read."""
    from drift_gate.wiring import answers, checks

    settings = settings_of(arguments)
    warmed = checks.warm(settings=settings)
    for address, target in warmed.items():
        print(plain(f"{address}: {target.ref} is at {target.commit[:12]}"))
    learned = answers.learn(settings=settings)
    for name, found in learned.items():
        if isinstance(found, SourceError):
            print(plain(f"{name}: nothing could be read: {found.message}"), file=sys.stderr)
            continue
        print(plain(f"{name}: {found.relevant:,} files count at {found.commit[:12]}"))
        if not found.kept:
            print(
                plain(f"{name}: what was read is kept nowhere, since its folder cannot be written"),
                file=sys.stderr,
            )
    if not warmed and not learned:
        print("there is nothing to mirror, and no Dockerfile to read", file=sys.stderr)
    return OK
