"""``deployment-drift check``: judges the declared services and says why.

Exit codes: those of ``Outcome.exit_code``; with ``--fail-on warn`` 1 for whatever is no plain ``allow``.
"""

from __future__ import annotations

import argparse
import logging
import sys

from drift_gate.commands.arguments import add_services, add_wait, settings_of
from drift_gate.commands.exit_codes import OK, REFUSED
from drift_gate.commands.output_files import add_output, require_distinct, write
from drift_gate.presentation.formats import Format

_FORMATS = [each.value for each in Format]


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Judge the declared services. Exit code: 0 allow, warn or not enforced; 1 an enforced "
        "denial from known drift; 3 a denial because it could not be determined, or an unexpected "
        "error; 2 usage or configuration; 130 interrupted. Bypasses are ignored."
    )
    add_services(command)
    command.add_argument("--format", choices=_FORMATS, default="table", help="what to print")
    add_output(command, _FORMATS)
    command.add_argument(
        "--quiet", action="store_true", help="print nothing on stdout, and on stderr what is worth a warning"
    )
    command.add_argument(
        "--verbose", action="store_true", help="list each undeployed commit with its relevant paths"
    )
    command.add_argument(
        "--target", metavar="REF", help="hold what is live against REF this time, as with DRIFT_TARGET_REF"
    )
    command.add_argument(
        "--fail-on",
        choices=["deny", "warn"],
        default="deny",
        help="from which decision on the exit code is 1; warn also counts what is denied and not enforced "
        "(default: %(default)s)",
    )
    add_wait(command)
    command.add_argument(
        "--inventory",
        action="store_true",
        help="also name the live services of each project and region that nothing declares",
    )


def run(arguments: argparse.Namespace) -> int:
    """Check, write, print, and say by the exit code what came of it: first of all the verdict."""
    require_distinct(arguments.output)
    from drift_gate.wiring import rollouts

    if arguments.quiet:
        logging.getLogger("drift_gate").setLevel(logging.WARNING)
    settings = settings_of(arguments)
    outcome = rollouts.check(
        arguments.services, wait=arguments.wait, settings=settings, inventory=arguments.inventory
    )

    def written(form: str) -> str:
        from drift_gate.presentation import documents

        return documents.written(outcome, Format(form), settings, verbose=arguments.verbose)

    # The files first: whoever reads stdout may go away.
    unwritten = write(arguments.output, written)
    if arguments.quiet:
        pass
    elif arguments.format == Format.table.value:
        from drift_gate.commands.console import draw
        from drift_gate.presentation import render

        draw(render.table(outcome, settings, verbose=arguments.verbose), no_color=arguments.no_color)
    else:
        sys.stdout.write(written(arguments.format))
    clean = arguments.fail_on == "deny" or all(each.decision == "allow" for each in outcome.services)
    return outcome.exit_code or unwritten or (OK if clean else REFUSED)
