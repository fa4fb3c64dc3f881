"""What is asked of the dashboard, and what it answers: a server, the coordinator and a folder alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from pydantic import BaseModel

from drift_gate.dashboard import pages
from drift_gate.dashboard.drawing import drawing
from drift_gate.dashboard.fleet import Fleet, fleet
from drift_gate.dashboard.rows import page_of, places
from drift_gate.dashboard.service import BACK, service
from drift_gate.dashboard.words import STANDING, headline, sentence, summary
from drift_gate.errors import JournalError
from drift_gate.journal.records import Journal
from drift_gate.presentation.forge import Forge
from drift_gate.presentation.history import course
from drift_gate.presentation.json_text import steering_by_number
from drift_gate.settings.file import Settings

#: Seconds after which a page that is open asks anew.
REFRESH_S = 60
#: How many rows of the fleet are shown in full; the others in brief, so that a page of 500 stays small.
FULL = 60
#: Nothing is loaded from elsewhere, and nothing in a page is a script or a style.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HTML, JSON, CSV, SVG = (
    "text/html; charset=utf-8",
    "application/json",
    "text/csv; charset=utf-8",
    "image/svg+xml",
)


class Answer(NamedTuple):
    """What is sent: a status of HTTP, a type, and the bytes.

    ``max_age``: for how many seconds anybody may keep it. ``refresh``: after how many the page asks anew;
    0: never.
    """

    status: int
    media_type: str
    body: bytes
    max_age: int = 0
    refresh: int = 0

    @property
    def headers(self) -> dict[str, str]:
        """Those that every answer has, and its own."""
        told = {
            "Content-Type": self.media_type,
            "Content-Security-Policy": POLICY,
            "X-Frame-Options": "DENY",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": f"max-age={self.max_age}" if self.max_age else "no-store",
        }
        return told | ({"Refresh": str(self.refresh)} if self.refresh else {})


class Refresh(NamedTuple):
    """Whether a page loads itself anew, and the address of the same page where it is the other way."""

    seconds: int
    other: str


class Dashboard:
    """The pages.

    ``journal``: all that they are made of. ``settings``: the services that are declared, and how far apart
    looks should lie. ``forges``: those of the services' repositories, as far as they are known, for links.
    ``clock`` says the time in UTC.
    """

    def __init__(
        self,
        journal: Journal,
        settings: Settings,
        forges: Mapping[str, Forge],
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._places = places(settings, forges)
        self._interval = timedelta(seconds=settings.dashboard.every)
        self._clock = clock

    def answer(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """The answer to a GET of ``path`` (below the dashboard, such as ``services/worker.html``).

        ``query``: what stands behind it; None: it stands in a folder, and nothing can.
        """
        name, _, form = (path or "index.html").rpartition(".")
        now = self._clock()
        try:
            if path in pages.STATIC:
                return Answer(200, pages.STATIC[path], pages.static(path), max_age=REFRESH_S)
            if name == "index" and form in ("html", "json"):
                return self._fleet(form, query, now)
            if name.startswith("services/") and form in ("html", "json"):
                return self._service(name, form, query, now)
        except JournalError as error:
            return self._message(503, "The journal does not answer", str(error), name, now)
        return self._message(404, "There is no such page", f"Nothing is kept under {path}.", name, now)

    def names(self) -> Iterator[str]:
        """Every page and file, by its path, the first page last. Raises ``JournalError``."""
        yield from pages.STATIC
        told = self._told(self._clock())
        for each in (*told.services, *told.former):
            yield from (f"services/{each.page}.{form}" for form in ("json", "html"))
        yield from ("index.json", "index.html")

    def _told(self, now: datetime) -> Fleet:
        return fleet(
            self._journal.latest(),
            self._journal.incidents(unresolved=True),
            self._places,
            interval=self._interval,
            now=now,
        )

    def _fleet(self, form: str, query: Mapping[str, str] | None, now: datetime) -> Answer:
        told = self._told(now)
        status = 503 if told.error else 200
        if form == "json":
            return _json(told, status)
        said, mood = headline(told)
        view: dict[str, Any] = {"fleet": told, "headline": said, "mood": mood, "words": STANDING}
        view |= {"full": told.services[:FULL], "brief": told.services[FULL:]}
        until = (told.last_look_at or now) + 2 * self._interval
        return self._page("index", "fleet.html", query, now, status=status, until=until, **view)

    def _service(self, path: str, form: str, query: Mapping[str, str] | None, now: datetime) -> Answer:
        latest = {each.verdict.service: each for each in self._journal.latest()}
        page = path.removeprefix("services/")
        name = next((each for each in (*self._places, *latest) if page_of(each) == page), None)
        if name is None:
            return self._message(404, "There is no such service", f"Nobody knows {page}.", path, now)
        since = now - BACK
        told = service(
            name,
            latest.get(name),
            self._journal.entries(name, since=since),
            self._journal.incidents(name, since=since),
            self._settings,
            self._places.get(name),
            now,
        )
        if form == "json":
            return _json(told)
        until = (told.row.looked_at or now) + 2 * self._interval
        view: dict[str, Any] = {
            "told": told,
            "sentence": sentence(told),
            "summary": summary(told),
            "drawn": drawing(told.timeline),
            "courses": [", ".join(course(each)) for each in told.incidents],
            "until": until,
        }
        return self._page(path, "service.html", query, now, **view)

    def _page(
        self,
        path: str,
        template: str,
        query: Mapping[str, str] | None,
        now: datetime,
        *,
        status: int = 200,
        **view: Any,
    ) -> Answer:
        refresh = 0
        if query is not None:
            refresh = 0 if query.get("live") == "off" else REFRESH_S
            asked = {key: value for key, value in query.items() if key != "live"}
            other = "?" + urlencode(asked | ({"live": "off"} if refresh else {}))
            view["refresh"] = Refresh(refresh, other)
        folder, _, file = path.rpartition("/")
        text = pages.page(
            template,
            root="../" if folder else "",
            now=now,
            here=path,
            json=f"{file}.json",
            **view,
        )
        return Answer(status, HTML, text.encode(), refresh=refresh)

    def _message(self, status: int, title: str, words: str, name: str, now: datetime) -> Answer:
        root = "../" * name.count("/")
        text = pages.page("message.html", root=root, now=now, here="", message_title=title, words=words)
        return Answer(status, HTML, text.encode())


def _json(view: BaseModel, status: int = 200) -> Answer:
    text = steering_by_number(view.model_dump_json(indent=2) + "\n")
    return Answer(status, JSON, text.encode())
