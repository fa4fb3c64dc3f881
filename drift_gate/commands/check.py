"""``deployment-drift check``: judges the declared services and says why.

Exit codes: those of ``Outcome.exit_code``.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from drift_gate.commands.arguments import add_services, add_wait, settings_of
from drift_gate.presentation.formats import Format

if TYPE_CHECKING:
    from drift_gate.policy.verdict import Outcome
    from drift_gate.settings.file import Settings


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Judge the declared services. Exit code: 0 allow, warn or not enforced; 1 an enforced "
        "denial from known drift; 3 a denial because it could not be determined, or an unexpected "
        "error; 2 usage or configuration; 130 interrupted. Bypasses are ignored."
    )
    add_services(command)
    command.add_argument(
        "--format", choices=[each.value for each in Format], default="table", help="what to print"
    )
    command.add_argument(
        "--verbose", action="store_true", help="list each undeployed commit with its relevant paths"
    )
    add_wait(command)
    command.add_argument(
        "--inventory",
        action="store_true",
        help="also name the live services of each project and region that nothing declares",
    )


def run(arguments: argparse.Namespace) -> int:
    """Check, print, and say by the exit code what came of it."""
    from drift_gate.wiring import rollouts

    settings = settings_of(arguments)
    outcome = rollouts.check(
        arguments.services, wait=arguments.wait, settings=settings, inventory=arguments.inventory
    )
    _show(outcome, settings, arguments)
    return outcome.exit_code


def _show(outcome: Outcome, settings: Settings, arguments: argparse.Namespace) -> None:
    """Print the verdicts on stdout."""
    from drift_gate.commands.console import draw
    from drift_gate.presentation import render

    form = Format(arguments.format)
    if form in render.TEXT:
        sys.stdout.write(render.TEXT[form](outcome, verbose=arguments.verbose))
    else:
        draw(render.table(outcome, settings, verbose=arguments.verbose), no_color=arguments.no_color)
