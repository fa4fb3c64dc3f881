"""The pages of batches, decisions and figures: what they hold, and what may be asked of them."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dashboard.worlds import World
from journal.stores import SERVICE, at, bypassed, entry

from drift_gate.dashboard.answers import LIVE
from drift_gate.dashboard.badge import words
from drift_gate.dashboard.batches import Stored, Wanted, batches
from drift_gate.dashboard.fleet import Fleet
from drift_gate.dashboard.routes import Dashboard

OTHER = "b-loader"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A Monday: looks, a start, a refusal, a bypass, a person who checks."""
    world = World(tmp_path, [SERVICE, OTHER])
    world.record(
        entry(0, door="monitor", by="monitor"),
        entry(1, door="start", by="nightly", batch="2026-02-02-ab"),
        entry(2, 4, age_h=1, door="start", by="nightly"),
        bypassed(3).model_copy(update={"batch": "2026-02-02-cd"}),
        entry(4, 1, OTHER, by="ann@example.com"),
        entry(5, 4, age_h=4, door="monitor", by="monitor"),
    )
    return world


def asked(world: World, path: str, **query: str) -> Any:
    answer = world.dashboard.answer(path, query)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


class TestDecisions:
    """What did we decide last night?"""

    @pytest.mark.parametrize(
        ("query", "hours"),
        [
            ({}, [4, 3, 2, 1]),
            ({"door": "all"}, [5, 4, 3, 2, 1, 0]),
            ({"door": "monitor"}, [5, 0]),
            ({"door": "start"}, [3, 2, 1]),
            ({"service": OTHER}, [4]),
            ({"code": "too-many-commits-behind"}, [3, 2]),
            ({"person": "BOB"}, [3]),
            ({"person": "nightly"}, [2, 1]),
            ({"only": "refused"}, [2]),
            ({"only": "bypassed"}, [3]),
            ({"only": "bypassed", "person": "nightly"}, []),
        ],
    )
    def test_they_are_filtered(self, world: World, query: dict[str, str], hours: list[int]) -> None:
        told = asked(world, "decisions.json", **query)
        assert [each["at"] for each in told["decisions"]] == [
            at(hour).isoformat().replace("+00:00", "Z") for hour in hours
        ]
        assert told["found"] == len(hours)

    def test_a_bypass_says_who_and_why(self, world: World) -> None:
        page = world.page("decisions.html", {})
        assert "deny , not enforced: break-glass too-many-commits-behind" in page.text
        assert "bypassed by bob: the fix is in" in page.text

    def test_a_period(self, world: World) -> None:
        world.now = at(4 + 24)
        assert asked(world, "decisions.json", days="1")["found"] == 1

    def test_csv_has_all_of_them(self, world: World) -> None:
        answer = world.dashboard.answer("decisions.csv", {"only": "bypassed"})
        (row,) = csv.DictReader(io.StringIO(answer.body.decode()))
        assert (row["bypass_by"], row["bypass_reason"], row["event"]) == ("bob", "the fix is in", "deny")

    def test_a_filter_stays_in_the_address(self, world: World) -> None:
        page = world.page("decisions.html", {"door": "start", "person": "bob & co"})
        assert "decisions.csv?door=start&person=bob+%26+co" in page.links
        assert f"?door=start&person=bob+%26+co&{LIVE}=off" in page.links
        assert ("input", "bob & co") in [(tag, found.get("value")) for tag, found in page.tags]

    @pytest.mark.parametrize("query", [{"door": "x"}, {"days": "0"}, {"days": "many"}, {"colour": "red"}])
    def test_what_cannot_be_asked_is_said(self, world: World, query: dict[str, str]) -> None:
        answer = world.dashboard.answer("decisions.html", query)
        assert answer.status == 422
        assert next(iter(query)).encode() in answer.body

    def test_in_a_folder_there_is_nothing_to_ask_with(self, world: World) -> None:
        assert "form" not in {tag for tag, _ in world.page("decisions.html").tags}
        assert "form" in {tag for tag, _ in world.page("decisions.html", {}).tags}


