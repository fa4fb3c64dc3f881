"""The bypass: when it holds, and what is complained about."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from drift_gate.policy.break_glass import SWITCH, UNTIL, asked_for

NOW = datetime(2026, 2, 5, 6, 0, tzinfo=UTC)

# environment → holds, words of the complaint
TABLE: list[tuple[dict[str, str], bool, str | None]] = [
    ({}, False, None),
    ({SWITCH: ""}, False, None),
    ({SWITCH: "false"}, False, None),
    ({SWITCH: "0"}, False, None),
    ({SWITCH: "1", UNTIL: "2026-02-05T07:00:00Z"}, True, None),
    ({SWITCH: "TRUE", UNTIL: "2026-02-05T07:00:00+00:00"}, True, None),
    ({SWITCH: "yes", UNTIL: "2026-02-05 06:01"}, True, None),
    ({SWITCH: "on"}, True, "without an end"),
    ({SWITCH: "1", UNTIL: "2026-02-05T05:59:59Z"}, False, "is past"),
    ({SWITCH: "1", UNTIL: "2026-02-05T06:00:00Z"}, False, "is past"),
    ({SWITCH: "1", UNTIL: "tonight"}, False, "no ISO time"),
    ({SWITCH: "flase"}, False, "neither true nor false"),
    ({UNTIL: "2026-02-05T07:00:00Z"}, False, None),
]


@pytest.mark.parametrize(("environ", "holds", "words"), TABLE)
def test_the_process_wide_bypass(environ: dict[str, str], holds: bool, words: str | None) -> None:
    """An unreadable or past one is none; one without an end holds; each of these is complained about."""
    asked = asked_for(False, None, "ann", environ, NOW)
    assert (asked.bypass is not None) == holds
    assert bool(asked.complaints) == (words is not None)
    assert (words or "") in " ".join(asked.complaints)


def test_the_callers_own_bypass_needs_nothing() -> None:
    """It holds at once, whatever the environment says, and a missing reason is recorded as missing."""
    asked = asked_for(True, None, "ann", {SWITCH: "flase"}, NOW)
    assert asked.bypass is not None
    assert (asked.bypass.actor, asked.bypass.reason, asked.bypass.until) == ("ann", None, None)
    assert asked.complaints == ()


def test_a_bounded_bypass_says_until_when() -> None:
    """The end is on record, in UTC where no zone is given."""
    asked = asked_for(False, "why", "ann", {SWITCH: "1", UNTIL: "2026-02-05T07:30:00"}, NOW)
    assert asked.bypass is not None
    assert asked.bypass.until == datetime(2026, 2, 5, 7, 30, tzinfo=UTC)
