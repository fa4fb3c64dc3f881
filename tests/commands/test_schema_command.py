"""``deployment-drift schema``: what a check prints is what the schema of the output says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from support.documents import DOCS, blocks
from support.heavy import light
from support.world import WORKER, World

from drift_gate.commands import main
from drift_gate.policy.verdict import Outcome
from drift_gate.presentation import render
from drift_gate.settings import schema
from drift_gate.wiring import checks
from shared.utils.deployment_checker import require_current_worker


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The schema of the output, as the command prints it."""
    assert main.main(["schema", "output"]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


def checked(world: World) -> Outcome:
    return world.outcome()


def allowed(world: World) -> Outcome:
    world.cloud.deploy(WORKER, commit=world.first)
    return checked(world)


def denied(world: World) -> Outcome:
    world.cloud.deploy(WORKER, commit=world.first)
    for _ in range(5):
        world.change()
    return checked(world)


def unknown(world: World) -> Outcome:
    """A revision without a mark, and a service that is not there."""
    world.cloud.deploy(WORKER, image="r/w:latest")
    world.toml += "\n[services.grader]\n"
    return checked(world)


def bypassed(world: World) -> Outcome:
    denied(world)
    verdict = require_current_worker(settings=world.settings(), skip=True, reason="the final")
    return Outcome.of([verdict], verdict.break_glass.at, 1) if verdict.break_glass else checked(world)


def inventory(world: World) -> Outcome:
    world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.deploy("forgotten", commit=world.first)
    return checks.check(settings=world.settings(), inventory=True)


def split(world: World) -> Outcome:
    old = world.cloud.deploy(WORKER, commit=world.first)
    new = world.cloud.deploy(WORKER, commit=world.change())
    world.cloud.set_traffic(WORKER, {old: 40, new: 60})
    world.cloud.roll_out(WORKER, commit=world.change())
    return checked(world)


@pytest.mark.parametrize(
    ("arrange", "decision"),
    light(
        [
            (allowed, "allow"),
            (denied, "deny"),
            (unknown, "deny"),
            (bypassed, "deny"),
            (inventory, "warn"),
            (split, "warn"),
        ],
        [(unknown, "deny"), (bypassed, "deny"), (inventory, "warn"), (split, "warn")],
    ),
)
def test_what_a_check_prints_passes(
    world: World, arrange: Callable[[World], Outcome], decision: str, output: dict[str, Any]
) -> None:
    printed = json.loads(render.json(arrange(world)))
    validator = jsonschema_rs.Draft202012Validator(output)
    assert [each.message for each in validator.iter_errors(printed)] == []
    assert printed["decision"] == decision
    assert (printed["services"][0]["break_glass"] is not None) == (arrange is bypassed)


def test_the_answer_that_the_reference_shows_passes(output: dict[str, Any]) -> None:
    (shown,) = map(json.loads, blocks("json", DOCS / "reference" / "json.md"))
    assert [each.message for each in jsonschema_rs.Draft202012Validator(output).iter_errors(shown)] == []


@pytest.mark.parametrize("key", ["decision", "services", "schema_version"])
def test_what_is_always_printed_is_promised(world: World, key: str, output: dict[str, Any]) -> None:
    printed = json.loads(render.json(allowed(world)))
    del printed[key]
    assert not jsonschema_rs.Draft202012Validator(output).is_valid(printed)


@pytest.mark.parametrize(("key", "value"), [("status", "fine"), ("commits_behind", "3"), ("new", 1)])
def test_what_no_check_prints_is_refused(
    world: World, key: str, value: object, output: dict[str, Any]
) -> None:
    printed = json.loads(render.json(allowed(world)))
    printed["services"][0]["report"][key] = value
    assert not jsonschema_rs.Draft202012Validator(output).is_valid(printed)


def test_the_schema_of_the_file_needs_none(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is read: it is printed where there is no ``drift.toml``."""
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    assert main.main(["schema", "config"]) == 0
    assert json.loads(capsys.readouterr().out) == schema.config()


def test_a_schema_that_there_is_none_of(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["schema", "input"])
    assert ended.value.code == 2
    assert "config" in capsys.readouterr().err
