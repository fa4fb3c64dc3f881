"""7. to 9. The traffic: forward only, in steps, watched, and back where the candidate is not healthy."""

from __future__ import annotations

from collections.abc import Mapping

from drift_gate.delivery.contracts import Candidate, Split
from drift_gate.delivery.run import Run
from drift_gate.errors import CandidateError, OvertakenError, SourceError, SplitChangedError
from drift_gate.policy.verdict import duration
from drift_gate.runtime.deadline import Deadline

#: Seconds between two looks at a split that has not landed, and at a candidate that is watched.
LANDING_S, WATCH_S = 2.0, 5.0
#: That many looks in a row that are not healthy end the watch.
UNHEALTHY = 3


def forward(run: Run, candidate: Candidate, replace: str | None) -> None:
    """7. to 9. for each step of the traffic. Raises ``OvertakenError`` and ``CandidateError``.

    A job has one template: its next run uses the candidate, or it does not.
    """
    for percent in (100,) if run.parts.kind == "job" else run.parts.limits.traffic:
        _move(run, candidate, percent, replace)
        _watch(run, candidate)


def _move(run: Run, candidate: Candidate, percent: int, replace: str | None) -> None:
    """8. Give the candidate ``percent`` on the condition that nothing changed since 7. was answered."""
    parts = run.parts
    within = Deadline(parts.limits.release_timeout, parts.clock.monotonic)
    while True:
        split = parts.release.read(within)
        if split.settled and split.shares.get(candidate.revision, 0) >= percent:
            with run.step("move") as step:  # it was done before the deploy was interrupted
                step.said = told(split.shares)
            return
        with run.step("forward") as step:
            step.said = _require_forward(run, replace)
        if run.deploy.before is None:
            run.keep(before=dict(split.shares))
        shares = shared(split.shares, candidate.revision, percent)
        with run.step("move") as step:
            try:
                parts.release.move(shares, split.etag, within)
            except SplitChangedError:
                step.said = "what serves changed meanwhile; looking again"
                continue
            land(run, split.shares, shares, within)
            step.said = told(shares)
        return


def _require_forward(run: Run, replace: str | None) -> str:
    """7. What serves now is behind the commit or holds nothing that it lacks; else ``OvertakenError``."""
    commit = run.deploy.commit
    due = run.due(replace, moving=True)
    if due.action == "stop":
        raise OvertakenError(f"{run.deploy.service}: {commit[:12]} gets no traffic: {due.why}")
    return "what serves now holds nothing that the commit lacks"


def shared(shares: Mapping[str, int], revision: str, percent: int) -> dict[str, int]:
    """``percent`` for ``revision``, and the rest for the others as it was shared among them."""
    others = {name: share for name, share in shares.items() if name != revision and share > 0}
    total, left = sum(others.values()), 100 - percent
    if not others or not left:
        return {revision: 100}
    given = {name: share * left // total for name, share in others.items()}
    largest = max(others, key=lambda name: others[name])
    given[largest] += left - sum(given.values())
    return {revision: percent, **{name: share for name, share in given.items() if share}}


def land(run: Run, was: Mapping[str, int], asked: Mapping[str, int], within: Deadline) -> None:
    """Wait until the real split is the one that was ``asked`` for.

    Raises ``OvertakenError`` where somebody else changed it, and ``SourceError`` where it takes too long.
    """
    release = run.parts.release
    while True:
        split = release.read(within)
        if split.failure is not None:
            raise SourceError(
                f"the traffic did not move to {told(asked)}: {split.failure}", "unavailable", True
            )
        if split.settled and dict(split.shares) == dict(asked):
            return
        if split.settled and dict(split.shares) != dict(was):
            raise OvertakenError(f"somebody else moved the traffic meanwhile: {told(split.shares)}")
        within.require(f"the traffic to move to {told(asked)}")
        run.require()
        run.parts.clock.sleep(LANDING_S)


def _watch(run: Run, candidate: Candidate) -> None:
    """9. Raises ``CandidateError`` where the candidate is not healthy any more while it is watched."""
    parts = run.parts
    if parts.kind == "job" or not parts.limits.watch:
        return
    with run.step("watch") as step:
        until = Deadline(parts.limits.watch, parts.clock.monotonic)
        unhealthy = 0
        while True:
            within = Deadline(parts.limits.release_timeout, parts.clock.monotonic)
            look = parts.probe.look(candidate, run.deploy.commit, within)
            unhealthy = 0 if look.healthy else unhealthy + 1
            if unhealthy and (not look.retryable or unhealthy >= UNHEALTHY):
                raise CandidateError(f"{candidate.revision} is not healthy: {look.why}")
            if until.remaining() <= 0 and not unhealthy:
                break
            run.require()
            parts.clock.sleep(WATCH_S)
        lasted = duration(parts.limits.watch)
        step.said = f"healthy for {lasted}" if look.proven else f"ready for {lasted}; it was not asked itself"


def back(run: Run) -> None:
    """Put the traffic back where it was before this deploy moved any, unless somebody else has since.

    Raises ``SourceError`` where that cannot be done in time: it is safe to repeat.
    """
    parts, before = run.parts, dict(run.deploy.before or {})
    within = Deadline(parts.limits.release_timeout, parts.clock.monotonic)
    with run.step("back") as step:
        while True:
            split = parts.release.read(within)
            if not _ours(split, run, before):
                step.said = f"left as it is, since somebody else moved it: {told(split.shares)}"
                return
            if dict(split.shares) == before and split.settled:
                step.said = f"the traffic is where it was: {told(before)}"
                return
            try:
                parts.release.move(before, split.etag, within)
                land(run, split.shares, before, within)
            except SplitChangedError:
                within.require("the traffic to go back")


def _ours(split: Split, run: Run, before: Mapping[str, int]) -> bool:
    """Whether nobody gets traffic but what did before and our candidate."""
    return split.shares.keys() <= {*before, str(run.deploy.revision)}


def told(shares: Mapping[str, int]) -> str:
    """A split for people: ``10 % worker-00042, 90 % worker-00041``."""
    return ", ".join(f"{percent} % {name}" for name, percent in shares.items()) or "nothing serves"
