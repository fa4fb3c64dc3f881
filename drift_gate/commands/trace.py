"""``deployment-drift trace``: what a run of the worker loads, held against what counts for the service."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from drift_gate.errors import DriftConfigError
from drift_gate.presentation import render
from drift_gate.settings.keys import seconds

if TYPE_CHECKING:
    from drift_gate.questions import Loaded
    from drift_gate.wiring.trace import Traced

OK, MISSED, UNKNOWN = 0, 1, 3
_UNSEEN = (
    "no Python was seen to start, so nothing is known: does something on the way clear the environment, set "
    "PYTHONPATH anew, or start Python with -I, -E or -S?"
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command, among the others."""
    command = commands.add_parser(
        "trace",
        help="run the worker's command and name the files that it loads and that do not count",
        usage="deployment-drift trace [--for DURATION] [--write] SERVICE -- COMMAND ...",
        description="Run the worker's COMMAND and tell which files of the repository it and the Pythons that "
        "it starts load and open, and which of them do not count for SERVICE at HEAD. It runs until it ends, "
        "until Ctrl-C, or for the time given; its output goes to stderr. Exit code: 0 all of them count; 1 "
        "some do not; 2 usage or configuration; 3 it could not be determined: the command failed, or no "
        "Python was seen.",
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
    command.set_defaults(run=_trace)


def duration(text: str) -> float:
    """Seconds out of ``90``, ``90s``, ``10m`` or ``2h``, for argparse."""
    try:
        return float(str(seconds(text)))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _trace(arguments: argparse.Namespace) -> int:
    from drift_gate.wiring import checks

    if not arguments.command:
        raise DriftConfigError("trace: the command that starts the worker is missing; it stands after --")
    # Whoever ends this ends the command, too, and still wants to read what it loaded.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    traced, loaded = checks.trace(
        arguments.service, arguments.command, seconds=arguments.seconds, out=sys.__stderr__
    )
    for line in told(arguments.service, traced, loaded):
        print(line)
    if arguments.write and loaded.missed:
        file = checks.keep_loaded(arguments.service, [each.path for each in loaded.missed])
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
    yield from (render.plain(f"missed: {each.path} ({each.why_not})") for each in loaded.missed)
    yield from (render.plain(f"ignored, and loaded: {path}") for path in loaded.ignored)


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
