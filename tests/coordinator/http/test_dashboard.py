"""The gate's pages on the coordinator: who gets in, in each mode of access, and what a browser is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from coordinator.served import DAY, Served, served, two_players
from coordinator.worlds import World

from predictions.coordinator import variables

BROWSER = {"Accept": "text/html,application/xhtml+xml"}
KEY = "the-key-of-the-scheduler"
BY_KEY = {variables.MODE: "api-key", variables.API_KEY: KEY}


@pytest.fixture
def here(world: World, tmp_path: Path) -> Iterator[Served]:
    """A server on a loopback address, in a repository whose worker is current."""
    with served(tmp_path, two_players(tmp_path)) as made:
        yield made


@pytest.fixture
def guarded(world: World, tmp_path: Path) -> Iterator[Served]:
    """One that asks for a key."""
    with served(tmp_path, {**two_players(tmp_path), **BY_KEY}, host="0.0.0.0") as made:  # noqa: S104 (not bound)
        yield made


def test_the_first_page_is_where_one_looks_for_it(here: Served) -> None:
    assert here.client.get("/dashboard").headers["location"] == "/dashboard/"
    here.client.post("/start", json={"game_date": DAY})
    answer = here.client.get("/dashboard/")
    assert answer.status_code == 200
    assert "The service runs what it should" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["refresh"] == "60"
    assert "refresh" not in here.client.get("/dashboard/?live=off").headers


def test_a_batch_stands_there_with_its_verdict_and_what_became_of_it(here: Served) -> None:
    batch = here.client.post("/start", json={"game_date": DAY}).json()["batch"]["id"]
    told = json.loads(here.client.get("/dashboard/batches.json").text)
    (row,) = told["batches"]
    assert (row["id"], row["state"], row["progress"]) == (batch, "completed", "2 of 2")
    assert row["mixed"] is not None or row["commits"]
    commit = row["commits"][0]["id"]
    for prefix, found in ((commit[:9], 1), ("0" * 9, 0)):
        asked = here.client.get(f"/dashboard/batches.json?commit={prefix}").json()
        assert asked["found"] == found
    assert here.client.get("/dashboard/batches.json?commit=main").status_code == 422


def test_whoever_may_not_read_is_let_in_nowhere(guarded: Served) -> None:
    for page in ("", "index.html", "index.json", "decisions.csv", "services/prediction-worker.html"):
        assert guarded.client.get(f"/dashboard/{page}").status_code == 401, page
    assert guarded.client.get("/dashboard/", headers={"X-API-Key": KEY}).status_code in (200, 503)


def test_a_browser_without_a_token_is_told_how_to_get_in(guarded: Served) -> None:
    answer = guarded.client.get("/dashboard/decisions.html", headers=BROWSER)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "www-authenticate" in answer.headers
    assert "This page is not for everybody" in answer.text
    assert "X-API-Key" in answer.text
    assert "deployment-drift dashboard --port" in answer.text
    assert guarded.client.get("/dashboard/dashboard.css").status_code == 200
    program = guarded.client.get("/dashboard/index.json")
    assert program.headers["content-type"] == "application/problem+json"
    assert (
        guarded.client.get("/batches", headers=BROWSER)
        .headers["content-type"]
        .startswith("application/problem")
    )


@pytest.mark.parametrize("mode", ["platform", "id-token"])
def test_each_mode_names_its_own_way_in(world: World, tmp_path: Path, mode: str) -> None:
    listed = {
        variables.MODE: mode,
        variables.CALLERS: "ann@example.com",
        **({variables.AUDIENCE: "https://coordinator.example.com"} if mode == "id-token" else {}),
    }
    with served(tmp_path, listed, host="0.0.0.0") as made:  # noqa: S104 (not bound)
        answer = made.client.get("/dashboard/", headers=BROWSER)
    assert answer.status_code == 401
    assert ("gcloud run services proxy" if mode == "platform" else "print-identity-token") in answer.text


def test_badges_are_for_everybody_only_where_that_is_set(guarded: Served, world: World) -> None:
    badge = "/dashboard/badge/prediction-worker.svg"
    assert guarded.client.get(badge).status_code == 401
    file = world.root / "drift.toml"
    file.write_text(file.read_text() + "\n[dashboard]\npublic_badges = true\n")
    answer = guarded.client.get(badge)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "max-age=60"
    assert "not looked at" in answer.text
    assert guarded.client.get("/dashboard/index.html").status_code == 401
    file.write_text("nonsense")
    assert guarded.client.get(badge).status_code == 401


def test_a_broken_file_is_told_and_stops_nothing(here: Served, world: World) -> None:
    (world.root / "drift.toml").write_text("nonsense")
    answer = here.client.get("/dashboard/")
    assert answer.status_code == 503
    assert "The configuration is wrong" in answer.text
    assert here.client.get("/batches").status_code == 200


def test_the_pages_are_in_no_description(here: Served) -> None:
    assert not [path for path in here.client.get("/openapi.json").json()["paths"] if "dashboard" in path]
