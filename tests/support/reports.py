"""Reports made by hand, for tables of verdicts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from drift_gate.comparison.report import DriftReport, LiveReport, Status
from drift_gate.facts import Finding, Target, Unknown
from drift_gate.policy.verdict import Policy

NOW = datetime(2026, 2, 5, 16, 37, tzinfo=UTC)
LIVE, TARGET = "a" * 40, "b" * 40
HOUR = 3600
POLICY = Policy()


def live(behind: int = 0, ahead: int = 0, age: int | None = None, **more: Any) -> LiveReport:
    """A revision that lacks and has so many commits; ``age`` in seconds dates what it lacks.

    ``dropped`` are relevant files that differ though none of these commits changes them.
    """
    dropped: tuple[str, ...] = more.pop("dropped", ())
    differs = bool(behind or ahead or dropped)
    status: Status = "identical"
    if differs:
        status = "behind" if behind and not ahead else "ahead" if ahead and not behind else "diverged"
    return LiveReport(
        revision=more.pop("revision", "worker-1"),
        percent=more.pop("percent", 100),
        status=status,
        commit=more.pop("commit", LIVE if differs else TARGET),
        commits_behind=behind,
        commits_ahead=ahead,
        commits_neutral=0,
        content_differs=differs,
        unaccounted=dropped[:20],
        unaccounted_count=len(dropped),
        drift_age_s=age if behind else (0 if status == "identical" else None),
        **more,
    )


def unread(cause: Any = "timeout", revision: str = "worker-2") -> LiveReport:
    """A revision of which nothing is known."""
    unknown = Unknown(cause=cause, message=f"{cause}, it says", retryable=True)
    return LiveReport(revision=revision, percent=50, status="unknown", unknown=unknown)


def report(*lives: LiveReport, codes: tuple[str, ...] = ()) -> DriftReport:
    """The report on these revisions, with a finding for each of ``codes``."""
    unknown = next((each.unknown for each in lives if each.unknown), None)
    return DriftReport(
        service="worker",
        kind="service",
        status="unknown" if unknown else lives[0].status,
        target=Target(ref="refs/heads/main", commit=TARGET, confirmed_at=NOW),
        live=lives,
        unknown=unknown,
        findings=tuple(Finding(code=code, message=code) for code in codes),
    )
