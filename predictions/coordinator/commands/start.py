"""``prediction-coordinator start``: the batch of one date, unless the gate or the data refuse it."""

from __future__ import annotations

import argparse

from drift_gate.commands.arguments import add_wait
from drift_gate.runtime.child_process import pool
from predictions.coordinator.batches.orders import Order
from predictions.coordinator.commands.arguments import (
    add_batch_size,
    add_bypass,
    add_game_date,
    add_state,
    config_of,
    start_of,
)
from predictions.coordinator.commands.console import Progress, report
from predictions.coordinator.slate import NAMES
from predictions.coordinator.wiring import open_coordinator

HELP = "start the batch of one date"


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Ask the drift gate, read the slate, ask the checks of the data where readiness.toml declares some, "
        "let the worker predict. Exit code: 0 done; 1 drift or the data refuse; 3 they refuse because they "
        "could not find out, or an unexpected error; 2 usage, configuration or slate; 4 the batch itself "
        "failed; 130 interrupted."
    )
    add_game_date(command)
    command.add_argument(
        "--slate",
        metavar="SLATE",
        help=f"{', '.join(NAMES[:-1])} or {NAMES[-1]}; without it the shipped one",
    )
    add_batch_size(command)
    add_wait(command)
    add_state(command)
    add_bypass(command).add_argument(
        "--skip-readiness-checks",
        action="store_true",
        help="the same for the checks of the data, which the drift gate's bypass leaves in place",
    )


def run(arguments: argparse.Namespace) -> int:
    """0: done; 4: the batch has failed. Raises whatever refuses it."""
    asked, config = start_of(arguments), config_of(arguments)
    pool().start()  # before the data are looked at beside the gate, on a thread
    order = Order(
        game_date=arguments.game_date,
        slate=arguments.slate,
        skip_drift_check=arguments.skip_drift_check,
        skip_readiness_checks=arguments.skip_readiness_checks,
        reason=arguments.reason,
        actor=arguments.actor,
        wait=arguments.wait,
        again=asked.again,
        bypass=asked.bypass,
    )
    with Progress() as progress, open_coordinator(config, tell=progress.tell) as coordinator:
        started = coordinator.overridden(coordinator.start(order))
    return report([started], config.store)
