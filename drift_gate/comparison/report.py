"""Facts into a report: what was compared and what came out. Pure, and no judgement."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from pydantic import Field

from drift_gate.comparison.tally import SHOWN_PATHS, DatedBy, Pair, Tally, Undeployed
from drift_gate.evidence import marks as evidence
from drift_gate.facts import (
    Evidence,
    Fact,
    Finding,
    Kind,
    Live,
    LiveRevision,
    Tagged,
    Target,
    Text,
    Unknown,
    called,
    named,
    readable,
)

Status = Literal["identical", "behind", "ahead", "diverged", "unknown"]
STATUSES: tuple[Status, ...] = get_args(Status)

#: The findings about a rollout that is under way.
ROLLOUT = ("rollout-in-progress", "rollout-stalled")
#: What a report takes over from its worst live revision.
_TOTALS = (
    "status",
    "commits_behind",
    "commits_ahead",
    "commits_neutral",
    "commits_picked",
    "content_differs",
    "drift_age_s",
    "undeployed",
)


class LiveReport(Fact):
    """One live revision against the target. With status ``unknown`` the numbers are None, never 0.

    ``container``: the one that this is about, None where one alone counts; ``sidecars`` do not count.
    ``commits_picked``: missing commits whose change is live under another id; in neither count.
    ``drift_age_s``: seconds since the oldest missing relevant commit landed on the target; 0 when
    identical, None when nothing dates the difference. Where the gate knows that the target was without it
    later than the commit's own clock says, since then (``dated_by``). ``url``: its own tag URL, None where
    it has none.
    ``unaccounted``: relevant paths that differ though no counted commit of either side changes them (at
    most 20), ``unaccounted_count`` how many there are.
    """

    revision: str | None
    container: Text | None = None
    percent: int
    status: Status
    commit: str | None = None
    commits_behind: int | None = None
    commits_ahead: int | None = None
    commits_picked: int | None = None
    image: str | None = None
    created_at: datetime | None = None
    unknown: Unknown | None = None
    evidence: tuple[Evidence, ...] = ()
    sidecars: tuple[Text, ...] = ()
    commits_neutral: int | None = Field(default=None, exclude=True)
    commits_within_grace: int | None = Field(default=None, exclude=True)
    content_differs: bool | None = Field(default=None, exclude=True)
    drift_age_s: int | None = Field(default=None, exclude=True)
    dated_by: DatedBy | None = Field(default=None, exclude=True)
    unaccounted: tuple[str, ...] = Field(default=(), exclude=True)
    unaccounted_count: int = Field(default=0, exclude=True)
    undeployed: tuple[Undeployed, ...] = Field(default=(), exclude=True)
    url: str | None = Field(default=None, exclude=True)

    @property
    def called(self) -> str:
        """Its name for people, with the container where several count; "" where it has neither."""
        return called(self.revision, self.container)


class DriftReport(Fact):
    """What is live, what should be, and the difference; answers as a mapping too.

    The totals are those of the worst live revision; they are None, never 0, when the status is
    ``unknown``. ``undeployed`` lists the newest commits that count (at most 20; the counts are
    full). ``unknown`` says why the status is unknown. ``addresses``: as ``Live`` has them.
    """

    service: str = Field(exclude=True)
    kind: Kind
    project: str | None = None
    region: str | None = None
    status: Status
    commits_behind: int | None = None
    commits_ahead: int | None = None
    commits_neutral: int | None = None
    commits_picked: int | None = None
    content_differs: bool | None = None
    drift_age_s: int | None = None
    target: Target | None = None
    live: tuple[LiveReport, ...] = ()
    tagged: tuple[Tagged, ...] = ()
    undeployed: tuple[Undeployed, ...] = ()
    unknown: Unknown | None = None
    findings: tuple[Finding, ...] = Field(default=(), exclude=True)
    addresses: tuple[str, ...] = Field(default=(), exclude=True)


@dataclass(frozen=True, slots=True)
class Compared:
    """What the comparison of one live revision rests on.

    ``tally`` None: the live commit is the target commit, nothing had to be counted. Unknown: the
    commit is known, what lies between is not.
    """

    weighed: evidence.Weighed
    tally: Tally | Unknown | None = None

    def findings(self) -> Iterator[Finding]:
        """What was noticed about this revision: by the evidence, by the policy's rules, and of the clocks."""
        yield from self.weighed.findings
        if isinstance(self.tally, Tally):
            yield from self.tally.findings()


def compare(
    service: str,
    live: Live,
    target: Target,
    compared: Sequence[Compared],
    resolved: Mapping[str, str | Unknown],
    findings: Collection[Finding],
    now: datetime,
) -> DriftReport:
    """The report on one workload.

    ``compared[i]`` belongs to ``live.revisions[i]``. ``resolved`` maps the ids of the service's own
    claims. ``findings`` were made on the way, by relevance for instance. ``now`` (UTC) dates the drift.
    """
    revisions = list(zip(live.revisions, compared, strict=True))
    reports = [_live_report(revision, one, target, now) for revision, one in revisions]
    commits = [report.commit for report in reports if report.commit]
    base = DriftReport(
        service=service,
        kind=live.kind,
        project=live.project,
        region=live.region,
        status="unknown",
        target=target,
        live=tuple(reports),
        tagged=live.tagged,
        addresses=live.addresses,
        findings=(
            *live.findings,
            *target.findings,
            *findings,
            *(_about(finding, revision) for revision, one in revisions for finding in one.findings()),
            *evidence.disagreeing_service_claims(live.service_claims, commits, resolved),
            *_disagreeing(reports),
        ),
    )
    return _with_totals(base)


