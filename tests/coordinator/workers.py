"""Workers that fail in a process of a pool, which imports this module and loads nothing else for it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from predictions.worker.worker import Prediction, PredictionRequest, predict_batch


def broken(asked: Sequence[PredictionRequest]) -> Sequence[Prediction]:
    raise ZeroDivisionError("no games")


def dies(asked: Sequence[PredictionRequest]) -> Sequence[Prediction]:
    os._exit(1)


def slow(asked: Sequence[PredictionRequest]) -> Sequence[Prediction]:
    print("asked", flush=True)
    time.sleep(60)
    return []


def first_alone(requests: Sequence[PredictionRequest]) -> Sequence[Prediction]:
    """A worker that answers for one player, and for nobody else, ever."""
    if requests[0].player_id != "P0":
        time.sleep(600)
    return predict_batch(requests)
