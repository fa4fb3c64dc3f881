"""Which answers count as results of a batch: those of what was judged, with what a player can score. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from predictions.coordinator.batches.batch import Batch
from predictions.coordinator.batches.ending import Share, judged
from predictions.coordinator.batches.stamp import Terms
from predictions.coordinator.slate.rows import MOST_POINTS
from predictions.worker.messages import Completion


def terms_of(batch: Batch) -> Terms:
    """The terms of ``batch``; the strictest for one of a version that kept none."""
    return batch.terms or Terms()


def admitted(batch: Batch, completion: Completion) -> Completion:
    """``completion`` as it counts for ``batch``: itself, or the error that stands in its place.

    A commit that nobody judged is known to be none of the live ones; what does not say its commit is let
    in, and the batch is then never said to be of one revision.
    """
    if completion.prediction is None:
        return completion
    problem = _problem(batch, completion.commit, completion.prediction.points)
    return replace(completion, prediction=None, error=problem) if problem else completion


def strangers(batch: Batch, failed: Iterable[Share]) -> tuple[Share, ...]:
    """Those among the workers of ``failed`` requests that nobody judged; none where theirs are kept."""
    if terms_of(batch).foreign_results == "keep":
        return ()
    return tuple(share for share in failed if judged(batch.stamps, share.commit) is False)


def _problem(batch: Batch, commit: str | None, points: float) -> str | None:
    if not 0 <= points <= MOST_POINTS:  # what is no number is not between them either
        return f"the worker predicts {points:g} points, which is not between 0 and {MOST_POINTS}"
    if terms_of(batch).foreign_results == "keep" or judged(batch.stamps, commit) is not False:
        return None
    return f"answered by a worker of commit {commit}, which was not judged"
