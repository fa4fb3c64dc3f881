"""What the coordinator and a worker say to each other: a task, and the completion that answers it. Pure.

Both are JSON objects, the same over HTTP and Pub/Sub. The worker owns the format, since its image holds
nothing of the coordinator.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from predictions.worker.worker import Prediction, PredictionRequest

#: What every store can count to.
HIGHEST_COUNT = 2**31 - 1

_HALF = re.compile("[\ud800-\udfff]")


class MessageError(ValueError):
    """The message is not what its format says; the sentence names what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One request of a batch, as it is handed to a worker.

    ``attempt`` counts from 1: which time the request is handed out. ``stamp`` is the verdict that the
    batch started on, as text: the worker hands it on and reads nothing into it.
    """

    batch_id: str
    request: PredictionRequest
    attempt: int = 1
    stamp: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """The task without its stamp, which travels as the attributes of the message."""
        told = {"batch_id": self.batch_id, "attempt": self.attempt, "request": asdict(self.request)}
        return json.dumps(told, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What became of one request: its ``prediction``, or the ``error`` that stood in the way; one is None.

    ``request_id``: the player, who is on a slate once. ``revision`` and ``commit``: what the worker
    says it runs; None: it does not know. ``attempt``: of the task that it answers. ``message_id``: of
    the Pub/Sub message that brought the task; None: another way did.
    """

    batch_id: str
    request_id: str
    prediction: Prediction | None
    error: str | None = None
    revision: str | None = None
    commit: str | None = None
    attempt: int = 1
    message_id: str | None = None

    def to_json(self) -> bytes:
        """The completion as ``completion_from`` reads it."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()


def task_from(data: bytes | str, stamp: Mapping[str, str] | None = None) -> Task:
    """The task in ``data``. Raises ``MessageError``."""
    told = _object(data)
    return Task(
        batch_id=_text(told, "batch_id"),
        attempt=_count(told, "attempt"),
        stamp=dict(stamp or {}),
        request=_request(_mapping(told, "request")),
    )


def tasks_to_json(tasks: Sequence[Task]) -> bytes:
    """Tasks of one batch and one attempt (at least one of them) as ``tasks_from`` reads them."""
    first = tasks[0]
    told = {
        "batch_id": first.batch_id,
        "attempt": first.attempt,
        "stamp": dict(first.stamp),
        "requests": [asdict(each.request) for each in tasks],
    }
    return json.dumps(told, separators=(",", ":")).encode()


def tasks_from(data: bytes | str) -> list[Task]:
    """The tasks in ``data``. Raises ``MessageError``."""
    told = _object(data)
    batch_id, attempt = _text(told, "batch_id"), _count(told, "attempt")
    stamp = _texts(told.get("stamp", {}), "stamp")
    requests = told.get("requests")
    if not isinstance(requests, list) or not all(isinstance(each, dict) for each in requests):
        raise MessageError("requests is no list of objects")
    return [
        Task(batch_id=batch_id, attempt=attempt, stamp=stamp, request=_request(each)) for each in requests
    ]


def completions_to_json(completions: Iterable[Completion]) -> bytes:
    """Completions as ``completions_from`` reads them."""
    told = {"completions": [asdict(each) for each in completions]}
    return json.dumps(told, separators=(",", ":")).encode()


def completions_from(data: bytes | str) -> list[Completion]:
    """The completions in ``data``. Raises ``MessageError``."""
    told = _object(data).get("completions")
    if not isinstance(told, list):
        raise MessageError("completions is no list")
    return [completion_from(json.dumps(each)) for each in told]


class Pushed(NamedTuple):
    """A message as Pub/Sub pushes it."""

    data: bytes
    attributes: dict[str, str]
    message_id: str


def pushed_from(body: bytes) -> Pushed:
    """The message in the ``body`` of a push (https://cloud.google.com/pubsub/docs/push#receive_push).

    Raises ``MessageError``.
    """
    message = _mapping(_object(body), "message")
    data = message.get("data", "")
    try:
        raw = base64.b64decode(data, validate=True) if isinstance(data, str) else None
    except binascii.Error:
        raw = None
    if raw is None:
        raise MessageError("data is no base64")
    return Pushed(raw, _texts(message.get("attributes") or {}, "attributes"), _text(message, "messageId"))


def _request(request: Mapping[str, Any]) -> PredictionRequest:
    recent = request.get("recent_points")
    if not isinstance(recent, list):
        raise MessageError("recent_points is no list of numbers")
    return PredictionRequest(
        player_id=_text(request, "player_id"),
        player_name=_text(request, "player_name"),
        game_id=_text(request, "game_id"),
        recent_points=tuple(_number(value, "recent_points") for value in recent),
    )


def completion_from(data: bytes | str) -> Completion:
    """The completion in ``data``. Raises ``MessageError``, for one without prediction and error too.

    Points that are no number are the error of that request alone: the worker did answer it.
    """
    told = _object(data)
    request_id, error = _text(told, "request_id"), _optional(told, "error")
    if (told.get("prediction") is None) == (error is None):
        raise MessageError("a completion has either a prediction or an error")
    prediction = None
    if error is None:
        prediction, error = _predicted(_mapping(told, "prediction"), request_id)
    return Completion(
        batch_id=_text(told, "batch_id"),
        request_id=request_id,
        prediction=prediction,
        error=error,
        revision=_optional(told, "revision"),
        commit=_optional(told, "commit"),
        attempt=_count(told, "attempt"),
        message_id=_optional(told, "message_id"),
    )


def _predicted(told: Mapping[str, Any], request_id: str) -> tuple[Prediction | None, str | None]:
    """The prediction, or what is wrong with its points. Raises ``MessageError`` where it is for nobody."""
    player_id, game_id = _text(told, "player_id"), _text(told, "game_id")
    if player_id != request_id:
        raise MessageError(f"the prediction is for {player_id!r}, the request for {request_id!r}")
    try:
        points = _number(told.get("points"), "points")
    except MessageError as error:
        return None, str(error)
    return Prediction(player_id=player_id, game_id=game_id, points=points), None


def _object(data: bytes | str) -> Mapping[str, Any]:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"no JSON: {error}") from error
    if not isinstance(told, dict):
        raise MessageError("no JSON object")
    return told


def _mapping(told: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = told.get(key)
    if not isinstance(value, dict):
        raise MessageError(f"{key} is no object")
    return value


def _texts(value: object, key: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise MessageError(f"{key} is no object of texts")
    return dict(value)


def _text(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key)
    if not isinstance(value, str) or not value:
        raise MessageError(f"{key} is no text, or empty")
    if _HALF.search(value):  # JSON may hold half of a pair; no store can
        raise MessageError(f"{key} holds half of a character")
    return value


def _optional(told: Mapping[str, Any], key: str) -> str | None:
    return None if told.get(key) is None else _text(told, key)


def _count(told: Mapping[str, Any], key: str) -> int:
    value = told.get(key, 1)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= HIGHEST_COUNT:
        raise MessageError(f"{key} is no number from 1 to {HIGHEST_COUNT}")
    return value


def _number(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MessageError(f"{key} holds {value!r}, which is no number")
    try:
        number = float(value)
    except OverflowError as error:
        raise MessageError(f"{key} holds a number that is too large") from error
    if not math.isfinite(number):
        raise MessageError(f"{key} holds {value!r}, which is no finite number")
    return number
