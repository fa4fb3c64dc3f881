"""All services at one look, the worst first, and whether anybody looked. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from drift_gate.dashboard.rows import STANDINGS, Place, Row, Standing, looked, row
from drift_gate.facts import Fact
from drift_gate.journal.records import Entry, Incident

#: What is declared no more, and was looked at longer ago than this, is history.
_FORMER = timedelta(days=30)


class Fleet(Fact):
    """The fleet at a moment (``at``, UTC).

    ``services``: what is declared, and what somebody looks at though it is not declared here; the worst
    first. ``former``: what was looked at within the last days and is neither. ``looked``: at how many
    services somebody looked within twice ``interval_s`` seconds; ``last_look_at``: when at any, None: never.
    ``error``: why all of this says nothing; None: it says something.
    """

    schema_version: int = 1
    at: datetime
    interval_s: int
    services: tuple[Row, ...]
    former: tuple[Row, ...]
    looked: int
    last_look_at: datetime | None
    error: str | None

    @property
    def counts(self) -> Mapping[Standing, int]:
        """How many services stand how, the worst first; those that none does are left out."""
        told = Counter(each.standing for each in self.services)
        return {standing: told[standing] for standing in STANDINGS if told[standing]}


def fleet(
    latest: Sequence[Entry],
    unresolved: Sequence[Incident],
    places: Mapping[str, Place],
    *,
    interval: timedelta,
    now: datetime,
) -> Fleet:
    """The fleet at ``now``.

    ``latest``: of each service that the journal knows the newest decision. ``unresolved``: the incidents that
    go on. ``places``: the services that the settings declare. ``interval``: how far apart looks should lie.
    """
    newest = {each.verdict.service: each for each in latest}
    incidents = {each.service: each for each in reversed(unresolved)}
    rows = [
        row(
            name,
            newest.get(name),
            place=places.get(name),
            incident=incidents.get(name),
            interval=interval,
            now=now,
        )
        for name in dict.fromkeys([*places, *newest])
    ]
    rows.sort(key=lambda each: each.rank)
    known = [each for each in rows if each.declared or each.standing != "unlooked"]
    others = (each for each in rows if not each.declared and each.standing == "unlooked")
    former = [each for each in others if each.looked_at and now - each.looked_at < _FORMER]
    looks = [each.looked_at for each in known if each.looked_at]
    return Fleet(
        at=now,
        interval_s=int(interval.total_seconds()),
        services=tuple(known),
        former=tuple(former),
        looked=sum(looked(at, interval, now) for at in looks),
        last_look_at=max(looks, default=None),
        error=_error(known, looks),
    )


def _error(known: Sequence[Row], looks: Sequence[datetime]) -> str | None:
    if not known:
        return "no service is declared, and nobody looked at any: there is nothing to show"
    if not looks:
        return "nobody has looked at any service yet: run deployment-drift monitor --once"
    return None
