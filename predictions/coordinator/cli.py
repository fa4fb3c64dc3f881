"""``prediction-coordinator``: arguments, printing, exit codes. Data on stdout, talk on stderr."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, assert_never

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from predictions.coordinator import coordinator, logs
from predictions.coordinator.coordinator import DEFAULT_BATCH_SIZE, DEFAULT_STATE, Finished, Order
from predictions.coordinator.exceptions import (
    BatchError,
    BatchNotFoundError,
    ConfigError,
    CoordinatorError,
    DeploymentDriftError,
    DriftConfigError,
    DriftUnknownError,
    EmptySlateError,
    KeyReusedError,
    MissingExtraError,
    NotReadyError,
    ReadinessUnknownError,
    SlateError,
)
from predictions.coordinator.readiness import command as readiness
from predictions.coordinator.slate import NAMES, Slate
from predictions.coordinator.state import BatchRow, open_state
from shared.deployment import render
from shared.deployment.cli import add_wait, draw
from shared.deployment.settings import environment
from shared.deployment.verdict import Outcome
from shared.utils.deployment_checker import Verdict, require_current_worker

PROGRAM = "prediction-coordinator"

#: The exit code for each error; the most specific class counts. Anything else is unexpected: 3.
EXIT_CODES: dict[type[BaseException], int] = {
    DeploymentDriftError: 1,
    DriftUnknownError: 3,
    NotReadyError: 1,
    ReadinessUnknownError: 3,
    DriftConfigError: 2,
    ConfigError: 2,
    BatchNotFoundError: 2,
    KeyReusedError: 2,
    MissingExtraError: 2,
    SlateError: 2,
    EmptySlateError: 4,
    BatchError: 4,
    KeyboardInterrupt: 130,
    Exception: 3,
}
#: Rows that were set aside and are named one by one; all of them are counted.
_NAMED = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; ``argv`` None means the process's own arguments. Returns the exit code."""
    arguments = parser().parse_args(argv)
    logs.configure(environment())
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except (Exception, KeyboardInterrupt) as error:
        print(_sentence(error), file=sys.stderr)
        return exit_code(error)


