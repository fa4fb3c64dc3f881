"""Verdicts as JSON, for programs. Pure, and light: what draws tables is not loaded."""

from __future__ import annotations

import re

from drift_gate.policy.verdict import Outcome

#: Valid inside JSON as they are, and yet what a terminal or a reader of lines obeys.
_STEERING = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def json(outcome: Outcome) -> str:
    """The verdicts for a program, with everything that is known.

    A character that steers is written by its number: the same text for a program, harmless elsewhere.
    """
    return steering_by_number(outcome.model_dump_json(indent=2) + "\n")


def steering_by_number(text: str) -> str:
    """JSON in which every character that steers is written by its number."""
    return _STEERING.sub(lambda char: f"\\u{ord(char[0]):04x}", text)
