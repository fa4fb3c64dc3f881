"""Views into pages: templates take values and decide nothing; what a stranger wrote is text there. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from drift_gate.policy.verdict import duration
from drift_gate.presentation.enforcement import why_not_enforced
from drift_gate.presentation.plain_text import plain

#: Characters of one text that a page shows: a subject of ten thousand would be the page.
LONGEST = 300
_FOLDER = Path(__file__).parent
#: What a page needs beside it, by name.
STATIC = {
    "dashboard.css": "text/css; charset=utf-8",
    "dashboard.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def page(template: str, *, root: str, now: datetime, **view: Any) -> str:
    """The page that ``template`` makes of ``view``.

    ``root``: the way from the page to the first one, ``""`` or ``"../"``. ``now``: what ages are told from.
    """
    return _templates().get_template(template).render(root=root, now=now, **view)


def static(name: str) -> bytes:
    """The file ``name``, one of ``STATIC``."""
    return (_FOLDER / "static" / name).read_bytes()


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    templates.filters |= {
        "iso": iso,
        "ago": ago,
        "exact": exact,
        "span": span,
        "duration": lambda seconds: duration(int(seconds)),
        "whole": lambda text: Markup(escape(plain(text))),  # noqa: S704 - what is pasted or drawn
        "short": lambda commit: commit[:12],
        "lifted": why_not_enforced,
    }
    return templates


def _shown(value: object) -> object:
    """What an expression of a template came to, fit to be read; markup is ours alone."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    text = plain(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def iso(at: datetime) -> str:
    """``at`` for a program."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(seconds: float) -> str:
    """``seconds`` in words, to the minute."""
    return duration(seconds - seconds % 60) if seconds >= 60 else "less than a minute"


def ago(at: datetime, now: datetime) -> str:
    """How long ago ``at`` is, in words."""
    seconds = (now - at).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def exact(at: datetime, now: datetime) -> str:
    """``at`` by the clock, in UTC; with the day, where that is not the day of ``now``."""
    there, today = at.astimezone(UTC), now.astimezone(UTC).date()
    return there.strftime("%H:%M UTC" if there.date() == today else "%Y-%m-%d %H:%M UTC")
