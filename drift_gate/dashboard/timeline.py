"""How stale one service was over a period, and what happened meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal, NamedTuple

from drift_gate.facts import Fact, Text
from drift_gate.journal.figures import gaps
from drift_gate.journal.records import Entry, Incident, Sighting, Transition
from drift_gate.policy.verdict import Severity, duration

#: What is marked: another commit was live; a batch did not start; one was started past the gate.
Kind = Literal["deploy", "refusal", "bypass"]
#: What else a list of all that happened has.
Happened = Literal["deploy", "refusal", "bypass", "incident", "not looked"]
#: Two looks date the same landing to the second, but for rounding.
_SAME = timedelta(minutes=2)


class Point(Fact):
    """For how many seconds production had been stale at a moment."""

    at: datetime
    stale_s: int


class Span(Fact):
    """A part of the period."""

    begin: datetime
    end: datetime


class Mark(Fact):
    """Something that happened at a moment, in words."""

    at: datetime
    kind: Kind
    text: Text


class Lasting(Fact):
    """An incident as a part of the period; ``opened``: whether people had to be told."""

    id: str
    begin: datetime
    end: datetime
    severity: Severity
    opened: bool
    goes_on: bool


class Happening(Fact):
    """A line of the list of all that happened."""

    at: datetime
    kind: Happened
    text: Text


class Timeline(Fact):
    """The period from ``since`` to ``until``.

    ``stretches``: lines of points, each as long as somebody looked and knew; ``unknown``: when somebody
    looked and could not tell; ``unwatched``: when nobody looked. ``limit_s``: the age that the policy
    tolerates; None: any.
    """

    since: datetime
    until: datetime
    stretches: tuple[tuple[Point, ...], ...]
    unknown: tuple[Span, ...]
    unwatched: tuple[Span, ...]
    marks: tuple[Mark, ...]
    incidents: tuple[Lasting, ...]
    limit_s: float | None

    @property
    def most_s(self) -> int:
        """The longest that production had been stale."""
        return max((point.stale_s for stretch in self.stretches for point in stretch), default=0)


def timeline(
    entries: Sequence[Entry],
    incidents: Sequence[Incident],
    since: datetime,
    until: datetime,
    *,
    interval: timedelta,
    limit_s: float | None,
) -> Timeline:
    """The period of one service, out of its decisions and incidents, both the newest first.

    ``interval``: how far apart looks should lie. ``limit_s`` as in ``Timeline``.
    """
    seen = [(entry, told) for entry in reversed(entries) if (told := Sighting.of(entry))]
    looks = [told for _, told in seen]
    return Timeline(
        since=since,
        until=until,
        stretches=tuple(_stretches(looks, until, interval)),
        unknown=tuple(_unknown(looks, until, interval)),
        unwatched=tuple(
            Span(begin=begin, end=end)
            for begin, end in gaps([each.at for each in looks], since, until, interval)
        ),
        marks=tuple(sorted([*_deploys(seen), *_asked(entries)], key=lambda each: each.at)),
        incidents=tuple(
            Lasting(
                id=each.id,
                begin=max(each.began_at, since),
                end=min(each.resolved_at or until, until),
                severity=each.severity,
                opened=each.opened_at is not None,
                goes_on=each.resolved_at is None,
            )
            for each in reversed(incidents)
        ),
        limit_s=limit_s,
    )


class _Known(NamedTuple):
    """A look that could tell: since when production was stale; None: it was not."""

    at: datetime
    since: datetime | None

    def age(self, at: datetime) -> int:
        return 0 if self.since is None else max(0, int((at - self.since).total_seconds()))


def _stretches(
    looks: Sequence[Sighting], until: datetime, interval: timedelta
) -> Iterator[tuple[Point, ...]]:
    stretch: list[Point] = []
    last: _Known | None = None
    for look in looks:
        if last and look.at - last.at > 2 * interval:
            yield (*stretch, Point(at=last.at, stale_s=last.age(last.at)))
            stretch, last = [], None
        if look.status == "unknown":
            if last:
                yield (*stretch, Point(at=look.at, stale_s=last.age(look.at)))
            stretch, last = [], None
            continue
        now = _known(look, last)
        stretch += _between(last, now)
        last = now
    if last:
        end = until if until - last.at <= 2 * interval else last.at
        yield (*stretch, Point(at=end, stale_s=last.age(end)))


def _known(look: Sighting, last: _Known | None) -> _Known:
    """What nothing dates is as old as the first look that found it."""
    if look.severity is None:
        return _Known(look.at, None)
    if look.landed_at:
        return _Known(look.at, look.landed_at)
    return _Known(look.at, (last.since if last else None) or look.at)


def _between(last: _Known | None, now: _Known) -> Iterator[Point]:
    """The corners of the line from ``last`` to ``now``; none where it goes straight on."""
    if last is None:
        yield Point(at=now.at, stale_s=now.age(now.at))
    elif last.since is None and now.since is not None and last.at <= now.since:
        yield Point(at=now.since, stale_s=0)
    elif (last.since is None) != (now.since is None) or (
        last.since and now.since and abs(last.since - now.since) > _SAME
    ):
        yield Point(at=now.at, stale_s=last.age(now.at))
        yield Point(at=now.at, stale_s=now.age(now.at))


def _unknown(looks: Sequence[Sighting], until: datetime, interval: timedelta) -> Iterator[Span]:
    """From a look that could not tell to the next one; nobody looked where that is too far."""
    begin: datetime | None = None
    for look, after in pairwise([*looks, None]):
        if look is None or look.status != "unknown":
            continue
        begin = begin or look.at
        end = after.at if after else until
        if end - look.at > 2 * interval:
            end = look.at
        if after is None or after.status != "unknown" or end == look.at:
            yield Span(begin=begin, end=end)
            begin = None


def _deploys(seen: Sequence[tuple[Entry, Sighting]]) -> Iterator[Mark]:
    known = [each for each in seen if each[1].live_commits]
    for (_, before), (entry, now) in pairwise(known):
        if set(before.live_commits) == set(now.live_commits):
            continue
        made = [each.created_at for each in entry.verdict.report.live if each.created_at]
        at = next((each for each in made if before.at < each <= now.at), now.at)
        runs, ran = (", ".join(each[:12] for each in one.live_commits) for one in (now, before))
        yield Mark(at=at, kind="deploy", text=f"{runs} went live, in place of {ran}")


def _asked(entries: Sequence[Entry]) -> Iterator[Mark]:
    for entry in entries:
        glass, codes = entry.verdict.break_glass, ", ".join(entry.verdict.denials)
        if glass is not None and entry.door != "preflight":
            reason = glass.reason or "no reason given"
            yield Mark(at=entry.at, kind="bypass", text=f"bypassed by {glass.actor}: {reason}")
        elif entry.door == "start" and entry.verdict.refuses:
            yield Mark(at=entry.at, kind="refusal", text=f"a batch was refused: {codes or 'unknown-drift'}")


def happenings(told: Timeline, incidents: Sequence[Incident]) -> list[Happening]:
    """All that happened within the period, the newest first."""
    lines = [Happening(at=each.at, kind=each.kind, text=each.text) for each in told.marks]
    lines += [
        Happening(at=transition.at, kind="incident", text=_said(each, transition))
        for each in incidents
        for transition in each.transitions
        if transition.event != "held" and told.since <= transition.at
    ]
    lines += [
        Happening(
            at=each.begin,
            kind="not looked",
            text=f"nobody looked for {duration((each.end - each.begin).total_seconds() // 60 * 60)}",
        )
        for each in told.unwatched
    ]
    return sorted(lines, key=lambda each: (each.at.astimezone(UTC), each.text), reverse=True)


def _said(incident: Incident, transition: Transition) -> str:
    severity = f", {transition.severity}" if transition.severity else ""
    lasted = ""
    if transition.event == "resolved":
        lasted = f" after {duration((transition.at - incident.began_at).total_seconds() // 60 * 60)}"
    return f"{incident.id} {transition.event}{severity}{lasted}"
