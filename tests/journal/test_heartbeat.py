"""The sign of life: its words, its bounds, and that its address is never told."""

from __future__ import annotations

import logging

import pytest
from pydantic import SecretStr
from support.web import Reply, Web, dead

from drift_gate.journal.heartbeat import ATTEMPTS, Heartbeat

SECRET = "d3adbeef-0000-4000-8000-5ecre7"


def heartbeat(place: str) -> Heartbeat:
    """One that asks at ``place``."""
    return Heartbeat(SecretStr(f"{place}/{SECRET}"))


def test_the_words_are_those_of_healthchecks() -> None:
    """Below the address, before what it asks for."""
    with Web() as web:
        web.replies = {f"/{SECRET}{word}": Reply(body=b"OK") for word in ("", "/start", "/fail")}
        pulse = Heartbeat(SecretStr(f"{web.url}/{SECRET}/?create=1"))
        pulse.start()
        pulse.end(whole=True)
        pulse.end(whole=False)
        assert [path.replace(SECRET, "…") for path, _ in web.seen] == [
            "/…/start?create=1",
            "/…?create=1",
            "/…/fail?create=1",
        ]


def test_it_is_tried_once_more_and_no_further(caplog: pytest.LogCaptureFixture) -> None:
    """One that heals is heard, one that does not is warned about."""
    with Web() as web:
        web.replies[f"/{SECRET}"] = [Reply(503), Reply(200)]
        heartbeat(web.url).end(whole=True)
        assert (len(web.seen), caplog.messages) == (2, [])
        web.replies[f"/{SECRET}"] = Reply(503, SECRET.encode())
        heartbeat(web.url).end(whole=True)
        assert len(web.seen) == 2 + ATTEMPTS
    assert caplog.messages == ["the heartbeat was not heard: unavailable"]


def test_nothing_of_the_address_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong, at any level, also where the other side repeats it."""
    caplog.set_level(logging.DEBUG)
    with Web() as web, dead() as port:
        web.replies[f"/{SECRET}"] = Reply(404, f'{{"error": "no check {SECRET}"}}'.encode())
        for place in (web.url, f"http://127.0.0.1:{port}", "http://example.com", "https://user:pw@localhost"):
            heartbeat(place).end(whole=True)
    assert caplog.text.count("the heartbeat was not heard") == 4
    assert SECRET not in caplog.text
    assert SECRET not in repr(vars(heartbeat("https://example.com")))


def test_where_nobody_listens_nobody_is_asked() -> None:
    Heartbeat(None).start()
    Heartbeat(None).end(whole=False)
