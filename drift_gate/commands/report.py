"""``deployment-drift report``: a week of the journal, for the people who were not there.

Exit codes: 0 told; 2 usage; 3 the journal could not be read.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.exit_codes import OK
from drift_gate.commands.past import add_every, journal_of
from drift_gate.errors import DriftConfigError

if TYPE_CHECKING:
    from drift_gate.presentation.weekly import Weekly

_FORMATS = ("table", "markdown", "html", "json")


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Report on a week: the figures beside their targets, the incidents with their causes and the longest "
        "of them first, who went past the gate, and what was not watched. Exit code: 0; 2 usage; 3 the "
        "journal could not be read."
    )
    command.add_argument(
        "--week",
        metavar="WEEK",
        help="an ISO week, such as 2026-W48, in UTC (default: the last one that is over)",
    )
    add_every(command)
    command.add_argument("--format", choices=_FORMATS, default="table", help="what to print")


def run(arguments: argparse.Namespace) -> int:
    """Print the report. Raises ``DriftConfigError`` and ``JournalError``."""
    from drift_gate.journal.period import Period, week_before
    from drift_gate.presentation.weekly import Weekly
    from drift_gate.wiring import checks

    now = checks.utc_now()
    name = arguments.week or week_before(now)
    since, until = _week(name, now)
    settings = settings_of(arguments)
    if (journal := journal_of(settings)) is None:
        return OK
    interval = timedelta(seconds=arguments.every)
    period = Period.of(journal, since, until, services=settings.services, interval=interval)
    _print(Weekly(name, period, now), arguments.format, no_color=arguments.no_color)
    return OK


def _week(name: str, now: datetime) -> tuple[datetime, datetime]:
    """The week's begin, and its end or now. Raises ``DriftConfigError``."""
    from drift_gate.journal.period import week

    try:
        since, until = week(name)
    except ValueError as error:
        raise DriftConfigError(f"--week: {error}") from error
    if since >= now:
        raise DriftConfigError(f"--week: {name} has not begun")
    return since, min(until, now)


def _print(weekly: Weekly, form: str, *, no_color: bool) -> None:
    from drift_gate.commands.console import draw
    from drift_gate.presentation import sparkline
    from drift_gate.presentation import weekly as rendered

    if form == "table":
        draw(rendered.table(weekly, sparkline.blocks(sys.stdout.encoding)), no_color=no_color)
    else:
        written = {"markdown": rendered.markdown, "html": rendered.html, "json": rendered.json}
        sys.stdout.write(written[form](weekly))
