"""The arguments of ``bypass``, and what it prints. Exit codes: 0 printed; 2 usage."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from drift_gate.commands.arguments import duration, settings_of
from drift_gate.commands.exit_codes import OK, sentences
from drift_gate.errors import DriftConfigError


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Print the line that lets every start of a coordinator bypass the gate until a time, "
        "and the one that ends it. Writes and changes nothing, and needs no valid drift.toml: what it does "
        "not know is in capitals. Exit code: 0 printed; 2 usage."
    )
    command.add_argument(
        "--for",
        required=True,
        type=duration,
        metavar="DURATION",
        dest="seconds",
        help="how long, at most a day (90, 90s, 90m, 2h)",
    )
    command.add_argument("service", nargs="?", metavar="COORDINATOR", help="the service that runs the gate")


def run(arguments: argparse.Namespace) -> int:
    """Print the two lines, and on stderr what somebody who pastes them has to know."""
    from drift_gate.commands.bypass.lines import bypass

    try:
        settings = settings_of(arguments)
    except DriftConfigError as error:
        settings = None
        for sentence in sentences(error):
            print(f"settings not used: {sentence}", file=sys.stderr)
    lines = bypass(arguments.service, arguments.seconds, settings, datetime.now(UTC))
    for told in lines.told():
        print(told, file=sys.stderr)
    for line in lines.printed(arguments.seconds):
        print(line)
    return OK
