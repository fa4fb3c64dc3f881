"""The page of one service: how it stands and why, what it lacks, what to do, how it fared."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from dashboard.worlds import World
from journal.stores import at, entry, verdict

from drift_gate.comparison.tally import RelevantPath, Undeployed
from drift_gate.facts import Evidence
from drift_gate.journal.records import Entry

NAME = "a-worker"
PAGE = f"services/{NAME}.html"


def missing(subject: str = "Fix the average", author: str = "Ann Ortiz") -> Undeployed:
    return Undeployed(
        sha="c" * 40,
        subject=subject,
        author=author,
        committed_at=datetime(2026, 2, 2, 7, tzinfo=UTC),
        paths=(RelevantPath(path="shared/odds.py", because=("worker/features.py", "worker/main.py")),),
        paths_omitted=2,
    )


def with_report(hours: float, behind: int, **changes: Any) -> Entry:
    """A decision whose report is changed in these fields."""
    told = verdict(behind, service=NAME)
    report = told.report.model_copy(update=changes)
    return entry(hours, service=NAME, verdict=told.model_copy(update={"report": report}))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, [NAME])


def test_what_is_missing_by_whom_and_why_it_counts(world: World) -> None:
    world.record(with_report(0, 4, undeployed=(missing(),)))
    page = world.page(PAGE)
    assert "Fix the average" in page.text
    assert "by Ann Ortiz" in page.text
    assert "shared/odds.py ← worker/features.py ← worker/main.py" in page.text
    assert "and 2 more paths" in page.text
    assert "and 3 older ones" in page.text
    assert f"https://github.com/acme/predictions/commit/{'c' * 40}" in page.links
    compare = f"https://github.com/acme/predictions/compare/{'a' * 40}...{'b' * 40}"
    assert compare in page.links
    assert any(
        each.startswith("https://console.cloud.google.com/run/detail/us-west2/") for each in page.links
    )


def test_why_and_what_to_do(world: World) -> None:
    world.record(entry(0, 4, NAME))
    page = world.page(PAGE)
    assert "deny too-many-commits-behind 4 relevant commits behind, more than 3 allowed" in page.text
    assert f"gcloud run deploy {NAME} --project acme-prod --region us-west2" in page.text
    assert f"deployment-drift acknowledge {NAME}" in page.text


def test_what_is_merely_warned_of_has_the_line_that_deploys(world: World) -> None:
    world.record(entry(0, 1, NAME))
    told = json.loads(world.dashboard.answer(f"services/{NAME}.json").body)
    assert [each["label"] for each in told["steps"]] == ["deploy"]
    world.record(entry(2, 0, NAME))
    assert json.loads(world.dashboard.answer(f"services/{NAME}.json").body)["steps"] == []


def test_the_evidence_of_each_live_revision(world: World) -> None:
    live = (
        verdict(0)
        .report.live[0]
        .model_copy(update={"evidence": (Evidence(carrier="image-tag", key="tag", value="b" * 40),)})
    )
    world.record(with_report(0, 0, live=(live,)))
    assert f"image-tag tag={'b' * 40}" in world.page(PAGE).text


def test_an_acknowledgement_is_said_once(world: World) -> None:
    note = {"live_commit": "a" * 40, "reason": "rolled back on purpose", "until": at(48).isoformat()}
    told = verdict(4, service=NAME)
    reasons = [
        each.model_copy(update={"data": each.data | {"acknowledged": [note]}})
        for each in (*told.reasons, *told.reasons)
    ]
    world.record(entry(0, service=NAME, verdict=told.model_copy(update={"reasons": tuple(reasons)})))
    assert world.page(PAGE).text.count("rolled back on purpose") == 1


def test_incidents_with_their_course(world: World) -> None:
    world.record(entry(0, service=NAME), entry(2, 1, NAME, age_h=1), entry(4, service=NAME))
    page = world.page(PAGE)
    assert "landed 2026-02-02 09:00, found and opened 10:00, resolved 12:00" in page.text
    assert "behind-within-limit" in page.text


def test_one_that_nobody_ever_looked_at(world: World) -> None:
    page = world.page(PAGE)
    assert "Nobody has ever looked at it" in page.text
    assert "unlooked" in page.classes
    assert "current" not in page.classes


def test_an_old_look_is_told_as_one(world: World) -> None:
    world.record(entry(0, 0, NAME))
    world.now = at(9)
    page = world.page(PAGE)
    assert "When somebody looked last: It runs the code that it should." in page.text
    assert page.classes.isdisjoint({"current", "denied", "warned"})


def test_a_service_that_nobody_knows_has_no_page(world: World) -> None:
    world.record(entry(0, 0, NAME))
    answer = world.dashboard.answer("services/other.html")
    assert answer.status == 404
    assert b"There is no such service" in answer.body


def test_what_a_commit_says_is_text(world: World) -> None:
    """Markup, a direction and ten thousand characters, in all that a commit, an author and a label bring."""
    hostile = "</title></svg><script>alert(1)</script>\u202e{{ 7 * 7 }}" + "z" * 10_000
    evidence = (Evidence(carrier="revision-label", key=hostile, value=hostile),)
    live = verdict(4).report.live[0].model_copy(update={"evidence": evidence, "image": hostile})
    world.record(with_report(0, 4, live=(live,), undeployed=(missing(hostile, hostile),)))
    page = world.page(PAGE)
    assert [found for tag, found in page.tags if tag == "script"] == [
        {"src": "../dashboard.js", "defer": None}
    ]
    assert "\u202e" not in page.source
    assert "49" not in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert len(page.source) < 40_000


@pytest.mark.parametrize("odd", ["<b>", "a/../b", "ünïcode", "x" * 500])
def test_an_odd_name_has_a_page_of_its_own(world: World, odd: str) -> None:
    world.record(entry(0, 0, NAME), entry(0, 1, odd))
    link = next(each for each in world.page().links if each.startswith("services/x-"))
    assert world.dashboard.answer(link).status == 200
    assert "The settings here do not declare it" in world.page(link).text
