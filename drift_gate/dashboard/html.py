"""Answers that are pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drift_gate.dashboard import pages
from drift_gate.dashboard.answers import HTML, Answer, Request


def page(asked: Request, template: str, *, status: int = 200, **view: Any) -> Answer:
    """The page that ``template`` makes of ``view``."""
    root = "../" * asked.name.count("/")
    text = pages.page(template, root=root, now=asked.now, asked=asked, **view)
    return Answer(status, HTML, text.encode(), refresh=asked.refresh)


def message(
    asked: Request,
    status: int,
    title: str,
    words: str,
    lines: Sequence[tuple[str, str]] = (),
    back: str = "",
) -> Answer:
    """A page that says why there is no other.

    ``lines``: what each is for, and what to paste. ``back``: the way to the plan of a deploy; "": none.
    """
    view: dict[str, Any] = {"heading": title, "words": words, "lines": lines, "back": back}
    return page(asked, "message.html", status=status, **view)
