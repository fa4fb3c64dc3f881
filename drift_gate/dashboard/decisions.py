"""What was decided: by whom, at which door, for which reasons; and who went past the gate. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from drift_gate.dashboard.rows import page_of
from drift_gate.facts import Fact, Text
from drift_gate.journal.records import Door, Entry
from drift_gate.policy.codes import Decision
from drift_gate.policy.verdict import Severity

#: How many of them a page shows.
SHOWN = 200
#: Which decisions are asked for: those at one door; ``asked``: all but the looks of monitors; ``all``.
Which = Literal["asked", "all", Door]


class Wanted(Fact):
    """What is asked for; "": any. ``days``: how far back. ``person``: who asked, or who went past the gate.

    ``only``: those that were refused, or those that went past the gate.
    """

    service: str = ""
    door: Which = "asked"
    code: str = ""
    person: str = ""
    only: Literal["", "refused", "bypassed"] = ""
    days: int = Field(default=7, ge=1, le=3650)

    @property
    def without(self) -> tuple[Door, ...]:
        """The doors whose decisions need not be read."""
        return ("monitor",) if self.door not in ("all", "monitor") else ()

    def fits(self, entry: Entry) -> bool:
        """Whether ``entry`` is one of those that are asked for, but for its time."""
        verdict, glass = entry.verdict, entry.verdict.break_glass
        people = [each for each in (entry.by, glass.actor if glass else None) if each]
        return all(
            (
                self.service in ("", verdict.service),
                self.door in ("asked", "all", entry.door),
                not self.code or any(reason.code == self.code for reason in verdict.reasons),
                not self.person or any(self.person.lower() in each.lower() for each in people),
                self.only != "refused" or (entry.door == "start" and verdict.refuses),
                self.only != "bypassed" or glass is not None,
            )
        )


class Decided(Fact):
    """One decision; ``bypass_by`` None: nobody went past the gate."""

    id: str
    at: datetime
    service: Text
    page: str
    decision: Decision
    enforced: bool
    not_enforced_because: str | None
    severity: Severity | None
    codes: tuple[str, ...]
    door: Door | None
    by: Text | None
    batch: str | None
    bypass_by: Text | None
    bypass_reason: Text | None
    other_target: Text | None

    @classmethod
    def of(cls, entry: Entry) -> Decided:
        """``entry``, in short."""
        verdict, glass = entry.verdict, entry.verdict.break_glass
        return cls(
            id=entry.id,
            at=entry.at,
            service=verdict.service,
            page=page_of(verdict.service),
            decision=verdict.decision,
            enforced=verdict.enforced,
            not_enforced_because=verdict.not_enforced_because,
            severity=verdict.severity,
            codes=tuple(dict.fromkeys(reason.code for reason in verdict.reasons)),
            door=entry.door,
            by=entry.by,
            batch=entry.batch,
            bypass_by=glass.actor if glass else None,
            bypass_reason=glass.reason if glass else None,
            other_target=entry.other_target,
        )


class Decisions(Fact):
    """The newest decisions that are ``wanted``, at most ``SHOWN``; ``found`` is how many there are.

    ``services``, ``codes``: what there is to choose from.
    """

    schema_version: int = 1
    at: datetime
    wanted: Wanted
    since: datetime
    found: int
    decisions: tuple[Decided, ...]
    services: tuple[Text, ...]
    codes: tuple[str, ...]


def fitting(entries: Iterable[Entry], wanted: Wanted) -> list[Entry]:
    """Those of ``entries`` that are ``wanted``."""
    return [each for each in entries if wanted.fits(each)]


def decisions(
    entries: Sequence[Entry], services: Iterable[str], wanted: Wanted, since: datetime, now: datetime
) -> Decisions:
    """The page at ``now``. ``entries``: those since ``since``, the newest first. ``services``: all names."""
    found = fitting(entries, wanted)
    codes = {reason.code for each in entries for reason in each.verdict.reasons}
    return Decisions(
        at=now,
        wanted=wanted,
        since=since,
        found=len(found),
        decisions=tuple(map(Decided.of, found[:SHOWN])),
        services=tuple(sorted({*services, *(each.verdict.service for each in entries)})),
        codes=tuple(sorted(codes | ({wanted.code} - {""}))),
    )


def begin(wanted: Wanted, now: datetime) -> datetime:
    """From when on."""
    return now - timedelta(days=wanted.days)
