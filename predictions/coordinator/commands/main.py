"""``prediction-coordinator``: arguments, printing, exit codes. Data on stdout, talk on stderr."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.live import Live

from drift_gate.commands import exit_codes
from drift_gate.commands.arguments import add_wait
from drift_gate.commands.console import draw
from drift_gate.commands.exit_codes import exit_code_of
from drift_gate.presentation import render
from drift_gate.runtime import signals
from drift_gate.settings.file import environment
from predictions.coordinator import logs
from predictions.coordinator.batches.batch import Batch, BatchState
from predictions.coordinator.batches.orders import Order, Started
from predictions.coordinator.batches.results import found_at
from predictions.coordinator.commands import readiness, serve
from predictions.coordinator.commands.console import Talk, problems, status_table, summary
from predictions.coordinator.config import DEFAULT_BATCH_SIZE, DEFAULT_STORE, Config
from predictions.coordinator.coordinator import Coordinator
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
from predictions.coordinator.slate import NAMES
from predictions.coordinator.wiring import open_coordinator
from shared.utils.deployment_checker import Start

PROGRAM = "prediction-coordinator"

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
#: What a refused command line lacks to go past the gate.
_PAST_THE_GATE = ' --skip-drift-check --reason "WHY"'
#: States in which a start or a resumption has not done what it was for.
_NOT_GOOD: frozenset[BatchState] = frozenset({"failed", "cancelled"})
#: Seconds between two looks of ``status --watch``.
_WATCH_SECONDS = 1.0


@signals.heeded()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; ``argv`` None means the process's own arguments. Returns the exit code."""
    arguments = parser().parse_args(argv)
    arguments.again = shlex.join([PROGRAM, *(sys.argv[1:] if argv is None else argv)])
    logs.configure(environment())
    run: Callable[[argparse.Namespace], int] = arguments.run

    def ended() -> int:
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
    _add_start(commands.add_parser("start", help="start the batch of one date", description=_START))
    _add_resume(commands.add_parser("resume", help="continue a batch", description=_RESUME))
    cancel = commands.add_parser("cancel", help="end a batch as it is", description=_CANCEL)
    cancel.add_argument("batch", metavar="BATCH", help="the batch, as `status` shows it")
    _add_state(cancel)
    cancel.set_defaults(run=_cancel)
    status = commands.add_parser(
        "status", help="list the batches", description="List the batches, the newest first."
    )
    status.add_argument("--game-date", type=_date, metavar="DATE", help="only those of one date")
    status.add_argument("--watch", action="store_true", help="follow them until none is under way")
    _add_state(status)
    status.set_defaults(run=_status)
    readiness.add(commands)
    serve.add(commands)
    return root


_START = (
    "Ask the drift gate, read the slate, ask the checks of the data where readiness.toml declares some, "
    "let the worker predict. Exit code: 0 done; 1 drift or the data refuse; 3 they refuse because they "
    "could not find out, or an unexpected error; 2 usage, configuration or slate; 4 the batch itself "
    "failed; 130 interrupted."
)
_RESUME = (
    "Continue a batch whose coordinator died, that stalled or that failed: what has no prediction is "
    "handed out again. The drift gate is asked again. Exit codes as of start."
)
_CANCEL = "End a batch as it is: predictions that come for it from now on are counted as late and not kept."


def _add_start(start: argparse.ArgumentParser) -> None:
    start.add_argument("--game-date", type=_date, required=True, metavar="DATE", help="such as 2026-02-05")
    start.add_argument(
        "--slate",
        metavar="SLATE",
        help=f"{', '.join(NAMES[:-1])} or {NAMES[-1]}; without it the shipped one",
    )
    _add_batch_size(start)
    add_wait(start)
    _add_state(start)
    _add_bypass(start).add_argument(
        "--skip-readiness-checks",
        action="store_true",
        help="the same for the checks of the data, which the drift gate's bypass leaves in place",
    )
    start.set_defaults(run=_start)


