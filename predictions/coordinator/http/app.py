"""The coordinator over HTTP: routes, and nothing decided in them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from drift_gate.policy.verdict import Outcome, Verdict
from drift_gate.presentation import render
from predictions.coordinator.batches.batch import Batch
from predictions.coordinator.batches.export import MEDIA_TYPES, Format, pieces
from predictions.coordinator.batches.orders import Order, Started
from predictions.coordinator.coordinator import Coordinator
from predictions.coordinator.exceptions import (
    BatchError,
    BatchFailedError,
    BatchNotFoundError,
    BatchRunningError,
    BypassForbiddenError,
    ConfigError,
    CoordinatorError,
    DeploymentDriftError,
    DriftConfigError,
    DriftUnknownError,
    EmptySlateError,
    KeyReusedError,
    NotReadyError,
    ReadinessUnknownError,
    SlateError,
    StateError,
    TransitionError,
)
from predictions.coordinator.http import curl, dashboard, middleware, openapi
from predictions.coordinator.http.access import Caller, Permission
from predictions.coordinator.http.bodies import (
    GAME_DATE,
    BatchAnswer,
    BatchList,
    CompletionAnswer,
    Envelope,
    Health,
    HeldList,
    PredictionsAnswer,
    StartAnswer,
    StartRequest,
)
from predictions.coordinator.http.dashboard import Pages
from predictions.coordinator.http.game_dates import game_date as date_of
from predictions.coordinator.http.identity import Doorkeeper
from predictions.coordinator.http.openapi import COMMIT, FORMAT, KEY, RAN_WITH, WORDS, refusals
from predictions.coordinator.http.problems import CurableDriftError, RequestError
from predictions.coordinator.http.push import Push
from predictions.coordinator.http.threads import Places, Threads

log = logging.getLogger("prediction_coordinator")

#: Seconds before the platform's own time-out by which ours is over, so that there is an answer.
MARGIN_S = 5.0
#: The part of a request's time that a rollout may be waited for; the rest is for the batch itself.
WAITING = 0.8
#: Starts beside each other; one more is told to come back.
STARTS = 8
#: Starts past a check, beside those: an emergency does not queue behind others that wait for a rollout.
BYPASSES = 4
#: Looks at the drift beside each other, so that a dashboard takes no start's place.
LOOKS = 4
#: Requests that read or cancel a batch, count a completion or prove a name beside each other: short ones.
SHORT_ONES = 32
PROBES = 2
#: Seconds that such a short one may take, and a look at whether all is ready.
SHORT_S = 20.0
READY_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the application is made of.

    ``check``: the gate's report now; ``words``: the same for a person. ``cures``: whether the rollout that is
    under way would cure a denial; asked where one is. ``ready``: raises where something that each start needs
    is broken. ``request_timeout``: seconds after which the platform gives up on a request. ``slate``: what
    each start reads, as ``read_slate`` takes it; None: the shipped one.
    """

    coordinator: Coordinator
    keeper: Doorkeeper
    check: Callable[[], Outcome]
    words: Callable[[Outcome], str]
    cures: Callable[[Verdict], bool]
    ready: Callable[[], None]
    clock: Callable[[], datetime]
    request_timeout: float
    slate: str | None = None

    @property
    def longest(self) -> float:
        """Seconds in which a request is answered."""
        return self.request_timeout - min(MARGIN_S, self.request_timeout / 10)

    @property
    def longest_wait(self) -> float:
        """Seconds for which a start may wait for a rollout."""
        return round(self.longest * WAITING, 1)


START: openapi.Responses = refusals(
    DeploymentDriftError,
    CurableDriftError,
    DriftUnknownError,
    DriftConfigError,
    NotReadyError,
    ReadinessUnknownError,
    SlateError,
    EmptySlateError,
    BatchRunningError,
    KeyReusedError,
    TransitionError,
    StateError,
    BatchError,
    BypassForbiddenError,
) | {200: {"model": StartAnswer, "description": "A dry run: what a start would come to"}}
BATCH = refusals(BatchNotFoundError, StateError)
PREDICTIONS: openapi.Responses = refusals(
    BatchNotFoundError, BatchRunningError, TransitionError, StateError
) | {200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "The predictions"}}
DRIFT: openapi.Responses = refusals(DriftConfigError) | {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The verdicts"}
}
CANCEL = refusals(BatchNotFoundError, TransitionError, StateError)
READY = refusals(ConfigError, StateError, guarded=False)


