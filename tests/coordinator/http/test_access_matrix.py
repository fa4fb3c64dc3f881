"""The table of docs/access.md, cell by cell, against the server: who may what, in each mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from coordinator.served import DAY, Served, pushed, served
from coordinator.worlds import World, a_verdict
from support.google_tokens import certs_server, key, passed_on

from predictions.coordinator import variables
from predictions.coordinator.http.problems import TYPE_PREFIX
from scripts import pages as page
from scripts.pages import CALLERS, COLUMNS, SERVERS, Who, answers, host

CELLS = [
    pytest.param(server, who, column, id=f"{server}-{who.words}-{column}".replace("`", ""))
    for server, callers in CALLERS.items()
    for who in callers
    for column in COLUMNS
]
#: What a token may lack, for the row of those that do not hold.
BAD_TOKENS: Mapping[str, dict[str, Any]] = {
    "expired": {"iat": 1, "exp": 2},
    "for another": {"aud": "https://other.example.com"},
    "by another": {"iss": "https://evil.example.com"},
    "unverified": {"email_verified": False},
}


Opened = Callable[[str], Served]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """One server of each kind, made when it is first asked for; our certificates are Google's."""
    with ExitStack() as stack:
        certificates = stack.enter_context(certs_server(key("one")))

        @cache
        def make(server: str) -> Served:
            environ = dict(SERVERS[server])
            if variables.AUDIENCE in environ:
                environ[variables.CERTS_URL] = certificates.url
            folder = tmp_path_factory.mktemp("server")
            return stack.enter_context(
                served(folder, environ, host=host(server), gate=lambda **_: a_verdict())
            )

        yield make


def headers(server: str, who: Who) -> dict[str, str]:
    """How ``who`` says who they are to a server of this kind."""
    if who.key is not None:
        return {"X-API-Key": who.key}
    if who.email is None:
        return {}
    token = key("one").token(who.email, aud=page.AUDIENCE)
    return {"Authorization": f"Bearer {passed_on(token) if 'platform' in server else token}"}


def ask(on: Served, column: str, sent: Mapping[str, str]) -> httpx.Response:
    """What the column of the table stands for; nothing in it starts a batch."""
    start = {"game_date": DAY, "dry_run": True}
    match column:
        case "look":
            return on.client.get("/batches", headers=sent)
        case "start":
            return on.client.post("/start", json=start, headers=sent)
        case "start past a check":
            return on.client.post("/start", json={**start, "skip_drift_check": True}, headers=sent)
        case "cancel":
            return on.client.post("/batches/none/cancel", headers=sent)
        case _:
            return on.client.post("/complete", json=pushed(b"none"), headers=sent)


@pytest.mark.parametrize(("server", "who", "column"), CELLS)
def test_the_server_answers_as_the_table_says(server: str, who: Who, column: str, opened: Opened) -> None:
    cell = answers(server, who)[list(COLUMNS).index(column)]
    response = ask(opened(server), column, headers(server, who))
    if cell == "yes":
        assert response.status_code in {200, 404}, response.text
        return
    assert response.status_code == int(cell), response.text
    name = {"401": "unauthenticated", "403": "forbidden"}[cell]
    if column == "start past a check" and "start" in answered(server, who):
        name = "bypass-forbidden"
    assert response.json()["type"] == TYPE_PREFIX + name
    assert ("www-authenticate" in response.headers) is (cell == "401")


def answered(server: str, who: Who) -> set[str]:
    """The columns that are open to ``who``."""
    return {column for column, cell in zip(COLUMNS, answers(server, who), strict=True) if cell == "yes"}


@pytest.mark.parametrize("wrong", BAD_TOKENS)
def test_a_token_that_does_not_hold_is_nobody(wrong: str, opened: Opened) -> None:
    """Each way in which it may be wrong is the row of nobody: 401 for all that is asked."""
    token = key("one").token(page.ON_CALL, **{"aud": page.AUDIENCE, **BAD_TOKENS[wrong]})
    for column in COLUMNS:
        response = ask(opened("`id-token`"), column, {"Authorization": f"Bearer {token}"})
        assert response.status_code == 401
        assert token not in response.text


@pytest.mark.parametrize("server", SERVERS)
def test_probes_are_for_everybody(server: str, world: World, opened: Opened) -> None:
    """And say no more than that all is well."""
    for path in ("/health", "/ready"):
        response = opened(server).client.get(path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("server", [name for name in SERVERS if "platform" not in name and name[0] == "`"])
def test_whoever_is_nobody_learns_of_no_path(server: str, opened: Opened) -> None:
    """401 comes before 404, before 405 and before a look at the body."""
    client = opened(server).client
    for method, path in (("GET", "/nowhere"), ("DELETE", "/start"), ("GET", "/openapi.json")):
        assert client.request(method, path).status_code == 401
    assert client.post("/start", content=b"{").status_code == 401


def test_two_of_one_header_are_none(opened: Opened) -> None:
    """A proxy may read the first and we the last."""
    sent = [("X-API-Key", page.KEY), ("X-API-Key", "another")]
    assert opened("`api-key`").client.get("/batches", headers=sent).status_code == 401


@pytest.mark.parametrize("file", page.PAGES, ids=lambda file: file.name)
def test_the_page_is_what_the_code_decides(file: Path) -> None:
    """Otherwise: python scripts/pages.py."""
    assert page.page(file) == file.read_text(encoding="utf-8")


def test_the_page_names_each_variable() -> None:
    text = page.ACCESS.read_text(encoding="utf-8")
    assert [name for name in variables.VARIABLES if f"| `{name}` |" not in text] == []
