"""Batches and completions made by hand, for whatever keeps batches."""

from __future__ import annotations

from datetime import date

from predictions.coordinator.batches.batch import NewBatch, Result, new_id
from predictions.coordinator.batches.stamp import Stamp, Terms
from predictions.worker.messages import Completion
from predictions.worker.worker import Prediction, PredictionRequest

DAY = date(2026, 2, 5)
COMMIT = "a" * 40
STAMP = Stamp(
    service="prediction-worker",
    gate_decision="warn",
    enforced=True,
    live_revisions=("w-1",),
    live_commits=(COMMIT,),
    target_commit="b" * 40,
    policy_hash="0123456789ab",
)


def a_batch(
    players: int = 2, *, day: date = DAY, key: str | None = None, dispatch: str = "pubsub"
) -> NewBatch:
    """Players P000, P001 and so on, all in the game G."""
    return NewBatch(
        id=new_id(day),
        game_date=day,
        slate="a file",
        requests=[a_request(f"P{number:03}") for number in range(players)],
        set_aside=1,
        dispatch=dispatch,
        stamp=STAMP,
        terms=Terms(),
        idempotency_key=key,
    )


def a_request(player: str) -> PredictionRequest:
    return PredictionRequest(player_id=player, player_name="N", game_id="G", recent_points=(1.0, 2.5))


def a_result(player: str, name: str = "N") -> Result:
    return Result(player, name, "G", 7.5, "w-1", "", *STAMP.columns())


def answer(
    batch_id: str, player: str, *, points: float = 7.5, game: str = "G", commit: str = COMMIT
) -> Completion:
    return Completion(
        batch_id=batch_id,
        request_id=player,
        prediction=Prediction(player_id=player, game_id=game, points=points),
        revision="w-1",
        commit=commit,
    )


def failure(batch_id: str, player: str) -> Completion:
    return Completion(batch_id=batch_id, request_id=player, prediction=None, error="no games")
