"""Text from outside, made fit for a sentence of ours."""

from __future__ import annotations

#: How much of a platform's message is shown; its longest ones repeat themselves after the first lines.
MESSAGE_LIMIT = 300


def one_line(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """``text`` from outside on one line: no control characters, at most ``limit`` characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
