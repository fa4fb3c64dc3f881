"""The last looks at some services, side by side: how far behind each was, look by look. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from drift_gate.comparison.report import DriftReport
from drift_gate.facts import Fact, Text
from drift_gate.journal.records import Entry, Journal

#: How many looks are shown, and at how many services side by side.
LOOKS, SERVICES = 20, 6


class Row(Fact):
    """One look: at each service in its order, ``words`` for people and how many commits it was ``behind``.

    None: nobody knows, or it was not looked at.
    """

    at: datetime
    words: tuple[Text, ...]
    behind: tuple[int | None, ...]


class LastLooks(Fact):
    """The last looks, the oldest first. ``more_services``: how many have no column."""

    services: tuple[Text, ...] = ()
    rows: tuple[Row, ...] = ()
    more_services: int = 0


def last_looks(services: Sequence[str], entries: Iterable[Entry]) -> LastLooks:
    """The last looks at ``services`` out of decisions in any order; decisions of one moment are one look.

    One that was held against another target than is declared is no look.
    """
    shown = services[:SERVICES]
    at: dict[datetime, dict[str, DriftReport]] = {}
    for entry in entries:
        if entry.other_target is None and entry.verdict.service in shown:
            at.setdefault(entry.at, {})[entry.verdict.service] = entry.verdict.report
    rows = [_row(moment, shown, at[moment]) for moment in sorted(at)[-LOOKS:]]
    return LastLooks(services=tuple(shown), rows=tuple(rows), more_services=len(services) - len(shown))


def read(journal: Journal, services: Sequence[str]) -> LastLooks:
    """The last looks at ``services`` that ``journal`` has. Raises ``JournalError``."""
    return last_looks(
        services, [entry for name in services[:SERVICES] for entry in journal.entries(name, limit=LOOKS)]
    )


def _row(at: datetime, services: Sequence[str], reports: Mapping[str, DriftReport]) -> Row:
    found = [reports.get(name) for name in services]
    return Row(
        at=at,
        words=tuple(_words(each) for each in found),
        behind=tuple(None if each is None or each.unknown else each.commits_behind for each in found),
    )


def _words(report: DriftReport | None) -> str:
    if report is None:
        return "not looked at"
    if report.unknown:
        return f"unknown: {report.unknown.cause}"
    return f"{report.status}, {report.commits_behind:,}" if report.commits_behind else report.status
