"""The arguments of ``selftest``, and how it prints.

Exit codes: 0 every round passed; 1 one did not; 3 the throw-away world could not be made.
"""

from __future__ import annotations

import argparse

from drift_gate.commands.arguments import add_services, settings_of
from drift_gate.commands.exit_codes import OK

NOT_PASSED = 1


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Judge a throw-away repository and a loopback Cloud Run by each service's own policy. "
        "Asks and changes nothing of yours. Exit code: 0 allow, warn, deny and unknown came as "
        "the policy says and drift can be denied; 1 not; 2 no valid configuration; 3 could not be run."
    )
    add_services(command)


def run(arguments: argparse.Namespace) -> int:
    """Print each round as it ends."""
    from drift_gate.commands.console import draw_unfolded
    from drift_gate.commands.selftest import rounds

    code = OK
    for each in rounds.run(arguments.services, settings=settings_of(arguments)):
        draw_unfolded(each.drawn(), no_color=arguments.no_color)
        code = code if each.passed else NOT_PASSED
    return code
