"""Hands requests to the worker, a bounded number at a time, and checks that each is answered once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from predictions.coordinator.exceptions import BatchError
from predictions.worker.worker import Prediction, PredictionRequest, predict_batch

#: Answers a list of requests with one prediction for each, in any order.
Worker = Callable[[Sequence[PredictionRequest]], Sequence[Prediction]]

#: The reference worker, in this process: 273 averages take less time than starting another one.
local_worker: Worker = predict_batch


def dispatch(
    requests: Sequence[PredictionRequest], worker: Worker, at_a_time: int
) -> Iterator[Sequence[Prediction]]:
    """The worker's answers to ``requests``, ``at_a_time`` of them (at least 1) per call of ``worker``.

    Nothing is asked before it is iterated over. Raises ``BatchError`` when the worker fails, or
    leaves a request out, answers it twice, or answers one that nobody asked.
    """
    for first in range(0, len(requests), at_a_time):
        asked = requests[first : first + at_a_time]
        predictions = _ask(worker, asked)
        _check(asked, predictions)
        yield predictions


def _ask(worker: Worker, asked: Sequence[PredictionRequest]) -> Sequence[Prediction]:
    try:
        return worker(asked)
    except Exception as error:  # whatever the worker raises, the batch has failed, and says on whom
        raise BatchError(f"the worker failed on {_span(asked)}: {type(error).__name__}: {error}") from error


def _check(asked: Sequence[PredictionRequest], predictions: Sequence[Prediction]) -> None:
    wanted = sorted((request.player_id, request.game_id) for request in asked)
    answered = sorted((prediction.player_id, prediction.game_id) for prediction in predictions)
    if wanted != answered:
        raise BatchError(
            f"the worker answered {len(answered)} predictions to {len(wanted)} requests ({_span(asked)}), "
            "not one for each"
        )


def _span(asked: Sequence[PredictionRequest]) -> str:
    first, last = asked[0].player_id, asked[-1].player_id
    return f"player {first}" if first == last else f"players {first} to {last}"
