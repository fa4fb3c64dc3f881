"""Asks the worker over HTTP, some lots at once: the service, or the one revision that was judged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import httpx

from predictions.coordinator.batches import Batch
from predictions.coordinator.contracts import Handed
from predictions.coordinator.exceptions import DispatchError
from predictions.worker.messages import Completion, MessageError, Task, completions_from, tasks_to_json
from predictions.worker.worker import PredictionRequest
from shared.deployment.calling import Deadline, retrying
from shared.deployment.errors import SourceError

_Asked = Sequence[PredictionRequest]

#: Lots that are asked for at once: an instance of Cloud Run takes many more, a small one is kept busy.
AT_ONCE = 4
#: The most that one prediction may take of an answer; a worker that sends more is none of ours.
_ANSWER_BYTES = 4096
#: Statuses that may heal; any other tells that asking again would end alike.
_HEALS = frozenset({408, 429, 500, 502, 503, 504})


class Http:
    """A ``Dispatcher`` to the worker at ``url``; ``at_a_time`` requests per call.

    ``timeout``: seconds for one lot, retries included. ``token`` gives the ID token of a call, within a
    deadline; None: none is sent. ``pinned``: the revision that the batch was judged on is asked, at the URL
    of its tag, whatever is deployed meanwhile.
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
    ) -> None:
        self._service = url
        self._pinned = pinned
        self._at_a_time = at_a_time
        self._timeout = timeout
        self._token = token

    def dispatch(self, batch: Batch, requests: Iterable[PredictionRequest]) -> Iterator[Handed]:
        """As ``Dispatcher.dispatch``, with the answers.

        Raises ``DispatchError`` when the worker does not answer for all that it was asked, in time.
        """
        url = f"{self._address(batch).rstrip('/')}/predict"
        left, waiting = iter(requests), deque[tuple[_Asked, Future[list[Completion]]]]()
        # No proxy and no netrc from the environment: the address is given, and so is who asks.
        with (
            httpx.Client(trust_env=False, follow_redirects=False) as client,
            ThreadPoolExecutor(AT_ONCE, "dispatch") as pool,
        ):
            try:
                while asked := tuple(islice(left, self._at_a_time)):
                    waiting.append((asked, pool.submit(self._ask, client, url, batch, asked)))
                    if len(waiting) > AT_ONCE:
                        yield _handed(*waiting.popleft())
                while waiting:
                    yield _handed(*waiting.popleft())
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _address(self, batch: Batch) -> str:
        """Whom ``batch`` goes to. Raises ``DispatchError`` where its one revision has no address."""
        if not self._pinned:
            return self._service
        if batch.stamp.live_url is None:
            raise DispatchError(
                "the batch is to stay on the revision that was judged, which has no address of its own: send "
                "all traffic to one and give it a tag, "
                "`gcloud run services update-traffic SERVICE --set-tags=judged=REVISION`, then start again"
            )
        return batch.stamp.live_url

    def _ask(self, client: httpx.Client, url: str, batch: Batch, asked: _Asked) -> list[Completion]:
        """Raises ``DispatchError``."""
        deadline = Deadline(self._timeout)
        try:
            body = retrying(lambda: self._once(client, url, batch, asked, deadline), deadline)
            completions = completions_from(body)
        except (SourceError, MessageError) as error:
            raise DispatchError(f"the worker at {url} gave no predictions: {error}") from error
        _check(batch, asked, completions, url)
        return completions

    def _once(self, client: httpx.Client, url: str, batch: Batch, asked: _Asked, deadline: Deadline) -> bytes:
        headers = {"Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token(deadline)}"
        stamp, attempt = batch.stamp.attributes(), max(batch.rounds, 1)
        tasks = [Task(batch_id=batch.id, request=each, attempt=attempt, stamp=stamp) for each in asked]
        left = max(deadline.remaining(), 0.001)
        try:
            response = client.post(url, content=tasks_to_json(tasks), headers=headers, timeout=left)
        except httpx.TransportError as error:
            raise SourceError(f"{type(error).__name__}: {error}", "unavailable", True) from error
        if response.status_code != 200:
            heals = response.status_code in _HEALS
            raise SourceError(f"it answered {response.status_code}", "unavailable", heals)
        if len(response.content) > _ANSWER_BYTES * len(asked):
            raise SourceError(f"it answered {len(response.content):,} bytes", "invalid-response", False)
        return response.content


def _handed(asked: _Asked, answers: Future[list[Completion]]) -> Handed:
    return Handed(tuple(each.player_id for each in asked), tuple(answers.result()))


def _check(batch: Batch, asked: _Asked, completions: Sequence[Completion], url: str) -> None:
    wanted = sorted((batch.id, each.player_id) for each in asked)
    answered = sorted((each.batch_id, each.request_id) for each in completions)
    if wanted != answered:
        raise DispatchError(
            f"the worker at {url} answered {len(answered)} completions to {len(wanted)} requests, "
            "not one for each"
        )
