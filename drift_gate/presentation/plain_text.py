"""What a stranger wrote, made harmless for a terminal, a log and a line of output. Pure."""

from __future__ import annotations


def plain(text: str) -> str:
    """``text`` on one line without control characters: what a stranger wrote must not steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
