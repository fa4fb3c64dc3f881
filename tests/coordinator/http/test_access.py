"""The environment decides who may what; what contradicts itself stops before anything listens."""

from __future__ import annotations

import pytest

from predictions.coordinator.exceptions import BypassForbiddenError, ConfigError, ForbiddenError
from predictions.coordinator.http import access

EVERYWHERE = "0.0.0.0"  # noqa: S104 (named, not bound)
KEY, OTHER_KEY = "a-key-of-some-length", "another-key-of-length"
SECOND = {
    "COORDINATOR_ACCESS": "platform",
    "COORDINATOR_AUDIENCE": "https://x",
    "COORDINATOR_BYPASS_ACCESS": "id-token",
    "COORDINATOR_BYPASS_CALLERS": "on-call@example.com",
}
NIGHTLY, ON_CALL, PUSH = "nightly@example.com", "on-call@example.com", "push@example.com"


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "10.0.0.7", "example.com", ""])
def test_a_public_address_without_settings_is_refused(host: str) -> None:
    """Nobody opens a coordinator to the world by forgetting something."""
    with pytest.raises(ConfigError, match="COORDINATOR_ACCESS is not set"):
        access.read({}, host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_a_loopback_address_may_go_without(host: str) -> None:
    assert access.read({}, host).mode == "open"


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"COORDINATOR_ACCESS": "open"}, "COORDINATOR_ACCESS"),
        ({"COORDINATOR_ACCESS": "Platform"}, "COORDINATOR_ACCESS"),
        ({"COORDINATOR_ACCESS": "id-token"}, "COORDINATOR_AUDIENCE"),
        ({"COORDINATOR_ACCESS": "id-token", "COORDINATOR_AUDIENCE": "https://x"}, "COORDINATOR_CALLERS"),
        ({"COORDINATOR_ACCESS": "api-key"}, "COORDINATOR_API_KEY"),
        ({"COORDINATOR_ACCESS": "api-key", "COORDINATOR_API_KEY": "short"}, "COORDINATOR_API_KEY"),
        ({"COORDINATOR_ACCESS": "api-key", "COORDINATOR_API_KEY": "ü" * 20}, "COORDINATOR_API_KEY"),
        (
            {"COORDINATOR_ACCESS": "api-key", "COORDINATOR_API_KEY": KEY, "COORDINATOR_BYPASS_KEY": KEY},
            "COORDINATOR_BYPASS_KEY",
        ),
        (
            {"COORDINATOR_ACCESS": "api-key", "COORDINATOR_API_KEY": KEY, "COORDINATOR_PUSH_CALLERS": PUSH},
            "COORDINATOR_AUDIENCE",
        ),
        ({"COORDINATOR_ACCESS": "platform", "COORDINATOR_API_KEY": KEY}, "COORDINATOR_API_KEY"),
        ({"COORDINATOR_ACCESS": "platform", "COORDINATOR_CALLERS": "somebody"}, "COORDINATOR_CALLERS"),
        ({"COORDINATOR_ACCESS": "platform", "COORDINATOR_AUDIENCE": "https://x"}, "COORDINATOR_AUDIENCE"),
        ({**SECOND, "COORDINATOR_BYPASS_ACCESS": "key"}, "COORDINATOR_BYPASS_ACCESS"),
        ({**SECOND, "COORDINATOR_AUDIENCE": ""}, "COORDINATOR_AUDIENCE"),
        ({**SECOND, "COORDINATOR_BYPASS_CALLERS": ""}, "COORDINATOR_BYPASS_CALLERS"),
        (
            {**SECOND, "COORDINATOR_ACCESS": "id-token", "COORDINATOR_CALLERS": NIGHTLY},
            "COORDINATOR_BYPASS_ACCESS",
        ),
        (
            {
                "COORDINATOR_ACCESS": "platform",
                "COORDINATOR_CALLERS": PUSH.upper(),
                "COORDINATOR_PUSH_CALLERS": PUSH,
            },
            "COORDINATOR_PUSH_CALLERS",
        ),
        (
            {
                "COORDINATOR_ACCESS": "id-token",
                "COORDINATOR_AUDIENCE": "https://x",
                "COORDINATOR_CALLERS": NIGHTLY,
                "COORDINATOR_CERTS_URL": "http://certs.example.com/",
            },
            "COORDINATOR_CERTS_URL",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(environ: dict[str, str], named: str) -> None:
    """The sentence names the variable, and never the value of a key."""
    with pytest.raises(ConfigError, match=named) as caught:
        access.read(environ, EVERYWHERE)
    assert KEY not in str(caught.value)


def test_settings_on_a_loopback_address_without_a_mode_are_refused() -> None:
    """Whoever sets a key means that it is asked for."""
    with pytest.raises(ConfigError, match="COORDINATOR_API_KEY"):
        access.read({"COORDINATOR_API_KEY": KEY}, "127.0.0.1")


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert access.read({"COORDINATOR_ACCESS": " ", "COORDINATOR_API_KEY": ""}, "127.0.0.1").mode == "open"


def test_lists_are_e_mail_addresses_in_any_case() -> None:
    environ = {"COORDINATOR_ACCESS": "platform", "COORDINATOR_CALLERS": f" {NIGHTLY.upper()} ,, x@y.z,"}
    assert access.read(environ, EVERYWHERE).callers == {NIGHTLY, "x@y.z"}


@pytest.mark.parametrize(
    ("environ", "possible"),
    [
        ({}, True),
        ({"COORDINATOR_ACCESS": "platform"}, False),
        ({"COORDINATOR_ACCESS": "platform", "COORDINATOR_BYPASS_CALLERS": ON_CALL}, True),
        ({"COORDINATOR_ACCESS": "api-key", "COORDINATOR_API_KEY": KEY}, False),
        (
            {
                "COORDINATOR_ACCESS": "api-key",
                "COORDINATOR_API_KEY": KEY,
                "COORDINATOR_BYPASS_KEY": OTHER_KEY,
            },
            True,
        ),
    ],
)
def test_a_server_knows_that_nobody_may_bypass(environ: dict[str, str], possible: bool) -> None:
    """It is said at its start, and not found out in the emergency."""
    assert access.read(environ, "127.0.0.1").bypass_possible is possible


def test_a_refused_bypass_is_an_error_of_its_own() -> None:
    """The log and the answer tell it from any other refusal."""
    caller = access.Caller(actor=NIGHTLY, may=frozenset({"read", "start"}))
    caller.require("start")
    with pytest.raises(BypassForbiddenError, match=f"{NIGHTLY} may not bypass"):
        caller.require("bypass")
    with pytest.raises(ForbiddenError, match="may not complete"):
        caller.require("complete")
