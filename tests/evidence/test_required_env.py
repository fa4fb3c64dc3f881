"""The variables that a service declares: a live revision that lacks one is denied, and no value leaks."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from google.cloud import run_v2
from support.world import WORKER, World, codes

from drift_gate.errors import DriftConfigError
from drift_gate.evidence import requirements
from drift_gate.facts import Kind, Live, LiveRevision, Unknown
from drift_gate.journal.log import LogSink
from drift_gate.presentation import render
from drift_gate.settings.file import load

SECRET = "gs://models/s3cr3t"
ENV = {"MODEL_PATH": SECRET, "REGISTRY_URL": SECRET}


def requiring(world: World, *names: str, more: str = "") -> None:
    world.toml += f"required_env = {json.dumps(list(names))}\n{more}"


def missing(world: World) -> list[list[str]]:
    """The missing names, for each reason that says so."""
    reasons = world.verdict().reasons
    return [each.data["missing"] for each in reasons if each.code == "required-env-missing"]


def secret(name: str) -> run_v2.EnvVar:
    selector = run_v2.SecretKeySelector(secret="model-path", version="latest")
    return run_v2.EnvVar(name=name, value_source=run_v2.EnvVarSource(secret_key_ref=selector))


def test_18_a_deploy_dropped_a_variable(world: World) -> None:
    """Three days of fallback predictions: the code was current all the time, and nothing else told."""
    requiring(world, "MODEL_PATH", "REGISTRY_URL")
    world.cloud.deploy(WORKER, commit=world.first, env=ENV)
    assert (world.verdict().decision, world.outcome().exit_code) == ("allow", 0)
    revision = world.cloud.deploy(WORKER, commit=world.first, env={"REGISTRY_URL": SECRET})
    verdict = world.verdict()
    assert (verdict.decision, verdict.severity, codes(verdict)) == (
        "deny",
        "warning",
        ["required-env-missing"],
    )
    assert verdict.report.status == "identical"
    assert world.outcome().exit_code == 1
    (reason,) = verdict.reasons
    assert reason.message == f"{revision}: the live revision has no value for MODEL_PATH"
    assert reason.data == {"missing": ["MODEL_PATH"], "revision": revision}


def test_18_is_what_the_policy_makes_of_it(world: World) -> None:
    """As every code: a policy may only warn of it."""
    requiring(world, "MODEL_PATH", more='[policy]\nreasons = {required-env-missing = "warn"}\n')
    world.cloud.deploy(WORKER, commit=world.first)
    assert (world.verdict().decision, codes(world.verdict())) == ("warn", ["required-env-missing"])


def test_nothing_is_required_that_is_not_declared(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    assert codes(world.verdict()) == []


def test_a_variable_out_of_a_secret_is_there(world: World) -> None:
    """Its value is not in the API's answer at all; its name is enough."""
    requiring(world, "MODEL_PATH")
    revision = world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.revisions[revision].containers[0].env.append(secret("MODEL_PATH"))
    assert missing(world) == []


def test_an_empty_value_is_none(world: World) -> None:
    """``--set-env-vars MODEL_PATH=$UNSET`` is how a script drops a variable."""
    requiring(world, "MODEL_PATH")
    world.cloud.deploy(WORKER, commit=world.first, env={"MODEL_PATH": ""})
    assert missing(world) == [["MODEL_PATH"]]


def test_names_are_told_apart_as_the_platform_does(world: World) -> None:
    requiring(world, "MODEL_PATH")
    world.cloud.deploy(WORKER, commit=world.first, env={"model_path": "x", "MODEL_PATH_2": "x"})
    assert missing(world) == [["MODEL_PATH"]]


def test_a_sidecar_does_not_lend_its_variables(world: World) -> None:
    """The container that takes the requests is the one that predicts."""
    requiring(world, "MODEL_PATH")
    revision = world.cloud.deploy(WORKER, commit=world.first)
    (serving,) = world.cloud.revisions[revision].containers
    serving.ports = [run_v2.ContainerPort(container_port=8080)]
    sidecar = run_v2.Container(image="proxy", env=[run_v2.EnvVar(name="MODEL_PATH", value="x")])
    world.cloud.revisions[revision].containers = [sidecar, serving]
    assert missing(world) == [["MODEL_PATH"]]


