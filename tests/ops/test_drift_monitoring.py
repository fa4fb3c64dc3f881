"""``setup-drift-monitoring.sh``: what it makes, what it takes away again, and the look that it waits for."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
import yaml
from ops.asked_google import google, unknown
from ops.conftest import TOML, Team, team_in
from ops.stand_ins import DEPLOY, ROOT

from drift_gate.runtime.schedule import Schedule

SCRIPT = Path("bin", "infrastructure", "setup-drift-monitoring.sh")
FUNCTION = Path("cloud_functions", "deployment_drift_monitor")
MEMBER = "--member=serviceAccount:deployment-drift-monitor@example-project.iam.gserviceaccount.com"
SETTINGS = TOML.replace("[defaults]", '[journal]\nstore = "firestore://example-project"\n[defaults]')


@pytest.fixture
def monitored(team: Team) -> Team:
    return watched(team)


class Runs(NamedTuple):
    """What is shown of a first run, and what gcloud is called with in it, a second one, and a removal."""

    shown: list[list[str]]
    first: list[list[str]]
    second: list[list[str]]
    removal: list[list[str]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    team = watched(team_in(tmp_path_factory.mktemp("runs")))
    shown = calls(team, "--dry-run")
    assert team.shell.calls() == []
    return Runs(shown, calls(team), calls(team), calls(team, "--remove"))


def watched(team: Team) -> Team:
    """One whose repository has the function and the library as well, and a journal that lasts."""
    files = {str(path): (ROOT / path).read_text() for path in (SCRIPT, FUNCTION / "main.py")}
    files[str(FUNCTION / "requirements.txt")] = "functions-framework==3.10.2\n"
    files |= {f"{name}/module.py": "" for name in ("drift_gate", "shared", "predictions", "tests")}
    team.repository.commit({**files, "drift.toml": SETTINGS}, subject="Watch")
    team.repository.check_out("main")
    return team


def setup(team: Team, *args: str, check: bool = True) -> str:
    """Run the script; what it printed."""
    return team.script(team.repository.path / SCRIPT, *args, check=check)


def calls(team: Team, *args: str, **settings: str) -> list[list[str]]:
    """What gcloud is called with, or would be."""
    team.shell.forget()
    printed = team.script(team.repository.path / SCRIPT, *args, settings=settings)
    if "--dry-run" in args:
        return [shlex.split(line)[1:] for line in printed.splitlines()]
    return team.shell.calls()


def changes(told: list[list[str]]) -> list[list[str]]:
    return [call for call in told if not {"describe", "list"} & {*call}]


def of(told: list[list[str]], *words: str) -> list[str]:
    """The one call that begins with ``words``."""
    (call,) = [call for call in told if tuple(call[: len(words)]) == words]
    return call


class TestSetup:
    @pytest.mark.heavy
    def test_shown_is_what_a_first_run_does_and_calls_nobody(self, runs: Runs) -> None:
        named = {
            "eventarc-deployment-drift-monitor-1": "SUBSCRIPTION",
            "projects/p/channels/1": "CHANNEL",
        }
        called = [
            [re.sub("|".join(named), lambda found: named[found[0]], word) for word in call]
            for call in changes(runs.first)
        ]
        assert changes(runs.shown) == called

    def test_a_second_run_makes_nothing_but_the_function(self, runs: Runs) -> None:
        again = changes(runs.second)
        assert [call for call in again if "create" in call] == []
        assert of(again, "scheduler", "jobs", "update")[3:5] == ["pubsub", "deployment-drift-schedule"]
        assert of(again, "functions", "deploy")

    def test_the_function_gets_what_it_runs_on_and_of_one_commit(self, monitored: Team) -> None:
        """Not what lies in the work tree, and nothing of the tests."""
        (monitored.repository.path / "drift.toml").write_text("half a thought")
        deployed = of(calls(monitored), "functions", "deploy")
        upload = monitored.shell.kept / "function"
        assert sorted(path.name for path in upload.iterdir()) == [
            *("drift.toml", "drift_gate", "main.py", "predictions", "requirements.txt", "shared")
        ]
        assert (upload / "drift.toml").read_text() == SETTINGS
        assert f"--update-labels=commit-sha={monitored.repository.tip('main')}" in deployed
        entry = next(word for word in deployed if word.startswith("--entry-point="))
        assert (
            f"def {entry.removeprefix('--entry-point=')}(event" in (ROOT / FUNCTION / "main.py").read_text()
        )

    def test_one_look_at_a_time_in_half_a_gibibyte(self, runs: Runs) -> None:
        deployed = of(runs.first, "functions", "deploy")
        assert {"--gen2", "--concurrency=1", "--max-instances=1", "--memory=512Mi", "--retry"} <= {*deployed}
        assert {"--no-allow-unauthenticated", "--trigger-topic=deployment-drift-check"} <= {*deployed}
        assert "--clear-env-vars" in deployed, "what was set by hand ends with the next deploy"

    def test_the_account_may_read_and_keep_its_looks(self, monitored: Team) -> None:
        """No role on the whole project but these two; none that writes to Cloud Run."""
        bound = {
            (call[0], next(word for word in call if word.startswith("--role="))[7:])
            for call in calls(monitored, MONITOR_SECRETS="DRIFT_SLACK_TOKEN=slack-token")
            if MEMBER in call
        }
        assert bound == {
            ("projects", "roles/run.viewer"),
            ("projects", "roles/datastore.user"),
            ("artifacts", "roles/artifactregistry.reader"),
            ("run", "roles/run.invoker"),
            ("secrets", "roles/secretmanager.secretAccessor"),
        }

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({}, "--set-secrets=GITHUB_TOKEN=github-token:latest"),
            (
                {"MONITOR_SECRETS": "DRIFT_SLACK_TOKEN=slack DRIFT_HEARTBEAT_URL=beat"},
                "--set-secrets=GITHUB_TOKEN=github-token:latest,DRIFT_SLACK_TOKEN=slack:latest,"
                "DRIFT_HEARTBEAT_URL=beat:latest",
            ),
            ({"GITHUB_SECRET": "", "MONITOR_SECRETS": "A=b"}, "--set-secrets=A=b:latest"),
            ({"GITHUB_SECRET": ""}, "--clear-secrets"),
        ],
    )
    def test_secrets_come_by_name(self, monitored: Team, settings: dict[str, str], said: str) -> None:
        assert said in of(calls(monitored, "--dry-run", **settings), "functions", "deploy")

    @pytest.mark.parametrize(
        ("toml", "said"),
        [
            (TOML, "names no journal that lasts"),
            (SETTINGS.replace("https://github.com/example/predictions", "."), "names no address"),
        ],
    )
    def test_settings_that_no_function_can_go_by_end_it_first(
        self, monitored: Team, toml: str, said: str
    ) -> None:
        monitored.repository.commit({"drift.toml": toml})
        assert said in setup(monitored, check=False)
        assert monitored.shell.calls() == []


class TestRemove:
    def test_what_was_made_is_gone_and_a_second_time_is_no_failure(self, monitored: Team) -> None:
        before = {*(monitored.shell.kept / "there").iterdir()} if monitored.shell.calls() else set()
        calls(monitored)
        for name in ("run services deployment-drift-monitor", "eventarc triggers deployment-drift-monitor-1"):
            monitored.shell.there(name).unlink()
        monitored.shell.there("pubsub subscriptions eventarc-deployment-drift-monitor-1").unlink()
        removed = calls(monitored, "--remove")
        left = {path.name for path in {*(monitored.shell.kept / "there").iterdir()} - before}
        assert left == {"beta monitoring channels drift gate: oncall@example.com"}
        assert [call for call in removed if "firestore" in call] == []
        assert changes(calls(monitored, "--remove")) == []

    def test_shown_is_all_of_it(self, monitored: Team) -> None:
        shown = calls(monitored, "--remove", "--dry-run")
        assert monitored.shell.calls() == []
        assert [call[:2] for call in shown if "delete" in call] == [
            ["alpha", "monitoring"],
            ["logging", "metrics"],
            ["scheduler", "jobs"],
            ["functions", "delete"],
            ["pubsub", "subscriptions"],
            ["pubsub", "topics"],
            ["pubsub", "topics"],
            ["iam", "service-accounts"],
        ]


class TestTheTest:
    """``--test``: over a journal that a real monitor writes, by the real command line."""

    LOCAL = '[defaults]\nlive = "ledger"\ntarget_ref = "HEAD"\n[services.w]\n'

    def when_run(self, team: Team, lines: str) -> None:
        team.repository.commit({"drift.toml": self.LOCAL})
        team.repository.check_out("main")
        monitor = f"cd {team.repository.path} && {lines}"
        (team.shell.kept / "when-run").write_text(f"({monitor}) >/dev/null 2>&1 || true\n")
        (team.shell.programs / "sleep").write_text(f"#!/bin/sh\necho slept >>{team.shell.kept}/sleeps\n")
        (team.shell.programs / "sleep").chmod(0o755)

    def test_a_look_that_arrives_is_told(self, monitored: Team) -> None:
        setup(monitored)
        self.when_run(monitored, "deployment-drift monitor --once")
        assert setup(monitored, "--test") == "a look of the monitor stands in the journal\n"
        assert ["scheduler", "jobs", "run"] in [call[:3] for call in monitored.shell.calls()]

    def test_no_look_is_a_failure_that_says_where_to_look(self, monitored: Team) -> None:
        """Neither one from before counts, nor a check of somebody's."""
        setup(monitored)
        self.when_run(monitored, "deployment-drift check")
        script = monitored.repository.path / SCRIPT
        script.write_text(script.read_text().replace("\nASKS=60\n", "\nASKS=2\n"))
        said = setup(monitored, "--test", check=False)
        assert "no look in the journal since" in said
        assert "the log of the function deployment-drift-monitor says why" in said
        assert (monitored.shell.kept / "sleeps").read_text() == "slept\nslept\n"


