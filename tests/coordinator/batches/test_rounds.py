"""Lots that come quickly are kept together, slow ones at once, and what came before an error is kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from coordinator.stores import answer
from coordinator.worlds import NOW

from predictions.coordinator.batches.contracts import Handed
from predictions.coordinator.batches.rounds import GATHERED, gathered


def lot(*players: str) -> Handed:
    return Handed(players, tuple(answer("b", each) for each in players))


class Time:
    """Stands still, unless it is told to go on."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def lots(self, *seconds: float) -> Iterator[Handed]:
        """One of a single request after each of these times."""
        for number, each in enumerate(seconds):
            self.now += timedelta(seconds=each)
            yield lot(f"P{number}")


def test_quick_ones_are_one() -> None:
    time = Time()
    assert list(gathered(time.lots(0.01, 0.01, 0.01), time)) == [lot("P0", "P1", "P2")]


def test_a_slow_one_is_kept_at_once() -> None:
    """Whoever looks sees each step of a worker that takes its time."""
    time, slow = Time(), GATHERED.total_seconds()
    came = [each.request_ids for each in gathered(time.lots(slow, slow, 0.0, slow), time)]
    assert came == [("P0",), ("P1",), ("P2", "P3")]


def test_what_is_still_to_be_answered_is_noted_at_once() -> None:
    """Whoever cancels the batch stops what is not handed out yet."""
    lots = [Handed(("P0",)), Handed(("P1",))]
    assert list(gathered(iter(lots), Time())) == lots


def test_nothing_is_nothing() -> None:
    assert list(gathered(iter(()), Time())) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_came_before_an_error_is_kept_before_it_is_raised(error: type[BaseException]) -> None:
    time = Time()

    def breaks_off() -> Iterator[Handed]:
        yield from time.lots(0.0, 0.0)
        raise error

    came = gathered(breaks_off(), time)
    assert next(came) == lot("P0", "P1")
    with pytest.raises(error):
        next(came)
