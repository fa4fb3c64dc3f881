"""The first page: what runs where, what waits, since when, and whether anybody looked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dashboard.worlds import World
from journal.stores import at, elsewhere, entry

from drift_gate.dashboard.fleet import Fleet
from drift_gate.policy.verdict import Verdict

A, B, C, D = "a-worker", "b-loader", "c-store", "d-job"


def fleet(world: World) -> Fleet:
    return Fleet.model_validate_json(world.dashboard.answer("index.json").body)


def acknowledged(verdict: Verdict) -> Verdict:
    return verdict.model_copy(update={"enforced": False, "not_enforced_because": "acknowledged"})


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, [A, B, C, D])


class TestOrder:
    """The worst first, each with what is known of it."""

    def test_the_worst_stands_first(self, world: World) -> None:
        lifted = entry(0, 5, C)
        world.record(
            entry(0, 0, A),
            entry(0, 9, B),
            lifted.model_copy(update={"verdict": acknowledged(lifted.verdict)}),
            entry(0, 1, D),
            entry(0, None, "e-other"),
        )
        told = [(each.service, each.standing, each.word) for each in fleet(world).services]
        assert told == [
            (B, "denied", "behind"),
            ("e-other", "unknown", "unknown"),
            (C, "lifted", "behind"),
            (D, "warned", "behind"),
            (A, "current", "current"),
        ]

    def test_of_two_alike_the_one_that_is_stale_for_longer(self, world: World) -> None:
        world.record(entry(0, 9, A, age_h=13), entry(0, 9, B, age_h=20), entry(0, 9, C, age_h=13))
        assert [each.service for each in fleet(world).services[:3]] == [B, A, C]

    def test_a_row_says_what_runs_what_should_and_since_when(self, world: World) -> None:
        world.record(entry(0, 4, A, age_h=9), entry(0, service=B), entry(0, service=C), entry(0, service=D))
        world.now = at(0.5)
        page = world.page()
        assert "1 of 4 services is denied" in page.text
        assert "aaaaaaaaaaaa 100 % bbbbbbbbbbbb 4 9 h 30 min deny" in page.text
        assert "too-many-commits-behind" in page.text
        assert f"https://github.com/acme/predictions/commit/{'a' * 40}" in page.links
        assert f"services/{A}.html" in page.links
        assert "30 min ago" in page.text

    def test_what_was_held_against_another_target_is_no_word_on_this_one(self, world: World) -> None:
        world.record(entry(0, 4, "prediction-worker"), elsewhere(1))
        assert fleet(world).services[0].standing == "denied"

    def test_what_runs_the_right_code_and_is_denied_all_the_same_is_not_called_current(
        self, world: World
    ) -> None:
        denied = entry(0, 0, A)
        verdict = denied.verdict.model_copy(update={"decision": "deny"})
        world.record(denied.model_copy(update={"verdict": verdict}))
        assert (fleet(world).services[0].standing, fleet(world).services[0].word) == ("denied", "denied")


class TestGrey:
    """What nobody looked at is not known, whatever was known of it."""

    def test_the_monitor_stops_and_the_clock_goes_on(self, world: World) -> None:
        world.record(*(entry(0, behind, name) for name, behind in [(A, 0), (B, 0), (C, 1), (D, 9)]))
        assert {"current", "warned", "denied"} <= world.page().classes
        world.now = at(4)
        assert {each.standing for each in fleet(world).services} == {"current", "warned", "denied"}
        world.now = at(4.01)
        page = world.page()
        assert page.classes.isdisjoint({"current", "warned", "denied", "lifted"})
        assert {each.standing for each in fleet(world).services} == {"unlooked"}
        assert "Nobody looked lately" in page.text
        assert "0 of 4 services were looked at within 4 h" in page.text

    def test_one_of_four_was_not_looked_at(self, world: World) -> None:
        world.record(entry(0, 0, A), *(entry(9, 0, name) for name in (B, C, D)))
        assert "How 1 of 4 services stands is not known" in world.page().text
        assert "All" not in world.page().text

    def test_the_interval_is_a_setting(self, tmp_path: Path) -> None:
        world = World(tmp_path, [A], '[dashboard]\nevery = "12h"\n')
        world.record(entry(0, 0, A))
        world.now = at(24)
        assert fleet(world).services[0].standing == "current"

    def test_an_empty_fleet_is_an_error(self, world: World) -> None:
        answer = world.dashboard.answer("index.html")
        assert answer.status == 503
        assert "Nobody has looked at any service yet" in world.page().text
        assert "current" not in world.page().classes
        assert world.dashboard.answer("index.json").status == 503

    def test_what_is_declared_no_more_stands_apart_and_then_goes(self, world: World) -> None:
        world.record(entry(0, 9, "gone"), *(entry(99, 0, name) for name in (A, B, C, D)))
        told = fleet(world)
        assert [each.service for each in told.former] == ["gone"]
        assert told.looked == len(told.services) == 4
        assert "All 4 services run what they should" in world.page().text
        assert "Declared no more" in world.page().text
        world.now = at(24 * 30 + 1)
        assert fleet(world).former == ()


@pytest.mark.heavy
def test_a_large_fleet_is_shown_in_full_where_it_is_worst(tmp_path: Path) -> None:
    """500 services, a third of them not well, in less than 150 kB."""
    names = [f"service-{number:03d}" for number in range(500)]
    world = World(tmp_path, names)
    world.record(*(entry(0, 9 if number % 3 == 0 else 0, name) for number, name in enumerate(names)))
    page = world.page()
    assert len(page.source.encode()) < 150_000
    assert [each for each in page.links if each.startswith("services/")] == [
        f"services/{each.page}.html" for each in fleet(world).services
    ]
    assert "The other 440, in brief" in page.text


def test_what_strangers_wrote_is_text(world: World) -> None:
    """Names, causes and people of a hostile journal bring no tag, no attribute and no direction."""
    name = '"><script>alert(1)</script>\u202e<img src=x onerror=alert(2)>' + "x" * 10_000
    hostile = entry(0, None, name, by="</td><h1>")
    report = hostile.verdict.report
    unknown = report.unknown
    assert unknown is not None
    said = unknown.model_copy(update={"message": "<b onclick=x>\u2066" + "y" * 10_000})
    world.record(
        hostile.model_copy(
            update={
                "verdict": hostile.verdict.model_copy(
                    update={"report": report.model_copy(update={"unknown": said})}
                )
            }
        )
    )
    page = world.page()
    assert [found for tag, found in page.tags if tag == "script"] == [{"src": "dashboard.js", "defer": None}]
    assert {"img", "b onclick"}.isdisjoint(tag for tag, _ in page.tags)
    assert not [key for _, found in page.tags for key in found if key.startswith("on")]
    assert not any(char in page.source for char in "\u202e\u2066")
    assert "<script>alert(1)</script>" in page.text
    assert len(page.source) < 20_000
    told = json.loads(world.dashboard.answer("index.json").body)
    assert next(each for each in told["services"] if each["service"] != A)["service"] == name
