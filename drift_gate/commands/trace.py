"""``deployment-drift trace``: what a run of the worker loads, held against what counts for the service."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from drift_gate.commands.arguments import duration, settings_of
from drift_gate.commands.exit_codes import OK, UNKNOWN
from drift_gate.errors import DriftConfigError
from drift_gate.presentation.plain_text import plain

if TYPE_CHECKING:
    from drift_gate.questions import Loaded
    from drift_gate.wiring.trace import Traced

MISSED = 1
_UNSEEN = (
    "no Python was seen to start, so nothing is known: does something on the way clear the environment, set "
    "PYTHONPATH anew, or start Python with -I, -E or -S?"
)


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.usage = "deployment-drift trace [--for DURATION] [--write] SERVICE -- COMMAND ..."
    command.description = (
        "Run the worker's COMMAND and report which files of the repository it and the Pythons that "
        "it starts load and open, and which of them do not count for SERVICE at HEAD. It runs until it ends, "
        "until Ctrl-C, or for the time given; its output goes to stderr. Exit code: 0 all of them count; 1 "
        "some do not; 2 usage or configuration; 3 it could not be determined: the command failed, or no "
        "Python was seen."
    )
    command.add_argument("service", metavar="SERVICE", help="a declared service")
    command.add_argument(
        "--for",
        type=duration,
        metavar="DURATION",
        dest="seconds",
        help="end the command after so long, for one that serves (90, 90s, 10m, 2h)",
    )
    command.add_argument(
        "--write",
        action="store_true",
        help="keep what does not count in drift.loaded.json, which counts once it is committed",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command, and print what it loaded and what of it does not count."""
    from drift_gate.wiring import answers

    if not arguments.command:
        raise DriftConfigError("trace: the command that starts the worker is missing; it stands after --")
    # Whoever ends this ends the command, too, and still wants to read what it loaded.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = settings_of(arguments)
    traced, loaded = answers.trace(
        arguments.service, arguments.command, settings=settings, seconds=arguments.seconds, out=sys.__stderr__
    )
    for line in told(arguments.service, traced, loaded):
        print(line)
    if arguments.write and loaded.missed:
        file = answers.keep_loaded(
            arguments.service, [each.path for each in loaded.missed], settings=settings
        )
        print(f"kept in {file}; they count once it is committed", file=sys.stderr)
    for trouble in troubles(traced):
        print(f"deployment-drift: {trouble}", file=sys.stderr)
    return MISSED if loaded.missed else UNKNOWN if any(troubles(traced)) else OK


def told(service: str, traced: Traced, loaded: Loaded) -> Iterator[str]:
    """What the run came to, for people."""
    yield (
        f"{service} at {loaded.commit[:12]}: reached {loaded.reached:,} of {loaded.total:,}, "
        f"loaded {len(loaded.files):,}, missed {len(loaded.missed):,} (Pythons seen: {traced.interpreters:,})"
    )
    yield from (plain(f"missed: {each.path} ({each.why_not})") for each in loaded.missed)
    yield from (plain(f"ignored, and loaded: {path}") for path in loaded.ignored)


def troubles(traced: Traced) -> Iterator[str]:
    """Why no file that is missed would not mean that there is none."""
    if not traced.interpreters:
        yield _UNSEEN
    if traced.code:
        how = (
            f"ended with the exit code {traced.code}"
            if traced.code > 0
            else f"was killed by signal {-traced.code}"
        )
        yield f"the command {how}: what it would have loaded after that is not known"
