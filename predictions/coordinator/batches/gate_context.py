"""What the gate knows beside its verdict: the terms of a batch, and what serves when one ends."""

from __future__ import annotations

from functools import partial

from drift_gate.errors import DriftCheckError
from drift_gate.runtime.deadline import Deadline, attempt
from drift_gate.settings.file import load
from drift_gate.wiring import checks
from predictions.coordinator.batches.batch import Batch
from predictions.coordinator.batches.stamp import Serving, Stamp, Terms

#: Seconds for the second look at what is live. The batch is done by then, and somebody waits for the
#: last message's answer; under a bypass Cloud Run is known to be in trouble, and gets less.
LOOK_SECONDS, BYPASSED_SECONDS = 5.0, 1.0


def declared_terms() -> Terms:
    """What ``[batch]`` says of results; the strictest terms where the settings are broken."""
    try:
        batch = load().batch
    except Exception:  # a bypass starts whatever is broken, and its verdict says what
        return Terms()
    return Terms(foreign_results=batch.foreign_results, tolerate=batch.tolerate)


def serving_now(batch: Batch) -> Serving | str:
    """What serves now in place of what ``batch`` was judged on, by the gate's own sources.

    A sentence where nobody knows. Never raises: a batch that is done is not undone by a look.
    """
    if batch.stamp.service is None:
        return "the batch does not say which service it was judged on"
    within = Deadline(BYPASSED_SECONDS if batch.break_glass else LOOK_SECONDS)
    # On a thread that nobody waits for: what hung the gate at the start may hang it again.
    answer = attempt(partial(_look, batch.stamp.service, batch.latest, within), within, "what serves")
    return answer.message if isinstance(answer, DriftCheckError) else answer


def _look(service: str, judged: Stamp, within: Deadline) -> Serving | str:
    """Git is asked where something else serves than what was ``judged``: which commit that is, it knows."""
    settings = load()
    if judged.names(checks.live(service, settings=settings, within=within)):
        return Serving(judged.live_revisions, judged.live_commits)
    (verdict,) = checks.check([service], settings=settings, within=within, record=False).services
    report = verdict.report
    if report.live:
        return Serving.of(report.live)
    return report.unknown.message if report.unknown else "nothing serves"
