"""Predicts each player's points by a moving average of the most recent games. Pure and deterministic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Games that count. Five is about two weeks of a season: long enough that one hot night does not
#: decide, short enough to follow a change of role. A common choice, not a fitted one.
WINDOW = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionRequest:
    """What is asked for one player in one game; ``recent_points`` holds the newest game last, never empty."""

    player_id: str
    player_name: str
    game_id: str
    recent_points: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The points that the player is expected to score in the game."""

    player_id: str
    game_id: str
    points: float


def moving_average(points: Sequence[float], window: int = WINDOW) -> float:
    """The mean of the last ``window`` values, to two decimals; of all, where there are fewer.

    Raises ``ValueError`` for no values: a player without games has no average, not an average of 0.
    """
    recent = points[-window:]
    if not recent:
        raise ValueError("a moving average needs at least one game")
    return round(math.fsum(recent) / len(recent), 2)


def predict(request: PredictionRequest) -> Prediction:
    """The prediction for one player. Raises ``ValueError`` where there is no recent game."""
    return Prediction(
        player_id=request.player_id,
        game_id=request.game_id,
        points=moving_average(request.recent_points),
    )


def predict_batch(requests: Sequence[PredictionRequest]) -> list[Prediction]:
    """One prediction for each request, in their order."""
    return [predict(request) for request in requests]
