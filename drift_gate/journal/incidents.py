"""Incidents out of decisions and looks: one pure function, so that they can be computed again at any time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import count
from types import MappingProxyType
from typing import Literal

from drift_gate.journal.records import Event, Incident, Look, Sighting, Transition
from drift_gate.policy.verdict import SEVERITIES, Severity

#: For how long after landing a drift is nobody's concern yet: a normal deploy takes minutes.
HOLD = timedelta(minutes=10)
NONE_BEGUN: Mapping[str, str] = MappingProxyType({})


def incidents(
    service: str,
    sightings: Iterable[Sighting],
    looks: Iterable[Look] = (),
    *,
    hold: timedelta = HOLD,
    begun: Mapping[str, str] = NONE_BEGUN,
    numbered: int = 0,
) -> list[Incident]:
    """The incidents of ``service``, the oldest first.

    ``sightings`` and ``looks`` may come in any order, several times, from several monitors: what counts is
    when each was made. ``hold``: how long after landing (undated: after it was found) a drift opens.

    ``begun``: the id of each incident that was known before, by the sighting that it began with then; it
    keeps its id with that sighting, whatever comes late. ``numbered``: how many ids of the service were
    given so far; the others get the next numbers.
    """
    found: list[_Course] = []
    for at, sighting in _steps(service, sightings, looks):
        going_on = bool(found) and found[-1].goes_on
        if sighting is not None and sighting.severity is not None:
            if not going_on:
                found.append(_Course(sighting, sighting.severity))
            # Of two that turn out to be one, the earlier was told to be over: it goes on as the later.
            found[-1].see(sighting, sighting.severity, hold, id=begun.get(sighting.id))
        elif going_on:
            found[-1].end(at, sighting)
    numbers = count(numbered + 1)
    return [course.named(service, numbers) for course in found]


def _steps(
    service: str, sightings: Iterable[Sighting], looks: Iterable[Look]
) -> list[tuple[datetime, Sighting | None]]:
    """Each sighting when it was made, and None where a monitor has stopped declaring the service."""
    unique = {each.id: each for each in sightings if each.service == service}
    steps: list[tuple[datetime, Sighting | None]] = [(each.at, each) for each in unique.values()]
    steps += [(at, None) for at in _undeclared(service, {look.id: look for look in looks}.values())]
    return sorted(steps, key=lambda step: (step[0], step[1] is None, step[1].id if step[1] else ""))


def _undeclared(service: str, looks: Iterable[Look]) -> Iterator[datetime]:
    """When a monitor that had declared ``service`` declared it no more."""
    declared: set[str] = set()
    for look in sorted(looks, key=lambda each: (each.at, each.id)):
        if service in look.declared:
            declared.add(look.scope)
        elif look.scope in declared:
            declared.discard(look.scope)
            yield look.at


class _Course:
    """The course of one incident, look by look."""

    def __init__(self, first: Sighting, severity: Severity) -> None:
        self._transitions: list[Transition] = []
        self.incident = Incident(
            id="",
            service=first.service,
            state="held",
            landed_at=first.landed_at,
            detected_at=first.at,
            seen_at=first.at,
            severity=severity,
        )
        self._add("held", first.at, first, severity)

    @property
    def goes_on(self) -> bool:
        return self.incident.state != "resolved"

    def named(self, service: str, numbers: Iterator[int]) -> Incident:
        """The incident, with the next of ``numbers`` where it has no id."""
        if not self.incident.id:
            self._change(id=f"{service}#{next(numbers)}")
        return self.incident

    def see(self, sighting: Sighting, severity: Severity, hold: timedelta, id: str | None) -> None:
        """Take in a look that finds drift of this ``severity``; ``id``: which an incident began with it."""
        was, worst = self.incident, max(self.incident.severity, severity, key=SEVERITIES.index)
        self._change(
            id=id or was.id,
            landed_at=min(
                # What landed after the drift was found cannot have been its beginning.
                (at for at in (was.landed_at, sighting.landed_at) if at and at <= was.detected_at),
                default=None,
            ),
            seen_at=sighting.at,
            severity=worst,
            codes=tuple(dict.fromkeys((*was.codes, *sighting.codes))),
            live_commits=sighting.live_commits,
            target=sighting.target or was.target,
        )
        if sighting.acknowledged:
            if was.state != "acknowledged":
                self._change(state="acknowledged", acknowledged_at=sighting.at)
                self._add("acknowledged", sighting.at, sighting, severity)
        elif was.state == "acknowledged" or (was.state == "held" and self._is_due(sighting, hold)):
            self._change(state="open", opened_at=was.opened_at or sighting.at)
            self._add("opened", sighting.at, sighting, severity)
        elif was.state == "open" and worst != was.severity:
            self._add("worsened", sighting.at, sighting, severity)

    def end(self, at: datetime, sighting: Sighting | None) -> None:
        """It is over: fixed as ``sighting`` says, or (None) nobody looks any more."""
        because: Literal["fixed", "undeclared"] = "fixed" if sighting else "undeclared"
        self._change(state="resolved", resolved_at=at, ended_because=because)
        if sighting:
            self._change(live_commits=sighting.live_commits, target=sighting.target or self.incident.target)
        self._add("resolved", at, sighting, None)

    def _is_due(self, sighting: Sighting, hold: timedelta) -> bool:
        return not sighting.rollout and sighting.at - self.incident.began_at >= hold

    def _add(self, event: Event, at: datetime, sighting: Sighting | None, severity: Severity | None) -> None:
        """Each event once more has a number: ``opened``, ``opened-2``."""
        times = 1 + sum(each.event == event for each in self._transitions)
        key = event if times == 1 else f"{event}-{times}"
        made_at = sighting.id if sighting else None
        self._transitions.append(Transition(event=event, key=key, at=at, sighting=made_at, severity=severity))
        self._change(transitions=tuple(self._transitions))

    def _change(self, **fields: object) -> None:
        self.incident = self.incident.model_copy(update=fields)
