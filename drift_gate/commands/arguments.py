"""Arguments that several commands take, of the coordinator too. Declaring them loads argparse alone."""

from __future__ import annotations

import argparse


def duration(text: str) -> float:
    """Seconds out of ``90``, ``90s``, ``10m`` or ``2h``, for argparse."""
    from drift_gate.settings.keys import seconds

    try:
        return float(str(seconds(text)))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_wait(command: argparse.ArgumentParser) -> None:
    """``--wait DURATION``, for each command that judges."""
    command.add_argument(
        "--wait",
        type=duration,
        default=0.0,
        metavar="DURATION",
        help="wait for a rollout under way to finish first, at most this long (90, 90s, 10m, 2h); drift that "
        "the rollout would not cure is judged at once",
    )


def add_services(command: argparse.ArgumentParser) -> None:
    """``[SERVICE ...]``, for each command that asks about all services where none is named."""
    command.add_argument("services", nargs="*", metavar="SERVICE", help="a declared service; none means all")
