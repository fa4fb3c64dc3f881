"""``deployment-drift is-live``: says whether a commit is live.

Exit codes: 0 live everywhere; 1 not; 3 it could not be determined.
"""

from __future__ import annotations

import argparse

from drift_gate.commands.arguments import add_services
from drift_gate.commands.exit_codes import OK, UNKNOWN

NOT_LIVE = 1


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Say whether COMMIT is live, on which revisions with what share of the traffic, and if "
        "not, what is missing. Exit code: 0 live everywhere; 1 not; 3 it could not be determined."
    )
    command.add_argument("commit", metavar="COMMIT", help="7 to 64 hex digits")
    add_services(command)


def run(arguments: argparse.Namespace) -> int:
    """Print what holds for each revision."""
    from drift_gate.presentation import render
    from drift_gate.wiring import checks

    code = OK
    for service, found in checks.is_live(arguments.commit, arguments.services).items():
        for each in found:
            for line in render.liveness(service, arguments.commit, each):
                print(line)
            code = max(code, {True: OK, False: NOT_LIVE, None: UNKNOWN}[each.live])
    return code
