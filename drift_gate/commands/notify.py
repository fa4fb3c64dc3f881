"""``deployment-drift notify test``: sends each channel a message that says that it is a test.

Exit codes: 0 each channel took it; 1 one did not; 2 usage or configuration.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.exit_codes import USAGE
from drift_gate.errors import DriftConfigError, DriftGateError


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Send each channel of [notify] a message that says that it is a test, and print what it answered. "
        "The journal keeps none of it. Exit code: 0 each channel took it; 1 one did not; 2 no valid "
        "configuration."
    )
    actions = command.add_subparsers(required=True, metavar="ACTION")
    test = actions.add_parser("test", help="send a test message", description=command.description)
    test.add_argument(
        "channels",
        nargs="*",
        metavar="CHANNEL",
        help="slack, webhook or email; without one, all",
    )


def run(arguments: argparse.Namespace) -> int:
    """Send them, and print what came of each."""
    from drift_gate.wiring.notifications import named, test

    settings = settings_of(arguments)
    names = tuple(dict.fromkeys(arguments.channels)) or named(settings)
    return answered(test(settings, names, datetime.now(UTC)))


def answered(answers: Mapping[str, str | DriftGateError]) -> int:
    """Print what each channel came to. The exit code: 2 where a setting is wrong, else 1 where one failed."""
    from drift_gate.presentation.plain_text import plain

    for name, answer in answers.items():
        print(f"{name}: {plain(str(answer))}")
    if any(isinstance(each, DriftConfigError) for each in answers.values()):
        return USAGE
    return 1 if any(isinstance(each, DriftGateError) for each in answers.values()) else 0
