"""``deployment-drift record``: notes in the ledger that a service runs a commit. Exit code: 0 noted."""

from __future__ import annotations

import argparse
import sys

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.exit_codes import OK


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = "Append to the ledger that SERVICE now runs COMMIT."
    command.add_argument("service", metavar="SERVICE")
    command.add_argument(
        "--commit",
        required=True,
        metavar="COMMIT",
        help="what was deployed: a commit id, or a branch, tag or HEAD of the repository",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the line, and say so."""
    from drift_gate.wiring import answers

    commit = answers.record(arguments.service, arguments.commit, settings_of(arguments))
    print(f"recorded: {arguments.service} runs {commit}", file=sys.stderr)
    return OK
