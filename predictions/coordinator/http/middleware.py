"""What every request passes on its way in and out: its size, its sender, its errors, its headers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qs

from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from drift_gate.presentation import render
from predictions.coordinator import logs
from predictions.coordinator.exceptions import AccessError, UnauthenticatedError
from predictions.coordinator.http import dashboard, problems
from predictions.coordinator.http.access import ANYBODY, BYPASS_HEADER, Caller
from predictions.coordinator.http.dashboard import Pages
from predictions.coordinator.http.identity import FETCH_S, Doorkeeper, Presented
from predictions.coordinator.http.threads import Places, Threads

log = logging.getLogger("prediction_coordinator")

#: Bytes of a body; a slate is not in it, and Pub/Sub's completions are below 10 kB.
LARGEST_BODY = 1024 * 1024
#: Seconds in which a body has to be here.
SLOWEST_BODY_S = 20.0
#: Whoever asks for these need not say who they are: the platform's probes cannot.
UNGUARDED = frozenset({"/health", "/ready"})
#: The statuses of answers that are none: whoever asked has to come back, or somebody has to look.
UNANSWERED = frozenset({503, 504})
#: What must get through whatever else is asked: the probes, and a start, which may be a bypass.
KEPT = UNGUARDED | {"/start"}
#: Seconds that it may take to find out whether something is public.
PUBLIC_S = 5.0
#: Requests at work beside each other, and how many more of those.
ORDINARY, MORE = 400, 100
#: For whoever reads an answer: the command line's own words.
PLAIN = "text/plain; charset=utf-8"
#: Where the caller is kept in the scope of the request.
CALLER = "prediction_coordinator.caller"

#: Nothing here is for a browser: no page may frame, guess at, keep or refer to it. A page says its own.
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}


@dataclass(frozen=True, slots=True)
class Door:
    """The ASGI application around ``app``; ``threads`` verify tokens, where that may take a while.

    ``places``: those of ``KEPT`` are never all taken by other requests. ``pages``: what of them is public.
    """

    app: ASGIApp
    keeper: Doorkeeper
    threads: Threads
    places: Places
    pages: Pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever is raised is answered as a problem."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers, out = Headers(scope=scope), _Out(send)
        with logs.traced(headers):
            try:
                with self.places.one(scope["path"] in KEPT):
                    await self._answer(headers, scope, receive, out)
            except Exception as error:  # the last place that can answer
                if out.started:
                    raise
                answer = problems.answer(error)
                _log(scope, error, answer.problem)
                page = dashboard.entrance(scope, error, self.keeper.access, answer.problem.status)
                refusal = (
                    dashboard.response(page, answer.headers)
                    if page
                    else _response(answer.problem, answer.headers, scope)
                )
                await refusal(scope, receive, out)

    async def _answer(self, headers: Headers, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in UNGUARDED or await self._public(scope["path"]):
            scope[CALLER] = ANYBODY
            # Nobody is waited for whose name is not known: a body would be read here, and none is wanted.
            await self.app(scope, receive, send)
            return
        scope[CALLER] = caller = await self._caller(headers, scope["method"])
        with logs.labelled(actor=caller.actor):
            await self._pass(scope, receive, send)

    async def _public(self, path: str) -> bool:
        """Whether it is a page's picture or style, or a badge where those are for everybody."""
        if not path.startswith(f"{dashboard.ROOT}/"):
            return False
        return await self.threads.run(partial(self.pages.public, path), within=PUBLIC_S)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, once its whole body is here."""
        body = await _body(Headers(scope=scope), receive)
        await self.app(scope, _replayed(body, receive), send)

    async def _caller(self, headers: Headers, method: str) -> Caller:
        presented = Presented(
            authorization=_single(headers, "authorization"),
            serverless_authorization=_single(headers, "x-serverless-authorization"),
            bypass_authorization=_single(headers, BYPASS_HEADER),
            api_key=_single(headers, "x-api-key"),
            host=_single(headers, "host"),
            origin=_single(headers, "origin"),
            fetch_site=_single(headers, "sec-fetch-site"),
            changes=method not in {"GET", "HEAD"},
        )
        if not self.keeper.access.verifies_tokens:
            return self.keeper.admit(presented)
        return await self.threads.run(lambda: self.keeper.admit(presented), within=FETCH_S + 1)


def problem_response(error: Exception, scope: Scope) -> Response:
    """The answer to ``error``, which ended the request of ``scope``."""
    answer = problems.answer(error)
    return _response(answer.problem, answer.headers, scope)


def asks_text(scope: Scope) -> bool:
    """Whether a person asks: by ``?format=text``, else by an ``Accept`` that has plain text and no JSON."""
    said = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("format", [])
    accept = Headers(scope=scope).get("accept", "").lower()
    return said[-1] == "text" if said else "text/plain" in accept and "json" not in accept


def _log(scope: Scope, error: Exception, problem: problems.Problem) -> None:
    """Each sender who is refused, and the cause of each answer that is none; probes speak for themselves."""
    asked = f"{scope['method']} {render.plain(scope['path'])}"
    if isinstance(error, AccessError):
        log.warning("%s refused: %s", asked, error)
    elif problem.status in UNANSWERED and scope["path"] not in UNGUARDED:
        kind, about = problem.type.rpartition(":")[2], f" on batch {problem.batch}" if problem.batch else ""
        with logs.labelled(**{"batch_id": problem.batch} if problem.batch else {}):
            log.error("%s got %d %s%s: %s", asked, problem.status, kind, about, render.plain(problem.detail))


def _response(problem: problems.Problem, headers: Mapping[str, str], scope: Scope) -> Response:
    text = asks_text(scope)
    return Response(
        problems.in_words(problem) if text else problem.model_dump_json(exclude_none=True),
        status_code=problem.status,
        headers=dict(headers),
        media_type=PLAIN if text else problems.MEDIA_TYPE,
    )


def plain_status(status: int, detail: str, headers: Mapping[str, str], scope: Scope) -> Response:
    """The answer where the request came to nothing of ours: a path that does not exist, for instance."""
    return _response(problems.of_status(status, detail), headers, scope)


async def invalid(request: Request, error: Exception) -> Response:
    """What FastAPI found wrong with the request."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    return problem_response(problems.of_validation(found), request.scope)


