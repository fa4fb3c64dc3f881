"""The reference worker: a moving average, nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions.worker.worker import WINDOW, Prediction, PredictionRequest, moving_average, predict_batch

points = st.floats(min_value=0, max_value=200)


def a_request(player: str, recent: tuple[float, ...]) -> PredictionRequest:
    return PredictionRequest(player_id=player, player_name=player, game_id="G1", recent_points=recent)


@pytest.mark.parametrize(
    ("recent", "expected"),
    [
        ((10,), 10.0),
        ((10, 20), 15.0),
        ((0, 0, 0), 0.0),
        ((99, 1, 2, 3, 4, 5), 3.0),  # the sixth last game no longer counts
        ((1, 1, 2), 1.33),
    ],
)
def test_the_prediction_is_the_mean_of_the_last_five_games(
    recent: tuple[float, ...], expected: float
) -> None:
    assert moving_average(recent) == expected


def test_a_player_without_games_has_no_average() -> None:
    with pytest.raises(ValueError, match="at least one game"):
        moving_average(())


@given(st.lists(points, min_size=1))
def test_the_average_lies_between_the_lowest_and_the_highest_of_the_window(recent: list[float]) -> None:
    window = recent[-WINDOW:]
    assert min(window) - 0.005 <= moving_average(recent) <= max(window) + 0.005


@given(st.lists(points, min_size=WINDOW, max_size=WINDOW), st.lists(points))
def test_games_before_the_window_change_nothing(window: list[float], before: list[float]) -> None:
    assert moving_average(before + window) == moving_average(window)


def test_each_request_is_answered_in_its_place() -> None:
    """Names and games travel with the prediction, so that an answer can be told from its neighbour's."""
    assert predict_batch([a_request("P2", (4,)), a_request("P1", (8,))]) == [
        Prediction(player_id="P2", game_id="G1", points=4.0),
        Prediction(player_id="P1", game_id="G1", points=8.0),
    ]
