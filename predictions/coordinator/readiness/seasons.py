"""Which days before a day say what is normal: none of another season, and none of a break. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pydantic import model_validator

from drift_gate.facts import Fact


class Break(Fact):
    """Days without games within a season, both ends included."""

    first: date
    last: date

    @model_validator(mode="after")
    def _in_order(self) -> Break:
        if self.last < self.first:
            raise ValueError(f"the break ends on {self.last}, before it begins on {self.first}")
        return self


@dataclass(frozen=True, slots=True)
class Window:
    """The days of a history: ``first`` to ``last``, of which ``days`` count."""

    first: date
    last: date
    days: frozenset[date]


class Calendar(Fact):
    """``[calendar]``: the first days of seasons (or of anything after which all is different), and breaks."""

    season_starts: tuple[date, ...] = ()
    breaks: tuple[Break, ...] = ()

    def window(self, day: date, length: int) -> Window:
        """The ``length`` days before ``day``, without what came before the season and without breaks."""
        last = day - timedelta(days=1)
        starts = [start for start in self.season_starts if start <= day]
        first = max([day - timedelta(days=length), *starts])
        return Window(first, last, frozenset(self._counted(first, last)))

    def _counted(self, first: date, last: date) -> Iterator[date]:
        for each in _days(first, last):
            if not _within(each, self.breaks):
                yield each


def _days(first: date, last: date) -> Iterator[date]:
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        yield date.fromordinal(ordinal)


def _within(day: date, breaks: Sequence[Break]) -> bool:
    return any(each.first <= day <= each.last for each in breaks)
