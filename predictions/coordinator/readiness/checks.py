"""The checks: a metric of one query, the features of the slate, the grading by two definitions.

Each looks up numbers; what they mean is judged elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from drift_gate.errors import SourceError
from drift_gate.facts import Finding
from drift_gate.runtime.deadline import Deadline
from predictions.coordinator.readiness import rows
from predictions.coordinator.readiness.facts import (
    ByHistory,
    Fixed,
    History,
    Occasion,
    Phase,
    Seen,
    Source,
    Threshold,
    Unit,
)
from predictions.coordinator.readiness.grading import Counts, seen_both_ways
from predictions.coordinator.readiness.seasons import Calendar, Window

#: How many players without features are named; all of them are counted.
_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What every check declares.

    ``day``: which day it judges, the date of the games or the one before. ``query`` answers for that day.
    """

    name: str
    phases: frozenset[Phase]
    source: Source
    query: str
    day: Literal["game-date", "day-before"]
    fails: Literal["deny", "warn"]

    def judged_day(self, occasion: Occasion) -> date:
        """The day that the check is about."""
        return occasion.game_date - timedelta(days=self.day == "day-before")

    def parameters(self, occasion: Occasion) -> dict[str, date]:
        """The days that ``query`` may name."""
        return {"game_date": occasion.game_date, "day": self.judged_day(occasion)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricCheck(Declared):
    """One number of one day, against a fixed limit or against the days before it.

    ``history`` is the query for those; None where the threshold is fixed.
    """

    unit: Unit
    threshold: Threshold
    history: str | None
    calendar: Calendar

    def look(self, occasion: Occasion, deadline: Deadline) -> Sequence[Seen]:
        """As ``Check.look``: one number."""
        found = self.source.rows(self.query, self.parameters(occasion), deadline)
        value = rows.value(found, self.unit, self.name)
        history = self._history(occasion, deadline)
        return [Seen(unit=self.unit, value=value, threshold=self.threshold, history=history)]

    def _history(self, occasion: Occasion, deadline: Deadline) -> History | None:
        if self.history is None or not isinstance(self.threshold, ByHistory):
            return None
        window, days = _past(self, self.threshold, self.calendar, occasion)
        found = self.source.rows(self.history, days, deadline)
        return rows.history(found, window, 1, lambda values: rows.number(values[0], self.unit), self.name)


def _past(
    check: Declared, threshold: ByHistory, calendar: Calendar, occasion: Occasion
) -> tuple[Window, Mapping[str, date]]:
    """The days that say what is normal, and the parameters of the query for them."""
    window = calendar.window(check.judged_day(occasion), threshold.days)
    return window, {**check.parameters(occasion), "first_day": window.first}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesCheck(Declared):
    """Whether everybody on the slate has features: the query gives the ids of those who have some.

    Players with features who are not on the slate do not count.
    """

    at_least: float

    def look(self, occasion: Occasion, deadline: Deadline) -> Sequence[Seen]:
        """As ``Check.look``: the share of the slate. Raises ``SlateError`` where there is no slate."""
        players = set(occasion.players())
        found = rows.names(self.source.rows(self.query, self.parameters(occasion), deadline), self.name)
        if not players:
            raise SourceError(f"{self.name}: nobody is on the slate", "not-found")
        missing = sorted(players - found)
        have = len(players) - len(missing)
        return [
            Seen(
                unit="percent",
                value=100 * have / len(players),
                threshold=Fixed(at_least=self.at_least),
                detail=f"{have:,} of {len(players):,}",
                notes=(_without(missing),) if missing else (),
            )
        ]


def _without(missing: Sequence[str]) -> Finding:
    named = ", ".join(missing[:_NAMED])
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    return Finding(
        code="players-without-features",
        message=f"no features for {named}{more}",
        data={"players": list(missing), "count": len(missing)},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GradingCheck(Declared):
    """How much of a day is graded, by two definitions: of its predictions, and of its players.

    The query gives one row of four counts (see ``Counts``), the one for the history the day before them.
    ``of_predictions`` and ``of_players`` are the thresholds; one without limits only shows its share.
    """

    of_predictions: Threshold
    of_players: Threshold
    history: str | None
    calendar: Calendar

    def look(self, occasion: Occasion, deadline: Deadline) -> Sequence[Seen]:
        """As ``Check.look``: two shares, with what makes them differ."""
        found = self.source.rows(self.query, self.parameters(occasion), deadline)
        try:
            counts = Counts.of(rows.one_row(found, 4, self.name))
        except ValueError as error:
            raise SourceError(f"{self.name}: {error}", "invalid-response") from error
        return seen_both_ways(
            counts,
            (self.of_predictions, self._history(0, self.of_predictions, occasion, deadline)),
            (self.of_players, self._history(1, self.of_players, occasion, deadline)),
        )

    def _history(
        self, which: int, threshold: Threshold, occasion: Occasion, deadline: Deadline
    ) -> History | None:
        """The past of one of the two shares."""
        if self.history is None or not isinstance(threshold, ByHistory):
            return None
        window, days = _past(self, threshold, self.calendar, occasion)
        found = self.source.rows(self.history, days, deadline)
        return rows.history(found, window, 4, lambda values: Counts.of(values).shares[which], self.name)
