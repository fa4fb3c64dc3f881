"""What reason codes and causes mean, as lines of text. Pure, and light: nothing but the table is loaded."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from drift_gate.policy.codes import CAUSE_MEANINGS, REASONS


def meaning(code: str) -> list[tuple[str, str]]:
    """Labels and texts; none for what is no reason code and no cause."""
    if code in REASONS:
        reason = REASONS[code]
        return [("decides", reason.decision), ("when", reason.when), ("to do", reason.todo)]
    for cause, (when, todo) in CAUSE_MEANINGS.items():
        if cause == code:
            return [("cause of", "unknown-drift"), ("when", when), ("to do", todo)]
    return []


def explained(code: str, width: int) -> Iterator[str]:
    """One code, folded to ``width`` columns."""
    yield code
    yield from _columns(meaning(code), width)


def listed(width: int) -> Iterator[str]:
    """Every code with what it decides and when, then every cause, folded to ``width`` columns."""
    yield "Reason codes"
    yield from _columns([(code, f"{one.decision}: {one.when}") for code, one in REASONS.items()], width)
    yield ""
    yield "Causes of unknown-drift"
    yield from _columns([(cause, when) for cause, (when, _) in CAUSE_MEANINGS.items()], width)


def _columns(rows: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """A label and its text in each row; a word is only cut where it alone is wider than its column."""
    start = max((len(label) for label, _ in rows), default=0) + 2
    for label, text in rows:
        lines = textwrap.wrap(text, max(width - start, 1), break_on_hyphens=False)
        yield f"{label:{start}}{lines[0]}"
        yield from (f"{'':{start}}{line}" for line in lines[1:])
