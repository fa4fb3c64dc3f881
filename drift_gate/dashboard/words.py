"""The answers in one sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from drift_gate.dashboard.decisions import Which
from drift_gate.dashboard.fleet import Fleet
from drift_gate.dashboard.pages import span
from drift_gate.dashboard.rows import Row, Standing
from drift_gate.dashboard.service import Service
from drift_gate.journal.records import Door
from drift_gate.presentation.render import counted

STANDING: Mapping[Standing, str] = {
    "denied": "denied",
    "unknown": "unknown",
    "unlooked": "not looked at",
    "lifted": "denied, not enforced",
    "warned": "warned",
    "current": "current",
}

#: What may be chosen on the page of decisions, as it stands in the address.
DOORS: Mapping[Which, str] = {
    "asked": "all but monitors",
    "all": "all",
    **{door: door for door in get_args(Door)},
}
OUTCOMES = {"": "anything", "refused": "a batch was refused", "bypassed": "the gate was bypassed"}


def headline(told: Fleet) -> tuple[str, Standing]:
    """The answer in one sentence, and the standing whose colour it has."""
    many, counts = len(told.services), told.counts
    of = f"{many:,} service{'' if many == 1 else 's'}"
    if told.error:
        return told.error[:1].upper() + told.error[1:], "unknown"
    if not told.looked:
        return f"Nobody looked lately: how the {of} stand is not known", "unlooked"
    if bad := counts.get("denied", 0):
        return f"{bad:,} of {of} {'is' if bad == 1 else 'are'} denied", "denied"
    if unknown := counts.get("unknown", 0) + counts.get("unlooked", 0):
        return f"How {unknown:,} of {of} {'stands' if unknown == 1 else 'stand'} is not known", "unknown"
    if lifted := counts.get("lifted", 0):
        return f"{lifted:,} of {of} {'is' if lifted == 1 else 'are'} denied, and not enforced", "lifted"
    if warned := counts.get("warned", 0):
        return f"None of {of} is denied; {warned:,} {'lacks' if warned == 1 else 'lack'} something", "warned"
    return f"All {of} run what they should" if many > 1 else "The service runs what it should", "current"


def sentence(told: Service) -> str:
    """How a service stands, as far as the last look says."""
    row = told.row
    if row.looked_at is None:
        return "Nothing is known of it."
    if row.status == "unknown":
        return f"It could not be determined what it runs: {row.why}"
    said = _said(row, told)
    return f"When somebody looked last: {said}" if row.standing == "unlooked" else said


def _said(row: Row, told: Service) -> str:
    if row.commits_behind:
        since = f", the oldest for {span((told.at - row.since).total_seconds())}" if row.since else ""
        return f"It lacks {counted(row.commits_behind, 'commit')} of what it should run{since}."
    if row.status == "identical":
        return "It runs the code that it should." + (
            f" And yet: {row.why}" if row.decision != "allow" else ""
        )
    return f"It is {row.status}: {row.why}"


def summary(told: Service) -> str:
    """The timeline in words."""
    most = told.timeline.most_s
    worst = f"At most {span(most)} stale" if most else "Never stale, as far as anybody looked"
    return f"{worst}; {counted(len(told.incidents), 'incident')}."
