"""A number and its threshold: the bounds of what is normal, and what lies outside of them. Pure.

The bounds of a history are its median, plus and minus some robust spreads. The spread is the median
absolute deviation (MAD) times 1.4826, which for normally distributed values estimates their standard
deviation (P. J. Rousseeuw, C. Croux, "Alternatives to the Median Absolute Deviation", JASA 88 (1993)).
3.5 spreads is the limit that B. Iglewicz and D. Hoaglin advise ("How to Detect and Handle Outliers",
ASQC 1993; the NIST/SEMATECH handbook, 1.3.5.17, repeats it).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist, fmean, median
from typing import Literal

from drift_gate.facts import Fact, Finding
from predictions.coordinator.readiness.facts import ByHistory, Fixed, History, Threshold, Unit

#: 1.4826: one over the third quartile of the standard normal distribution.
MAD_TO_SPREAD = 1 / NormalDist().inv_cdf(0.75)
#: 1.2533: the same for the mean absolute deviation, which serves where the MAD is zero, as in IBM's
#: modified z-score.
MEAN_DEVIATION_TO_SPREAD = math.sqrt(math.pi / 2)

SpreadFrom = Literal["median-deviation", "mean-deviation", "least-spread"]
_BY_MEDIAN: SpreadFrom = "median-deviation"
_BY_MEAN: SpreadFrom = "mean-deviation"
_BY_FLOOR: SpreadFrom = "least-spread"


class Bounds(Fact):
    """What is normal, both ends included; None: no limit on that side.

    ``low_is_open``: ``low`` itself (zero) is no longer normal. ``middle`` (the median), ``spread`` and
    ``spread_from`` are None for a fixed threshold.
    """

    low: float | None
    high: float | None
    low_is_open: bool = False
    middle: float | None = None
    spread: float | None = None
    spread_from: SpreadFrom | None = None

    def below(self, value: float) -> bool:
        """Whether ``value`` is too low."""
        return self.low is not None and (value < self.low or (self.low_is_open and value <= self.low))

    def above(self, value: float) -> bool:
        """Whether ``value`` is too high."""
        return self.high is not None and value > self.high


def bounds(threshold: Threshold, history: History | None) -> Bounds | None:
    """What is normal by ``threshold``; None: its history cannot tell."""
    if isinstance(threshold, Fixed):
        return Bounds(low=threshold.at_least, high=threshold.at_most)
    values = history.values if history else []
    if len(values) < threshold.least_days or not any(values):
        return None
    return _around(values, threshold)


def _around(values: Sequence[float], threshold: ByHistory) -> Bounds:
    middle = median(values)
    spread, spread_from = _spread(values, middle, threshold.least_spread)
    reach = threshold.spreads * spread
    low, high, is_open = middle - reach, middle + reach, False
    if low <= 0:
        # No value can be below that. Yet none at all, where each day had some, is no usual day.
        low, is_open = 0.0, min(values) > 0
    return Bounds(
        low=None if threshold.direction == "high" else low,
        low_is_open=is_open and threshold.direction != "high",
        high=None if threshold.direction == "low" else high,
        middle=middle,
        spread=spread,
        spread_from=spread_from,
    )


def _spread(values: Sequence[float], middle: float, least: float) -> tuple[float, SpreadFrom]:
    """How far values usually lie from ``middle``, and how that was measured.

    More than half of the values are equal: the MAD is zero, and the mean deviation serves.
    """
    away = [abs(value - middle) for value in values]
    spread, spread_from = MAD_TO_SPREAD * median(away), _BY_MEDIAN
    if spread == 0:
        spread, spread_from = MEAN_DEVIATION_TO_SPREAD * fmean(away), _BY_MEAN
    floor = least * middle
    return (spread, spread_from) if spread > floor else (floor, _BY_FLOOR)


def findings(
    value: float, unit: Unit, threshold: Threshold, history: History | None, detail: str = ""
) -> Iterator[Finding]:
    """What is to be said of ``value``; nothing where it is normal and its history is sound.

    ``detail`` are the counts behind it, for the sentence.
    """
    if history and history.set_aside:
        yield _set_aside(history.set_aside)
    normal = bounds(threshold, history)
    if normal is None:
        if isinstance(threshold, ByHistory):
            yield from _unjudged(value, threshold, history)
        return
    fixed = isinstance(threshold, Fixed)
    counted = f" ({detail})" if detail else ""
    said = f"{shown(value, unit)}{counted}, {normally(normal, unit)}"
    data: dict[str, str | int | float | bool | list[str] | None] = {
        "value": value,
        **normal.model_dump(mode="json"),
    }
    if normal.below(value):
        yield Finding(code="too-low" if fixed else "abnormally-low", message=said, data=data)
    if normal.above(value):
        yield Finding(code="too-high" if fixed else "abnormally-high", message=said, data=data)


def _set_aside(rows: Sequence[str]) -> Finding:
    more = f"; and {len(rows) - 3} more" if len(rows) > 3 else ""
    return Finding(
        code="days-set-aside",
        message=f"set aside from the history: {'; '.join(rows[:3])}{more}",
        data={"rows": list(rows[:100]), "count": len(rows)},
    )


def _unjudged(value: float, threshold: ByHistory, history: History | None) -> Iterator[Finding]:
    """Why the history cannot judge ``value``; an eternal zero that is asked not to rise may stay one."""
    found = len(history.days) if history else 0
    if found < threshold.least_days:
        missing = f" ({history.missing} missing)" if history and history.missing else ""
        since = f" since {history.first_day}" if history else ""
        message = f"{found} of the {threshold.least_days} days that are needed{since}{missing}"
        yield Finding(
            code="too-few-days",
            message=message,
            data={"value": value, "days": found, "least_days": threshold.least_days},
        )
    elif value or threshold.direction != "high":
        yield Finding(
            code="history-all-zero",
            message=f"all {found} days of the history are zero",
            data={"value": value, "days": found},
        )


def normally(normal: Bounds, unit: Unit) -> str:
    """What is normal, in words; no share is more than 100 %, whatever the spread."""
    low = None if normal.low is None else shown(normal.low, unit)
    top = min(normal.high, 100) if unit == "percent" and normal.high is not None else normal.high
    high = None if top is None else shown(top, unit)
    if normal.middle is None:
        limits = [f"at least {low}" if low else "", f"at most {high}" if high else ""]
        return " and ".join(filter(None, limits))
    usual = f"usually {shown(normal.middle, unit)}, normal "
    if low and high:
        return f"{usual}{'above ' if normal.low_is_open else ''}{low} to {high}"
    if low:
        return f"{usual}{'above' if normal.low_is_open else 'from'} {low}"
    return f"{usual}up to {high}"


def shown(value: float, unit: Unit) -> str:
    """``value`` for a person: ``38.8 %``, ``1,204``, ``0.173``. What is less than all never reads 100 %."""
    if unit == "percent":
        return f"{_share(value)} %"
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if unit == "count" else f"{value:.4g}"


def _share(value: float) -> str:
    if value in (0, 100):
        return f"{value:.0f}"
    text = f"{value:.1f}"
    if text == "100.0":
        return f"{math.floor(value * 100) / 100:.2f}"
    return f"{value:.2g}" if text == "0.0" else text
