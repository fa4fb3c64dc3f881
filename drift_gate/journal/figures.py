"""What a period came to, in figures: out of incidents, decisions and looks. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise

from drift_gate.facts import Fact, Text
from drift_gate.journal.records import Entry, Incident

_WEEK = timedelta(days=7)


class Bypassed(Fact):
    """Who went past the gate, or softened it by an acknowledgement, and for what reason, so many times."""

    by: Text
    service: Text
    reason: Text | None
    times: int


class Figures(Fact):
    """The figures of the period from ``since`` to ``until``.

    ``watched``: the share of the services' time that somebody looked at, 0 to 1; None: no service is known.
    Durations are in seconds, None where no incident has one. An incident that a person marked as a false
    alarm, or that was over before it opened, counts in ``false_alarms`` or ``quiet`` alone. ``refusals``:
    batches that did not start, by service. ``interventions_a_week``: bypasses and new acknowledgements.
    ``drift_hours``: for each day (UTC) the hours that production was stale, summed over services; None:
    nobody looked, and no incident was going on.
    """

    since: datetime
    until: datetime
    services: tuple[Text, ...]
    watched: float | None
    incidents: int
    incidents_a_week: float
    quiet: int
    false_alarms: int
    mean_drift_age_s: float | None
    p90_drift_age_s: float | None
    mean_time_to_detect_s: float | None
    mean_time_to_resolve_s: float | None
    interventions_a_week: float
    refusals: Mapping[str, int]
    bypasses: tuple[Bypassed, ...]
    acknowledgements: int
    notifications_an_incident: float | None
    drift_hours: Mapping[date, float | None]


#: What a team wants to see beside its own figures, by field: at most that.
TARGETS: Mapping[str, float] = {
    "incidents_a_week": 0,
    "mean_drift_age_s": 7_200,
    "mean_time_to_detect_s": 7_200,
    "interventions_a_week": 1,
}


def met(told: Figures, name: str) -> bool | None:
    """Whether the figure ``name`` keeps its target; None: it has no value, or nobody looked at anything."""
    value: float | None = getattr(told, name)
    if value is None or not (told.watched or value):
        return None
    return value <= TARGETS[name]


def figures(
    since: datetime,
    until: datetime,
    *,
    incidents: Sequence[Incident],
    entries: Iterable[Entry],
    seen: Mapping[str, Sequence[datetime]],
    interval: timedelta,
    notifications: int = 0,
) -> Figures:
    """What the period from ``since`` to ``until`` came to.

    ``incidents``: those that were going on in it. ``entries``: its decisions. ``seen``: when each service was
    looked at, in order. ``interval``: how far apart looks should lie. ``notifications``: how many messages
    were sent about these incidents.
    """
    real = [each for each in incidents if each.opened_at and each.false_alarm is None]
    ages = sorted(_age(each, until) for each in real)
    weeks = (until - since) / _WEEK
    decisions = list(entries)
    bypasses = _bypasses(decisions)
    acknowledged = [each for each in incidents if _between(since, each.acknowledged_at, until)]
    interventions = sum(each.times for each in bypasses) + len(acknowledged)
    detected = [(each.detected_at - each.landed_at).total_seconds() for each in real if each.landed_at]
    resolved = [(each.resolved_at - each.detected_at).total_seconds() for each in real if each.resolved_at]
    return Figures(
        since=since,
        until=until,
        services=tuple(sorted(seen)),
        watched=_watched(seen, since, until, interval),
        incidents=len(real),
        incidents_a_week=len(real) / weeks,
        quiet=sum(each.opened_at is None for each in incidents),
        false_alarms=sum(each.false_alarm is not None for each in incidents),
        mean_drift_age_s=_mean(ages),
        p90_drift_age_s=ages[-(-len(ages) * 9 // 10) - 1] if ages else None,
        mean_time_to_detect_s=_mean(detected),
        mean_time_to_resolve_s=_mean(resolved),
        interventions_a_week=interventions / weeks,
        refusals=dict(sorted(Counter(each.verdict.service for each in decisions if _refused(each)).items())),
        bypasses=bypasses,
        acknowledgements=len(acknowledged),
        notifications_an_incident=notifications / len(real) if real else None,
        drift_hours=_drift_hours(real, seen.values(), since, until),
    )


def _refused(entry: Entry) -> bool:
    """Whether a batch did not start. What a monitor or a person is told stops none."""
    return entry.door == "start" and entry.verdict.refuses


def _between(since: datetime, at: datetime | None, until: datetime) -> bool:
    return at is not None and since <= at < until


def gaps(
    seen: Sequence[datetime], since: datetime, until: datetime, interval: timedelta
) -> Iterator[tuple[datetime, datetime]]:
    """The parts of ``since`` to ``until`` of which nothing is known: no look for twice the ``interval``.

    ``seen``: when somebody looked, in order.
    """
    inside = [at for at in seen if since <= at <= until]
    for one, other in pairwise((since, *inside, until)):
        if other - one > 2 * interval:
            yield one, other


def _watched(
    seen: Mapping[str, Sequence[datetime]], since: datetime, until: datetime, interval: timedelta
) -> float | None:
    whole = (until - since) * len(seen)
    if not whole:
        return None
    unwatched = sum(
        ((end - begin) for looks in seen.values() for begin, end in gaps(looks, since, until, interval)),
        timedelta(),
    )
    return 1 - unwatched / whole


def _age(incident: Incident, until: datetime) -> float:
    """For how long production was stale, as far as ``until``; in seconds."""
    return ((incident.resolved_at or until) - incident.began_at).total_seconds()


def _mean(numbers: Sequence[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None


def _bypasses(entries: Iterable[Entry]) -> tuple[Bypassed, ...]:
    told = Counter(
        (glass.actor, entry.verdict.service, glass.reason)
        for entry in entries
        if (glass := entry.verdict.break_glass) is not None and entry.door != "preflight"
    )
    return tuple(
        Bypassed(by=by, service=service, reason=reason, times=times)
        for (by, service, reason), times in told.most_common()
    )


def _drift_hours(
    incidents: Iterable[Incident], seen: Iterable[Sequence[datetime]], since: datetime, until: datetime
) -> dict[date, float | None]:
    looked = {at.date() for looks in seen for at in looks}
    hours = {day: 0.0 if day in looked else None for day in _days(since, until)}
    for incident in incidents:
        begin, end = max(incident.began_at, since), min(incident.resolved_at or until, until)
        for day in _days(begin, end):
            midnight = datetime.combine(day, datetime.min.time(), since.tzinfo)
            part = min(end, midnight + timedelta(days=1)) - max(begin, midnight)
            hours[day] = (hours[day] or 0.0) + max(part, timedelta()) / timedelta(hours=1)
    return hours


def _days(begin: datetime, end: datetime) -> Iterator[date]:
    """Each day that has a moment between the two; ``end`` is none."""
    day = begin.date()
    while datetime.combine(day, datetime.min.time(), begin.tzinfo) < end:
        yield day
        day += timedelta(days=1)
