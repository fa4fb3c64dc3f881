"""``deployment-drift report``: a week of the journal, for the people who were not there.

Exit codes: 0 told; 1 a channel was not; 2 usage; 3 the journal could not be read.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.exit_codes import OK, UNEXPECTED
from drift_gate.commands.past import add_every, journal_of
from drift_gate.errors import DriftConfigError
from drift_gate.runtime.deadline import Deadline

if TYPE_CHECKING:
    from drift_gate.journal.records import Journal
    from drift_gate.presentation.weekly import Weekly
    from drift_gate.settings.file import Settings

_FORMATS = ("table", "markdown", "html", "json")
WEEK = timedelta(days=7)
#: Seconds that who sends it is looked up for.
SENDER_S = 1.0


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Report on a week: the figures beside their targets, the incidents with their causes and the longest "
        "of them first, who went past the gate, and what was not watched. With --send it goes to each "
        "channel of [notify], once, whoever sends it. Exit code: 0; 1 a channel was not told; 2 usage; 3 the "
        "journal could not be read."
    )
    command.add_argument(
        "--week",
        metavar="WEEK",
        help="an ISO week, such as 2026-W48, in UTC (default: the last one that is over)",
    )
    add_every(command)
    shape = command.add_mutually_exclusive_group()
    shape.add_argument("--format", choices=_FORMATS, default="table", help="what to print")
    shape.add_argument(
        "--send", action="store_true", help="send it to the channels of [notify] that do not have it yet"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the report, or send it. Raises ``DriftConfigError`` and ``JournalError``."""
    from drift_gate.journal.period import Period, week_before
    from drift_gate.presentation.weekly import Weekly
    from drift_gate.wiring import checks

    now = checks.utc_now()
    name = arguments.week or week_before(now)
    since, until = _week(name, now)
    if arguments.send and until - since < WEEK:
        raise DriftConfigError(f"--send: {name} is not over, and each week is sent once")
    settings = settings_of(arguments)
    if (journal := journal_of(settings)) is None:
        return UNEXPECTED if arguments.send else OK
    interval = timedelta(seconds=arguments.every)
    period = Period.of(journal, since, until, services=settings.services, interval=interval)
    weekly = Weekly(name, period, now)
    if arguments.send:
        return _send(weekly, settings, journal)
    _print(weekly, arguments.format, no_color=arguments.no_color)
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


def _send(weekly: Weekly, settings: Settings, journal: Journal) -> int:
    """Send it to each channel that does not have it; the exit code."""
    from drift_gate.commands.notify import answered
    from drift_gate.presentation.weekly import message
    from drift_gate.wiring import notifications
    from drift_gate.wiring.actor import Actor

    by = Actor.of(settings.environ, settings.file.parent).known(Deadline(SENDER_S))
    return answered(notifications.send(settings, journal, message(weekly), by))


def _print(weekly: Weekly, form: str, *, no_color: bool) -> None:
    from drift_gate.commands.console import draw
    from drift_gate.presentation import sparkline
    from drift_gate.presentation import weekly as rendered

    if form == "table":
        draw(rendered.table(weekly, sparkline.blocks(sys.stdout.encoding)), no_color=no_color)
    else:
        written = {"markdown": rendered.markdown, "html": rendered.html, "json": rendered.json}
        sys.stdout.write(written[form](weekly))
