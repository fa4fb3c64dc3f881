"""What a source answered, as numbers and days; what cannot be one is said, never guessed. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal

from drift_gate.errors import SourceError
from predictions.coordinator.readiness.facts import DayValue, History, Unit
from predictions.coordinator.readiness.seasons import Window

#: A share is the quotient of two numbers: so much over 100 is rounding.
_ROUNDING = 1e-6
#: SQLite has no type for a date: one is text, perhaps with a time behind it.
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].*)?$")

Rows = Sequence[Sequence[object]]


def number(value: object, unit: Unit) -> float:
    """``value`` as a number of ``unit``; raises ``ValueError`` with the reason why it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"{value!r} is no number")
    try:
        found = float(value)
    except OverflowError:
        raise ValueError("the number is too large") from None
    if not math.isfinite(found):
        raise ValueError(f"{found} is no finite number")
    if found < 0:
        raise ValueError(f"{found:g} is negative")
    if unit == "percent" and found > 100 + _ROUNDING:
        raise ValueError(f"{found:g} is more than 100 %")
    if unit == "count" and found != int(found):
        raise ValueError(f"{found:g} is no whole number")
    return min(found, 100.0) if unit == "percent" else found


def one_row(rows: Rows, columns: int, what: str) -> Sequence[object]:
    """The only row; raises ``SourceError`` where there is none, more than one, or another width.

    No row and an empty value are ``not-found``: nothing was measured, which is not a zero.
    """
    if not rows:
        raise SourceError(f"{what}: the query found no row", "not-found")
    if len(rows) > 1:
        raise SourceError(f"{what}: the query gave {len(rows)} rows instead of one", "invalid-response")
    row = _of_width(rows[0], columns, what)
    if any(value is None for value in row):
        raise SourceError(f"{what}: the query found no value (NULL)", "not-found")
    return row


def value(rows: Rows, unit: Unit, what: str) -> float:
    """The only value of the only row. Raises ``SourceError``."""
    (found,) = one_row(rows, 1, what)
    try:
        return number(found, unit)
    except ValueError as error:
        raise SourceError(f"{what}: {error}", "invalid-response") from error


def names(rows: Rows, what: str) -> set[str]:
    """The first and only column as text. Raises ``SourceError``."""
    found = {_of_width(row, 1, what)[0] for row in rows}
    if None in found:
        raise SourceError(f"{what}: the query gave a row without an id (NULL)", "invalid-response")
    return {str(each) for each in found}


def history(
    rows: Rows, window: Window, width: int, read: Callable[[Sequence[object]], float | None], what: str
) -> History:
    """Rows of a day and its ``width`` values as the history of ``window``; other days do not count.

    ``read`` makes a day's number of its values. A day without one (None, or NULL) is missing; one whose
    values ``read`` refuses with ``ValueError`` is set aside. Raises ``SourceError`` where a row does not
    begin with a day, or where a day comes twice.
    """
    days: dict[date, float] = {}
    set_aside: list[str] = []
    seen: set[date] = set()
    for row in rows:
        first, *values = _of_width(row, 1 + width, what)
        when = day(first, what)
        if when not in window.days:
            continue
        if when in seen:
            raise SourceError(f"{what}: the history has {when} twice", "invalid-response")
        seen.add(when)
        try:
            found = None if None in values else read(values)
        except ValueError as error:
            set_aside.append(f"{when}: {error}")
        else:
            if found is not None:
                days[when] = found
    return History(
        first_day=window.first,
        last_day=window.last,
        days=tuple(DayValue(when, days[when]) for when in sorted(days)),
        missing=len(window.days) - len(days),
        set_aside=tuple(sorted(set_aside)),
    )


def day(found: object, what: str) -> date:
    """A date out of a date, a time, or text that begins with an ISO date. Raises ``SourceError``."""
    if isinstance(found, datetime):
        return found.date()
    if isinstance(found, date):
        return found
    try:
        if isinstance(found, str) and _ISO.match(found):
            return date.fromisoformat(found[:10])
    except ValueError:
        pass  # such as 2026-02-30
    message = f"{what}: the history's first column must be a date, {found!r} is none"
    raise SourceError(message, "invalid-response")


def _of_width(row: Sequence[object], columns: int, what: str) -> Sequence[object]:
    if len(row) != columns:
        message = f"{what}: the query must give {columns} column{'s' * (columns > 1)}, it gave {len(row)}"
        raise SourceError(message, "invalid-response")
    return row
