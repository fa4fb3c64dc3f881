"""Every verdict names the policy that judged, and what stood before the file; and who ran the process."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.world import WORKER, World

from drift_gate.policy import break_glass
from drift_gate.policy.verdict import Verdict
from drift_gate.runtime import background
from drift_gate.settings.actor import actor
from drift_gate.wiring import enforcement

NOW = datetime(2026, 2, 5, 16, 37, tzinfo=UTC)


def judged(world: World) -> Verdict:
    world.cloud.deploy(WORKER, commit=world.first)
    return world.verdict()


def test_a_verdict_names_file_hash_and_no_override_where_there_is_none(world: World) -> None:
    policy = judged(world).policy
    assert policy is not None
    assert Path(policy.file) == world.folder / "drift.toml"
    assert policy.hash == world.settings().service(WORKER).policy.digest
    assert policy.overrides == {}


def test_an_override_of_policy_or_target_is_named_and_a_warning_each_time(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Another hash, too: what judged is another policy. A deadline is named and warned of by nobody."""
    plain = judged(world).policy
    world.environ = {
        "DRIFT_MAX_COMMITS_BEHIND": "99",
        "DRIFT_TARGET_REF": "main",
        "DRIFT_DEADLINE": "9s",
    }
    caplog.clear()
    for number in (1, 2):
        policy = judged(world).policy
        assert policy is not None
        assert plain is not None
        assert policy.overrides == world.environ
        assert policy.hash != plain.hash
        told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert len([line for line in told if line.startswith("DRIFT_MAX_COMMITS_BEHIND=99 ")]) == number
        assert len([line for line in told if line.startswith("DRIFT_TARGET_REF=main ")]) == number
        assert not [line for line in told if "DRIFT_DEADLINE" in line]


def test_the_log_line_says_it(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "drift_gate.verdict"):
        verdict = judged(world)
    (line,) = [each for each in caplog.records if each.name == "drift_gate.verdict"]
    assert verdict.policy is not None
    assert json.loads(line.getMessage())["policy"] == verdict.policy.model_dump(mode="json")


def test_a_bypass_names_it_too(world: World) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    told: list[Verdict] = []
    settings = world.settings()
    first = enforcement.require(
        WORKER, skip=True, reason="x", actor="ann", settings=settings, later=told.append
    )
    background.finish()
    assert first.policy == settings.judged_by(WORKER)
    assert told[0].policy == settings.judged_by(WORKER)


@pytest.mark.parametrize(
    ("away", "complaints"), [(timedelta(hours=24), 0), (timedelta(hours=24, seconds=1), 1)]
)
def test_a_process_wide_bypass_for_more_than_a_day_holds_and_is_complained_about(
    away: timedelta, complaints: int
) -> None:
    environ = {break_glass.SWITCH: "1", break_glass.UNTIL: (NOW + away).isoformat()}
    asked = break_glass.asked_for(False, None, "ann", environ, NOW)
    assert asked.bypass is not None
    assert len(asked.complaints) == complaints


@pytest.mark.parametrize(
    ("environ", "who"),
    [
        ({"USER": "runner", "GITHUB_ACTOR": "ada"}, "ada"),
        ({"USER": "root", "GITLAB_USER_LOGIN": "bob"}, "bob"),
        ({"USER": "ci", "BUILDKITE_BUILD_CREATOR_EMAIL": "c@example.com"}, "c@example.com"),
        ({"CLOUD_RUN_JOB": "nightly", "USER": "root"}, "nightly"),
        ({"K_SERVICE": "coordinator"}, "coordinator"),
        ({"USER": "ann"}, "ann"),
        ({"USER": "", "LOGNAME": "eve"}, "eve"),
    ],
)
def test_who_runs_it_is_the_nearest_to_a_person(environ: dict[str, str], who: str) -> None:
    assert actor(environ) == who


def test_without_a_variable_the_password_database_says_who(monkeypatch: pytest.MonkeyPatch) -> None:
    """And only a user that it does not know is unknown."""
    pwd = pytest.importorskip("pwd")
    assert actor({}) == pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    assert actor({}) == "unknown"
