"""``deployment-drift files``: lists the files that count for a service. Exit code: 0 listed."""

from __future__ import annotations

import argparse

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.exit_codes import OK


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "List the files that count for SERVICE by folder, each with its reason, and what its "
        "image copies and the worker never imports."
    )
    command.add_argument("service", metavar="SERVICE")
    command.add_argument("--at", metavar="REF", help="a branch, tag or HEAD (default: the target ref)")


def run(arguments: argparse.Namespace) -> int:
    """Print the list."""
    from drift_gate.presentation import render
    from drift_gate.wiring import answers

    commit, selected = answers.selection_at(arguments.service, arguments.at, settings=settings_of(arguments))
    for line in render.file_list(commit, selected):
        print(line)
    return OK
