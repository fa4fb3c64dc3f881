"""``prediction-coordinator resume``: goes on with a batch that has no prediction for somebody yet."""

from __future__ import annotations

import argparse
import sys

from drift_gate.commands.arguments import add_wait
from predictions.coordinator.commands.arguments import (
    add_batch_size,
    add_bypass,
    add_state,
    config_of,
    start_of,
)
from predictions.coordinator.commands.console import Progress, report
from predictions.coordinator.wiring import open_coordinator

HELP = "continue a batch"


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Continue a batch whose coordinator died, that stalled or that failed: what has no prediction is "
        "handed out again. The drift gate is asked again. Exit codes as of start."
    )
    command.add_argument("batch", nargs="?", metavar="BATCH", help="one batch (default: each that was left)")
    add_batch_size(command)
    add_wait(command)
    add_state(command)
    add_bypass(command)


def run(arguments: argparse.Namespace) -> int:
    """0: done, or nothing to do; 4: a batch has failed. Raises whatever refuses it."""
    config = config_of(arguments)
    with Progress() as progress, open_coordinator(config, tell=progress.tell) as coordinator:
        resumed = coordinator.resume(
            arguments.batch,
            skip_drift_check=arguments.skip_drift_check,
            reason=arguments.reason,
            actor=arguments.actor,
            wait=arguments.wait,
            start=start_of(arguments),
        )
        resumed = [coordinator.overridden(each) for each in resumed]
    if not resumed:
        print("nothing to resume", file=sys.stderr)
    return report(resumed, config.store)
