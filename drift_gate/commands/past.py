"""The journal as the commands ask it that only read: what they share."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from drift_gate.commands.arguments import duration

if TYPE_CHECKING:
    from drift_gate.journal.records import Journal
    from drift_gate.settings.file import Settings

#: A hundred years: no clock of ours goes back further.
_MOST_S = 36_500 * 86_400.0


def add_since(command: argparse.ArgumentParser) -> None:
    """``--since DURATION``."""
    command.add_argument(
        "--since",
        type=_some,
        default="30d",
        metavar="DURATION",
        help="how far back (90, 90s, 10m, 2h, 30d; default: 30d)",
    )


def add_every(command: argparse.ArgumentParser) -> None:
    """``--every DURATION``, for each command that says which share of the time was watched."""
    command.add_argument(
        "--every",
        type=_some,
        default="2h",
        metavar="DURATION",
        help="how far apart looks should lie (default: 2h); between two that lie further apart than twice "
        "that nothing is known",
    )


def _some(text: str) -> float:
    seconds = duration(text)
    if not 0 < seconds <= _MOST_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no time at all, or more than 100 years")
    return seconds


def journal_of(settings: Settings) -> Journal | None:
    """The journal that ``settings`` name; None: nothing is kept, as a sentence on stderr has said."""
    from drift_gate.journal.sqlite import READ_S
    from drift_gate.wiring import journals

    missing = journals.nothing_kept(settings)
    if missing is not None:
        print(missing, file=sys.stderr)
        return None
    return journals.opened(settings, busy_s=READ_S)
