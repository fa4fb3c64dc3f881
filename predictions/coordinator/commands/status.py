"""``prediction-coordinator status``: lists the batches, or follows them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.live import Live

from drift_gate.commands.console import draw
from drift_gate.presentation.plain_text import plain
from predictions.coordinator.batches.batch import Batch
from predictions.coordinator.batches.ran_with import ran_with
from predictions.coordinator.commands.arguments import add_state, commit_id, config_of, game_date
from predictions.coordinator.commands.console import problems, status_table
from predictions.coordinator.wiring import open_coordinator

HELP = "list the batches"
#: Seconds between two looks of ``--watch``.
_WATCH_SECONDS = 1.0


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = "List the batches, the newest first."
    command.add_argument("--game-date", type=game_date, metavar="DATE", help="only those of one date")
    command.add_argument(
        "--ran-with",
        type=commit_id,
        metavar="COMMIT",
        help="also say which of them ran with COMMIT (7 to 64 hex digits): each commit that was live when it "
        "was started, or resumed, is this one or descends from it",
    )
    command.add_argument("--watch", action="store_true", help="follow them until none is under way")
    add_state(command)


def run(arguments: argparse.Namespace) -> int:
    """0 in any case."""
    config = config_of(arguments)
    if isinstance(config.store, Path) and not config.store.exists():
        print(f"no batch yet: {config.store} does not exist", file=sys.stderr)
        return 0
    with open_coordinator(config) as coordinator:
        seen = partial(coordinator.batches, arguments.game_date)
        batches = _watched(seen) if arguments.watch else seen()
    if not batches:
        print("no batch yet", file=sys.stderr)
        return 0
    held = ran_with(arguments.ran_with, batches) if arguments.ran_with else None
    draw(status_table(batches, held.by_batch if held else None))
    for why in held.why if held else ():
        print(plain(why), file=sys.stderr)
    for line in problems(batches):
        print(line)
    return 0


def _watched(seen: Callable[[], list[Batch]]) -> list[Batch]:
    """The batches once none of them is under way; until then they are shown on stderr as they move."""
    with Live(console=Console(stderr=True, highlight=False), transient=True, auto_refresh=False) as live:
        while True:
            batches = seen()
            if not any(batch.active for batch in batches):
                return batches
            live.update(status_table(batches), refresh=True)
            time.sleep(_WATCH_SECONDS)
