"""``deployment-drift stats``: what a period came to in figures, beside their targets.

Exit codes: 0 told, whatever the figures are; 2 usage; 3 the journal could not be read.
"""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.exit_codes import OK
from drift_gate.commands.past import add_every, add_since, journal_of


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Show how often and for how long production was stale, how fast that was found, and who went past "
        "the gate: figures out of the journal beside their targets, and the share of the time that somebody "
        "looked. Exit code: 0, whether the targets are met or not; 2 usage; 3 the journal could not be read."
    )
    add_since(command)
    add_every(command)
    command.add_argument("--format", choices=["table", "json"], default="table", help="what to print")


def run(arguments: argparse.Namespace) -> int:
    """Show the figures. Raises ``DriftConfigError`` and ``JournalError``."""
    settings = settings_of(arguments)
    if (journal := journal_of(settings)) is None:
        return OK
    from drift_gate.commands.console import draw
    from drift_gate.journal.period import Period
    from drift_gate.presentation import figures, sparkline
    from drift_gate.wiring import checks

    until = checks.utc_now()
    period = Period.of(
        journal,
        until - timedelta(seconds=arguments.since),
        until,
        services=settings.services,
        interval=timedelta(seconds=arguments.every),
    )
    if arguments.format == "json":
        sys.stdout.write(figures.json(period))
    else:
        blocks = sparkline.blocks(sys.stdout.encoding)
        draw(figures.table(period, blocks), no_color=arguments.no_color)
    return OK
