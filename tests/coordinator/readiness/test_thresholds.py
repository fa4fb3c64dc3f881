"""Histories with a known answer: what is normal, what is not, and what nobody can say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

import pytest
from coordinator.readiness.histories import DAY, a_history

from predictions.coordinator.readiness.facts import ByHistory, Fixed, Unit
from predictions.coordinator.readiness.thresholds import (
    MAD_TO_SPREAD,
    MEAN_DEVIATION_TO_SPREAD,
    bounds,
    findings,
    normally,
    shown,
)

Direction = Literal["low", "high", "both"]
Values = Sequence[float | None]

#: Line coverage as it was: 37 to 49.5 %, though somebody once wrote 80 %.
COVERAGE: Values = [37, 41.2, 44, 39.5, 49.5, 42.3, 38.1, 45, 43.7, 40.4, 47.2, 41.9, 39, 44.8, 46.1, 42]
#: Records that a clean-up removed.
CLEAN_UPS: Values = [12, 0, 35, 21, 8, 17, 40, 29, 3, 15, 22, 18, 0, 26, 31, 14]
#: Ten days on another level.
UP: Values = [85, 84, 86, 85, 87, 85, 84, 86, 85, 85]
CACHE: Values = [5000, 5100, 4950, 5050, 4980, 5020, 5060, 4990, 5010, 5040]
RARELY: Values = [0, 0, 0, 4, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 3, 0]


@dataclass(frozen=True)
class Case:
    """A history, today's value, and the codes that are the right answer."""

    name: str
    history: Values
    today: float
    codes: tuple[str, ...] = ()
    direction: Direction = "low"
    unit: Unit = "percent"
    days: int = 60
    least_days: int = 10
    starts: tuple[date, ...] = ()
    breaks: tuple[tuple[date, date], ...] = field(default=())


def ago(days: int) -> date:
    return DAY - timedelta(days=days)


LOW, HIGH = ("abnormally-low",), ("abnormally-high",)
FEW, ZERO = ("too-few-days",), ("history-all-zero",)

