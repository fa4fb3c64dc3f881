"""Every verdict as one row of a SQLite file: what the gate said, when, and who went past it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

from drift_gate.policy.verdict import Verdict
from drift_gate.runtime import own_folder
from drift_gate.runtime.deadline import Deadline
from drift_gate.runtime.forks import CALLS

#: How long to wait for another writer, in seconds: a verdict must not hang on its own record. The second
#: is for a check that has used its time up: what it came to is worth a try.
_BUSY_S, _LAST_TRY_S = 1.0, 0.1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS decisions (
    id INTEGER PRIMARY KEY,
    decided_at TEXT NOT NULL,
    service TEXT NOT NULL,
    decision TEXT NOT NULL,
    enforced INTEGER NOT NULL,
    not_enforced_because TEXT,
    severity TEXT,
    status TEXT NOT NULL,
    commits_behind INTEGER,
    live_commit TEXT,
    target_commit TEXT,
    reasons TEXT NOT NULL,
    bypass_actor TEXT,
    bypass_reason TEXT,
    verdict TEXT NOT NULL
)
"""
_INSERT = """
INSERT INTO decisions (decided_at, service, decision, enforced, not_enforced_because, severity, status,
                       commits_behind, live_commit, target_commit, reasons, bypass_actor, bypass_reason,
                       verdict)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class DecisionsSink:
    """Appends verdicts to the table ``decisions`` of the SQLite file ``path``.

    ``clock`` gives the time of the decision (UTC). ``deadline`` is the check's, after which another
    writer is hardly waited for; None: a second is. ``write`` raises ``sqlite3.Error`` or ``OSError``
    where the file cannot be written; the gate warns and goes on.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime], deadline: Deadline | None = None) -> None:
        self._path = path
        self._clock = clock
        self._deadline = deadline or Deadline(_BUSY_S)
        self._least = _LAST_TRY_S

    def write(self, verdict: Verdict) -> None:
        """One row for ``verdict``; the column ``verdict`` keeps all of it as JSON."""
        own_folder.make(self._path.parent)
        patience = min(_BUSY_S, max(self._least, self._deadline.remaining()))
        self._least = 0.0  # one wait beyond the deadline, not one for each verdict
        # A fork in the middle of it would leave the child with locks that are not its own.
        with CALLS.one(), closing(sqlite3.connect(self._path, timeout=patience)) as connection, connection:
            connection.execute(_SCHEMA)
            connection.execute(_INSERT, _row(verdict, self._clock()))
        self._least = _LAST_TRY_S


def _row(verdict: Verdict, now: datetime) -> tuple[str | int | None, ...]:
    report, bypass = verdict.report, verdict.break_glass
    return (
        now.isoformat(),
        verdict.service,
        verdict.decision,
        verdict.enforced,
        verdict.not_enforced_because,
        verdict.severity,
        report.status,
        report.commits_behind,
        ", ".join(live.commit for live in report.live if live.commit) or None,
        report.target.commit if report.target else None,
        ", ".join(dict.fromkeys(reason.code for reason in verdict.reasons)),
        bypass.actor if bypass else None,
        bypass.reason if bypass else None,
        verdict.model_dump_json(),
    )