async def no_answer(request: Request, error: Exception) -> Response:
    """A path or a method that does not exist, or a body that cannot be read at all."""
    status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "")
    if status == 400:
        return problem_response(problems.RequestError("the body is no JSON"), request.scope)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return plain_status(status, detail, headers, request.scope)


class _Out:
    """``send``, with our headers on each answer, and whether one has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            said = list(message.get("headers", ()))
            named = {name.lower() for name, _ in said}
            message["headers"] = [*said, *(each for each in _HEADERS.items() if each[0] not in named)]
        await self._send(message)


def _single(headers: Headers, name: str) -> str | None:
    """The value of a header that may stand once: of two, each side could read another one."""
    values: Sequence[str] = headers.getlist(name)
    if len(values) > 1:
        raise UnauthenticatedError(f"the header {name} stands there more than once")
    return values[0] if values else None


async def _body(headers: Headers, receive: Receive) -> bytes:
    """The whole body; raises ``TooLargeError``, and ``SlowBodyError`` where it does not come."""
    announced = headers.get("content-length", "0")
    if announced.isdecimal() and (len(announced) > 9 or int(announced) > LARGEST_BODY):
        raise _too_large()
    try:
        async with asyncio.timeout(SLOWEST_BODY_S):
            return await _received(receive)
    except TimeoutError as error:
        raise problems.SlowBodyError(f"the body did not come within {SLOWEST_BODY_S:g} s") from error


async def _received(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise problems.SlowBodyError("the connection ended before the body did")
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            raise _too_large()
        if not message.get("more_body", False):
            return bytes(body)


def _too_large() -> problems.TooLargeError:
    return problems.TooLargeError(f"the body is larger than {LARGEST_BODY} bytes")


def _replayed(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """A ``receive`` that gives ``body`` once more, and then what comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
