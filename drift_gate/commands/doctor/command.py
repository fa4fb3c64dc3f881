"""The arguments of ``doctor``, and how it prints. Exit codes: those of ``steps.exit_code``."""

from __future__ import annotations

import argparse

from drift_gate.commands.arguments import environment_of


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments: none."""
    command.description = (
        "Look at the real set-up step by step and say what to fix, in order, each with the line "
        "to paste. Changes nothing but what every check refreshes. Exit code: 0 all ok, or warnings; "
        "1 something fails; 2 no valid configuration."
    )


def run(arguments: argparse.Namespace) -> int:
    """Print each step as it ends, and a line for all of them."""
    from drift_gate.commands.console import draw_unfolded
    from drift_gate.commands.doctor.examination import examine
    from drift_gate.commands.doctor.steps import exit_code, summary

    steps = []
    for step in examine(environ=environment_of(arguments)):
        steps.append(step)
        draw_unfolded(step.drawn(), no_color=arguments.no_color)
    print(summary(steps))
    return exit_code(steps)
