"""The manifests say what the programs read, and hold what the promises need."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ops.asked_google import google
from ops.conftest import Team, team_in
from ops.stand_ins import DEPLOY, ROOT

from drift_gate.settings.keys import ServiceSettings
from predictions.coordinator import variables
from predictions.coordinator.config import Config
from predictions.coordinator.http import access, app
from predictions.coordinator.readiness import settings as readiness
from predictions.coordinator.slate.reader import named
from predictions.worker.serve import app as worker_app

EVERYTHING = {"READINESS": "readiness.toml", "GITHUB_SECRET": "github-token"}


#: A manifest as it is deployed, by its name and the settings that are not the example's.
Manifest = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The text of a manifest; the step, which starts dozens of processes, is run once for each settings."""

    @cache
    def deployed(**settings: str) -> Path:
        return deploy(team_in(tmp_path_factory.mktemp("deployed")), **settings)

    return lambda name, **settings: (deployed(**settings) / f"{name}.yaml").read_text()


def deploy(team: Team, **settings: str) -> Path:
    """Where the manifests are, deployed with the example's settings but for these."""
    team.repository.commit({"readiness.toml": ""})
    team.step("3", settings=settings)
    return team.shell.kept


@pytest.fixture
def manifest(filled: Callable[..., str]) -> Manifest:
    return lambda name, **settings: dict(yaml.safe_load(filled(name, **settings)))


def container(read: dict[str, Any]) -> dict[str, Any]:
    (one,) = read["spec"]["template"]["spec"]["containers"]
    return dict(one)


def environ(read: dict[str, Any]) -> dict[str, str]:
    """The variables; a secret's is its name."""
    pairs = container(read)["env"]
    return {each["name"]: each.get("value") or each["valueFrom"]["secretKeyRef"]["name"] for each in pairs}


class TestCoordinator:
    def test_its_variables_are_settings_that_it_takes(self, manifest: Manifest) -> None:
        told = environ(manifest("coordinator", **EVERYTHING))
        config = Config.of(told)
        assert (config.dispatch, config.topic) == (
            "pubsub",
            "projects/example-project/topics/prediction-requests",
        )
        assert config.slate is not None
        assert named(config.slate).name
        others = {
            variables.MODE,
            variables.CALLERS,
            variables.BYPASS_CALLERS,
            variables.PUSH_CALLERS,
            readiness.VARIABLE,
        }
        known = {str(field.alias) for field in Config.model_fields.values()} | others
        assert told.keys() - known == {"GOOGLE_CLOUD_PROJECT", "GITHUB_TOKEN"}

    def test_who_may_start_past_a_check_is_few_and_not_the_daily_schedule(self, team: Team) -> None:
        read = yaml.safe_load((deploy(team) / "coordinator.yaml").read_text())
        who = access.read(environ(read), "0.0.0.0")  # noqa: S104 - as in a container
        assert (who.mode, len(who.callers), len(who.push_callers)) == ("platform", 1, 1)
        assert who.bypass_callers == {
            "prediction-bypass@example-project.iam.gserviceaccount.com",
            "ada@example.com",
            "grace@example.com",
        }
        for call in (call for call in team.shell.calls() if "add-iam-policy-binding" in call):
            assert not {"--member=allUsers", "--member=allAuthenticatedUsers"} & {*call}

    def test_it_answers_before_the_platform_gives_up(self, manifest: Manifest) -> None:
        read = manifest("coordinator")
        timeout = read["spec"]["template"]["spec"]["timeoutSeconds"]
        assert float(environ(read)["COORDINATOR_REQUEST_TIMEOUT"]) == timeout
        waits = (timeout - app.MARGIN_S) * app.WAITING
        (body,) = re.findall(r'"wait": (\d+)', (DEPLOY / "4-schedules.sh").read_text())
        assert int(body) < waits

    def test_it_is_given_no_more_at_once_than_it_has_threads_for(self, manifest: Manifest) -> None:
        """Of any kind of request but a start: 40 completions that were pushed together made false 503s."""
        read = manifest("coordinator")
        assert read["spec"]["template"]["spec"]["containerConcurrency"] <= app.SHORT_ONES

    def test_what_is_not_needed_is_not_there(self, manifest: Manifest) -> None:
        told = environ(manifest("coordinator", READINESS="", GITHUB_SECRET=""))
        assert "GITHUB_TOKEN" not in told
        assert readiness.VARIABLE not in told

    def test_without_a_mirror_it_serves_all_the_same(
        self, manifest: Manifest, team: Team, tmp_path: Path
    ) -> None:
        """The repository may be down at the start; a bypass does not need it. Signals reach the server."""
        command = container(manifest("coordinator"))
        for name, code in (("deployment-drift", "exit 3"), ("prediction-coordinator", "echo $$ $0 $@")):
            (team.shell.programs / name).write_text(f"#!/bin/sh\n{code}\n")
            (team.shell.programs / name).chmod(0o755)
        line = [*command["command"], *command["args"]]
        process = subprocess.Popen(
            line, env=team.shell.variables(), cwd=tmp_path, stdout=subprocess.PIPE, text=True
        )
        said, _ = process.communicate(timeout=60)
        assert said.split() == [
            str(process.pid),
            str(team.shell.programs / "prediction-coordinator"),
            "serve",
        ]


