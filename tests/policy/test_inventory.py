"""``check --inventory``: live services that no configuration names (INCIDENTS.md, row 29)."""

from __future__ import annotations

from support.world import WORKER, World, codes

from drift_gate.policy.verdict import Outcome
from drift_gate.wiring import checks


def inventoried(world: World) -> Outcome:
    return checks.check(settings=world.settings(), inventory=True)


def test_undeclared_services_are_told(world: World) -> None:
    """Each warns; the declared one is judged as ever; nothing else changes."""
    for name in (WORKER, "grader", "scraper"):
        world.cloud.deploy(name, commit=world.first)
    outcome = inventoried(world)
    told = {each.service: (each.decision, codes(each)) for each in outcome.services}
    assert told == {
        WORKER: ("allow", []),
        "grader": ("warn", ["undeclared-service"]),
        "scraper": ("warn", ["undeclared-service"]),
    }
    assert (outcome.decision, outcome.exit_code) == ("warn", 0)


def test_without_it_nothing_is_listed(world: World) -> None:
    """A start never asks for the inventory."""
    world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.deploy("grader", commit=world.first)
    assert [each.service for each in world.outcome().services] == [WORKER]
    assert "ListServices" not in [call.method for call in world.cloud.calls]


def test_known_exceptions_are_ignored(world: World) -> None:
    """``[inventory] ignore`` takes names and patterns."""
    world.toml += '\n[inventory]\nignore = ["grader", "dev-*"]\n'
    for name in (WORKER, "grader", "dev-one", "dev-two", "other"):
        world.cloud.deploy(name, commit=world.first)
    assert [each.service for each in inventoried(world).services] == [WORKER, "other"]


def test_a_region_that_cannot_be_listed_is_unknown(world: World) -> None:
    """No list is no empty list: it denies, and the checks that worked still stand."""
    world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.fault("ListServices", code="PERMISSION_DENIED")
    known, unknown = inventoried(world).services
    assert (known.service, known.decision) == (WORKER, "allow")
    assert (unknown.service, unknown.decision) == ("inventory of test-project/us-west2", "deny")
    assert unknown.report.unknown is not None
    assert unknown.report.unknown.cause == "permission-denied"
    assert "run.services.list" in unknown.report.unknown.message