#: All that is known while a check goes on beside the start that a bypass lets through.
NOT_YET = Unknown(cause="timeout", message="the check runs alongside the start", retryable=True)


def unknown_report(
    service: str, kind: Kind, unknown: Unknown, *, live: Live | None = None, target: Target | None = None
) -> DriftReport:
    """The report where the comparison could not be made; what is known of either side is kept."""
    revisions = live.revisions if live else ()
    return DriftReport(
        service=service,
        kind=kind,
        project=live.project if live else None,
        region=live.region if live else None,
        status="unknown",
        target=target,
        live=tuple(_unknown_live(revision, revision.unknown or unknown) for revision in revisions),
        tagged=live.tagged if live else (),
        addresses=live.addresses if live else (),
        unknown=unknown,
        findings=(*(live.findings if live else ()), *(target.findings if target else ())),
    )


def with_outlook(report: DriftReport, denials: Sequence[str]) -> DriftReport:
    """``report`` with what would deny once its rollout has landed said by the finding about the rollout."""
    if not denials:
        return report
    would = {"would_deny": list(denials)}
    told = (
        finding.model_copy(
            update={
                "message": f"{finding.message}; once it has landed, that is denied: {', '.join(denials)}",
                "data": finding.data | would,
            }
        )
        if finding.code in ROLLOUT
        else finding
        for finding in report.findings
    )
    return report.model_copy(update={"findings": tuple(told)})


def _with_totals(report: DriftReport) -> DriftReport:
    """``report`` with the totals of its worst live revision, or with the cause why there are none."""
    missing = [live for live in report.live if live.unknown]
    if missing:
        return report.model_copy(update={"unknown": missing[0].unknown})
    totals = worst(report)
    return report.model_copy(update={name: getattr(totals, name) for name in _TOTALS})


def worst(report: DriftReport) -> LiveReport:
    """The live revision whose totals are those of ``report``, whose status is known."""
    return max(report.live, key=_badness)


def is_affected(report: DriftReport) -> bool:
    """Whether a deploy of the target brings what serves something; also where nobody can say."""
    if report.unknown or report.commits_behind:
        return True
    return bool(report.content_differs) and not report.commits_ahead


def _badness(live: LiveReport) -> tuple[bool, int, int, int]:
    """What makes one live revision worse than another: an unaccounted difference, then count, then age."""
    behind, ahead = live.commits_behind or 0, live.commits_ahead or 0
    return live.unaccounted_count > 0, behind, live.drift_age_s or 0, ahead


def _live_report(revision: LiveRevision, compared: Compared, target: Target, now: datetime) -> LiveReport:
    commit = compared.weighed.commit
    if isinstance(commit, Unknown):
        return _unknown_live(revision, commit)
    if isinstance(compared.tally, Unknown):
        return _unknown_live(revision, compared.tally, commit)
    if compared.tally is None and commit != target.commit:
        raise ValueError(f"{commit} was not counted against {target.commit}: it must not pass for identical")
    tally = compared.tally or Tally(Pair(0, bool, lambda _: ()))
    differs = bool(tally.pair.net)
    status = _status(tally.behind, tally.ahead, differs)
    return LiveReport(
        revision=revision.revision,
        container=revision.container,
        percent=revision.percent,
        status=status,
        commit=commit,
        commits_behind=tally.behind,
        commits_ahead=tally.ahead,
        commits_picked=tally.picked,
        image=revision.image,
        created_at=revision.created_at,
        evidence=revision.evidence,
        sidecars=revision.sidecars,
        commits_neutral=tally.neutral,
        commits_within_grace=tally.caught.young,
        content_differs=differs,
        drift_age_s=0 if status == "identical" else _age(tally.since, now),
        dated_by=tally.dated_by,
        unaccounted=tuple(named([*map(readable, sorted(tally.unaccounted))], SHOWN_PATHS)),
        unaccounted_count=len(tally.unaccounted),
        undeployed=tuple(tally.undeployed),
        url=revision.url,
    )


def _unknown_live(revision: LiveRevision, unknown: Unknown, commit: str | None = None) -> LiveReport:
    return LiveReport(
        revision=revision.revision,
        container=revision.container,
        percent=revision.percent,
        status="unknown",
        commit=commit,
        image=revision.image,
        created_at=revision.created_at,
        unknown=unknown,
        evidence=revision.evidence,
        sidecars=revision.sidecars,
        url=revision.url,
    )


def _status(behind: int, ahead: int, differs: bool) -> Status:
    if not differs:
        return "identical"
    if behind and not ahead:
        return "behind"
    if ahead and not behind:
        return "ahead"
    return "diverged"


def _age(since: int | None, now: datetime) -> int | None:
    return None if since is None else max(0, int(now.timestamp() - since))


def _disagreeing(reports: Sequence[LiveReport]) -> Iterator[Finding]:
    """Containers of one revision that run different commits, unless none of them lacks anything."""
    for revision in dict.fromkeys(live.revision for live in reports if live.container):
        beside = [live for live in reports if live.revision == revision and live.commit]
        commits = sorted({str(live.commit) for live in beside})
        if len(commits) > 1 and any(live.status != "identical" for live in beside):
            says = ", ".join(f"{live.container} {str(live.commit)[:12]}" for live in beside)
            yield Finding(
                code="evidence-conflict",
                message=f"{revision or 'the template'}: its containers run different commits ({says}); build "
                'them from one commit, or name the one that counts: container = "…"',
                data={"commits": commits, "revision": revision},
            )


def _about(finding: Finding, revision: LiveRevision) -> Finding:
    if not revision.called:
        return finding
    return finding.model_copy(
        update={
            "message": f"{revision.called}: {finding.message}",
            "data": finding.data | {"revision": revision.revision},
        }
    )