def test_only_what_serves_has_to_have_it(world: World) -> None:
    """The newest revision has the variable back, and no traffic; then each that serves is named."""
    requiring(world, "MODEL_PATH")
    old = world.cloud.deploy(WORKER, commit=world.first)
    new = world.cloud.deploy(WORKER, commit=world.first, env=ENV, traffic=False)
    assert missing(world) == [["MODEL_PATH"]]
    world.cloud.set_traffic(WORKER, {old: 10, new: 90})
    assert [each.data["revision"] for each in world.verdict().reasons if each.decision == "deny"] == [old]
    world.cloud.pin(WORKER, new)
    assert missing(world) == []


@pytest.mark.parametrize("kind", ["worker-pool", "job"])
def test_worker_pools_and_jobs_have_an_environment_too(world: World, kind: Kind) -> None:
    requiring(world, "MODEL_PATH", more=f'kind = "{kind}"\n')
    world.cloud.deploy(WORKER, kind=kind, commit=world.first)
    assert missing(world) == [["MODEL_PATH"]]
    world.cloud.deploy(WORKER, kind=kind, commit=world.first, env=ENV)
    assert missing(world) == []


def test_a_known_lack_is_told_beside_an_unknown(world: World) -> None:
    """No commit to compare, and a variable that is known to be missing: both are said."""
    requiring(world, "MODEL_PATH")
    world.cloud.deploy(WORKER, labels={"commit-sha": "latest"}, image="worker:latest")
    verdict = world.verdict()
    assert sorted(codes(verdict)) == ["required-env-missing", "unknown-drift"]
    assert not verdict.refuses_unknown


def test_a_history_that_fails_hides_no_lack(world: World) -> None:
    requiring(world, "MODEL_PATH")
    world.cloud.deploy(WORKER, commit=world.first)
    world.toml = world.toml.replace('target_ref = "main"', 'target_ref = "gone"')
    assert sorted(codes(world.verdict())) == ["required-env-missing", "unknown-drift"]


def test_a_revision_that_cannot_be_read_is_not_said_to_lack_anything() -> None:
    unread = LiveRevision(revision="w-1", percent=100, unknown=Unknown(cause="timeout", message="no answer"))
    live = Live(kind="service", project="p", region="r", revisions=(unread,))
    assert requirements.with_required(live, ["MODEL_PATH"]).findings == ()


def test_no_value_comes_out_anywhere(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the facts, the JSON, the table, the Markdown, the log line, the settings."""
    requiring(world, "MODEL_PATH", "REGISTRY_URL", "OTHER")
    revision = world.cloud.deploy(WORKER, commit=world.first, env=ENV)
    world.cloud.revisions[revision].containers[0].env.append(secret("OTHER"))
    world.cloud.deploy(WORKER, commit=world.first, env={**ENV, "MODEL_PATH": ""})
    with caplog.at_level(logging.DEBUG):
        outcome = world.outcome()
        LogSink().write(outcome.services)
    assert missing(world) == [["MODEL_PATH", "OTHER"]]
    told = [render.json(outcome), render.markdown(outcome, verbose=True), caplog.text, repr(outcome)]
    assert "MODEL_PATH" in told[0]
    assert not [text for text in told if SECRET in text]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("required_env = 1", 'must be a list such as ["ODDS_URL"], each a name without spaces'),
        ("required_env = [1]", "each a name without spaces"),
        ('required_env = ["MODEL PATH"]', "each a name without spaces"),
        ('required_env = ["MODEL_PATH=x"]', "each a name without spaces"),
        ('required_env = [""]', "each a name without spaces"),
        ('require_env = ["MODEL_PATH"]', "did you mean required_env"),
        ('live = "ledger"\nrequired_env = ["MODEL_PATH"]', "a ledger knows nothing but commits"),
    ],
)
def test_a_wrong_declaration_stops(tmp_path: Path, line: str, said: str) -> None:
    """A ledger that is asked for an environment could only guess."""
    head = f'[services.{WORKER}]\nproject = "test-project"\nregion = "us-west2"\n'
    (tmp_path / "drift.toml").write_text(head + line + "\n")
    with pytest.raises(DriftConfigError) as caught:
        load(tmp_path, {})
    assert said in str(caught.value)
