"""What the dashboard is asked and what it sends, as values: the same for each server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlencode

from pydantic import BaseModel

from drift_gate.presentation.json_text import steering_by_number

#: Seconds after which a page that is open asks anew, and for which a picture or a style may be kept.
REFRESH_S, KEPT_S = 60, 60
#: Nothing is loaded from elsewhere, and nothing within a page is a script or a style.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HTML, JSON = "text/html; charset=utf-8", "application/json"
CSV, SVG = "text/csv; charset=utf-8", "image/svg+xml"
#: The word in the address that says whether a page loads itself anew; ``off``: it does not.
LIVE = "live"


class Request(NamedTuple):
    """What is asked: a path below the dashboard in two parts, ``name`` and ``form`` (``html``, ``json``, …).

    ``query``: what stands behind it; None: the page will stand in a folder, where nothing can. ``now``: when.
    ``every``: after how many seconds an open page asks anew.
    """

    name: str
    form: str
    query: Mapping[str, str] | None
    now: datetime
    every: int = REFRESH_S

    @property
    def words(self) -> dict[str, str]:
        """What is asked for, but for how the page is to behave."""
        return {key: value for key, value in (self.query or {}).items() if key != LIVE}

    @property
    def refresh(self) -> int:
        """After how many seconds the page asks anew; 0: never."""
        return self.every if self.query is not None and self.query.get(LIVE) != "off" else 0

    def beside(self, form: str) -> str:
        """The address of the same in another form, from the page."""
        return f"{self.name.rpartition('/')[2]}.{form}" + (f"?{urlencode(self.words)}" if self.words else "")

    @property
    def other(self) -> str:
        """The address of the same page, behaving the other way."""
        return "?" + urlencode(self.words | ({LIVE: "off"} if self.refresh else {}))


class Answer(NamedTuple):
    """What is sent: a status of HTTP, a type, and the bytes.

    ``kept``: for how many seconds anybody may keep it. ``refresh``: after how many the page asks anew; 0:
    never. ``referrer``: what a browser says of the page to whom it leads. ``location``: where to look
    instead.
    """

    status: int
    media_type: str
    body: bytes
    kept: int = 0
    refresh: int = 0
    referrer: str = "no-referrer"
    location: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """Those that every answer has, and its own."""
        told = {
            "Content-Type": self.media_type,
            "Content-Security-Policy": POLICY,
            "X-Frame-Options": "DENY",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": self.referrer,
            "Cache-Control": f"max-age={self.kept}" if self.kept else "no-store",
        }
        told |= {"Refresh": str(self.refresh)} if self.refresh else {}
        return told | ({"Location": self.location} if self.location else {})


def json(view: BaseModel, status: int = 200) -> Answer:
    """``view`` for a program; a character that steers a terminal is written by its number."""
    text = steering_by_number(view.model_dump_json(indent=2) + "\n")
    return Answer(status, JSON, text.encode())
