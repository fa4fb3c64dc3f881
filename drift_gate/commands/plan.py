"""``deployment-drift plan``: says what each service lacks, and what a deploy would do about it.

Exit codes: 0 told, whatever is to be done; 3 it could not be determined of each service.
"""

from __future__ import annotations

import argparse
import sys

from drift_gate.commands.arguments import add_services, settings_of
from drift_gate.commands.exit_codes import UNKNOWN
from drift_gate.commands.output_files import add_output, require_distinct, write

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
    add_output(command, _FORMATS[1:])


def run(arguments: argparse.Namespace) -> int:
    """Print the plans."""
    require_distinct(arguments.output)
    from drift_gate.presentation import plan_text as presentation
    from drift_gate.wiring import deliveries

    found = deliveries.plans(arguments.services, settings=settings_of(arguments))

    def written(form: str) -> str:
        forms = {"json": presentation.json_of, "markdown": presentation.markdown}
        return forms.get(form, presentation.workflow_commands)(found)

    unwritten = write(arguments.output, written)
    if arguments.format == "table":
        from drift_gate.commands.console import draw

        draw(presentation.table(found), no_color=arguments.no_color)
    else:
        sys.stdout.write(written(arguments.format))
    return UNKNOWN if any(each.action == "unknown" for each in found.services) else unwritten
