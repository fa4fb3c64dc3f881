"""Every verdict as one structured log line: a JSON object on the logger ``drift_gate.verdict``."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

from drift_gate.policy.codes import Decision
from drift_gate.policy.verdict import Verdict

log = logging.getLogger("drift_gate.verdict")

_LEVELS: dict[Decision, int] = {"allow": logging.INFO, "warn": logging.WARNING, "deny": logging.ERROR}


class LogSink:
    """Writes verdicts to the log: allow as INFO, warn and a bypass as WARNING, an enforced deny as ERROR."""

    def write(self, verdicts: Sequence[Verdict]) -> None:
        """One line for each of ``verdicts``."""
        for verdict in verdicts:
            level = _LEVELS[verdict.decision] if verdict.enforced else logging.WARNING
            log.log(level, "%s", json.dumps(_line(verdict), default=str))


def _line(verdict: Verdict) -> dict[str, object]:
    report = verdict.report
    return {
        "event": "drift_verdict",
        "service": verdict.service,
        "decision": verdict.decision,
        "enforced": verdict.enforced,
        "not_enforced_because": verdict.not_enforced_because,
        "drift_severity": verdict.severity,
        "status": report.status,
        "commits_behind": report.commits_behind,
        "commits_ahead": report.commits_ahead,
        "drift_age_s": report.drift_age_s,
        "live": [
            {"revision": live.revision, "percent": live.percent, "commit": live.commit}
            for live in report.live
        ],
        "target": report.target.commit if report.target else None,
        "reasons": [{"code": reason.code, "decision": reason.decision} for reason in verdict.reasons],
        "unknown": report.unknown.cause if report.unknown else None,
        "policy": verdict.policy.model_dump(mode="json") if verdict.policy else None,
        "break_glass": verdict.break_glass.model_dump(mode="json") if verdict.break_glass else None,
    }
