"""``deployment-drift acknowledge``: prints the table that acknowledges what is denied now, until a time.

Exit codes: 0 printed, or nothing is denied; 3 something is unknown, which nobody can acknowledge.
"""

from __future__ import annotations

import argparse
import sys

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.exit_codes import OK
from drift_gate.errors import DriftConfigError


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Print the [[acknowledged]] table for what is denied now for SERVICE. Put it into "
        "drift.toml, or merge it into the target ref. Writes nothing. It ends at its time, when another "
        "commit is live, or when something else denies too. Exit code: 0 printed, or nothing is denied; 3 "
        "something could not be determined, which nobody can acknowledge."
    )
    command.add_argument("service", metavar="SERVICE")
    command.add_argument(
        "--until",
        required=True,
        metavar="TIME",
        help="when it ends, at most 90 days ahead: a date (its first moment, UTC) or an ISO time",
    )
    command.add_argument("--reason", required=True, metavar="WHY", help="why this is as it should be")


def run(arguments: argparse.Namespace) -> int:
    """Check without a record, and print what acknowledges the denial."""
    from drift_gate.policy import acknowledgements
    from drift_gate.wiring import checks

    until = acknowledgements.ending(arguments.until, checks.utc_now())
    if not arguments.reason.strip():
        raise DriftConfigError("--reason: say why this is as it should be")
    verdict = checks.check([arguments.service], settings=settings_of(arguments), record=False).services[0]
    tables = acknowledgements.tables(verdict, until, arguments.reason)
    if tables:
        sys.stdout.write(tables)
    else:
        print(f"{verdict.service}: nothing is denied, there is nothing to acknowledge", file=sys.stderr)
    return OK
