"""5. and 6. A new revision without traffic, and the proof that it is what it should be."""

from __future__ import annotations

from drift_gate.delivery.contracts import Candidate, Look
from drift_gate.delivery.plan import TAG
from drift_gate.delivery.run import Run
from drift_gate.errors import CandidateError
from drift_gate.runtime.deadline import Deadline

#: Seconds between two looks at a candidate.
PAUSE_S = 1.0


def release(run: Run, image: str) -> Candidate:
    """A revision of ``image`` beside what serves. Raises ``CandidateError``."""
    parts = run.parts
    with run.step("release") as step:
        within = Deadline(parts.limits.release_timeout, parts.clock.monotonic)
        candidate = parts.release.candidate(image, run.deploy.commit, TAG, within)
        step.fields = {"revision": candidate.revision}
        where = f", at {candidate.url}" if candidate.url else ""
        step.said = f"{candidate.revision} is ready and gets no traffic{where}"
    return candidate


def prove(run: Run, candidate: Candidate) -> None:
    """Raises ``CandidateError`` unless the candidate is healthy and the user's own command is content.

    A job has nothing that could be asked before its next run.
    """
    parts = run.parts
    if parts.kind == "job":
        return
    with run.step("prove") as step:
        look = _healthy(run, candidate)
        step.said = _proof(look, parts.limits.healthy_answers)
        if (why := parts.smoke(candidate, run.deploy.commit)) is not None:
            raise CandidateError(f"{candidate.revision}: the smoke command is not content: {why}")


def _healthy(run: Run, candidate: Candidate) -> Look:
    """The last of enough healthy looks in a row; one suffices where it did not answer for itself."""
    parts, commit = run.parts, run.deploy.commit
    within = Deadline(parts.limits.release_timeout, parts.clock.monotonic)
    in_a_row = 0
    while True:
        look = parts.probe.look(candidate, commit, within)
        in_a_row = in_a_row + 1 if look.healthy else 0
        if in_a_row >= (parts.limits.healthy_answers if look.proven else 1):
            return look
        if not look.healthy and not (look.retryable and within.remaining() > PAUSE_S):
            raise CandidateError(f"{candidate.revision} is not fit to serve {commit[:12]}: {look.why}")
        run.require()
        parts.clock.sleep(PAUSE_S)


def _proof(look: Look, answers: int) -> str:
    if look.proven:
        return f"its own files are the commit's, {answers} healthy answers in a row"
    return "its marks name the commit; it was not asked what it holds"
