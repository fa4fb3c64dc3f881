"""Publishes each request as a message; the answers come later, as completions."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from itertools import islice
from typing import NamedTuple

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError

from predictions.coordinator.batches.batch import Batch
from predictions.coordinator.batches.contracts import Handed
from predictions.coordinator.exceptions import DispatchError
from predictions.worker.messages import Completion, Task
from predictions.worker.pubsub import PUBLISH_SECONDS, Publisher, Sure
from predictions.worker.worker import PredictionRequest

#: What Pub/Sub takes for a request, data and attributes together, is 10 MB; a message that comes near
#: has gone wrong, and alone must not stop the others.
MOST_BYTES = 9_000_000
#: Messages that are noted as handed out together, and how many such lots are on their way meanwhile.
_LOT, _AHEAD = 1000, 2


class _Lot(NamedTuple):
    """Messages under way, and the requests that are too large for one."""

    futures: dict[str, Sure]
    too_large: dict[str, int]


class PubSub:
    """A ``Dispatcher`` to the topic ``projects/PROJECT/topics/TOPIC``.

    The order of messages is left free: nothing depends on it, and a key would slow all of them down.
    """

    name = "pubsub"

    def __init__(self, connect: Callable[[], Publisher], topic: str) -> None:
        """``connect`` is called once, when something is first dispatched."""
        self._connect = connect
        self._topic = topic
        self._lock = threading.Lock()
        self._made: Publisher | None = None

    def close(self) -> None:
        """Give the connection back."""
        if self._made is not None:
            self._made.stop()

    def dispatch(self, batch: Batch, requests: Iterable[PredictionRequest]) -> Iterator[Handed]:
        """As ``Dispatcher.dispatch``: what is yielded was taken by Pub/Sub, which keeps it until it is acked.

        A request that is too large for a message is answered by an error at once. Raises
        ``DispatchError`` when Pub/Sub does not take a message within a minute.
        """
        client, attributes = self._client(), batch.latest.attributes()
        left, waiting = iter(requests), deque[_Lot]()
        while asked := tuple(islice(left, _LOT)):
            waiting.append(self._publish(client, batch, asked, attributes))
            if len(waiting) > _AHEAD:
                yield self._taken(waiting.popleft(), batch)
        while waiting:
            yield self._taken(waiting.popleft(), batch)

    def _client(self) -> Publisher:
        """Raises ``DispatchError`` where there are no credentials."""
        with self._lock:
            if self._made is None:
                try:
                    self._made = self._connect()
                except (GoogleAPIError, GoogleAuthError) as error:
                    raise DispatchError(f"Pub/Sub cannot be spoken to: {error}") from error
            return self._made

    def _publish(
        self, client: Publisher, batch: Batch, asked: Sequence[PredictionRequest], stamp: dict[str, str]
    ) -> _Lot:
        lot = _Lot({}, {})
        told = {**stamp, "batch_id": batch.id, "attempt": str(batch.rounds)}
        extra = sum(len(name) + len(value.encode()) for name, value in told.items())
        for request in asked:
            data = Task(batch_id=batch.id, request=request, attempt=max(batch.rounds, 1)).to_json()
            size = len(data) + extra + len(request.player_id.encode())
            if size > MOST_BYTES:
                lot.too_large[request.player_id] = size
            else:
                lot.futures[request.player_id] = client.publish(self._topic, data, **told)
        return lot

    def _taken(self, lot: _Lot, batch: Batch) -> Handed:
        """The lot, once all of it is sure."""
        try:
            for future in lot.futures.values():
                future.result(timeout=PUBLISH_SECONDS + 1)
        except (GoogleAPIError, GoogleAuthError, FutureTimeout) as error:
            raise DispatchError(
                f"{self._topic} does not take messages: {type(error).__name__}: {error}"
            ) from error
        errors = (_error(batch, player, size) for player, size in lot.too_large.items())
        return Handed(request_ids=(*lot.futures, *lot.too_large), completions=tuple(errors))


def _error(batch: Batch, player: str, size: int) -> Completion:
    return Completion(
        batch_id=batch.id,
        request_id=player,
        prediction=None,
        error=f"the request is too large for a message: {size:,} bytes, {MOST_BYTES:,} allowed",
        attempt=max(batch.rounds, 1),
    )
