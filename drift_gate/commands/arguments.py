"""Arguments that several commands take, of the coordinator too. Declaring them loads argparse alone."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drift_gate.settings.file import Settings


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


def add_global(command: argparse.ArgumentParser, *, shown: bool) -> None:
    """The arguments that stand before or behind a command's name; ``shown`` in the help of ``command``."""

    def told(text: str) -> str:
        return text if shown else argparse.SUPPRESS

    unset = None if shown else argparse.SUPPRESS  # behind the name, only what is given replaces the rest
    command.add_argument(
        "-C", dest="folder", metavar="DIR", default=unset, help=told("run as if started in DIR")
    )
    command.add_argument(
        "--config",
        metavar="FILE",
        default=unset,
        help=told("the drift.toml to go by (default: DRIFT_CONFIG, else the nearest one upwards)"),
    )
    command.add_argument(
        "--no-color",
        action="store_true",
        default=False if shown else argparse.SUPPRESS,
        help=told("no colours, as with NO_COLOR"),
    )


def environment_of(arguments: argparse.Namespace) -> Mapping[str, str]:
    """The process's environment, and what the command line says stands nearer."""
    from drift_gate.settings.location import CONFIG, environment

    told = {CONFIG: arguments.config, "DRIFT_TARGET_REF": getattr(arguments, "target", None)}
    return {**environment(), **{name: value for name, value in told.items() if value is not None}}


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings that the command line and the environment name. Raises ``DriftConfigError``."""
    from drift_gate.settings.file import load

    return load(environ=environment_of(arguments))
