"""Numbers as a line of blocks, one character each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Blocks(NamedTuple):
    """The characters to draw with: ``levels`` from lowest to highest, no value, and what was cut off."""

    levels: str
    missing: str
    more: str


UNICODE = Blocks("▁▂▃▄▅▆▇█", "·", "…")
ASCII = Blocks("_.-~=+*#", " ", "<")


def blocks(encoding: str | None) -> Blocks:
    """Blocks where ``encoding`` has them, else ASCII; None: an encoding that nobody knows."""
    return UNICODE if encodable("".join(UNICODE), encoding) else ASCII


def encodable(text: str, encoding: str | None) -> bool:
    """Whether ``encoding`` has each character of ``text``; None: an encoding that nobody knows."""
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def bars(values: Sequence[float | None], scale: Sequence[float], draw: Blocks) -> str:
    """A block for each of ``values`` (None: there is none), between the least and the greatest of ``scale``.

    On a scale without extent each stands in the middle.
    """
    low, high = min(scale, default=0.0), max(scale, default=0.0)
    steps = len(draw.levels) - 1
    return "".join(
        draw.missing
        if value is None
        else draw.levels[round((value - low) / (high - low) * steps) if high > low else steps // 2]
        for value in values
    )
