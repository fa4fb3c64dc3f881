"""Decisions and looks made by hand, and each store that keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from support.limits import ENOUGH_S
from support.reports import HOUR, POLICY, live, report, unread

from drift_gate.journal.firestore import Database, FirestoreJournal
from drift_gate.journal.records import Door, Entry, Look
from drift_gate.policy.verdict import BreakGlass, JudgedBy, Verdict, judge

MONDAY = datetime(2026, 2, 2, 8, tzinfo=UTC)
SERVICE = "prediction-worker"


def at(hours: float) -> datetime:
    """So many hours after Monday, eight o'clock."""
    return MONDAY + timedelta(hours=hours)


def verdict(behind: int | None, age_h: float = 1.0, service: str = SERVICE) -> Verdict:
    """What the built-in policy says of so many missing commits; None: it could not be determined."""
    lives = [unread()] if behind is None else [live(behind, age=int(age_h * HOUR))]
    found = report(*lives)
    told = found.model_copy(
        update={"service": service, "drift_age_s": lives[0].drift_age_s, "commits_behind": behind}
    )
    return judge(told, POLICY, MONDAY)


def entry(
    hours: float, behind: int | None = 0, service: str = SERVICE, *, door: Door = "check", **more: Any
) -> Entry:
    """A decision so many hours after Monday, eight o'clock."""
    age_h = more.pop("age_h", 1.0)
    made: dict[str, Any] = {
        "id": f"{service} {hours} {door}",
        "at": at(hours),
        "door": door,
        "by": "ann",
        "version": "1.0",
        "verdict": verdict(behind, age_h, service),
    }
    return Entry(**made | more)


def bypassed(hours: float, behind: int = 4) -> Entry:
    """A batch that was started past the gate."""
    glass = BreakGlass(
        actor="bob", reason="the fix is in", at=at(hours), until=None, via="--skip-drift-check"
    )
    return entry(hours, door="start", verdict=verdict(behind).bypassed(glass))


def elsewhere(hours: float, target: str = "release") -> Entry:
    """A service that is as it should be by another target than the declared one."""
    judged = JudgedBy(file="drift.toml", hash="sha256:1", overrides={"DRIFT_TARGET_REF": target})
    return entry(hours, verdict=verdict(0).model_copy(update={"policy": judged}))


def look(hours: float, declared: Sequence[str] = (SERVICE,), *, scope: str = "monitor", **more: Any) -> Look:
    """A monitor's look at what it declares."""
    made: dict[str, Any] = {
        "id": f"{scope} {hours}",
        "at": at(hours),
        "by": "monitor-1",
        "scope": scope,
        "declared": tuple(declared),
        "read": tuple(declared),
    }
    return Look(**made | more)


def firestore(emulator: str) -> FirestoreJournal:
    """An empty journal of a project of its own."""
    return FirestoreJournal(Database(f"p{uuid4().hex[:12]}", emulator=emulator), busy_s=ENOUGH_S)
