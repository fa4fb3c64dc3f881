"""What a monitor saw, in lines for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from drift_gate.journal.looks import Seen
from drift_gate.journal.records import Change
from drift_gate.policy.freezes import CODE
from drift_gate.policy.verdict import Reason, Verdict, duration
from drift_gate.presentation.plain_text import plain


def lines(seen: Seen) -> Iterator[str]:
    """How many services were read, why the others were not, and what changed about incidents."""
    yield f"{seen.look.at:%Y-%m-%d %H:%M} UTC: {_looked(seen)}"
    for verdict in seen.outcome.services:
        if unknown := verdict.report.unknown:
            yield plain(f"{verdict.service}: not read: {unknown.cause}: {unknown.message}")
    frozen = {each.service: reason for each in seen.outcome.services if (reason := _freeze(each))}
    yield from (plain(f"{name}: {reason.message}") for name, reason in frozen.items())
    yield from (plain(_changed(each)) for each in seen.changes if each.incident.service not in frozen)


def _freeze(verdict: Verdict) -> Reason | None:
    """The note of a freeze that is on for the service; None: none is."""
    return next((each for each in verdict.reasons if each.code == CODE), None)


def _looked(seen: Seen) -> str:
    declared, read = len(seen.look.declared), len(set(seen.look.declared) & set(seen.look.read))
    services = f"service{'' if declared == 1 else 's'}"
    count = f"{declared:,} {services}" if seen.look.whole else f"only {read:,} of {declared:,} {services}"
    return f"looked at {count}, {_decisions(seen.outcome.services)}"


def _decisions(verdicts: tuple[Verdict, ...]) -> str:
    """``12 allow, 1 deny``."""
    told = [each.decision for each in verdicts]
    return ", ".join(f"{told.count(word):,} {word}" for word in dict.fromkeys(told))


def _changed(change: Change) -> str:
    incident, event = change.incident, change.transition.event
    said = f"{incident.service}: incident {incident.id} {_EVENTS[event]}"
    if event == "resolved":
        lasted = duration((change.transition.at - incident.began_at).total_seconds())
        why = "" if incident.ended_because == "fixed" else ", as it is declared no more"
        return f"{said} after {lasted}{why}"
    severity = change.transition.severity or incident.severity
    return f"{said}, {severity}, since {incident.began_at:%Y-%m-%d %H:%M} UTC: {', '.join(incident.codes)}"


#: What is said of each event.
_EVENTS = {
    "held": "found, and held",
    "opened": "opened",
    "worsened": "worsened",
    "acknowledged": "acknowledged",
    "resolved": "resolved",
}
