"""Tasks and completions: what is written is read back, and what is none is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions.worker.messages import (
    HIGHEST_COUNT,
    Completion,
    MessageError,
    Task,
    completion_from,
    task_from,
)
from predictions.worker.worker import Prediction, PredictionRequest

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
numbers = st.floats(allow_nan=False, allow_infinity=False)
requests = st.builds(
    PredictionRequest,
    player_id=text,
    player_name=text,
    game_id=text,
    recent_points=st.lists(numbers).map(tuple),
)
TASK: dict[str, Any] = {
    "batch_id": "b",
    "attempt": 1,
    "request": {"player_id": "P", "player_name": "N", "game_id": "G", "recent_points": [1]},
}
DONE: dict[str, Any] = {
    "batch_id": "b",
    "request_id": "P",
    "prediction": {"player_id": "P", "game_id": "G", "points": 7.5},
}


@given(batch=text, request=requests, attempt=st.integers(1, HIGHEST_COUNT))
def test_a_task_is_read_as_it_was_written(batch: str, request: PredictionRequest, attempt: int) -> None:
    task = Task(batch_id=batch, request=request, attempt=attempt)
    assert task_from(task.to_json()) == task


@given(batch=text, player=text, points=numbers, revision=st.none() | text, message=st.none() | text)
def test_a_completion_is_read_as_it_was_written(
    batch: str, player: str, points: float, revision: str | None, message: str | None
) -> None:
    done = Completion(
        batch_id=batch,
        request_id=player,
        prediction=Prediction(player_id=player, game_id="G", points=points),
        revision=revision,
        message_id=message,
    )
    assert completion_from(done.to_json()) == done


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"batch_id": ""}, "batch_id is no text, or empty"),
        ({"attempt": 0}, "attempt is no number from 1 to"),
        ({"attempt": True}, "attempt is no number from 1 to"),
        ({"attempt": 2**63}, "attempt is no number from 1 to"),
        ({"batch_id": "\ud800"}, "batch_id holds half of a character"),
        ({"request": None}, "request is no object"),
        ({"request": TASK["request"] | {"recent_points": "1 2"}}, "recent_points is no list of numbers"),
        ({"request": TASK["request"] | {"recent_points": ["1"]}}, "recent_points holds '1'"),
    ],
)
def test_what_is_no_task_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(MessageError, match=said):
        task_from(json.dumps(TASK | change))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prediction": None}, "either a prediction or an error"),
        ({"error": "no games"}, "either a prediction or an error"),
        ({"request_id": "Q"}, "the prediction is for 'P', the request for 'Q'"),
        ({"commit": 7}, "commit is no text"),
        ({"commit": "\udfff"}, "commit holds half of a character"),
    ],
)
def test_what_is_no_completion_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(MessageError, match=said):
        completion_from(json.dumps(DONE | change))


@pytest.mark.parametrize("data", [b"", b"\xff", b"[1]", b"[" * 100_000])
def test_what_is_no_json_object_is_no_message(data: bytes) -> None:
    with pytest.raises(MessageError):
        completion_from(data)


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (float("nan"), "points holds nan"),
        (float("-inf"), "points holds -inf"),
        (10**400, "points holds a number that is too large"),
        ("12", "points holds '12'"),
        (True, "points holds True"),
        (None, "points holds None"),
    ],
)
def test_points_that_are_no_number_are_the_error_of_their_request(points: object, said: str) -> None:
    """The others of its lot are not lost, and the request does not wait for an answer that it had."""
    done = completion_from(json.dumps(DONE | {"prediction": DONE["prediction"] | {"points": points}}))
    assert (done.request_id, done.prediction) == ("P", None)
    assert done.error is not None
    assert done.error.startswith(said)