CASES = [
    # Normal.
    Case("the 38.8 % that somebody called too little", COVERAGE, 38.8),
    Case("the lowest day again", COVERAGE, 37),
    Case("the highest day again", COVERAGE, 49.5),
    Case("the median", COVERAGE, 42.15, direction="both"),
    Case("a little under all days", COVERAGE, 33),
    Case("a count among its like", CLEAN_UPS, 19, direction="high", unit="count"),
    Case("no clean-up where some days had none", CLEAN_UPS, 0, direction="both", unit="count"),
    Case("a constant, again", [100] * 20, 100),
    Case("a constant that moves by less than its least spread allows", [100] * 20, 97),
    Case("one outlier among the days changes little", [*COVERAGE, 2], 38.8),
    Case("a third of the days are outliers", [*COVERAGE, *[1] * 7], 38.8),
    # Too low.
    Case("half of what is usual", COVERAGE, 20, LOW),
    Case("zero", COVERAGE, 0, LOW),
    Case("zero, whatever the spread, where no day had zero", [1, 90, 3, 80, 2, 70, 5, 60, 9, 50], 0, LOW),
    Case("a constant that falls", [100] * 20, 96, LOW),
    Case("nearly constant, and falls", [99, 100] * 10, 90, LOW),
    Case("too low of both", COVERAGE, 10, LOW, "both"),
    Case("low of a count", CACHE, 4000, LOW, unit="count"),
    Case("one zero in the past excuses no zero today", [*COVERAGE, 0], 0, LOW),
    # Too high.
    Case("a flood of clean-ups", CLEAN_UPS, 12_000, HIGH, "high", "count"),
    Case("twice the highest", CLEAN_UPS, 90, HIGH, "high", "count"),
    Case("too high of both", COVERAGE, 75, HIGH, "both"),
    Case("a constant that rises", [50] * 20, 52, HIGH, "both"),
    Case("mostly zero, and a flood", RARELY, 500, HIGH, "high", "count"),
    # One-sided.
    Case("coverage cannot be too good", COVERAGE, 100),
    Case("clean-ups cannot be too few", [40, 42, 39, 41, 43, 40, 38, 41, 42, 40], 0, (), "high", "count"),
    # Median absolute deviation of zero: more than half of the days are equal.
    Case("mostly zero, and a few as before", RARELY, 2, (), "high", "count"),
    Case("mostly 50, and another day's value", [50] * 12 + [44, 45, 56, 57], 46, (), "both"),
    Case("mostly 50, and far off", [50] * 12 + [44, 45, 56, 57], 20, LOW, "both"),
    # All zero.
    Case("all zero, and zero: coverage", [0] * 20, 0, ZERO),
    Case("all zero, and something", [0] * 20, 38.8, ZERO),
    Case("all zero, and zero, asked not to rise", [0] * 20, 0, (), "high", "count"),
    Case("all zero, and a flood", [0] * 20, 500, ZERO, "high", "count"),
    # Too few days.
    Case("no day at all", [], 38.8, FEW),
    Case("one day", [41], 38.8, FEW),
    Case("one day fewer than are needed", COVERAGE[:9], 5, FEW),
    Case("just enough days", COVERAGE[:10], 5, LOW),
    Case("a break makes it too short", COVERAGE, 5, FEW, days=9, least_days=9, breaks=((ago(2),) * 2,)),
    Case("few zeros are few days first", [0] * 5, 0, FEW),
    # Missing days: no sample, and never a zero.
    Case("every second day is missing", [x for each in COVERAGE for x in (each, None)], 38.8),
    Case("every second day is missing, and low", [x for each in COVERAGE for x in (each, None)], 5, LOW),
    Case("nearly all days are missing", [*COVERAGE[:4], *[None] * 30], 5, FEW),
    Case("a missing day is no zero", [*COVERAGE, *[None] * 20], 0, LOW),
    # The season.
    Case("the season began three days ago", COVERAGE, 5, FEW, starts=(ago(3),)),
    Case("the season begins today", COVERAGE, 5, FEW, starts=(DAY,)),
    Case("a season that begins tomorrow changes nothing", COVERAGE, 5, LOW, starts=(ago(-1),)),
    Case("the last of several starts counts", COVERAGE, 5, FEW, starts=(ago(300), ago(4), ago(100))),
    Case("the season began long enough ago", COVERAGE, 38.8, starts=(ago(12),)),
    Case("a break of zeros", [*COVERAGE, *[0] * 6, *COVERAGE[:5]], 0, LOW, breaks=((ago(11), ago(6)),)),
    Case("the same zeros, undeclared, allow a low day", [*COVERAGE[:10], *[0] * 9], 10),
    Case("a break that is the whole window", COVERAGE, 5, FEW, breaks=((ago(90), ago(1)),)),
    # A step: the new level is abnormal until it is half of the window, or declared.
    Case("the first day after a step up", COVERAGE, 85, HIGH, "both"),
    Case("the tenth day after a step up", [*COVERAGE, *UP], 85, HIGH, "both"),
    Case("a step up that most days have", [*COVERAGE[:6], *UP], 85, (), "both"),
    Case("a step that is declared", [*COVERAGE, *UP], 85, (), "both", starts=(ago(10),)),
    Case("the old level after a declared step", [*COVERAGE, *UP], 42, LOW, starts=(ago(10),)),
    # A trend stays within its own spread.
    Case("a slow rise goes on", [30 + each / 2 for each in range(20)], 40.5, (), "both"),
    Case("days beyond the window do not count", [*[90] * 30, *COVERAGE], 38.8, days=16),
]  # fmt: skip


def test_there_are_enough_of_them_and_each_has_its_own_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 40


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_history_has_its_answer(case: Case) -> None:
    threshold = ByHistory(days=case.days, direction=case.direction, least_days=case.least_days)
    history = a_history(case.history, threshold, unit=case.unit, starts=case.starts, breaks=case.breaks)
    found = findings(case.today, case.unit, threshold, history)
    assert tuple(finding.code for finding in found) == case.codes


@pytest.mark.parametrize(
    ("fixed", "value", "codes"),
    [
        (Fixed(at_least=1), 0, ["too-low"]),
        (Fixed(at_least=1), 1, []),
        (Fixed(at_most=5), 5, []),
        (Fixed(at_most=5), 6, ["too-high"]),
        (Fixed(at_least=1, at_most=5), 3, []),
        (Fixed(at_least=0), 0, []),
        (Fixed(), 0, []),
    ],
)
def test_a_fixed_limit_is_kept_at_the_limit_itself(fixed: Fixed, value: float, codes: list[str]) -> None:
    assert [finding.code for finding in findings(value, "count", fixed, None)] == codes


class TestTheSpread:
    """Where the bounds come from."""

    def test_the_constants_are_those_of_the_literature(self) -> None:
        assert round(MAD_TO_SPREAD, 4) == 1.4826
        assert round(MEAN_DEVIATION_TO_SPREAD, 6) == 1.253314

    def test_the_bounds_are_the_median_and_so_many_spreads(self) -> None:
        """Median 6, median deviation 2: 6 ± 3.5 × 1.4826 × 2."""
        threshold = ByHistory(days=60, direction="both", least_days=5)
        found = bounds(threshold, a_history([2, 4, 6, 8, 40], threshold))
        assert found is not None
        assert (found.middle, found.spread_from) == (6, "median-deviation")
        assert found.spread == pytest.approx(2.9652, abs=1e-4)
        assert found.high == pytest.approx(16.378, abs=1e-3)
        assert (found.low, found.low_is_open) == (0, True)

    def test_where_most_days_are_equal_the_mean_deviation_serves(self) -> None:
        threshold = ByHistory(days=60, direction="high", least_days=4)
        found = bounds(threshold, a_history([0, 0, 0, 4], threshold))
        assert found is not None
        assert found.spread == pytest.approx(1.253314)
        assert found.spread_from == "mean-deviation"

    def test_a_constant_may_move_by_its_least_spread(self) -> None:
        threshold = ByHistory(days=60, direction="both", least_days=4, least_spread=0.02)
        found = bounds(threshold, a_history([50] * 4, threshold))
        assert found is not None
        assert (found.low, found.high, found.spread_from) == (46.5, 53.5, "least-spread")

    def test_without_a_least_spread_a_constant_may_not_move(self) -> None:
        threshold = ByHistory(days=60, direction="both", least_days=4, least_spread=0)
        history = a_history([50] * 4, threshold)
        assert [each.code for each in findings(50.1, "percent", threshold, history)] == ["abnormally-high"]
        assert not [*findings(50, "percent", threshold, history)]


class TestWhatAPersonReads:
    @pytest.mark.parametrize(
        ("value", "unit", "text"),
        [
            (38.827, "percent", "38.8 %"),
            (100, "percent", "100 %"),
            (99.97, "percent", "99.97 %"),
            (99.9999, "percent", "99.99 %"),
            (0, "percent", "0 %"),
            (0.004, "percent", "0.004 %"),
            (12_000, "count", "12,000"),
            (88.14, "count", "88.1"),
            (0.17342, "number", "0.1734"),
        ],
    )
    def test_a_number_never_reads_as_more_than_it_is(self, value: float, unit: Unit, text: str) -> None:
        assert shown(value, unit) == text

    @pytest.mark.parametrize(
        ("threshold", "text"),
        [
            (Fixed(at_least=90), "at least 90.0 %"),
            (Fixed(at_most=5), "at most 5.0 %"),
            (Fixed(at_least=1, at_most=5), "at least 1.0 % and at most 5.0 %"),
            (ByHistory(days=9, direction="low", least_days=3), "usually 50.0 %, normal from 31.8 %"),
            (ByHistory(days=9, direction="high", least_days=3), "usually 50.0 %, normal up to 68.2 %"),
            (ByHistory(days=9, direction="both", least_days=3), "usually 50.0 %, normal 31.8 % to 68.2 %"),
            (
                ByHistory(days=9, direction="low", least_days=3, spreads=20),
                "usually 50.0 %, normal above 0 %",
            ),
            (
                ByHistory(days=9, direction="high", least_days=3, spreads=20),
                "usually 50.0 %, normal up to 100 %",
            ),
        ],
    )
    def test_what_is_normal_is_a_sentence(self, threshold: Fixed | ByHistory, text: str) -> None:
        history = a_history([46.5, 50, 53.5], threshold) if isinstance(threshold, ByHistory) else None
        found = bounds(threshold, history)
        assert found is not None
        assert normally(found, "percent") == text

    def test_too_few_days_says_how_many_since_when_and_how_many_are_missing(self) -> None:
        threshold = ByHistory(days=60, direction="low")
        history = a_history([41, None, 40], threshold, starts=[ago(4)])
        (finding,) = findings(38.8, "percent", threshold, history)
        assert finding.message == "2 of the 10 days that are needed since 2026-02-01 (2 missing)"
