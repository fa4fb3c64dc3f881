"""The alerts look for what the coordinator's own log says."""

from __future__ import annotations

import re
import time

import pytest
import yaml
from ops.morning import ADA, COORDINATOR, SCHEDULER, Morning
from ops.pages import matches, verdicts
from ops.stand_ins import DEPLOY


class TestAlerts:
    def filter(self, name: str) -> str:
        read = yaml.safe_load((DEPLOY / "alerts" / f"{name}.yaml").read_text())
        (condition,) = read["conditions"]
        assert read["displayName"] == f"drift gate: {name}"
        return str(condition["conditionMatchedLog"]["filter"])

    @pytest.mark.heavy
    def test_a_denial_is_told_and_a_bypass_too(self, today: Morning) -> None:
        """Each by its own alert, from the coordinator's own log; an allowed start by none."""
        today.call(SCHEDULER, {"game_date": "TODAY", "dry_run": True})
        allowed = verdicts(today)[-1]
        today.fall_behind()
        today.call(SCHEDULER, {"game_date": "TODAY", "dry_run": True})
        denied = verdicts(today)[-1]
        before = len(verdicts(today))
        today.call(ADA, {"game_date": "TODAY", "dry_run": True, "skip_drift_check": True})
        while len(verdicts(today)) == before:  # what a bypass has overridden is told beside its answer
            time.sleep(0.02)
        bypassed = verdicts(today)[-1]
        entries = (allowed, denied, bypassed)
        assert [matches(self.filter("denied"), entry) for entry in entries] == [False, True, False]
        assert [matches(self.filter("bypassed"), entry) for entry in entries] == [False, False, True]

    def test_silence_is_26_hours_within_what_is_looked_back_on(self) -> None:
        read = yaml.safe_load((DEPLOY / "alerts" / "silent.yaml").read_text())
        condition = read["conditions"][0]["conditionPrometheusQueryLanguage"]
        (hours,) = re.findall(r"^absent_over_time\(.*\[(\d+)h\]\)$", condition["query"])
        held = int(condition["duration"].rstrip("s"))
        assert int(hours) * 3600 + held == 26 * 3600
        assert int(hours) <= 25
        metric = re.search(r"user_(\w+)\{", condition["query"])
        assert metric
        assert f"METRIC={metric[1]}\n" in (DEPLOY / "5-alerts.sh").read_text()

    @pytest.mark.heavy
    def test_what_is_counted_is_each_verdict(self, today: Morning) -> None:
        today.paste("deploy/5-alerts.sh")
        (call,) = [call for call in today.shell.calls() if call[:3] == ["logging", "metrics", "create"]]
        (query,) = [word for word in call if word.startswith("--log-filter=")]
        today.call(SCHEDULER, {"game_date": "TODAY", "dry_run": True})
        assert all(matches(query, entry) for entry in verdicts(today))
        assert f'service_name="{COORDINATOR}"' in query