class TestWorker:
    def test_it_takes_what_the_subscription_brings(self, manifest: Manifest, team: Team) -> None:
        read = manifest("worker")
        assert environ(read) == {
            "WORKER_COMPLETIONS": "projects/example-project/topics/prediction-completions"
        }
        team.step("2")
        pushes = [word for call in team.shell.calls() for word in call if word.startswith("--push-endpoint=")]
        paths = [word.partition("run.app")[2] for word in pushes]
        assert paths == ["/push", "/complete"]
        served = Path(ROOT / "predictions/worker/serve.py").read_text()
        assert 'post("/push")' in served

    def test_pubsub_waits_as_long_as_the_worker_may_take(self, manifest: Manifest) -> None:
        timeout = manifest("worker")["spec"]["template"]["spec"]["timeoutSeconds"]
        assert f"--ack-deadline={timeout} " in (DEPLOY / "2-messages.sh").read_text()

    def test_the_image_starts_what_the_manifest_asks_for(self) -> None:
        """The module of the Dockerfile's CMD has the path of the probe."""
        (module,) = re.findall(r'^CMD \["python", "-m", "(.+)"\]', _dockerfile("worker"), re.MULTILINE)
        assert module == worker_app.__module__


@pytest.mark.parametrize("name", ["coordinator", "worker"])
class TestBoth:
    def test_the_commit_is_text(self, name: str) -> None:
        """An id of digits alone, or with one e, is a number to YAML."""
        text = (DEPLOY / f"{name}.yaml").read_text()
        for commit in ("1" * 40, "12e4" + "0" * 36):
            read = yaml.safe_load(text.replace("${COMMIT}", commit))
            labels = read["spec"]["template"]["metadata"]["labels"]
            assert labels == {"commit-sha": commit}
        assert "commit-sha" in ServiceSettings(live="ledger").commit_labels

    def test_nothing_stays_to_be_filled_in(self, name: str, filled: Callable[..., str]) -> None:
        for settings in ({}, EVERYTHING, {"READINESS": "", "GITHUB_SECRET": ""}):
            assert not re.findall(r"\$\{|# if", filled(name, **settings))

    def test_it_has_an_account_of_its_own_and_no_name_for_its_revisions(
        self, name: str, manifest: Manifest, team: Team
    ) -> None:
        """A named revision could be deployed once only."""
        template = manifest(name)["spec"]["template"]
        account = f"prediction-{name}@example-project.iam.gserviceaccount.com"
        assert template["spec"]["serviceAccountName"] == account
        assert "name" not in template["metadata"]
        team.step("1")
        assert ["iam", "service-accounts", "create", f"prediction-{name}"] in [
            c[:4] for c in team.shell.calls()
        ]

    def test_what_is_deployed_serves(self, name: str, manifest: Manifest) -> None:
        assert manifest(name)["spec"]["traffic"] == [{"latestRevision": True, "percent": 100}]

    def test_a_revision_that_cannot_work_gets_no_traffic(self, name: str, manifest: Manifest) -> None:
        """The probe asks the port that the container listens on, within the platform's bounds."""
        one = container(manifest(name))
        probe = one["startupProbe"]
        assert probe["httpGet"] == {
            "path": {"coordinator": "/ready", "worker": "/health"}[name],
            "port": one["ports"][0]["containerPort"],
        }
        assert probe["timeoutSeconds"] <= probe["periodSeconds"]
        assert probe["periodSeconds"] * probe["failureThreshold"] <= 240
        assert probe["timeoutSeconds"] > (app.READY_S if name == "coordinator" else 0)

    def test_it_is_warm(self, name: str, manifest: Manifest) -> None:
        annotations = manifest(name)["spec"]["template"]["metadata"]["annotations"]
        assert annotations["autoscaling.knative.dev/minScale"] == "1"
        assert all(isinstance(value, str) for value in annotations.values())

    def test_the_image_says_its_commit_and_runs_as_nobody(self, name: str) -> None:
        text = _dockerfile(name)
        assert "LABEL org.opencontainers.image.revision=$COMMIT" in text
        assert re.findall(r"^USER (\d+)$", text, re.MULTILINE) == ["10001"]
        assert "python -m compileall" in text

    def test_hadolint_finds_nothing(self, name: str) -> None:
        program = Path(sys.executable).with_name("hadolint")
        if not program.exists():
            pytest.skip("no hadolint here")
        argv = [str(program), "--no-color", str(ROOT / "predictions" / name / "Dockerfile")]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.heavy
class TestGcloudSends:
    """The gcloud that is installed leaves nothing out and takes nothing for something else."""

    @pytest.mark.parametrize("name", ["coordinator", "worker"])
    def test_a_manifest(self, name: str, filled: Callable[..., str], tmp_path: Path) -> None:
        file = tmp_path / f"{name}.yaml"
        file.write_text(filled(name, **EVERYTHING))
        read = yaml.safe_load(file.read_text())
        with google(tmp_path) as asked:
            sent = asked.gcloud("run", "services", "replace", str(file), "--region=us-west2")
        assert sent["spec"] == read["spec"]
        assert sent["metadata"]["name"] == read["metadata"]["name"]

    @pytest.mark.parametrize("name", ["denied", "failed", "stalled", "silent"])
    def test_an_alert(self, name: str, team: Team, tmp_path: Path) -> None:
        team.step("5")
        file = team.repository.path / "deploy" / ".made" / "alerts" / f"{name}.yaml"
        with google(tmp_path) as asked:
            sent = asked.gcloud("alpha", "monitoring", "policies", "create", f"--policy-from-file={file}")
        assert sent == yaml.safe_load(file.read_text())


def _dockerfile(name: str) -> str:
    return (ROOT / "predictions" / name / "Dockerfile").read_text(encoding="utf-8")


def test_the_build_hands_the_commit_on() -> None:
    read = yaml.safe_load((DEPLOY / "build.yaml").read_text())
    (step,) = read["steps"]
    assert "COMMIT=$_COMMIT" in step["args"]
    assert read["images"] == ["$_IMAGE"]
