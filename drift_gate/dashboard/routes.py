"""Which page is made of what: a server, the coordinator and a folder ask alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from drift_gate.dashboard import badge, batches, decisions, html, pages
from drift_gate.dashboard import figures as sums
from drift_gate.dashboard.answers import CSV, KEPT_S, SVG, Answer, Request, json
from drift_gate.dashboard.batches import Stored
from drift_gate.dashboard.deploys import DEPLOYS, PLANS, Deploying, DeployPages
from drift_gate.dashboard.drawing import drawing
from drift_gate.dashboard.fleet import Fleet, fleet
from drift_gate.dashboard.rows import page_of, places
from drift_gate.dashboard.service import BACK, service
from drift_gate.dashboard.words import DOORS, OUTCOMES, STANDING, headline, sentence, summary
from drift_gate.errors import JournalError
from drift_gate.journal.period import Period
from drift_gate.journal.records import Journal
from drift_gate.presentation import history
from drift_gate.presentation.forge import Forge
from drift_gate.settings.file import Settings

#: How many rows of the fleet are shown in full; the others in brief, so that a page of 500 stays small.
FULL = 60
#: Where the badges and the pages of services are.
BADGES, SERVICES = "badge/", "services/"


class Dashboard:
    """The pages.

    ``journal``: all that they are made of. ``settings``: the services that are declared, and how far apart
    looks should lie. ``forges``: those of the services' repositories, as far as they are known, for links.
    ``clock`` says the time in UTC. ``stored``: the batches that whoever runs them keeps, since a time; None:
    the journal's word is all there is. ``deploying``: what to deploy with; None: nothing is deployed here.
    """

    def __init__(
        self,
        journal: Journal,
        settings: Settings,
        forges: Mapping[str, Forge],
        *,
        clock: Callable[[], datetime],
        stored: Callable[[datetime], Sequence[Stored]] | None = None,
        deploying: Deploying | None = None,
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._places = places(settings, forges)
        self._interval = timedelta(seconds=settings.dashboard.every)
        self._clock = clock
        self._stored = stored
        self._deploys = DeployPages(deploying, settings) if deploying else None
        self._pages: Mapping[tuple[str, str], Callable[[Request], Answer]] = {
            **{("index", form): self._fleet for form in ("html", "json")},
            **{("batches", form): self._batches for form in ("html", "json")},
            **{("decisions", form): self._decisions for form in ("html", "json", "csv")},
            **{("figures", form): self._figures for form in ("html", "json")},
        }

    def answer(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """The answer to a GET of ``path`` (below the dashboard, such as ``services/worker.html``).

        ``query``: what stands behind it; None: the page will stand in a folder, where nothing can.
        """
        path = path or "index.html"
        if path in pages.STATIC:
            return Answer(200, pages.STATIC[path], pages.static(path), kept=KEPT_S)
        name, _, form = path.rpartition(".")
        asked = Request(name, form, query, self._clock())
        try:
            if made := self._pages.get((name, form)):
                return made(asked)
            if name.startswith(SERVICES) and form in ("html", "json"):
                return self._service(asked)
            if name.startswith(BADGES) and form == "svg":
                return self._badge(asked)
            if self._deploys and name.startswith((PLANS, DEPLOYS)) and form in ("html", "json"):
                return self._deploys.answer(asked)
        except ValidationError as error:
            wrong = "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in error.errors())
            return html.message(asked, 422, "That cannot be asked", wrong)
        except JournalError as error:
            return html.message(asked, 503, "The journal does not answer", str(error))
        return html.message(asked, 404, "There is no such page", f"Nothing is kept under {path}.")

    def confirm(self, path: str, given: Mapping[str, str]) -> Answer:
        """The answer to a POST of the form ``given`` to ``path``, from no page of another origin."""
        name, _, form = path.rpartition(".")
        asked = Request(name, form, {}, self._clock())
        if self._deploys is None or not name.startswith(DEPLOYS) or form != "html":
            return html.message(asked, 404, "There is nothing to confirm", f"Nothing is deployed at {path}.")
        try:
            return self._deploys.confirm(asked, given)
        except JournalError as error:
            return html.message(asked, 503, "The journal does not answer", str(error))

    def names(self) -> Iterator[str]:
        """Every page and file, by its path, the first page last. Raises ``JournalError``."""
        yield from pages.STATIC
        told = self._told(self._clock())
        for each in (*told.services, *told.former):
            yield from (f"{SERVICES}{each.page}.{form}" for form in ("json", "html"))
            yield f"{BADGES}{each.page}.svg"
        yield from (f"{name}.{form}" for name, form in [*self._pages][::-1])

    def _told(self, now: datetime) -> Fleet:
        return fleet(
            self._journal.latest(),
            self._journal.incidents(unresolved=True),
            self._places,
            interval=self._interval,
            now=now,
        )

    def _fleet(self, asked: Request) -> Answer:
        told = self._told(asked.now)
        status = 503 if told.error else 200
        if asked.form == "json":
            return json(told, status)
        said, mood = headline(told)
        view: dict[str, Any] = {"fleet": told, "headline": said, "mood": mood, "words": STANDING}
        view |= {"full": told.services[:FULL], "brief": told.services[FULL:]}
        view["until"] = self._until(told.last_look_at, asked.now)
        return html.page(asked, "fleet.html", status=status, **view)

    def _service(self, asked: Request) -> Answer:
        page, since = asked.name.removeprefix(SERVICES), asked.now - BACK
        name = next((each for each in self._places if page_of(each) == page), None)
        others = self._journal.latest() if name is None else []
        name = next((each.verdict.service for each in others if page_of(each.verdict.service) == page), name)
        if name is None:
            return html.message(asked, 404, "There is no such service", f"Nobody knows {page}.")
        found = self._journal.entries(name, since=since)
        newest = next((each for each in found if each.other_target is None), None)
        if newest is None:  # nobody looked for as long as that: what was last known is older
            older = self._journal.latest()
            newest = next((each for each in older if each.verdict.service == name), None)
        told = service(
            name,
            newest,
            found,
            self._journal.incidents(name, since=since),
            self._settings,
            self._places.get(name),
            asked.now,
        )
        if asked.form == "json":
            return json(told)
        view: dict[str, Any] = {"told": told, "sentence": sentence(told), "summary": summary(told)}
        view |= {"drawn": drawing(told.timeline), "until": self._until(told.row.looked_at, asked.now)}
        view["deployable"] = self._deploys is not None and self._deploys.offers(name)
        view["courses"] = [", ".join(history.course(each)) for each in told.incidents]
        return html.page(asked, "service.html", **view)

    def _until(self, looked_at: datetime | None, now: datetime) -> datetime:
        """When a page that nobody loads anew has become old: with its look, unless that is old already."""
        expires = (looked_at or now) + 2 * self._interval
        return expires if expires > now else now + 2 * self._interval

    def _badge(self, asked: Request) -> Answer:
        told, name = self._told(asked.now), asked.name.removeprefix(BADGES)
        found = next((each for each in (*told.services, *told.former) if each.page == name), None)
        if found is None:
            return html.message(asked, 404, "There is no such service", f"Nobody knows {name}.")
        return Answer(200, SVG, badge.badge(found, asked.now).encode(), kept=KEPT_S)

    def _batches(self, asked: Request) -> Answer:
        wanted = batches.Wanted.model_validate(asked.words)
        since = batches.begin(wanted, asked.now)
        found = self._journal.entries(since=since, without=["monitor"])
        stored = self._stored(since) if self._stored else None
        told = batches.batches(found, stored, self._places, wanted, asked.now)
        if asked.form == "json":
            return json(told)
        return html.page(asked, "batches.html", told=told, form=asked.query is not None)

    def _decisions(self, asked: Request) -> Answer:
        wanted = decisions.Wanted.model_validate(asked.words)
        since = decisions.begin(wanted, asked.now)
        found = self._journal.entries(wanted.service or None, since=since, without=wanted.without)
        if asked.form == "csv":
            fitting = decisions.fitting(found, wanted)
            told = history.History(wanted.service or None, since, asked.now, (), (), fitting)
            return Answer(200, CSV, history.csv(told).encode())
        view = decisions.decisions(found, self._places, wanted, since, asked.now)
        if asked.form == "json":
            return json(view)
        more: dict[str, Any] = {"doors": DOORS, "outcomes": OUTCOMES, "csv": asked.beside("csv")}
        return html.page(asked, "decisions.html", told=view, form=asked.query is not None, **more)

    def _figures(self, asked: Request) -> Answer:
        begin = asked.now - sums.WEEK
        period, before = (
            Period.of(self._journal, end - sums.WEEK, end, services=self._places, interval=self._interval)
            for end in (asked.now, begin)
        )
        told = sums.figures(period, before, asked.now)
        if asked.form == "json":
            return json(told)
        return html.page(asked, "figures.html", told=told, chart=sums.chart(told.days))


def message(
    path: str, now: datetime, status: int, title: str, words: str, lines: Sequence[tuple[str, str]] = ()
) -> Answer:
    """A page that says why there is no other at ``path``. ``lines``: what each is for, and what to paste."""
    asked = Request(path.rpartition(".")[0], "html", None, now)
    return html.message(asked, status, title, words, lines)
