"""``deployment-drift history``: what the journal remembers, and what a person has to say to it.

Exit codes: 0 told, marked or rebuilt; 2 usage, such as an incident that is not kept; 3 the journal could not
be read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from drift_gate.commands.arguments import settings_of
from drift_gate.commands.exit_codes import OK
from drift_gate.commands.past import add_since, journal_of
from drift_gate.errors import DriftConfigError

if TYPE_CHECKING:
    from drift_gate.journal.records import Incident, Journal
    from drift_gate.settings.file import Settings

_FORMATS = ("table", "json", "csv")
#: What an incident may be marked as; the second takes the first back.
_FALSE_ALARM, _REAL = "false-alarm", "real"


def declare(command: argparse.ArgumentParser) -> None:
    """The arguments."""
    command.usage = (
        "deployment-drift history [SERVICE] [--since DURATION] [--format {table,json,csv}]\n"
        "       deployment-drift history mark INCIDENT false-alarm --reason WHY\n"
        "       deployment-drift history mark INCIDENT real\n"
        "       deployment-drift history rebuild"
    )
    command.description = (
        "Show the incidents of SERVICE (without it: of all), its deploys and rollbacks, and the decisions of "
        "the gate, as the journal keeps them, the newest first. `mark` says that an incident was a false "
        "alarm, which counts in no figure, or takes that back. `rebuild` computes all incidents again from "
        "the decisions and says whether anything changed. Exit code: 0; 2 usage; 3 the journal could not be "
        "read."
    )
    command.add_argument(
        "words",
        nargs="*",
        metavar="SERVICE",
        help="a service; or `mark` with an incident's id and `false-alarm` or `real`; or `rebuild`",
    )
    add_since(command)
    command.add_argument("--format", choices=_FORMATS, default="table", help="what to print")
    command.add_argument("--reason", metavar="WHY", help="with `mark`: why it was a false alarm")


def run(arguments: argparse.Namespace) -> int:
    """Show, mark or rebuild. Raises ``DriftConfigError`` and ``JournalError``."""
    settings = settings_of(arguments)
    match arguments.words:
        case [] | [_] if arguments.words != ["rebuild"] and arguments.reason is None:
            _show(settings, arguments.words, arguments)
        case ["rebuild"] if arguments.reason is None:
            _rebuild(settings)
        case ["mark", incident, as_what]:
            _mark(settings, incident, as_what, arguments.reason)
        case words:
            raise DriftConfigError(
                f"history {' '.join(words)}: say [SERVICE], mark INCIDENT {_FALSE_ALARM} --reason WHY, "
                f"mark INCIDENT {_REAL}, or rebuild"
            )
    return OK


def _show(settings: Settings, words: Sequence[str], arguments: argparse.Namespace) -> None:
    from drift_gate.journal.sqlite import READ_S
    from drift_gate.presentation import history
    from drift_gate.wiring import checks, journals

    service = words[0] if words else None
    if (journal := journal_of(settings)) is None:
        return
    if service is not None and not journal.entries(service, limit=1):  # one of the past need not be declared
        settings.service(service)
    until = checks.utc_now()
    since = until - timedelta(seconds=arguments.since)
    told = history.History(
        service=service,
        since=since,
        until=until,
        incidents=journal.incidents(service, since),
        deploys=journals.deploys(settings, busy_s=READ_S).deploys(service, since),
        decisions=journal.entries(service, since),
    )
    if arguments.format == "table":
        from drift_gate.commands.console import draw

        draw(history.table(told), no_color=arguments.no_color)
    else:
        sys.stdout.write(history.json(told) if arguments.format == "json" else history.csv(told))


def _mark(settings: Settings, name: str, as_what: str, reason: str | None) -> None:
    """Keep the mark, or take it back, and say so."""
    if as_what not in (_FALSE_ALARM, _REAL):
        raise DriftConfigError(f"history mark {name} {as_what}: say {_FALSE_ALARM} or {_REAL}")
    if as_what == _FALSE_ALARM and not (reason or "").strip():
        raise DriftConfigError(f"history mark {name} {_FALSE_ALARM}: say why with --reason WHY")
    if as_what == _REAL and reason is not None:
        raise DriftConfigError(f"history mark {name} {_REAL} takes no --reason")
    if (journal := journal_of(settings)) is None:
        return
    _require(journal, name)
    incident = journal.mark(name, reason if as_what == _FALSE_ALARM else None)
    was = "was a false alarm, and counts in no figure" if incident.false_alarm else "counts as real"
    print(f"{incident.id}, found {incident.detected_at:%Y-%m-%d %H:%M} UTC, {was}")


def _require(journal: Journal, name: str) -> None:
    """Raise ``DriftConfigError`` with the near misses unless ``journal`` keeps the incident ``name``."""
    from drift_gate.runtime.spelling import near_misses

    known = [each.id for each in journal.incidents()]
    if name not in known:
        hint = near_misses(name, known)
        raise DriftConfigError(f"no incident {name!r} is kept{hint}; deployment-drift history lists them")


def _rebuild(settings: Settings) -> None:
    """Compute the incidents again, and say which of them differ from before."""
    if (journal := journal_of(settings)) is None:
        return
    before = journal.incidents()
    after = journal.rebuild()
    differing = _differing(before, after)
    if not differing:
        from drift_gate.presentation.render import counted

        print(f"nothing changed: {counted(len(after), 'incident')}, computed again from the decisions")
        return
    for line in differing:
        print(line)
    print(f"{len(differing):,} of {len(after):,} incidents changed")


def _differing(before: Sequence[Incident], after: Sequence[Incident]) -> list[str]:
    was, now = ({each.id: each for each in incidents} for incidents in (before, after))
    return [
        f"{name}: {'new' if name not in was else 'gone' if name not in now else 'another course'}"
        for name in dict.fromkeys([*was, *now])
        if was.get(name) != now.get(name)
    ]