def exit_code(error: BaseException) -> int:
    """The exit code that tells this error from others."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)


def _sentence(error: BaseException) -> str:
    """What an operator reads; a refusal speaks for itself."""
    match error:
        case DeploymentDriftError():
            return str(error)
        case KeyboardInterrupt():
            return f"{PROGRAM}: interrupted"
        case CoordinatorError() | DriftConfigError():
            return f"{PROGRAM}: {render.plain(str(error))}"
        case _:
            return f"{PROGRAM}: unexpected error: {render.plain(f'{type(error).__name__}: {error}')}"


def parser() -> argparse.ArgumentParser:
    """The arguments that ``prediction-coordinator`` takes."""
    root = argparse.ArgumentParser(
        prog=PROGRAM, description="Start the day's batch of predictions, unless the worker runs stale code."
    )
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    _add_start(commands.add_parser("start", help="start the batch of one date", description=_START))
    status = commands.add_parser(
        "status", help="list the batches", description="List the batches, the newest first."
    )
    status.add_argument("--game-date", type=_date, metavar="DATE", help="only those of one date")
    _add_state(status)
    status.set_defaults(run=_status)
    readiness.add(commands)
    return root


_START = (
    "Ask the drift gate, read the slate, let the worker predict. Exit code: 0 done; 1 the gate refuses "
    "because of drift; 3 it refuses because it could not find out, or an unexpected error; 2 usage, "
    "configuration or slate; 4 the batch itself failed; 130 interrupted."
)


def _add_start(start: argparse.ArgumentParser) -> None:
    start.add_argument("--game-date", type=_date, required=True, metavar="DATE", help="such as 2026-02-05")
    start.add_argument(
        "--slate",
        metavar="SLATE",
        help=f"{', '.join(NAMES[:-1])} or {NAMES[-1]}; without it the shipped one",
    )
    start.add_argument(
        "--batch-size",
        type=_count,
        default=DEFAULT_BATCH_SIZE,
        metavar="N",
        help="players per call of the worker (default: %(default)s)",
    )
    add_wait(start)
    _add_state(start)
    bypass = start.add_argument_group("emergency bypass")
    bypass.add_argument(
        "--skip-drift-check",
        action="store_true",
        help="start whatever the drift gate says: the check still runs, for at most 2 seconds; what it "
        "says is overridden, and a WARNING with actor and reason is logged",
    )
    bypass.add_argument("--reason", metavar="TEXT", help="why the check is skipped, for the log")
    bypass.add_argument("--actor", metavar="NAME", help="who skips it (default: the user of the process)")
    start.set_defaults(run=_start)


def _add_state(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--state",
        type=Path,
        default=DEFAULT_STATE,
        metavar="FILE",
        help="the SQLite file that keeps the batches (default: %(default)s)",
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
        state=arguments.state,
        batch_size=arguments.batch_size,
        skip_drift_check=arguments.skip_drift_check,
        reason=arguments.reason,
        actor=arguments.actor,
    )
    with _Talk(Console(stderr=True, highlight=False)) as talk:
        gate = partial(require_current_worker, wait=arguments.wait)
        finished = coordinator.start(order, gate=gate, tell=talk.tell)
    for line in _summary(finished):
        print(line)
    return 0


class _Talk:
    """What happens, on stderr: the verdict's table, the slate in a line, a bar over the batch."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._bar.add_task("predicting", total=None, visible=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar.live.is_started:  # stopping what never ran would print an empty line
            self._bar.stop()

    def tell(self, event: Verdict | Slate | coordinator.Progress) -> None:
        """Show ``event``."""
        match event:
            case Verdict():
                draw(render.table(Outcome.of([event], datetime.now(UTC), 0)), sys.stderr)
            case Slate():
                self._slate(event)
            case coordinator.Progress():
                self._bar.update(self._task, completed=event.done)
            case _:
                assert_never(event)

    def _slate(self, slate: Slate) -> None:
        self._say(f"slate: {len(slate.requests)} players in {slate.games} games, from {slate.source}")
        for row in slate.set_aside[:_NAMED]:
            self._say(f"set aside: {row}", style="yellow")
        if len(slate.set_aside) > _NAMED:
            self._say(f"set aside: {len(slate.set_aside) - _NAMED} more rows", style="yellow")
        self._bar.update(self._task, total=len(slate.requests), visible=True)
        self._bar.start()

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(escape(render.plain(text)), style=style, soft_wrap=True)


def _summary(finished: Finished) -> list[str]:
    slate, verdict = finished.slate, finished.verdict
    overridden = "" if verdict.enforced else f", not enforced ({verdict.not_enforced_because})"
    lines = [
        f"batch {finished.batch_id} for {slate.game_date} completed: {len(slate.requests)} players "
        f"in {slate.games} games predicted, {len(slate.set_aside)} rows set aside",
        f"gate: {verdict.decision}{overridden}",
        f"predictions: {finished.predictions}",
        f"state: {finished.state}",
    ]
    return [render.plain(line) for line in lines]


def _status(arguments: argparse.Namespace) -> int:
    if not arguments.state.exists():
        print(f"no batch yet: {arguments.state} does not exist", file=sys.stderr)
        return 0
    with open_state(arguments.state) as state:
        batches = state.batches(arguments.game_date)
    if not batches:
        print("no batch yet", file=sys.stderr)
        return 0
    Console(highlight=False).print(_status_table(batches))
    for batch in batches:
        if batch.error:
            print(f"batch {batch.id} failed: {render.plain(batch.error)}")
    return 0


def _status_table(batches: Sequence[BatchRow]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("batch", "date", "state", "predicted", "set aside", "gate", "started (UTC)"):
        table.add_column(name, no_wrap=True)
    for batch in batches:
        table.add_row(
            str(batch.id),
            batch.game_date,
            batch.state,
            f"{batch.predicted}/{batch.requested}",
            str(batch.set_aside),
            batch.decision + ("" if batch.enforced else ", not enforced"),
            batch.created_at[:16].replace("T", " "),
        )
    return table
