"""The gate's pages on the coordinator: who may read, and how a browser gets in."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import Scope

from drift_gate.dashboard.answers import Answer
from drift_gate.dashboard.batches import Stored
from drift_gate.dashboard.pages import STATIC
from drift_gate.dashboard.routes import BADGES, Dashboard, message
from drift_gate.errors import DriftConfigError
from drift_gate.journal.sqlite import READ_S
from drift_gate.settings.file import Settings, load
from drift_gate.wiring import journals
from drift_gate.wiring.forges import forges
from predictions.coordinator.batches.batch import Batch
from predictions.coordinator.exceptions import AccessError
from predictions.coordinator.http.access import Access, Mode
from predictions.coordinator.http.threads import Threads

#: Where the pages are.
ROOT = "/dashboard"
#: Batches of which a page says what became of them.
MOST = 500


class Pages:
    """The dashboard by the settings at hand, which are read anew for each answer.

    ``batches``: the newest ones, so many. ``clock`` says the time in UTC.
    """

    def __init__(self, batches: Callable[[int], Sequence[Batch]], clock: Callable[[], datetime]) -> None:
        self._batches = batches
        self._clock = clock
        self._lock = threading.Lock()
        self._made: tuple[Settings, Dashboard] | None = None

    def answer(self, path: str, query: Mapping[str, str]) -> Answer:
        """The page at ``path``, below the dashboard's own."""
        try:
            return self._dashboard().answer(path, query)
        except DriftConfigError as error:
            words = "; ".join(map(str, error.args))
            return message(path, self._clock(), 503, "The configuration is wrong", words)

    def public(self, path: str) -> bool:
        """Whether everybody may have what is at ``path``: what a page looks like, and badges where so set."""
        path = path.removeprefix(f"{ROOT}/")
        if path in STATIC:
            return True
        try:
            return path.startswith(BADGES) and load().dashboard.public_badges
        except DriftConfigError:
            return False

    def _dashboard(self) -> Dashboard:
        """Made anew where the settings have changed: what git says of a checkout is asked once."""
        settings = load()
        with self._lock:
            if self._made is None or self._made[0] != settings:
                journal = journals.opened(settings, busy_s=READ_S)
                if journal is None:
                    raise DriftConfigError(f"{journals.nothing_kept(settings)}; there is nothing to show")
                made = Dashboard(journal, settings, forges(settings), clock=self._clock, stored=self._stored)
                self._made = settings, made
            return self._made[1]

    def _stored(self, since: datetime) -> list[Stored]:
        return [stored(each) for each in self._batches(MOST) if each.created_at >= since]


def stored(batch: Batch) -> Stored:
    """``batch`` as the dashboard shows it."""
    stamp, progress = batch.stamp, batch.progress
    return Stored(
        id=batch.id,
        at=batch.created_at,
        state=batch.state,
        service=stamp.service,
        decision=stamp.gate_decision,
        enforced=stamp.enforced,
        not_enforced_because=stamp.not_enforced_because,
        revisions=tuple(filter(None, stamp.live_revisions)),
        commits=tuple(filter(None, stamp.live_commits)),
        mixed=batch.ending.mixed if batch.ending else None,
        requested=progress.requested,
        completed=progress.completed,
        failed=progress.failed,
        error=batch.error,
    )


def add(
    api: FastAPI, pages: Pages, threads: Threads, may: Callable[[Request], object], within: float
) -> None:
    """Let ``api`` answer for the pages, on ``threads`` and ``within`` seconds, unless ``may`` raises."""

    async def page(request: Request, path: str = "") -> Response:
        may(request)
        query = dict(parse_qsl(request.url.query, keep_blank_values=True))
        return response(await threads.run(partial(pages.answer, path, query), within=within))

    async def first() -> Response:
        return RedirectResponse(f"{ROOT}/")

    api.get(ROOT, include_in_schema=False)(first)
    api.get(f"{ROOT}/{{path:path}}", include_in_schema=False)(page)


def response(answer: Answer, more: Mapping[str, str] = MappingProxyType({})) -> Response:
    """``answer`` as it is sent, with ``more`` headers."""
    return Response(answer.body, status_code=answer.status, headers={**answer.headers, **more})


#: How somebody gets in who has a browser and no token, by the mode of access.
_WAYS: Mapping[Mode, tuple[tuple[str, str], ...]] = {
    "platform": (
        ("through a proxy that signs in for you", "gcloud run services proxy SERVICE --region REGION"),
    ),
    "id-token": (
        (
            "one page into a file",
            'curl -H "Authorization: Bearer $(gcloud auth print-identity-token)" {url} -o drift.html',
        ),
    ),
    "api-key": (("one page into a file", 'curl -H "X-API-Key: $KEY" {url} -o drift.html'),),
    "open": (("on the machine itself", "http://127.0.0.1{path}"),),
}


def entrance(scope: Scope, error: Exception, access: Access, status: int) -> Answer | None:
    """The page for a browser that is not let in, which says how to get in; None: nobody asked for a page."""
    path, headers = str(scope["path"]), Headers(scope=scope)
    asks_page = path.startswith(ROOT) and "text/html" in headers.get("accept", "")
    if not isinstance(error, AccessError) or not asks_page:
        return None
    url = f"https://{headers.get('host', 'HOST')}{path}"
    lines = [(words, line.format(url=shlex.quote(url), path=path)) for words, line in _WAYS[access.mode]]
    lines.append(("from the journal itself, where you may read it", "deployment-drift dashboard --port 8080"))
    inside = path.removeprefix(ROOT).lstrip("/")
    return message(inside, datetime.now(UTC), status, "This page is not for everybody", str(error), lines)