def _add_bypass(command: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    bypass = command.add_argument_group("emergency bypass")
    bypass.add_argument(
        "--skip-drift-check",
        action="store_true",
        help="start whatever the drift gate says, at once: the check runs alongside the batch; what it "
        "says is overridden and on record, and a WARNING with actor and reason is logged",
    )
    bypass.add_argument("--reason", metavar="TEXT", help="why the check is skipped, for the log")
    bypass.add_argument("--actor", metavar="NAME", help="who skips it (default: the user of the process)")
    return bypass


def _add_resume(resume: argparse.ArgumentParser) -> None:
    resume.add_argument("batch", nargs="?", metavar="BATCH", help="one batch (default: each that was left)")
    _add_batch_size(resume)
    add_wait(resume)
    _add_state(resume)
    _add_bypass(resume)
    resume.set_defaults(run=_resume)


def _add_batch_size(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--batch-size",
        type=_count,
        metavar="N",
        help=f"players per call of the worker (default: COORDINATOR_BATCH_SIZE, else {DEFAULT_BATCH_SIZE})",
    )


def _add_state(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--state",
        metavar="STORE",
        help="the SQLite file that keeps the batches, or firestore://PROJECT/DATABASE "
        f"(default: COORDINATOR_STORE, else {DEFAULT_STORE})",
    )


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write it as 2026-02-05") from error


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 upwards")
    return int(text)


def _start(arguments: argparse.Namespace) -> int:
    order = Order(
        game_date=arguments.game_date,
        slate=arguments.slate,
        skip_drift_check=arguments.skip_drift_check,
        skip_readiness_checks=arguments.skip_readiness_checks,
        reason=arguments.reason,
        actor=arguments.actor,
        wait=arguments.wait,
        again=arguments.again,
        bypass=arguments.again + _PAST_THE_GATE,
    )
    with Talk() as talk, open_coordinator(_config(arguments), tell=talk.tell) as coordinator:
        started = coordinator.overridden(coordinator.start(order))
    return _report([started], arguments)


def _resume(arguments: argparse.Namespace) -> int:
    with Talk() as talk, open_coordinator(_config(arguments), tell=talk.tell) as coordinator:
        resumed = coordinator.resume(
            arguments.batch,
            skip_drift_check=arguments.skip_drift_check,
            reason=arguments.reason,
            actor=arguments.actor,
            wait=arguments.wait,
            start=Start(again=arguments.again, bypass=arguments.again + _PAST_THE_GATE),
        )
        resumed = [coordinator.overridden(each) for each in resumed]
    if not resumed:
        print("nothing to resume", file=sys.stderr)
    return _report(resumed, arguments)


def _report(done: Sequence[Started], arguments: argparse.Namespace) -> int:
    """Say what became of each; 4 where one of them did not come to a good end."""
    store = _config(arguments).store
    for started in done:
        for line in summary(started):
            print(line)
        batch = started.batch
        if batch is not None and isinstance(store, Path):
            if file := found_at(store, batch):
                print(f"predictions: {render.plain(str(file))}")
            print(f"state: {render.plain(str(store))}")
    return 4 if any(each.batch and each.batch.state in _NOT_GOOD for each in done) else 0


def _cancel(arguments: argparse.Namespace) -> int:
    with open_coordinator(_config(arguments)) as coordinator:
        batch = coordinator.cancel(arguments.batch)
    print(
        render.plain(
            f"batch {batch.id} for {batch.game_date} cancelled: {batch.progress.completed} predicted"
        )
    )
    return 0


def _status(arguments: argparse.Namespace) -> int:
    store = _config(arguments).store
    if isinstance(store, Path) and not store.exists():
        print(f"no batch yet: {store} does not exist", file=sys.stderr)
        return 0
    with open_coordinator(_config(arguments)) as coordinator:
        batches = _watched(coordinator, arguments) if arguments.watch else _seen(coordinator, arguments)
    if not batches:
        print("no batch yet", file=sys.stderr)
        return 0
    draw(status_table(batches))
    for line in problems(batches):
        print(line)
    return 0


def _seen(coordinator: Coordinator, arguments: argparse.Namespace) -> list[Batch]:
    return coordinator.batches(arguments.game_date)


def _watched(coordinator: Coordinator, arguments: argparse.Namespace) -> list[Batch]:
    """The batches once none of them is under way; until then they are shown on stderr as they move."""
    with Live(console=Console(stderr=True, highlight=False), transient=True, auto_refresh=False) as live:
        while True:
            batches = _seen(coordinator, arguments)
            if not any(batch.active for batch in batches):
                return batches
            live.update(status_table(batches), refresh=True)
            time.sleep(_WATCH_SECONDS)


def _config(arguments: argparse.Namespace) -> Config:
    """The environment's settings; what was said on the command line stands nearer."""
    told = {
        "COORDINATOR_STORE": arguments.state,
        "COORDINATOR_BATCH_SIZE": getattr(arguments, "batch_size", None),
    }
    nearer = {name: str(value) for name, value in told.items() if value is not None}
    return Config.of({**environment(), **nearer})
