"""Asks the worker over HTTP, some lots at once: the service, or the one revision that was judged."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from itertools import islice
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline, retrying, wait_logged
from drift_gate.sources.http.client import Transport, bounded
from drift_gate.sources.http.errors import FOREIGN, translate
from drift_gate.sources.http.network import NAMES
from drift_gate.sources.one_line import one_line
from predictions.coordinator.batches.batch import Batch
from predictions.coordinator.batches.contracts import Handed
from predictions.coordinator.batches.stamp import Stamp
from predictions.coordinator.exceptions import DispatchError
from predictions.worker.messages import Completion, MessageError, Task, completions_from, tasks_to_json
from predictions.worker.worker import PredictionRequest

log = logging.getLogger("prediction_coordinator")

_Asked = Sequence[PredictionRequest]

#: Lots that are asked for at once: an instance of Cloud Run takes many more, a small one is kept busy.
AT_ONCE = 4
#: The most that one prediction may take of an answer; a worker that sends more is none of ours.
_ANSWER_BYTES = 4096
#: Statuses that may heal; any other tells that asking again would end alike.
_HEALS = frozenset({408, 429, 500, 502, 503, 504})


class _Lot(NamedTuple):
    """Who is asked for, until when, and the answers when they are there."""

    asked: _Asked
    deadline: Deadline
    answers: Future[list[Completion]]


class _Worker:
    """The worker of one batch, at ``url``; each kind of failure is told once, however many lots meet it.

    ``over``: nobody waits for it any more, so that no lot is asked for again.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.over = False
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def failed(self, error: SourceError, deadline: Deadline) -> None:
        """It may heal, and is asked again until ``deadline``."""
        with self._lock:
            new = str(error) not in self._told
            self._told.add(str(error))
        if new:
            log.warning("the worker at %s: %s; trying until %s", self.url, error, deadline.ends_at())


class Http:
    """A ``Dispatcher`` to the worker at ``url``; ``at_a_time`` requests per call.

    ``timeout``: seconds on ``clock`` for one lot, retries and the last byte of the answer included. ``token``
    gives the ID token of a call, within a deadline; None: none is sent. ``audience``: whom that is for, where
    it is not ``url``. ``pinned``: the revision that the batch was judged on is asked, at the URL of its tag,
    whatever is deployed meanwhile; a bypass, which waits for no verdict, asks the service if none is known.
    """

    name = "http"

    def __init__(
        self,
        url: str,
        *,
        at_a_time: int,
        timeout: float,
        token: Callable[[Deadline], str] | None = None,
        pinned: bool = False,
        audience: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = url
        self._audience = audience
        self._clock = clock
        self._pinned = pinned
        self._at_a_time = at_a_time
        self._timeout = timeout
        self._token = token

    def dispatch(self, batch: Batch, requests: Iterable[PredictionRequest]) -> Iterator[Handed]:
        """As ``Dispatcher.dispatch``, with the answers.

        Raises ``DispatchError`` when the worker does not answer for all that it was asked, in time: of the
        lots beside each other the first one that fails ends the wave, and what was answered by then is kept.
        """
        worker = _Worker(f"{self._address(batch).rstrip('/')}/predict")
        left, waiting = iter(requests), deque[_Lot]()
        while asked := tuple(islice(left, self._at_a_time)):
            deadline = Deadline(self._timeout, self._clock)
            answers = _beside(partial(self._ask, worker, batch, asked, deadline))
            waiting.append(_Lot(asked, deadline, answers))
            if len(waiting) == AT_ONCE:
                yield _handed(worker, waiting)
        while waiting:
            yield _handed(worker, waiting)

    def _address(self, batch: Batch) -> str:
        """Whom ``batch`` goes to. Raises ``DispatchError`` where its one revision has no address.

        A bypass is in no way: it goes to the service, and that is logged.
        """
        if self._pinned and batch.latest.live_url is not None:
            return batch.latest.live_url
        if self._pinned and not _bypassed(batch.latest):
            raise DispatchError(
                "the batch is to stay on the revision that was judged, which has no address of its own: send "
                "all traffic to one and give it a tag, "
                "`gcloud run services update-traffic SERVICE --set-tags=judged=REVISION`, then start again"
            )
        if self._pinned:
            log.warning(
                "batch %s is bypassed, so that no revision was judged for it to stay on: it goes to %s, "
                "whatever serves there",
                batch.id,
                self._service,
            )
        self._require_judged(batch.latest)
        return self._service

    def _require_judged(self, stamp: Stamp) -> None:
        """Raise ``DispatchError`` where the worker's address leads elsewhere than to what was judged.

        A domain before the service proves itself by the audience: Cloud Run takes no token for another
        service. A bypass starts the batch all the same, and that is logged.
        """
        judged = {_origin(each) for each in stamp.addresses}
        if not judged or {_origin(self._service), _origin(self._audience or "")} & judged:
            return
        sentence = (
            f"COORDINATOR_WORKER_URL is {self._service}, which is no address of {stamp.service}, the service "
            f"that was judged: set it to {stamp.addresses[0]}, or to the URL of one of its tags; where it is "
            "a domain before that service, set COORDINATOR_WORKER_AUDIENCE to the service's address"
        )
        if not _bypassed(stamp):
            raise DispatchError(sentence)
        log.warning("%s", sentence)

    def _ask(self, worker: _Worker, batch: Batch, asked: _Asked, deadline: Deadline) -> list[Completion]:
        """Raises ``DispatchError``."""
        url = worker.url
        # No proxy and no netrc from the environment: the address is given, and so is who asks.
        transport = Transport(deadline, ca_file=None, proxy=None, names=NAMES)
        try:
            body = retrying(lambda: self._tried(worker, transport, batch, asked, deadline), deadline)
            completions = completions_from(body)
        except (SourceError, MessageError) as error:
            raise DispatchError(f"the worker at {url} gave no predictions: {error}") from error
        finally:
            transport.close()
        _check(batch, asked, completions, url)
        return completions

    def _tried(
        self, worker: _Worker, transport: Transport, batch: Batch, asked: _Asked, deadline: Deadline
    ) -> bytes:
        """As ``_once``; whoever looks on is told why it will be asked again, the first time."""
        try:
            return self._once(transport, worker.url, batch, asked, deadline)
        except SourceError as error:
            if worker.over:
                raise SourceError(str(error), error.cause, False) from error
            if error.retryable:
                worker.failed(error, deadline)
            raise

    def _once(self, transport: Transport, url: str, batch: Batch, asked: _Asked, deadline: Deadline) -> bytes:
        # What is packed could become a thousand times as much.
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token(deadline)}"
        stamp, attempt = batch.latest.attributes(), max(batch.rounds, 1)
        tasks = [Task(batch_id=batch.id, request=each, attempt=attempt, stamp=stamp) for each in asked]
        deadline.require("predictions")
        request = httpx.Request("POST", url, content=tasks_to_json(tasks), headers=headers)
        try:
            response = transport.handle_request(request)
            try:
                return _body(response, _ANSWER_BYTES * len(asked))
            finally:
                response.close()
        except FOREIGN as error:
            raise translate(error, request.url.host, "predictions") from error


