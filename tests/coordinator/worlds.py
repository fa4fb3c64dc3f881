"""A small world that the real gate can judge, and verdicts made by hand."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from drift_gate.comparison.report import unknown_report
from drift_gate.facts import Unknown
from drift_gate.policy.verdict import Verdict

HEADER = "game_id,game_date,player_id,player_name,team,opponent,recent_points"
NOW = datetime(2026, 2, 5, 16, 0, tzinfo=UTC)
SETTINGS = """\
[defaults]
live = "ledger"
target_ref = "HEAD"
[journal]
store = ".drift/journal.sqlite"
[services.prediction-worker]
paths = ["/worker/"]
"""


class World:
    """A git repository with a ``drift.toml``, a folder ``worker`` and a ledger."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write_settings(self, text: str = SETTINGS) -> None:
        (self.root / "drift.toml").write_text(text, encoding="utf-8")

    def commit(self, subject: str) -> str:
        """A commit that changes the worker; its id."""
        worker = self.root / "worker" / "worker.py"
        worker.parent.mkdir(exist_ok=True)
        with worker.open("a", encoding="utf-8") as stream:
            stream.write(f"CHANGES = {subject!r}\n")
        self._git("add", "worker")
        self._git("-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "-q", "-m", subject)
        return self._git("rev-parse", "HEAD")

    def deploy(self) -> None:
        """The ledger says that HEAD is live."""
        entry = {
            "service": "prediction-worker",
            "commit": self._git("rev-parse", "HEAD"),
            "recorded_at": NOW.isoformat(),
        }
        ledger = self.root / ".drift" / "ledger.jsonl"
        ledger.parent.mkdir(exist_ok=True)
        ledger.write_text(json.dumps(entry) + "\n", encoding="utf-8")

    def fall_behind(self) -> None:
        """Four commits to the worker that nobody deploys: one more than the built-in policy allows."""
        for number in range(4):
            self.commit(f"change {number}")

    def _git(self, *args: str) -> str:
        done = subprocess.run(["git", *args], cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()


def a_verdict(decision: str = "allow", *, enforced: bool = True) -> Verdict:
    """A verdict as the front door returns it; what it reports plays no part."""
    report = unknown_report(
        "prediction-worker", "service", Unknown(cause="unavailable", message="made by hand")
    )
    return Verdict.model_validate(
        {
            "service": "prediction-worker",
            "decision": decision,
            "enforced": enforced,
            "not_enforced_because": None if enforced else "break-glass",
            "report": report,
        }
    )
