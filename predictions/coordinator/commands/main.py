"""``prediction-coordinator``: collects the commands. Data on stdout, messages on stderr."""

from __future__ import annotations

import argparse
import atexit
import gc
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from drift_gate.commands import exit_codes
from drift_gate.commands.exit_codes import exit_code_of
from drift_gate.runtime import forked, signals
from drift_gate.settings.location import environment
from predictions.coordinator import logs
from predictions.coordinator.commands import cancel, readiness, resume, serve, start, status
from predictions.coordinator.exceptions import (
    BatchError,
    BatchNotFoundError,
    ConfigError,
    CoordinatorError,
    DeploymentDriftError,
    EmptySlateError,
    KeyReusedError,
    MissingExtraError,
    NotReadyError,
    ReadinessUnknownError,
    SlateError,
)

PROGRAM = "prediction-coordinator"


class Command(Protocol):
    """What the module of a command offers."""

    @property
    def HELP(self) -> str:
        """Its line of the help."""

    def declare(self, command: argparse.ArgumentParser) -> None:
        """Give ``command`` its description and its arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """The exit code."""


#: The exit code for each error, beside those of the gate; the most specific class counts.
EXIT_CODES: dict[type[BaseException], int] = {
    **exit_codes.EXIT_CODES,
    NotReadyError: 1,
    ReadinessUnknownError: 3,
    ConfigError: 2,
    BatchNotFoundError: 2,
    KeyReusedError: 2,
    MissingExtraError: 2,
    SlateError: 2,
    EmptySlateError: 4,
    BatchError: 4,
    CoordinatorError: 3,
}
COMMANDS: Mapping[str, Command] = {
    "start": start,
    "resume": resume,
    "cancel": cancel,
    "status": status,
    "readiness": readiness,
    "serve": serve,
}


@signals.heeded()
@forked.allowed()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; ``argv`` None means the process's own arguments. Returns the exit code."""
    atexit.register(gc.freeze)  # no look for garbage at the end, as in the gate's command line
    logs.configure(environment())

    def ended() -> int:
        arguments = parser().parse_args(argv)
        arguments.again = shlex.join([PROGRAM, *(sys.argv[1:] if argv is None else argv)])
        run: Callable[[argparse.Namespace], int] = arguments.run
        with _ended_by_sigterm():
            return run(arguments)

    return exit_code_of(ended, PROGRAM, codes=EXIT_CODES, refusals=(DeploymentDriftError, NotReadyError))


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the block as an error does: a date that is held is given back on the way out.

    The batch stays as it is, and whoever comes next goes on with it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def parser() -> argparse.ArgumentParser:
    """The arguments that ``prediction-coordinator`` takes."""
    root = argparse.ArgumentParser(
        prog=PROGRAM, description="Start the day's batch of predictions, unless the worker runs stale code."
    )
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.HELP)
        module.declare(command)
        command.set_defaults(run=module.run)
    return root
