"""Dispatch: bounded calls, and a worker that is not believed blindly."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from predictions.coordinator.dispatch import dispatch, local_worker
from predictions.coordinator.exceptions import BatchError
from predictions.worker.worker import Prediction, PredictionRequest

REQUESTS = [
    PredictionRequest(player_id=f"P{number}", player_name="N", game_id="G", recent_points=(number,))
    for number in range(5)
]


@pytest.mark.parametrize(("at_a_time", "calls"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (50, [5])])
def test_no_call_holds_more_than_asked_and_nothing_is_left_out(at_a_time: int, calls: list[int]) -> None:
    answers = list(dispatch(REQUESTS, local_worker, at_a_time))
    assert [len(answer) for answer in answers] == calls
    assert [each.player_id for answer in answers for each in answer] == ["P0", "P1", "P2", "P3", "P4"]


def test_nobody_to_ask_is_no_call() -> None:
    assert list(dispatch([], local_worker, 5)) == []


def test_a_worker_that_raises_fails_the_batch_and_says_on_whom() -> None:
    def broken(asked: Sequence[PredictionRequest]) -> Sequence[Prediction]:
        raise ZeroDivisionError("no games")

    with pytest.raises(BatchError, match="failed on players P0 to P1: ZeroDivisionError: no games") as caught:
        list(dispatch(REQUESTS, broken, 2))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


Spoil = Callable[[list[Prediction]], list[Prediction]]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda answers: answers[1:], id="one left out"),
        pytest.param(lambda answers: [*answers, answers[0]], id="one twice"),
        pytest.param(lambda answers: [answers[0], *answers[:-1]], id="one instead of another"),
        pytest.param(lambda answers: [], id="nothing"),
    ],
)
def test_an_answer_that_is_not_one_for_each_fails_the_batch(spoil: Spoil) -> None:
    with pytest.raises(BatchError, match="not one for each"):
        list(dispatch(REQUESTS, lambda asked: spoil(list(local_worker(asked))), 5))


def test_the_order_of_the_answers_does_not_matter() -> None:
    (answers,) = dispatch(REQUESTS, lambda asked: local_worker(asked)[::-1], 5)
    assert len(answers) == 5


def test_one_player_is_named_as_one() -> None:
    with pytest.raises(BatchError, match="player P0"):
        list(dispatch(REQUESTS, lambda asked: [], 1))
