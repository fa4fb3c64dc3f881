"""What a worker answers, whichever way the task came: a prediction or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from predictions.worker.messages import Completion, Task
from predictions.worker.version import COMMIT
from predictions.worker.worker import predict


@dataclass(frozen=True, slots=True)
class Identity:
    """Which worker answers: its revision on Cloud Run and its commit; None each: it does not know."""

    revision: str | None
    commit: str | None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Identity:
        """What the platform (``K_REVISION``) and the image say."""
        return cls(environ.get("K_REVISION") or None, environ.get(COMMIT) or None)


def answer(task: Task, who: Identity, message_id: str | None = None) -> Completion:
    """The completion of ``task``, the same for the same task: one that comes twice does no harm.

    A request that cannot be predicted is answered by an error, since trying again would end alike.
    """
    try:
        prediction, error = predict(task.request), None
    except ValueError as problem:
        prediction, error = None, str(problem) or type(problem).__name__
    return Completion(
        batch_id=task.batch_id,
        request_id=task.request.player_id,
        prediction=prediction,
        error=error,
        revision=who.revision,
        commit=who.commit,
        attempt=task.attempt,
        message_id=message_id,
    )
