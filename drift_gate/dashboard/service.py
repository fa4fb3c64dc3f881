"""One service: how it stands and why, what it lacks, what to do, and how it fared in the last days. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from drift_gate.comparison.tally import Undeployed
from drift_gate.dashboard.rows import CommitRef, Place, Row, row
from drift_gate.dashboard.timeline import Happening, Timeline, happenings, timeline
from drift_gate.facts import Evidence, Fact, Text
from drift_gate.journal.records import Entry, Incident
from drift_gate.policy.codes import Decision
from drift_gate.policy.verdict import JudgedBy, Verdict
from drift_gate.presentation import remedies
from drift_gate.presentation.forge import Forge
from drift_gate.presentation.render import reason_chain
from drift_gate.settings.file import Settings

#: How far back the page of a service looks.
BACK = timedelta(days=30)


class Missing(Fact):
    """A commit that production lacks, and why each of its paths counts."""

    commit: CommitRef
    subject: Text
    author: Text
    committed_at: datetime
    chains: tuple[Text, ...]
    paths_omitted: int

    @classmethod
    def of(cls, one: Undeployed, forge: Forge | None) -> Missing:
        """``one`` with its page in ``forge``."""
        return cls(
            commit=CommitRef.of(one.sha, forge),
            subject=one.subject,
            author=one.author,
            committed_at=one.committed_at,
            chains=tuple(reason_chain(each.path, each.because) for each in one.paths),
            paths_omitted=one.paths_omitted,
        )


class Revision(Fact):
    """A live revision with what says which commit it runs; None: not known."""

    name: Text
    percent: int
    commit: CommitRef | None
    image: Text | None
    created_at: datetime | None
    evidence: tuple[Evidence, ...]
    unknown: Text | None


class ReasonRow(Fact):
    """A reason of the verdict."""

    code: str
    decision: Decision
    message: Text


class StepRow(Fact):
    """A line of what to do: what it is for; ``paste``: whether it is a line for a terminal."""

    label: str
    text: Text
    paste: bool


class Acknowledged(Fact):
    """An acknowledgement that the verdict counted: for which commit, why, until when."""

    live_commit: str
    reason: Text
    until: datetime


class Service(Fact):
    """One service at a moment (``at``, UTC).

    ``missing`` are the newest commits that it lacks, ``missing_more`` how many there are beside them; None:
    not known. ``steps``: what to do now. ``policy`` None: what is built in, or nobody looked yet.
    """

    schema_version: int = 1
    at: datetime
    interval_s: int
    row: Row
    reasons: tuple[ReasonRow, ...]
    steps: tuple[StepRow, ...]
    missing: tuple[Missing, ...]
    missing_more: int | None
    revisions: tuple[Revision, ...]
    acknowledged: tuple[Acknowledged, ...]
    policy: JudgedBy | None
    timeline: Timeline
    happened: tuple[Happening, ...]
    incidents: tuple[Incident, ...]


def service(
    name: str,
    latest: Entry | None,
    entries: Sequence[Entry],
    incidents: Sequence[Incident],
    settings: Settings,
    place: Place | None,
    now: datetime,
) -> Service:
    """The service ``name`` at ``now``.

    ``latest``: the newest decision on it. ``entries``, ``incidents``: those of the last ``BACK``, the newest
    first. ``place`` None: the settings do not declare it.
    """
    interval = timedelta(seconds=settings.dashboard.every)
    forge = place.forge if place else None
    declared = settings.services.get(name)
    going_on = next((each for each in incidents if each.resolved_at is None), None)
    period = timeline(
        entries,
        incidents,
        now - BACK,
        now,
        interval=interval,
        limit_s=declared.max_drift_age if declared else None,
    )
    verdict = latest.verdict if latest else None
    report = verdict.report if verdict else None
    missing = report.undeployed if report else ()
    return Service(
        at=now,
        interval_s=int(interval.total_seconds()),
        row=row(name, latest, place=place, incident=going_on, interval=interval, now=now),
        reasons=tuple(
            ReasonRow(code=each.code, decision=each.decision, message=each.message)
            for each in (verdict.reasons if verdict else ())
        ),
        steps=tuple(_steps(verdict, settings)) if verdict else (),
        missing=tuple(Missing.of(each, forge) for each in missing),
        missing_more=(report.commits_behind or 0) - len(missing)
        if report and report.status != "unknown"
        else None,
        revisions=tuple(_revisions(verdict, forge)) if verdict else (),
        acknowledged=tuple(_acknowledged(verdict)) if verdict else (),
        policy=verdict.policy if verdict else None,
        timeline=period,
        happened=tuple(happenings(period, incidents)),
        incidents=tuple(incidents),
    )


def _steps(verdict: Verdict, settings: Settings) -> Iterator[StepRow]:
    """What to do about a denial; where less is wrong and something is missing, the line that deploys it."""
    told = remedies.steps(verdict, settings) if verdict.decision == "deny" else ()
    if verdict.decision == "warn" and verdict.report.commits_behind:
        told = remedies.deploy(verdict, settings)
    yield from (StepRow(label=each.label, text=each.text, paste=each.paste) for each in told)


def _revisions(verdict: Verdict, forge: Forge | None) -> Iterator[Revision]:
    for live in verdict.report.live:
        yield Revision(
            name=live.called,
            percent=live.percent,
            commit=CommitRef.of(live.commit, forge) if live.commit else None,
            image=live.image,
            created_at=live.created_at,
            evidence=live.evidence,
            unknown=f"{live.unknown.cause}: {live.unknown.message}" if live.unknown else None,
        )


def _acknowledged(verdict: Verdict) -> Iterator[Acknowledged]:
    """Each once, however many reasons it covers."""
    notes = [note for reason in verdict.reasons for note in reason.data.get("acknowledged", ())]
    told = [Acknowledged.model_validate(note) for note in notes]
    yield from (each for number, each in enumerate(told) if each not in told[:number])
