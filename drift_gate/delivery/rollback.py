"""A declared rollback: the traffic to a revision that is kept, at once, whoever deploys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from drift_gate.delivery import lock, traffic
from drift_gate.delivery.contracts import Revision, Split
from drift_gate.delivery.parts import Parts
from drift_gate.delivery.run import Run
from drift_gate.errors import DriftConfigError, SplitChangedError
from drift_gate.journal.deploys import Deploy
from drift_gate.runtime.deadline import Deadline
from drift_gate.runtime.spelling import near_misses


def rollback(parts: Parts, to: str | None, by: str, reason: str, until: datetime) -> Deploy:
    """Let the revision ``to`` serve alone; None: the one that served before the last deploy.

    Whoever deploys the service now is overtaken. Until ``until`` no deploy replaces the revision by itself.
    Raises ``DriftConfigError`` where there is no such revision, ``OvertakenError``, ``SourceError`` and
    ``JournalError``.
    """
    within = Deadline(parts.limits.release_timeout, parts.clock.monotonic)
    if parts.kind == "job":
        raise DriftConfigError(
            f"{parts.service} is a job: it keeps no revisions; deploy a commit that reverts"
        )
    chosen = _chosen(parts, to, within)
    asked = Deploy(
        service=parts.service,
        kind="rollback",
        commit=chosen.commit or "",
        by=by,
        reason=reason,
        until=until,
        asked_at=parts.clock.now(),
        revision=chosen.name,
    )
    with lock.seize(parts, asked) as run:
        try:
            _move(run, chosen.name, within)
        except BaseException as error:
            run.end("interrupted", f"{type(error).__name__}: {error}")
            raise
        run.end("done", f"{chosen.name} serves: {reason}")
        return run.deploy


def _chosen(parts: Parts, to: str | None, within: Deadline) -> Revision:
    """The revision ``to``, which must be one that is ready; None: the one before the last deploy's."""
    kept = parts.release.revisions(within)
    ready = [each for each in kept if each.ready]
    if to is None:
        return _earlier(parts, parts.release.read(within), ready)
    for each in ready:
        if each.name == to:
            return each
    names = [each.name for each in ready]
    why = "is not ready" if any(each.name == to for each in kept) else "is none of its revisions"
    raise DriftConfigError(f"{parts.service}: {to} {why} (ready are {_some(names)}){near_misses(to, names)}")


def _earlier(parts: Parts, split: Split, ready: Sequence[Revision]) -> Revision:
    """What served before what serves now, by the journal."""
    by_name = {each.name: each for each in ready}
    for each in parts.deploys.deploys(parts.service):
        before = {name: share for name, share in (each.before or {}).items() if name not in split.shares}
        if each.revision in split.shares and before:
            name = max(before, key=lambda one: before[one])
            if name in by_name:
                return by_name[name]
    names = [each.name for each in ready if each.name not in split.shares]
    if not names:
        raise DriftConfigError(
            f"{parts.service}: there is no other revision that is ready: nothing to go back to"
        )
    raise DriftConfigError(
        f"{parts.service}: the journal does not say what served before; say --to REVISION: {_some(names)}"
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "none"


def _move(run: Run, revision: str, within: Deadline) -> None:
    parts = run.parts
    while True:
        split = parts.release.read(within)
        if dict(split.shares) == {revision: 100} and split.settled:
            return
        with run.step("move") as step:
            if run.deploy.before is None:
                run.keep(before=dict(split.shares))
            try:
                parts.release.move({revision: 100}, split.etag, within)
            except SplitChangedError:
                step.said = "what serves changed meanwhile; looking again"
                continue
            traffic.land(run, split.shares, {revision: 100}, within)
            step.said = traffic.told({revision: 100})
        return
