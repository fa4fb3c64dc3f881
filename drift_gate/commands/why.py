"""``deployment-drift why``: says why a path or a commit counts for a service.

Exit codes: 0 answered; 2 a path that is neither live nor at the target.
"""

from __future__ import annotations

import argparse

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.exit_codes import OK
from drift_gate.presentation.plain_text import plain


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Say why a path, or each path of an undeployed commit, counts for SERVICE, or why not. Exit code: "
        "0 answered; 2 a path that is neither live nor at the target; 3 it could not be determined."
    )
    command.add_argument("service", metavar="SERVICE")
    command.add_argument(
        "what", metavar="PATH|COMMIT", help="a path in the repository, or 7 to 64 hex digits"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each path."""
    from drift_gate.presentation import render
    from drift_gate.wiring import answers

    target, found = answers.why(arguments.service, arguments.what, settings=settings_of(arguments))
    if found is None:
        print(f"{arguments.what} is not between what is live and {plain(target.ref)}: no count holds it")
        return OK
    for answer in found:
        print(render.reason_chain(answer.path, answer.because, answer.why_not))
    return OK