class App:
    """The application; ``close`` before its process ends, so that nobody waits in vain."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._starts, self._bypasses, self._looks = Threads(STARTS), Threads(BYPASSES), Threads(LOOKS)
        self._short, self._tokens, self._probes = Threads(SHORT_ONES), Threads(SHORT_ONES), Threads(PROBES)
        self._push = Push(parts.coordinator.completions, self._short)
        self.api = self._api()

    def close(self) -> None:
        """Answer all who wait, with 503, and take no more. From the thread of the event loop."""
        for each in (self._starts, self._bypasses, self._looks, self._short, self._probes, self._push):
            each.close()

    def _api(self) -> FastAPI:
        api = FastAPI(
            title="prediction-coordinator",
            version="1",
            docs_url=None,  # their pages load scripts from elsewhere
            redoc_url=None,
            openapi_url=None,  # served behind the door, as everything else
            redirect_slashes=False,
        )
        places = Places(middleware.ORDINARY, middleware.MORE)
        pages = Pages(partial(self._parts.coordinator.batches, None), self._parts.clock)
        api.add_middleware(
            middleware.Door, keeper=self._parts.keeper, threads=self._tokens, places=places, pages=pages
        )
        api.exception_handler(RequestValidationError)(middleware.invalid)
        api.exception_handler(HTTPException)(middleware.no_answer)
        # The first, since it is asked most often by far and each request looks for its route in this order.
        api.post("/complete", response_model=CompletionAnswer, responses=refusals(StateError))(self.complete)
        api.post("/start", status_code=202, response_model=StartAnswer, responses=START)(self.start)
        api.get("/batches", response_model=BatchList | HeldList, responses=refusals(StateError))(self.batches)
        api.get("/batches/{batch_id}", response_model=BatchAnswer, responses=BATCH)(self.batch)
        api.get("/batches/{batch_id}/predictions", response_model=PredictionsAnswer, responses=PREDICTIONS)(
            self.predictions
        )
        api.post("/batches/{batch_id}/cancel", response_model=BatchAnswer, responses=CANCEL)(self.cancel)
        api.get("/drift", response_model=Outcome, responses=DRIFT)(self.drift)
        dashboard.add(api, pages, self._looks, partial(_may, permission="read"), self._parts.longest)
        api.get("/openapi.json", include_in_schema=False)(self.openapi)
        api.get("/health", responses=refusals(guarded=False))(self.health)
        api.get("/ready", response_model=Health, responses=READY)(self.ready)
        return api

    def described(self) -> dict[str, Any]:
        """The OpenAPI description of what is answered, with the access that is asked for."""
        parts = self._parts
        return openapi.of(self.api, parts.keeper.access, longest_wait=parts.longest_wait)

    async def start(
        self,
        request: Request,
        asked: StartRequest,
        idempotency_key: Annotated[
            str | None, Header(min_length=1, max_length=200, pattern="^[!-~]+$", description=KEY)
        ] = None,
    ) -> Response:
        """Start the batch of one date, unless the gate refuses."""
        caller = _may(request, "start")
        order = self._order(asked, caller, idempotency_key, request.headers)
        _told(caller, asked, order)
        threads = self._bypasses if asked.bypasses else self._starts
        begun: list[Batch] = []
        try:
            started = await threads.run(
                partial(self._started, order, begun.append), within=self._parts.longest
            )
        except CoordinatorError as error:
            error.batch = error.batch or next(iter(begun), None)
            raise
        answer = StartAnswer.of(started)
        if started.batch is None:
            return _json(answer)
        return _json(answer, 202, {"Location": f"/batches/{started.batch.id}"})

    async def batches(
        self,
        request: Request,
        game_date: Annotated[str | None, Query(max_length=20, json_schema_extra=GAME_DATE)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        ran_with: Annotated[str | None, Query(pattern=COMMIT, description=RAN_WITH)] = None,
    ) -> Response:
        """The batches, the newest first; with ``ran_with`` each says whether it ran with that commit."""
        _may(request, "read")
        day = self._date(game_date) if game_date is not None else None
        found = await self._short.run(partial(self._parts.coordinator.batches, day, limit), within=SHORT_S)
        if ran_with is not None:
            held = partial(HeldList.of, ran_with.lower(), found)
            return _json(await self._looks.run(held, within=self._parts.longest))
        return _json(BatchList(batches=tuple(map(BatchAnswer.of, found))))

    async def batch(self, request: Request, batch_id: str) -> Response:
        """One batch: its progress, its verdict and the reasons."""
        _may(request, "read")
        found = await self._short.run(partial(self._parts.coordinator.get, batch_id), within=SHORT_S)
        return _json(BatchAnswer.of(found))

    async def predictions(
        self,
        request: Request,
        batch_id: str,
        form: Annotated[Format | None, Query(alias="format", description=FORMAT)] = None,
    ) -> Response:
        """The predictions of a batch that has ended, as JSON or as CSV."""
        _may(request, "read")
        form = form or ("csv" if "text/csv" in request.headers.get("accept", "") else "json")

        def begun() -> tuple[str, Iterator[str]]:
            found = self._parts.coordinator.predictions(batch_id)
            return found.batch.id, pieces(found, form)

        known_as, body = await self._short.run(begun, within=SHORT_S)
        name = {"Content-Disposition": f'attachment; filename="predictions-{known_as}.{form}"'}
        return StreamingResponse(body, headers=name, media_type=MEDIA_TYPES[form])

    async def cancel(self, request: Request, batch_id: str) -> Response:
        """End a batch as it is; results that come for it from now on are late."""
        caller = _may(request, "start")
        log.warning("%s cancels batch %s", caller.actor, render.plain(batch_id[:100]))
        found = await self._short.run(partial(self._parts.coordinator.cancel, batch_id), within=SHORT_S)
        return _json(BatchAnswer.of(found))

    async def complete(self, request: Request, envelope: Envelope) -> Response:
        """Count a completion that Pub/Sub pushes. 200 acknowledges it; anything else brings it back."""
        _may(request, "complete")
        return _json(CompletionAnswer(applied=await self._push.take(envelope, within=SHORT_S)))

    async def drift(
        self,
        request: Request,
        form: Annotated[Literal["json", "text"] | None, Query(alias="format", description=WORDS)] = None,
    ) -> Response:
        """What the gate says now: the JSON of ``deployment-drift check --format json``, or its table."""
        _may(request, "read")
        text = middleware.asks_text(request.scope)
        written = self._parts.words if text else render.json
        answer = await self._looks.run(lambda: written(self._parts.check()), within=self._parts.longest)
        return Response(answer, media_type=middleware.PLAIN if text else "application/json")

    async def openapi(self, request: Request) -> dict[str, Any]:
        """This description."""
        _may(request, "read")
        return self.described()

    async def health(self) -> Health:
        """Whether this process answers."""
        return Health(status="ok")

    async def ready(self) -> Response:
        """Whether this instance can be given work: its configuration and its storage are fit."""
        try:
            await self._probes.run(self._parts.ready, within=READY_S)
        except (CoordinatorError, DriftConfigError) as error:
            # Probes have no name to check, so that the sentence is for the log alone.
            log.error("not ready: %s", render.plain("; ".join(str(error).splitlines())))
            raise type(error)("this instance is not ready: its log says why") from error
        return _json(Health(status="ok"))

    def _order(
        self, asked: StartRequest, caller: Caller, key: str | None, headers: Mapping[str, str]
    ) -> Order:
        if asked.wait > self._parts.longest_wait:
            raise RequestError(
                f"wait is {asked.wait:g} s, and this coordinator answers within {self._parts.longest:g} s: "
                f"ask for {self._parts.longest_wait:g} s at most"
            )
        day, access = self._date(asked.game_date), self._parts.keeper.access
        return Order(
            game_date=day,
            slate=self._parts.slate,
            min_minutes=asked.min_minutes,
            skip_drift_check=asked.skip_drift_check,
            skip_readiness_checks=asked.skip_readiness_checks,
            reason=asked.reason,
            actor=caller.actor,
            wait=asked.wait,
            dry_run=asked.dry_run,
            idempotency_key=key,
            resume=asked.resume,
            again=curl.again(asked, day, headers, access, key),
            bypass=curl.bypass(asked, day, headers, access, key),
        )

    def _date(self, text: str) -> date:
        try:
            return date_of(text, self._parts.clock())
        except ValueError as error:
            raise RequestError(str(error)) from error

    def _started(self, order: Order, begun: Callable[[Batch], object]) -> Started:
        # A look before the batch tells of the last one, too: it may be all that is asked on a day.
        self._parts.coordinator.find_stalled()
        try:
            return _good(self._parts.coordinator.start(order, begun))
        except DriftUnknownError:
            raise
        except DeploymentDriftError as error:
            if isinstance(error.verdict, Verdict) and self._parts.cures(error.verdict):
                raise CurableDriftError(error.message, error.verdict) from error
            raise


def _good(started: Started) -> Started:
    """``started``; raises ``BatchFailedError`` where its batch has failed already."""
    batch = started.batch
    if batch is not None and batch.state == "failed":
        raise BatchFailedError(f"batch {batch.id} has failed: {batch.error}", batch)
    return started


def _may(request: Request, permission: Permission) -> Caller:
    """The caller whom the door let in; raises ``ForbiddenError`` where that is not enough."""
    caller: Caller = request.scope[middleware.CALLER]
    caller.require(permission)
    return caller


def _told(caller: Caller, asked: StartRequest, order: Order) -> None:
    """Log who asks for what, and refuse a bypass to whoever has no right to one: that is logged too."""
    reason = render.plain(asked.reason or "none given")
    if asked.bypasses:
        names = ", ".join(asked.bypasses)
        try:
            caller.require("bypass")
        except BypassForbiddenError:
            log.warning(
                "bypass refused to %s: %s for %s; reason: %s", caller.actor, names, order.game_date, reason
            )
            raise
        log.warning("%s starts %s with %s; reason: %s", caller.actor, order.game_date, names, reason)
    else:
        dry = " (dry run)" if asked.dry_run else ""
        log.info("%s asks for the batch of %s%s", caller.actor, order.game_date, dry)


def _json(model: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        model.model_dump_json(by_alias=True),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )
