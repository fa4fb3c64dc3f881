"""What holds for every history: order, repetition, scale, and more days of the same kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

import pytest
from coordinator.readiness.histories import DAY
from hypothesis import given
from hypothesis import strategies as st

from predictions.coordinator.readiness.facts import ByHistory, DayValue, History
from predictions.coordinator.readiness.thresholds import bounds, findings

VALUES = st.lists(st.floats(0, 1e6).map(lambda x: round(x, 3)), min_size=10, max_size=60)
THRESHOLDS = st.builds(
    ByHistory,
    days=st.just(1000),
    direction=st.sampled_from(["low", "high", "both"]),
    spreads=st.floats(1, 8),
    least_spread=st.floats(0, 0.2),
)


def history_of(values: Sequence[float]) -> History:
    days = tuple(DayValue(DAY - timedelta(days=len(values) - at), value) for at, value in enumerate(values))
    return History(first_day=DAY - timedelta(days=1000), last_day=DAY, days=days, missing=0)


def codes(value: float, threshold: ByHistory, values: Sequence[float]) -> list[str]:
    return [each.code for each in findings(value, "number", threshold, history_of(values))]


@given(st.data(), VALUES, THRESHOLDS, st.floats(0, 2e6))
def test_the_order_of_the_days_does_not_matter(
    data: st.DataObject, values: list[float], threshold: ByHistory, today: float
) -> None:
    other = data.draw(st.permutations(values))
    assert bounds(threshold, history_of(values)) == bounds(threshold, history_of(other))
    assert codes(today, threshold, values) == codes(today, threshold, other)


@given(VALUES, THRESHOLDS, st.floats(0, 2e6), st.integers(2, 5))
def test_the_same_days_again_change_nothing(
    values: list[float], threshold: ByHistory, today: float, times: int
) -> None:
    """More data of exactly the same kind: the bounds stay (but for rounding), and so does the verdict."""
    once, more = bounds(threshold, history_of(values)), bounds(threshold, history_of(values * times))
    assert (once is None) == (more is None)
    if once is None or more is None:
        return
    for name in ("low", "high", "middle", "spread"):
        first, second = getattr(once, name), getattr(more, name)
        assert first == second or math.isclose(first, second, rel_tol=1e-9, abs_tol=1e-9)
    ends = [end for end in (once.low, once.high) if end is not None]
    if not any(math.isclose(today, end, rel_tol=1e-6, abs_tol=1e-6) for end in ends):
        assert codes(today, threshold, values) == codes(today, threshold, values * times)


@given(VALUES, THRESHOLDS, st.floats(0, 2e6), st.integers(-10, 10))
def test_scaling_the_metric_scales_the_bounds_and_keeps_the_verdict(
    values: list[float], threshold: ByHistory, today: float, power: int
) -> None:
    """By powers of two, so that no rounding decides."""
    scale = 2.0**power
    scaled = [value * scale for value in values]
    before, after = bounds(threshold, history_of(values)), bounds(threshold, history_of(scaled))
    assert (before is None) == (after is None)
    if before and after:
        for name in ("low", "high", "middle", "spread"):
            first, second = getattr(before, name), getattr(after, name)
            assert (first is None and second is None) or first * scale == second
    assert codes(today, threshold, values) == codes(today * scale, threshold, scaled)


@given(VALUES, THRESHOLDS)
def test_at_least_half_of_the_days_are_normal_by_their_own_bounds(
    values: list[float], threshold: ByHistory
) -> None:
    """No threshold calls the usual day abnormal."""
    found = bounds(threshold, history_of(values))
    if found:
        normal = [each for each in values if not found.below(each) and not found.above(each)]
        assert 2 * len(normal) >= len(values)


@given(VALUES, THRESHOLDS, st.floats(0, 2e6), st.floats(0, 2e6))
def test_a_worse_value_is_never_judged_better(
    values: list[float], threshold: ByHistory, one: float, other: float
) -> None:
    """Whatever is farther out on the same side is abnormal too."""
    found = bounds(threshold, history_of(values))
    if found:
        less, more = sorted((one, other))
        assert found.below(less) or not found.below(more)
        assert found.above(more) or not found.above(less)


def sample(data: st.DataObject, size: int, low: float, high: float) -> list[float]:
    """``size`` days of one kind: one anywhere in each of ``size`` equal parts of the range, in any order."""
    part = (high - low) / size
    within = data.draw(st.lists(st.floats(0, 1), min_size=size, max_size=size))
    return [low + (at + where) * part for at, where in enumerate(within)]


@pytest.mark.parametrize("direction", ["low", "high", "both"])
@given(st.data())
def test_more_days_of_the_same_kind_never_flip_a_verdict(direction: str, data: st.DataObject) -> None:
    """Days spread over 30 to 50, from 10 to 80 of them, drawn anew each time: no value of that range is ever
    abnormal, and neither 0 nor 100 is ever normal where that side counts."""
    threshold = ByHistory.model_validate({"days": 1000, "direction": direction})
    for size in (10, data.draw(st.integers(11, 40)), data.draw(st.integers(41, 80))):
        values = sample(data, size, 30, 50)
        for usual in (30.0, 38.8, 50.0, data.draw(st.floats(30, 50))):
            assert codes(usual, threshold, values) == []
        if direction != "high":
            assert codes(0.0, threshold, values) == ["abnormally-low"]
        if direction != "low":
            assert codes(100.0, threshold, values) == ["abnormally-high"]
