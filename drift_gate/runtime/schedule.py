"""When something is due that is done again and again, within the hours of a day in some time zone. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

DAY, LEAST = timedelta(days=1), timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Due each day in ``zone`` when its clocks show ``opens``, and ``every`` so long again until ``closes``.

    Both are times since midnight, as clocks show them; ``closes`` itself counts. ``every`` is real time:
    where clocks change in between, no pause is longer than it, and an hour that clocks skip or show twice is
    within the hours as they show it. Raises ``ValueError`` where the hours end before they begin, and where
    ``every`` is shorter than a minute or longer than a day.
    """

    every: timedelta
    opens: timedelta = timedelta(0)
    closes: timedelta = DAY
    zone: tzinfo = UTC

    def __post_init__(self) -> None:
        if not timedelta(0) <= self.opens < self.closes <= DAY:
            raise ValueError("the hours of a day end after they begin, and at 24:00 at the latest")
        if not LEAST <= self.every <= DAY:
            raise ValueError("it is due at least once a day and at most once a minute: give 1m to 24h")

    def after(self, now: datetime) -> datetime:
        """The first time after ``now`` (with a zone) that it is due, in UTC."""
        today = now.astimezone(self.zone).date()
        while True:
            # Where clocks are set back to midnight, the hours of two days overlap.
            days = (today - DAY, today, today + DAY)
            if coming := [due for day in days for due in self._of(day) if due > now]:
                return min(coming)
            today += DAY

    def _of(self, day: date) -> Iterator[datetime]:
        """Each time of ``day``, in order."""
        midnight = datetime.combine(day, time())
        due, last = min(self._shown(midnight + self.opens)), max(self._shown(midnight + self.closes))
        while due <= last:
            since = due.astimezone(self.zone).replace(tzinfo=None) - midnight
            if self.opens <= since <= self.closes:
                yield due
            due += self.every

    def _shown(self, clock: datetime) -> list[datetime]:
        """When clocks show ``clock``: twice where they are set back, and about then where they skip it."""
        return [clock.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
