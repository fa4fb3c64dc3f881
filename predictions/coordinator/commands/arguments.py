"""Arguments that several commands take, and what they come to beside the environment."""

from __future__ import annotations

import argparse
from datetime import date

from drift_gate.evidence.marks import is_commit_id
from drift_gate.settings.location import environment
from predictions.coordinator.config import DEFAULT_BATCH_SIZE, DEFAULT_STORE, Config
from shared.utils.deployment_checker import Start

#: What a refused command line lacks to go past the gate.
_PAST_THE_GATE = ' --skip-drift-check --reason "WHY"'


def add_game_date(command: argparse.ArgumentParser) -> None:
    """``--game-date DATE``, which has to be given."""
    command.add_argument(
        "--game-date", type=game_date, required=True, metavar="DATE", help="such as 2026-02-05"
    )


def add_bypass(command: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """The options of the gate's bypass; their group."""
    bypass = command.add_argument_group("emergency bypass")
    bypass.add_argument(
        "--skip-drift-check",
        action="store_true",
        help="start whatever the drift gate says, at once: the check runs alongside the batch; what it "
        "says is overridden and on record, and a WARNING with actor and reason is logged",
    )
    bypass.add_argument("--reason", metavar="TEXT", help="why the check is skipped, for the log")
    bypass.add_argument("--actor", metavar="NAME", help="who skips it (default: as the environment tells)")
    return bypass


def add_batch_size(command: argparse.ArgumentParser) -> None:
    """``--batch-size N``."""
    command.add_argument(
        "--batch-size",
        type=_count,
        metavar="N",
        help=f"players per call of the worker (default: COORDINATOR_BATCH_SIZE, else {DEFAULT_BATCH_SIZE})",
    )


def add_state(command: argparse.ArgumentParser) -> None:
    """``--state STORE``, for each command that reads or writes batches."""
    command.add_argument(
        "--state",
        metavar="STORE",
        help="the SQLite file that keeps the batches, or firestore://PROJECT/DATABASE "
        f"(default: COORDINATOR_STORE, else {DEFAULT_STORE})",
    )


def game_date(text: str) -> date:
    """An ISO date, for argparse."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write it as 2026-02-05") from error


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 upwards")
    return int(text)


def commit_id(text: str) -> str:
    """A commit id in lower case, for argparse."""
    commit = text.strip().lower()
    if not is_commit_id(commit):
        raise argparse.ArgumentTypeError(f"{text!r} is no commit id: give 7 to 64 hex digits")
    return commit


def config_of(arguments: argparse.Namespace) -> Config:
    """The environment's settings; what was said on the command line stands nearer."""
    told = {
        "COORDINATOR_STORE": arguments.state,
        "COORDINATOR_BATCH_SIZE": getattr(arguments, "batch_size", None),
    }
    nearer = {name: str(value) for name, value in told.items() if value is not None}
    return Config.of({**environment(), **nearer})


def start_of(arguments: argparse.Namespace) -> Start:
    """The lines that ask for the same again, and past the gate, as a refusal says them."""
    return Start(again=arguments.again, bypass=arguments.again + _PAST_THE_GATE)
