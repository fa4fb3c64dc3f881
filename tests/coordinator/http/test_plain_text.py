"""Six in the morning at a terminal: the words of the command line, where a person asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from coordinator.served import DAY, Served, served, two_players
from coordinator.worlds import World
from support.heavy import light

from drift_gate.commands.main import main
from predictions.coordinator.http.middleware import asks_text

ASKED: list[dict[str, Any]] = [{"params": {"format": "text"}}, {"headers": {"Accept": "text/plain"}}]


@pytest.fixture
def here(world: World, tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, two_players(tmp_path)) as made:
        yield made


@pytest.mark.parametrize("asked", light(ASKED, ASKED[1:]))
class TestAsText:
    def test_the_drift_is_what_the_command_prints(
        self, asked: dict[str, Any], here: Served, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for _ in range(2):
            answer = here.client.get("/drift", **asked)
            main(["check"])
            printed = capsys.readouterr().out
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert _no_times(answer.text) == _no_times(printed)
            world.fall_behind()
        assert "What to do:" in here.client.get("/drift", **asked).text

    def test_a_refusal_is_the_one_of_the_start(
        self, asked: dict[str, Any], here: Served, world: World
    ) -> None:
        world.fall_behind()
        answer = here.client.post("/start", json={"game_date": DAY}, **asked)
        told = here.client.post("/start", json={"game_date": DAY}).json()
        assert (answer.status_code, answer.headers["content-type"]) == (409, "text/plain; charset=utf-8")
        assert answer.text.splitlines()[0] == told["detail"].splitlines()[0]
        assert "{" not in answer.text.splitlines()[0]
        assert answer.headers["cache-control"] == "no-store"

    def test_each_problem_is_a_sentence(self, asked: dict[str, Any], here: Served) -> None:
        for method, path, status, said in (
            ("GET", "/batches/none", 404, "prediction-coordinator: there is no batch none\n"),
            ("GET", "/nowhere", 404, "prediction-coordinator: Not Found\n"),
            ("DELETE", "/start", 405, "prediction-coordinator: Method Not Allowed\n"),
        ):
            answer = here.client.request(method, path, **asked)
            assert (answer.status_code, answer.text) == (status, said)

    def test_a_request_that_is_wrong_names_each_place(self, asked: dict[str, Any], here: Served) -> None:
        answer = here.client.post("/start", json={"game_date": DAY, "wait": "soon"}, **asked)
        first, *places = answer.text.splitlines()
        assert first == "prediction-coordinator: the request is not valid: body.wait"
        assert places[0].startswith("  body.wait: ")

    def test_whoever_is_nobody_is_told_so(self, asked: dict[str, Any], world: World, tmp_path: Path) -> None:
        environ = {"COORDINATOR_ACCESS": "api-key", "COORDINATOR_API_KEY": "the-key-of-the-scheduler"}
        with served(tmp_path, environ, host="0.0.0.0") as made:  # noqa: S104 (named, not bound)
            answer = made.client.get("/drift", **asked)
        assert (answer.status_code, answer.text) == (
            401,
            "prediction-coordinator: send the key: X-API-Key: KEY\n",
        )


@pytest.mark.parametrize(
    ("query", "accept", "text"),
    [
        (b"", "*/*", False),
        (b"", "", False),
        (b"", "text/html,*/*;q=0.8", False),
        (b"", "text/plain, application/json", False),
        (b"", "text/plain;q=0.9, */*;q=0.1", True),
        (b"format=json", "text/plain", False),
        (b"format=text", "application/json", True),
        (b"format=json&format=text", "", True),
        (b"format=%ff", "", False),
    ],
)
def test_programs_get_json_unless_they_say_otherwise(query: bytes, accept: str, text: bool) -> None:
    scope = {"type": "http", "query_string": query, "headers": [(b"accept", accept.encode())]}
    assert asks_text(scope) is text


def _no_times(text: str) -> list[str]:
    """The lines without those that may name a duration or an age: these go on between two looks.

    The one of the drift does from its first second on.
    """
    return [
        line
        for line in text.splitlines()
        if "ago" not in line and " s" not in line and not line.startswith("drift ")
    ]
