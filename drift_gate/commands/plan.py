"""``deployment-drift plan``: says what each service lacks, and what a deploy would do about it.

Exit codes: 0 told, whatever is to be done; 3 it could not be determined of each service.
"""

from __future__ import annotations

import argparse
import sys

from drift_gate.commands.arguments import add_services, settings_of
from drift_gate.commands.exit_codes import OK, UNKNOWN

_FORMATS = ("table", "json", "markdown", "github")


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Say what each service lacks of its target and why that counts, and what `deployment-drift deploy` "
        "would do about it. Nothing is changed, and nothing kept. Exit code: 0 told, whatever is to be done; "
        "3 it could not be determined of each service."
    )
    add_services(command)
    command.add_argument("--format", choices=_FORMATS, default="table", help="what to print")


def run(arguments: argparse.Namespace) -> int:
    """Print the plans."""
    from drift_gate.commands.console import draw
    from drift_gate.presentation import plan_text as presentation
    from drift_gate.wiring import deliveries

    found = deliveries.plans(arguments.services, settings=settings_of(arguments))
    match arguments.format:
        case "json":
            sys.stdout.write(presentation.json_of(found))
        case "markdown":
            sys.stdout.write(presentation.markdown(found))
        case "github":
            sys.stdout.write(presentation.workflow_commands(found))
        case _:
            draw(presentation.table(found), no_color=arguments.no_color)
    return UNKNOWN if any(each.action == "unknown" for each in found.services) else OK
