"""Predicts on this machine: in this process, or in a pool of processes."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice

from predictions.coordinator.batches.batch import Batch
from predictions.coordinator.batches.contracts import Handed
from predictions.coordinator.exceptions import BatchError
from predictions.worker.messages import Completion
from predictions.worker.worker import Prediction, PredictionRequest, predict_batch

#: Answers a list of requests with one prediction for each, in any order.
Worker = Callable[[Sequence[PredictionRequest]], Sequence[Prediction]]

#: The reference worker: 273 averages take less time than starting a process, so that one is none.
local_worker: Worker = predict_batch
#: Calls that wait for each process of a pool, so that none has to wait for us.
_AHEAD = 2


class Local:
    """A ``Dispatcher`` whose worker is a function; ``at_a_time`` requests (at least 1) per call of it.

    ``processes``: how many calls run at once; 1: in this process. A pool needs a worker that can be
    imported by name.
    """

    name = "local"

    def __init__(self, worker: Worker = local_worker, *, at_a_time: int, processes: int = 1) -> None:
        self._worker = worker
        self._at_a_time = at_a_time
        self._processes = processes

    def dispatch(self, batch: Batch, requests: Iterable[PredictionRequest]) -> Iterator[Handed]:
        """As ``Dispatcher.dispatch``, with the answers.

        Raises ``BatchError`` when the worker fails, or leaves a request out, answers it twice, or
        answers one that nobody asked.
        """
        chunks = _chunks(requests, self._at_a_time)
        calls = self._here(chunks) if self._processes == 1 else self._in_pool(chunks)
        for asked, answer in calls:
            predictions = _ask(answer, asked)
            _check(asked, predictions)
            yield Handed(
                request_ids=tuple(each.player_id for each in asked),
                completions=tuple(_completion(batch, each) for each in predictions),
            )

    def _here(self, chunks: Iterable[_Asked]) -> Iterator[tuple[_Asked, _Answer]]:
        for asked in chunks:
            yield asked, partial(self._worker, asked)

    def _in_pool(self, chunks: Iterable[_Asked]) -> Iterator[tuple[_Asked, _Answer]]:
        # spawn: a fork would copy the locks of whatever threads the coordinator has.
        context = multiprocessing.get_context("spawn")
        waiting: deque[tuple[_Asked, Future[Sequence[Prediction]]]] = deque()
        with ProcessPoolExecutor(self._processes, context, _end_with_parent) as pool, _ended_at_once(pool):
            for asked in chunks:
                waiting.append((asked, pool.submit(self._worker, asked)))
                if len(waiting) > self._processes * _AHEAD:
                    first, future = waiting.popleft()
                    yield first, future.result
            for first, future in waiting:
                yield first, future.result


_Asked = Sequence[PredictionRequest]
_Answer = Callable[[], Sequence[Prediction]]


def _chunks(requests: Iterable[PredictionRequest], size: int) -> Iterator[_Asked]:
    left = iter(requests)
    while chunk := tuple(islice(left, size)):
        yield chunk


def _ask(answer: _Answer, asked: _Asked) -> Sequence[Prediction]:
    try:
        return answer()
    except Exception as error:  # whatever the worker raises, the batch has failed, and says on whom
        raise BatchError(f"the worker failed on {_span(asked)}: {type(error).__name__}: {error}") from error


def _check(asked: _Asked, predictions: Sequence[Prediction]) -> None:
    wanted = sorted((request.player_id, request.game_id) for request in asked)
    answered = sorted((prediction.player_id, prediction.game_id) for prediction in predictions)
    if wanted != answered:
        raise BatchError(
            f"the worker answered {len(answered)} predictions to {len(wanted)} requests ({_span(asked)}), "
            "not one for each"
        )


def _span(asked: _Asked) -> str:
    first, last = asked[0].player_id, asked[-1].player_id
    return f"player {first}" if first == last else f"players {first} to {last}"


def _completion(batch: Batch, prediction: Prediction) -> Completion:
    return Completion(
        batch_id=batch.id,
        request_id=prediction.player_id,
        prediction=prediction,
        attempt=max(batch.rounds, 1),
    )


@contextmanager
def _ended_at_once(pool: ProcessPoolExecutor) -> Iterator[None]:
    """Whatever ends the block early, Ctrl-C above all, waits for no call that is under way."""
    try:
        yield
    except BaseException:
        # Python 3.14 has a method for it; until then the pool waits for each call, also as the program ends.
        for process in tuple((pool._processes or {}).values()):
            process.kill()
        raise


def _end_with_parent() -> None:
    """A pool's process waits for work for ever when the coordinator is killed; this one ends with it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_for, args=(parent.join,), daemon=True).start()


def _wait_for(parent_ends: Callable[[], object]) -> None:
    parent_ends()
    os._exit(1)
