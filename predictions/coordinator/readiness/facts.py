"""What the checks learn from outside, as frozen values, and the Protocols that bring it.

A source that cannot answer raises ``SourceError``: a value that is not known is never a zero.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, NamedTuple, Protocol, get_args

from pydantic import Field, model_validator

from drift_gate.facts import Fact, Finding, Text
from drift_gate.runtime.deadline import Deadline

Phase = Literal["pre-game", "post-game"]
PHASES: tuple[Phase, ...] = get_args(Phase)

#: What a number counts: a share from 0 to 100, whole things, or anything from 0 upwards.
Unit = Literal["percent", "count", "number"]


class DayValue(NamedTuple):
    """The value of one day."""

    day: date
    value: float


class History(Fact):
    """The days before the judged one, as far as they tell what is normal.

    ``first_day`` to ``last_day`` is the window, season breaks aside. ``days`` have a value, the oldest
    first; ``missing`` counts the days without one: they are no sample, and never a zero. ``set_aside``
    says of each unusable row why.
    """

    first_day: date
    last_day: date
    days: tuple[DayValue, ...]
    missing: int
    set_aside: tuple[Text, ...] = ()

    @property
    def values(self) -> list[float]:
        """The values alone."""
        return [each.value for each in self.days]


class Fixed(Fact):
    """A threshold that somebody wrote down: fewest and most that is normal; None: no such limit."""

    at_least: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    at_most: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None


class ByHistory(Fact):
    """A threshold out of the metric's own past.

    ``days``: how far back the window reaches. ``least_days``: with fewer values in it nothing is judged.
    ``direction``: what is abnormal: too ``low``, too ``high``, or ``both``. ``spreads``: how many robust
    spreads away from the median is still normal. ``least_spread``: the smallest spread, as a share of
    the median: a metric that never moved may move that little.
    """

    days: Annotated[int, Field(ge=2, le=1000)]
    direction: Literal["low", "high", "both"]
    least_days: Annotated[int, Field(ge=2)] = 10
    spreads: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3.5
    least_spread: Annotated[float, Field(ge=0, le=1)] = 0.01

    @model_validator(mode="after")
    def _can_judge(self) -> ByHistory:
        if self.least_days > self.days:
            raise ValueError(f"least_days = {self.least_days} is more than days = {self.days} can hold")
        return self


Threshold = Fixed | ByHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One number that a check looked up.

    ``label`` tells it from the check's other numbers (empty: it has none). ``value`` None: there was
    nothing to measure, and ``notes`` say so. ``detail`` are the counts behind it, for a person.
    ``history`` is None where the threshold needs none.
    """

    label: str = ""
    unit: Unit
    value: float | None
    threshold: Threshold
    history: History | None = None
    detail: str = ""
    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What is to be predicted: the date, and who is on its slate.

    ``players`` reads the slate when a check asks for it; it raises ``SlateError``.
    """

    game_date: date
    players: Callable[[], Collection[str]]


class Source(Protocol):
    """One place that answers queries."""

    def rows(self, query: str, days: Mapping[str, date], deadline: Deadline) -> Sequence[Sequence[object]]:
        """What ``query`` selects; ``days`` are its parameters by name, of which it may use any.

        Changes nothing there. Raises ``SourceError`` where there is no answer before ``deadline``, or
        where it has more than ``MOST_ROWS`` rows.
        """
        ...


#: More rows than the largest slate or the longest history has: a query that forgot its WHERE.
MOST_ROWS = 100_000


class Check(Protocol):
    """One question about the data."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def phases(self) -> frozenset[Phase]:
        """When its question makes sense."""
        ...

    @property
    def fails(self) -> Literal["deny", "warn"]:
        """The most that its bad answer decides."""
        ...

    def look(self, occasion: Occasion, deadline: Deadline) -> Sequence[Seen]:
        """The numbers that answer it. Raises ``SourceError`` where that cannot be known."""
        ...
