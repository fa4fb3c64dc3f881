"""A small world that the real gate can judge, and verdicts made by hand."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

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
        shutil.copytree(_begun().name, root, copy_function=shutil.copyfile)

    def write_settings(self, text: str = SETTINGS) -> None:
        (self.root / "drift.toml").write_text(text, encoding="utf-8")

    def commit(self, subject: str) -> str:
        """A commit that changes the worker; its id."""
        with (self.root / "worker" / "worker.py").open("a", encoding="utf-8") as stream:
            stream.write(f"CHANGES = {subject!r}\n")
        subprocess.run(["git", "commit", "-qam", subject], cwd=self.root, check=True)
        return self._tip()

    def deploy(self) -> None:
        """The ledger says that HEAD is live."""
        entry = {
            "service": "prediction-worker",
            "commit": self._tip(),
            "recorded_at": NOW.isoformat(),
        }
        ledger = self.root / ".drift" / "ledger.jsonl"
        ledger.parent.mkdir(exist_ok=True)
        ledger.write_text(json.dumps(entry) + "\n", encoding="utf-8")

    def fall_behind(self) -> None:
        """Four commits to the worker that nobody deploys: one more than the built-in policy allows."""
        for number in range(4):
            self.commit(f"change {number}")

    def _tip(self) -> str:
        return (self.root / ".git" / "refs" / "heads" / "main").read_text(encoding="utf-8").strip()


@cache
def _begun() -> TemporaryDirectory[str]:
    """What each world begins as: a worker of one commit that is deployed."""
    made = TemporaryDirectory()
    settings = {"user.name": "T", "user.email": "t@example.com", "maintenance.auto": "false"}
    lines = [
        ["init", "-q", "-b", "main", "--template="],
        *(["config", *each] for each in settings.items()),
        ["add", "worker"],
        ["commit", "-qm", "first"],
    ]
    root = Path(made.name)
    (root / "worker").mkdir()
    (root / "worker" / "worker.py").write_text("CHANGES = 'first'\n", encoding="utf-8")
    for line in lines:
        subprocess.run(["git", *line], cwd=root, check=True)
    return made


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
