"""What of a decision stands in columns that a person may ask by, in every table that holds decisions."""

from __future__ import annotations

from datetime import UTC, datetime

from drift_gate.journal.records import Entry


def columns(entry: Entry) -> dict[str, str | int | None]:
    """The columns of ``entry``; ``verdict`` is all of it, as JSON."""
    verdict, report, bypass = entry.verdict, entry.verdict.report, entry.verdict.break_glass
    return {
        "id": entry.id,
        "decided_at": text(entry.at),
        "service": verdict.service,
        "door": entry.door,
        "by": entry.by,
        "batch": entry.batch,
        "version": entry.version,
        "look": entry.look,
        "decision": verdict.decision,
        "enforced": verdict.enforced,
        "not_enforced_because": verdict.not_enforced_because,
        "severity": verdict.severity,
        "status": report.status,
        "commits_behind": report.commits_behind,
        "live_commit": ", ".join(live.commit for live in report.live if live.commit) or None,
        "target_commit": report.target.commit if report.target else None,
        "reasons": ", ".join(dict.fromkeys(reason.code for reason in verdict.reasons)),
        "bypass_actor": bypass.actor if bypass else None,
        "bypass_reason": bypass.reason if bypass else None,
        "policy": verdict.policy.hash if verdict.policy else None,
        "verdict": verdict.model_dump_json(),
    }


def text(at: datetime) -> str:
    """``at`` as text that sorts as time does."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
