"""Histories that the tests judge, and a Source that answers by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from predictions.coordinator.readiness import rows
from predictions.coordinator.readiness.facts import ByHistory, History, Unit
from predictions.coordinator.readiness.seasons import Break, Calendar

DAY = date(2026, 2, 5)


def days_before(values: Sequence[float | None], day: date = DAY) -> list[tuple[date, float | None]]:
    """One row a day, the last one the day before ``day``."""
    return [(day - timedelta(days=len(values) - at), value) for at, value in enumerate(values)]


def a_history(
    values: Sequence[float | None],
    threshold: ByHistory,
    *,
    unit: Unit = "percent",
    starts: Iterable[date] = (),
    breaks: Iterable[tuple[date, date]] = (),
) -> History:
    """The history that a check would have of these rows."""
    calendar = Calendar(
        season_starts=tuple(starts), breaks=tuple(Break(first=first, last=last) for first, last in breaks)
    )
    window = calendar.window(DAY, threshold.days)
    read = days_before(values)
    return rows.history(read, window, 1, lambda cells: rows.number(cells[0], unit), "metric")
