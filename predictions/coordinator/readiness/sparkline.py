"""A history as a line of blocks, and a gauge of where today's value lies between the bounds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from drift_gate.presentation import sparkline
from predictions.coordinator.readiness.facts import History
from predictions.coordinator.readiness.thresholds import Bounds

#: Days that a line shows, the last ones: it stands in a table.
MOST_DAYS = 45
#: Cells of a gauge.
GAUGE = 21


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters to draw with: the blocks of a line, and the marks of a gauge."""

    blocks: sparkline.Blocks
    outside: str
    normal: str
    middle: str
    low: str
    high: str
    today: str


UNICODE = Glyphs(sparkline.UNICODE, "·", "─", "┼", "├", "┤", "●")
ASCII = Glyphs(sparkline.ASCII, ".", "-", "+", "[", "]", "O")


def glyphs(encoding: str | None) -> Glyphs:
    """Blocks where ``encoding`` has them, else ASCII; None: an encoding that nobody knows."""
    return UNICODE if sparkline.encodable("".join(vars_of(UNICODE)), encoding) else ASCII


def vars_of(glyphs: Glyphs) -> list[str]:
    """Every string of ``glyphs``."""
    marks = (glyphs.outside, glyphs.normal, glyphs.middle, glyphs.low, glyphs.high, glyphs.today)
    return [*glyphs.blocks, *marks]


def line(history: History, today: float | None, draw: Glyphs) -> tuple[str, str]:
    """The history, one character a day, and today's (empty: no value) on the same scale.

    Days of a break or without a value are gaps; nothing before the first day that has one is shown.
    """
    if not history.days:
        return "", ""
    values = {each.day: each.value for each in history.days}
    scale = [*values.values(), *([] if today is None else [today])]
    shown = _shown_days(history)
    text = sparkline.bars([values.get(day) for day in shown], scale, draw.blocks)
    cut = draw.blocks.more if shown[0] > history.days[0].day else ""
    return cut + text, "" if today is None else sparkline.bars([today], scale, draw.blocks)


def _shown_days(history: History) -> list[date]:
    first = max(history.days[0].day, history.last_day - timedelta(days=MOST_DAYS - 1))
    return [date.fromordinal(each) for each in range(first.toordinal(), history.last_day.toordinal() + 1)]


def gauge(today: float, normal: Bounds, values: Sequence[float], draw: Glyphs) -> str:
    """Where ``today`` lies: what is normal, its ends, its middle, and what is not."""
    marks = [today, *values, *(each for each in (normal.low, normal.high, normal.middle) if each is not None)]
    low, high = min(marks), max(marks)

    def cell(value: float) -> int:
        return round((value - low) / (high - low) * (GAUGE - 1)) if high > low else GAUGE // 2

    # A value that does not keep a fence has a cell beyond it, however near it is.
    end = GAUGE - 1 - int(normal.above(today))
    first = 0 if normal.low is None else max(cell(normal.low), int(normal.below(today)))
    last = GAUGE - 1 if normal.high is None else min(cell(normal.high), end)
    if normal.low is not None and normal.high is not None and first >= last:
        # Two fences that fall on one cell stand side by side: each of them is to be seen.
        first = min(first, end - 1)
        last = first + 1
    cells = [draw.normal if first <= each <= last else draw.outside for each in range(GAUGE)]
    if normal.middle is not None:
        cells[cell(normal.middle)] = draw.middle
    if normal.low is not None:
        cells[first] = draw.low
    if normal.high is not None:
        cells[last] = draw.high
    cells[_on_its_side(cell(today), today, normal, first, last)] = draw.today
    return "".join(cells)


def _on_its_side(at: int, today: float, normal: Bounds, first: int, last: int) -> int:
    """The cell of today: never on or behind a fence that it does not keep, nor beyond one that it keeps."""
    if normal.below(today):
        return min(at, first - 1)
    if normal.above(today):
        return max(at, last + 1)
    return at