class TestBatches:
    """Which batch ran with which commit?"""

    def test_out_of_the_journal_alone(self, world: World) -> None:
        told = asked(world, "batches.json")
        assert [(each["id"], each["state"]) for each in told["batches"]] == [
            ("2026-02-02-cd", "started"),
            (None, "refused"),
            ("2026-02-02-ab", "started"),
        ]
        assert told["followed"] is False
        assert "known to the coordinator alone" in world.page("batches.html").text

    def test_with_what_became_of_them(self, world: World) -> None:
        kept = _stored("2026-02-02-ab", 1), _stored("2026-02-01-zz", 0.5)
        dashboard = Dashboard(
            world.journal, world.settings, {}, clock=lambda: world.now, stored=lambda since: kept
        )
        told = json.loads(dashboard.answer("batches.json", {}).body)["batches"]
        assert [(each["id"], each["state"], each["mixed"]) for each in told] == [
            ("2026-02-02-cd", "started", None),
            (None, "refused", None),
            ("2026-02-02-ab", "failed", True),
            ("2026-02-01-zz", "failed", True),
        ]
        assert told[2]["progress"] == "7 of 9, 1 failed"
        assert "the worker fell over" in dashboard.answer("batches.html", {}).body.decode()

    def test_which_ran_with_a_commit(self, world: World) -> None:
        """What was refused ran with nothing."""
        assert [each["id"] for each in asked(world, "batches.json", commit="a" * 7)["batches"]] == [
            "2026-02-02-cd"
        ]
        assert asked(world, "batches.json", commit="b" * 40)["batches"][0]["id"] == "2026-02-02-ab"
        assert world.dashboard.answer("batches.html", {"commit": "main"}).status == 422

    def test_what_is_older_than_asked_for_is_left_out(self, world: World) -> None:
        kept = [_stored("2026-01-01-old", -24 * 40)]
        assert batches([], kept, {}, Wanted(), world.now).found == 0


def _stored(id: str, hours: float) -> Stored:
    return Stored(
        id=id,
        at=at(hours),
        state="failed",
        service=SERVICE,
        decision="allow",
        enforced=True,
        not_enforced_because=None,
        revisions=("worker-1", "worker-2"),
        commits=("c" * 40,),
        mixed=True,
        requested=9,
        completed=7,
        failed=1,
        error="the worker fell over",
    )


class TestFigures:
    """The weekly numbers beside their targets."""

    def test_the_last_seven_days_and_the_seven_before(self, world: World) -> None:
        world.record(entry(24 * 7 + 1, 1, OTHER, age_h=3), entry(24 * 7 + 2, 0, OTHER))
        told = asked(world, "figures.json")
        assert told["before"]["figures"]["until"] == told["period"]["figures"]["since"]
        interventions = next(each for each in told["measured"] if each["name"] == "interventions a week")
        assert (interventions["value"], interventions["kept"]) == ("1", True)
        assert len(told["days"]) == 15
        page = world.page("figures.html")
        assert "interventions a week 1 0 at most 1" in page.text
        assert f"refused {SERVICE}, 1 time" in page.text
        assert f"bypassed bob, {SERVICE}, 1 time: the fix is in" in page.text
        assert "nobody looked" in page.text

    def test_of_what_nobody_looked_at_no_target_is_met(self, tmp_path: Path) -> None:
        world = World(tmp_path, [SERVICE])
        page = world.page("figures.html")
        assert "not known" in page.text
        assert page.classes.isdisjoint({"current"})


class TestBadge:
    """The same in a hundred pixels."""

    def test_what_it_says(self, world: World) -> None:
        fleet = Fleet.model_validate_json(world.dashboard.answer("index.json").body)
        told = {each.service: words(each, world.now) for each in fleet.services}
        assert told == {SERVICE: "4 behind · 4 h", OTHER: "1 behind · 2 h"}
        answer = world.dashboard.answer(f"badge/{SERVICE}.svg")
        assert (answer.status, answer.media_type) == (200, "image/svg+xml")
        assert answer.headers["Cache-Control"] == "max-age=60"
        assert f"<title>{SERVICE}: 4 behind · 4 h</title>" in answer.body.decode()

    def test_it_becomes_grey(self, world: World) -> None:
        world.record(entry(6, 0), entry(6, 0, OTHER))
        assert b"current" in world.dashboard.answer(f"badge/{SERVICE}.svg").body
        world.now += timedelta(hours=5)
        body = world.dashboard.answer(f"badge/{SERVICE}.svg").body
        assert b"not looked at" in body
        assert b"#0b6436" not in body

    def test_of_a_service_that_nobody_knows_there_is_none(self, world: World) -> None:
        assert world.dashboard.answer("badge/other.svg").status == 404