def _beside(job: Callable[[], list[Completion]]) -> Future[list[Completion]]:
    """The answer of ``job``, on a thread that nobody waits for when the process is to end."""
    future: Future[list[Completion]] = Future()

    def work() -> None:
        try:
            future.set_result(job())
        except BaseException as error:  # whoever waits for the answer raises it
            future.set_exception(error)

    threading.Thread(target=work, name="dispatch", daemon=True).start()
    return future


def _body(response: httpx.Response, limit: int) -> bytes:
    """The answer as it was sent. Raises ``SourceError`` for a status but 200, and for too long a one."""
    if response.status_code != 200:
        heals = response.status_code in _HEALS
        raise SourceError(f"it answered {response.status_code}", "unavailable", heals)
    packed = response.headers.get("Content-Encoding", "identity")
    if packed != "identity":
        raise SourceError(f"it answered in {one_line(packed)}, unasked", "invalid-response", False)
    body = b"".join(bounded(response, limit))
    if len(body) > limit:
        raise SourceError(f"it answered more than {limit:,} bytes", "invalid-response", False)
    return body


def _origin(url: str) -> tuple[str, str]:
    """What of an address says who answers there."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")


def _bypassed(stamp: Stamp) -> bool:
    return stamp.not_enforced_because == "break-glass"


def _handed(worker: _Worker, waiting: deque[_Lot]) -> Handed:
    """The next lot of ``waiting`` that is answered; raises what one failed of, and none waits any more."""
    oldest = waiting[0]
    with wait_logged(f"{len(oldest.asked):,} predictions of the worker at {worker.url}", oldest.deadline):
        _wait(waiting)
    ended = [each for each in waiting if each.answers.done()]
    lot = min(ended, key=_failed)
    waiting.remove(lot)
    worker.over = _failed(lot)
    return Handed(tuple(each.player_id for each in lot.asked), tuple(lot.answers.result()))


def _wait(waiting: deque[_Lot]) -> None:
    """Until the oldest lot has ended, or any other one has failed."""
    while not waiting[0].answers.done() and not any(map(_failed, waiting)):
        wait([each.answers for each in waiting if not each.answers.done()], return_when=FIRST_COMPLETED)


def _failed(lot: _Lot) -> bool:
    return lot.answers.done() and lot.answers.exception() is not None


def _check(batch: Batch, asked: _Asked, completions: Sequence[Completion], url: str) -> None:
    wanted = sorted((batch.id, each.player_id) for each in asked)
    answered = sorted((each.batch_id, each.request_id) for each in completions)
    if wanted != answered:
        raise DispatchError(
            f"the worker at {url} answered {len(answered)} completions to {len(wanted)} requests, "
            "not one for each"
        )
