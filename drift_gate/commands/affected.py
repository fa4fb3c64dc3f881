"""``deployment-drift affected``: says which services a merge would make stale.

Exit codes: 0 told, whether or not any would be; 3 it could not be determined of each service.
"""

from __future__ import annotations

import argparse
import sys

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.exit_codes import UNKNOWN
from drift_gate.commands.output_files import add_output, require_distinct, write
from drift_gate.errors import DriftConfigError

_FORMATS = ("table", "json", "matrix", "markdown", "github")


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Say which services would lack something relevant once HEAD is merged into BASE: the commits of HEAD "
        "that BASE does not have. Asks git alone. `matrix` prints one line for a job's matrix, "
        '`{"service": ["a", "b"]}`. Exit code: 0 told, whether or not any would be; 3 it could not be '
        "determined, for instance since BASE is no commit of a history that is cut off."
    )
    command.add_argument(
        "range", metavar="BASE..HEAD", help="commit ids, branches or tags, such as origin/main..HEAD"
    )
    command.add_argument("services", nargs="*", metavar="SERVICE", help="a declared service; none means all")
    command.add_argument("--format", choices=_FORMATS, default="table", help="what to print")
    add_output(command, _FORMATS)


def run(arguments: argparse.Namespace) -> int:
    """Print what would be stale."""
    require_distinct(arguments.output)
    from drift_gate.presentation import affected as presentation
    from drift_gate.wiring import deliveries

    base, dots, head = arguments.range.partition("..")
    if not dots or not base or not head.lstrip("."):
        raise DriftConfigError(f"{arguments.range!r}: say BASE..HEAD, such as origin/main..HEAD")
    settings = settings_of(arguments)
    found = deliveries.affected(base, head.lstrip("."), arguments.services, settings=settings)
    forms = {
        "json": presentation.json_of,
        "matrix": presentation.matrix,
        "markdown": presentation.markdown,
        "github": presentation.workflow_commands,
    }

    def written(form: str) -> str:
        return forms.get(form, presentation.text)(found.base, found.head, found.reports)

    unwritten = write(arguments.output, written)
    sys.stdout.write(written(arguments.format))
    return UNKNOWN if any(each.unknown for each in found.reports.values()) else unwritten
