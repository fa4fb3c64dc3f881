"""``prediction-coordinator cancel``: ends a batch as it is."""

from __future__ import annotations

import argparse

from drift_gate.presentation import render
from predictions.coordinator.commands.arguments import add_state, config_of
from predictions.coordinator.wiring import open_coordinator

HELP = "end a batch as it is"


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "End a batch as it is: predictions that come for it from now on are counted as late and not kept."
    )
    command.add_argument("batch", metavar="BATCH", help="the batch, as `status` shows it")
    add_state(command)


def run(arguments: argparse.Namespace) -> int:
    """0: it has ended. Raises ``BatchNotFoundError`` and ``TransitionError``."""
    with open_coordinator(config_of(arguments)) as coordinator:
        batch = coordinator.cancel(arguments.batch)
    print(
        render.plain(
            f"batch {batch.id} for {batch.game_date} cancelled: {batch.progress.completed} predicted"
        )
    )
    return 0