def test_gcloud_knows_each_command_and_each_flag(monitored: Team, runs: Runs, known: dict[str, Any]) -> None:
    shown = calls(monitored, "--dry-run", "--test")
    for call in [*runs.first, *runs.second, *runs.removal, *shown]:
        assert unknown(call, known) == [], shlex.join(call)


class TestTheAlert:
    read = yaml.safe_load((DEPLOY / "alerts" / "not-looked.yaml").read_text())
    query = read["conditions"][0]["conditionPrometheusQueryLanguage"]["query"]

    @pytest.mark.heavy
    def test_gcloud_sends_it_as_it_stands(self, tmp_path: Path) -> None:
        file = DEPLOY / "alerts" / "not-looked.yaml"
        with google(tmp_path) as asked:
            sent = asked.gcloud("alpha", "monitoring", "policies", "create", f"--policy-from-file={file}")
        assert sent == self.read

    def test_it_counts_whole_looks_of_the_function_alone(self, runs: Runs) -> None:
        made = of(runs.first, "logging", "metrics", "create")
        assert f"user_{made[3]}{{" in self.query
        (words,) = re.findall(r'jsonPayload\.message=~"([^"]+)"', " ".join(made))
        assert re.search(words, "2026-02-05 16:00 UTC: looked at 1 service, 1 allow")
        assert not re.search(words, "2026-02-05 16:00 UTC: looked at only 1 of 2 services, 1 allow, 1 deny")

    def test_five_hours_without_a_look_never_are_a_night(self) -> None:
        """On each day of a year in which the looks come when they are due, no hour of the alert is silent."""
        (hours,) = map(int, re.findall(r"\[(\d+)h\]", self.query))
        begins, ends = map(int, re.findall(r"hour\(\) >= (\d+) or hour\(\) < (\d+)", self.query)[0])
        zone, silent = ZoneInfo("America/Los_Angeles"), timedelta(hours=hours)
        schedule = Schedule(timedelta(hours=2), timedelta(hours=8), timedelta(hours=20), zone)
        now = datetime(2026, 1, 1, tzinfo=UTC)
        watched = 0
        for _ in range(365 * 24):
            if now.hour >= begins or now.hour < ends:
                watched += 1
                assert schedule.after(now - silent) <= now, now
            now += timedelta(hours=1)
        assert watched == 365 * 7
