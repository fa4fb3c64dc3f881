"""The story of a deploy, over Protocols only.

    1. take the lock: one deploy per service, and at most one waits behind it, the newest
    2. plan: decided by live against the commit; nothing relevant missing ends it
    3. build from a clean export of the commit
    4. push, and keep the digest
    5. release by digest without traffic
    6. prove the candidate: its own files, healthy answers in a row, the user's smoke command
    7. forward only: what serves now, asked again, must hold nothing that the commit lacks
    8. move the traffic, on the condition that nothing has changed since; read back until it has landed
    9. watch; where it is not healthy, the traffic goes back to where it was

Each step is kept in the journal as it begins and as it ends. Whatever ends the process in whichever step, the
same deploy asked for again goes on where it was, or comes to the same by doing the step again.
"""

from __future__ import annotations

from drift_gate.delivery import candidate, image, lock, traffic
from drift_gate.delivery.parts import Parts
from drift_gate.delivery.run import Run
from drift_gate.errors import BuildError, CandidateError, OvertakenError
from drift_gate.journal.deploys import Deploy
from drift_gate.runtime.deadline import Deadline

#: Seconds between two looks at a rollout that is under way.
_ROLLOUT_S = 5.0


def deploy(parts: Parts, commit: str, by: str, *, replace: str | None = None) -> Deploy:
    """Let the service run ``commit`` (a full id, of the target's history); what became of it.

    ``replace``: the name of a revision that may be replaced though it has something that the commit lacks, or
    nobody knows what it runs, or it is meant to serve by a rollback; None: no such revision may. Ends with
    ``done`` or ``nothing``; everything else raises: ``OvertakenError``, ``BuildError``, ``CandidateError``
    (the traffic is where it was), and what may be repeated: ``SourceError``, ``JournalError``.
    """
    asked = Deploy(service=parts.service, commit=commit, by=by, asked_at=parts.clock.now())
    with lock.acquire(parts, asked) as run:
        try:
            return _made(run, replace)
        except OvertakenError as error:
            run.end("overtaken", str(error))
            raise
        except BuildError as error:
            run.end("failed", str(error))
            raise
        except CandidateError as error:
            raise _unfit(run, error) from error
        except BaseException as error:
            run.end("interrupted", f"{type(error).__name__}: {error}")
            if not isinstance(error, Exception):
                parts.say("", "interrupted; the same command goes on where it was")
            raise


def _made(run: Run, replace: str | None) -> Deploy:
    with run.step("lock") as step:
        step.said = f"held by {run.deploy.by}"
    if run.deploy.unfit:
        raise CandidateError(run.deploy.unfit)
    if (why := _nothing_to_do(run, replace)) is not None:
        run.end("nothing", why)
        return run.deploy
    made = image.make(run)
    fresh = candidate.release(run, made)
    candidate.prove(run, fresh)
    traffic.forward(run, fresh, replace)
    run.end("done", f"{fresh.revision} serves {run.deploy.commit[:12]}")
    return run.deploy


def _nothing_to_do(run: Run, replace: str | None) -> str | None:
    """2. Why nothing is to be done; None: there is something.

    Raises ``OvertakenError`` where a deploy would go backwards, and ``SourceError`` where nobody knows.
    """
    commit, parts = run.deploy.commit, run.parts
    with run.step("plan") as step:
        within = Deadline(parts.limits.release_timeout, parts.clock.monotonic)
        while True:
            due = run.due(replace)
            if due.action != "wait" or within.remaining() <= _ROLLOUT_S:
                break
            run.require()
            parts.clock.sleep(_ROLLOUT_S)
        step.said = due.why
        if due.action in ("stop", "wait"):
            raise OvertakenError(f"{run.deploy.service}: {commit[:12]} is not deployed: {due.why}")
        # One that has moved traffic before it was interrupted has its watch to end.
        return due.why if due.action == "nothing" and run.deploy.before is None else None


def _unfit(run: Run, error: CandidateError) -> CandidateError:
    """The error once the traffic is where it was; what cannot be put back now is put back by a repetition."""
    if run.deploy.before is None:
        run.end("failed", str(error))
        return CandidateError(f"{error}; no traffic was moved")
    try:
        if run.deploy.unfit is None:
            run.keep(unfit=str(error))
        traffic.back(run)
    except OvertakenError as taken:
        run.end("overtaken", str(taken))
        raise
    except BaseException as broken:
        run.end("interrupted", f"{error}; and the traffic is not back: {broken}")
        raise
    said = run.deploy.step("back")
    run.end("rolled-back", str(error))
    return CandidateError(f"{error}; {said.result if said else ''}")
