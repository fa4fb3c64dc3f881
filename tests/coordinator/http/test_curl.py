"""The lines of curl in a refusal: a shell runs them as they stand, and the server takes what they send."""

from __future__ import annotations

import json
import shlex
from datetime import date

import pytest

from predictions.coordinator.http import curl
from predictions.coordinator.http.access import Access
from predictions.coordinator.http.bodies import StartRequest

DAY = date(2026, 2, 5)
ASKED = StartRequest(game_date="TODAY", min_minutes=12.0)
KEYED = Access(mode="api-key", api_key="a" * 16, bypass_key="b" * 16)
PLATFORM = Access(mode="platform", bypass_callers=frozenset({"ops@example.com"}))
HOST = {"host": "coordinator-abc.a.run.app", "x-forwarded-proto": "https"}


def sent(line: str) -> StartRequest:
    """What the line sends."""
    words = shlex.split(line)
    return StartRequest.model_validate(json.loads(words[words.index("-d") + 1]))


def test_the_same_is_asked_for_again_on_the_real_date() -> None:
    line = curl.again(ASKED, DAY, HOST, PLATFORM, "nightly 'x")
    assert sent(line) == StartRequest(game_date="2026-02-05", min_minutes=12.0)
    assert "https://coordinator-abc.a.run.app/start" in shlex.split(line)
    assert "Idempotency-Key: nightly 'x" in shlex.split(line)


def test_the_bypass_is_the_same_past_the_gate() -> None:
    line = curl.bypass(ASKED, DAY, HOST, PLATFORM, None)
    assert line is not None
    assert sent(line) == StartRequest(
        game_date="2026-02-05", min_minutes=12.0, skip_drift_check=True, reason="WHY"
    )
    assert "Idempotency-Key" not in line


def test_where_nobody_may_bypass_there_is_no_line() -> None:
    assert curl.bypass(ASKED, DAY, HOST, Access(mode="platform"), None) is None


@pytest.mark.parametrize(
    ("access", "named"),
    [(PLATFORM, "gcloud auth print-identity-token"), (KEYED, "X-Api-Key: $KEY"), (Access(mode="open"), "")],
)
def test_the_caller_is_named_as_the_server_asks_and_no_secret_is_told(access: Access, named: str) -> None:
    line = curl.again(ASKED, DAY, HOST, access, None)
    assert named in line
    assert ("gcloud" in line or "$KEY" in line) == bool(named)
    assert "a" * 16 not in line


@pytest.mark.parametrize("host", ["", "x;reboot", "a b", "$(id)", "x/'", "[::1"])
def test_a_host_that_cannot_be_pasted_is_left_to_the_reader(host: str) -> None:
    """Whoever sends the header must not get a line that runs something else."""
    assert '"$URL/start"' in curl.again(ASKED, DAY, {"host": host}, PLATFORM, None)


def test_a_server_on_this_machine_is_asked_there() -> None:
    assert "http://[::1]:8080/start" in curl.again(ASKED, DAY, {"host": "[::1]:8080"}, PLATFORM, None)
