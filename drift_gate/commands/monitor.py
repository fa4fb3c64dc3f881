"""``deployment-drift monitor``: looks at all declared services and keeps what it saw in the journal.

Exit codes of ``--once``: those of ``check``, and 3 where the journal cannot be written. With ``--every`` the
process goes on until a signal ends it.
"""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from drift_gate.commands.arguments import duration, settings_of
from drift_gate.errors import DriftConfigError

if TYPE_CHECKING:
    from drift_gate.journal.looks import Seen
    from drift_gate.runtime.schedule import Schedule

_DAY, _ZONE = "00:00-24:00", "UTC"


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.description = (
        "Look at all declared services and keep what was seen in the journal; print what changed. Exit "
        "codes of --once: those of check, and 3 where the journal cannot be written. With --every it goes "
        "on until Ctrl-C or SIGTERM ends it; a look that fails is logged, and does not."
    )
    often = command.add_mutually_exclusive_group(required=True)
    often.add_argument("--once", action="store_true", help="look once, and end")
    often.add_argument(
        "--every",
        type=duration,
        metavar="DURATION",
        help="look again and again with that much between two looks (10m, 2h; 1m to 24h)",
    )
    command.add_argument(
        "--between",
        default=_DAY,
        metavar="HH:MM-HH:MM",
        help="with --every: only within these hours of the day, the first look as they begin "
        "(default: %(default)s)",
    )
    command.add_argument(
        "--time-zone",
        default=_ZONE,
        metavar="ZONE",
        help="with --between: the zone of the hours, such as America/Los_Angeles (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Look once, or until a signal comes; print what changed."""
    if arguments.every is not None:
        go_on(arguments)
    if (arguments.between, arguments.time_zone) != (_DAY, _ZONE):
        raise DriftConfigError("--between and --time-zone go with --every: --once looks now")
    return look(arguments).outcome.exit_code


def go_on(arguments: argparse.Namespace) -> NoReturn:
    """Look whenever it is due. Raises ``DriftConfigError``, and nothing later on."""
    from drift_gate.wiring import monitors

    schedule = schedule_of(arguments)
    settings_of(arguments)  # what is wrong with the file is told now, not at the first look
    # Read anew for each look: a process that lives for months is told of new services and freezes.
    monitors.watch(schedule, lambda: look(arguments))


def look(arguments: argparse.Namespace) -> Seen:
    """One look, which is printed and told to whom ``[notify]`` names."""
    from drift_gate.wiring import monitors
    from drift_gate.wiring.notifications import Notifications

    settings = settings_of(arguments)
    return monitors.look(settings, [_Stdout(), Notifications(settings)])


def schedule_of(arguments: argparse.Namespace) -> Schedule:
    """When to look. Raises ``DriftConfigError``."""
    from drift_gate.runtime.schedule import Schedule
    from drift_gate.runtime.values import clock_time, time_zone

    try:
        zone = time_zone(arguments.time_zone)
    except ValueError as error:
        raise DriftConfigError(f"--time-zone: {error}") from error
    try:
        opens, _, closes = arguments.between.partition("-")
        every = timedelta(seconds=arguments.every)
        return Schedule(every, clock_time(opens), clock_time(closes), zone)
    except ValueError as error:
        raise DriftConfigError(f"--every, --between: {error}") from error


class _Stdout:
    """A ``Notifier``: prints what was seen."""

    def tell(self, seen: Seen) -> None:
        from drift_gate.presentation.looks import lines

        for line in lines(seen):
            print(line, flush=True)
