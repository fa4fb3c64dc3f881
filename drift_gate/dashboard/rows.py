"""A service at one look: how it stands, by the last decision on it, and since when. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, get_args

from drift_gate.comparison.report import LiveReport, Status
from drift_gate.facts import Fact, Kind, Text
from drift_gate.journal.records import Door, Entry, Incident, Sighting
from drift_gate.policy.codes import Decision
from drift_gate.policy.verdict import SEVERITIES, Severity, Verdict
from drift_gate.presentation.forge import Forge
from drift_gate.settings.file import Settings
from drift_gate.settings.location import SERVICE_NAME

#: How a service stands, the worst first: denied; its status not known; nobody looked for too long; denied,
#: though the denial does not hold; warned of; as it should be.
Standing = Literal["denied", "unknown", "unlooked", "lifted", "warned", "current"]
STANDINGS: tuple[Standing, ...] = get_args(Standing)

_CONSOLE = "https://console.cloud.google.com/run/"
#: The page of each kind in the console; None: it has none that an address leads to.
_CONSOLE_PAGES: Mapping[Kind, str | None] = {
    "service": "detail/{region}/{name}/revisions?project={project}",
    "job": "jobs/details/{region}/{name}/executions?project={project}",
    "worker-pool": None,
}


class Place(NamedTuple):
    """Where a declared service is: for links. None: not known, or not on Cloud Run."""

    project: str | None = None
    region: str | None = None
    kind: Kind = "service"
    forge: Forge | None = None


def places(settings: Settings, forges: Mapping[str, Forge]) -> dict[str, Place]:
    """Where each declared service is; ``forges``: that of each one's repository, as far as it is known."""
    return {
        name: Place(
            project=one.project if one.live == "cloud-run" else None,
            region=one.region if one.live == "cloud-run" else None,
            kind=one.kind,
            forge=forges.get(name),
        )
        for name, one in settings.services.items()
    }


class CommitRef(Fact):
    """A commit, and its page in the forge; None: no such page is known."""

    id: str
    url: str | None = None

    @classmethod
    def of(cls, id: str, forge: Forge | None) -> CommitRef:
        """The commit ``id`` in ``forge``."""
        return cls(id=id, url=forge.commit(id) if forge else None)


class LiveRow(Fact):
    """A revision that gets traffic: its share, and its commit; None: not known.

    ``compare``: the page of what the target has and it has not.
    """

    name: Text
    percent: int
    status: Status
    commit: CommitRef | None
    compare: str | None

    @classmethod
    def of(cls, live: LiveReport, target: str | None, forge: Forge | None) -> LiveRow:
        """``live``, held against the commit ``target``."""
        differs = live.commit is not None and target is not None and live.commit != target
        return cls(
            name=live.called,
            percent=live.percent,
            status=live.status,
            commit=CommitRef.of(live.commit, forge) if live.commit else None,
            compare=forge.compare(str(live.commit), str(target)) if forge and differs else None,
        )


class Row(Fact):
    """How one service stands at a moment.

    ``standing``: what it is shown as, ``word`` in a word. ``declared``: whether the settings name it.
    ``since``: since when production lacks something, None where nothing dates that. ``looked_at`` None:
    nobody ever did; then nothing else is known. What was known at the last look is kept where that is too
    long ago, and is no word on now. ``why``: the first reason, or why nothing is known. ``page``: the name of
    its page.
    """

    service: Text
    page: str
    declared: bool
    standing: Standing
    word: str
    status: Status | None = None
    decision: Decision | None = None
    enforced: bool | None = None
    not_enforced_because: str | None = None
    severity: Severity | None = None
    codes: tuple[str, ...] = ()
    why: Text | None = None
    live: tuple[LiveRow, ...] = ()
    target: CommitRef | None = None
    commits_behind: int | None = None
    since: datetime | None = None
    looked_at: datetime | None = None
    looked_by: Text | None = None
    door: Door | None = None
    incident: Incident | None = None
    console: str | None = None

    @property
    def rank(self) -> tuple[int, int, float, str]:
        """What sorts the worst first: how it stands, how severe that is, since when."""
        since = self.since.timestamp() if self.since else float("inf")
        return STANDINGS.index(self.standing), -SEVERITIES.index(self.severity), since, self.service


def row(
    service: str,
    entry: Entry | None,
    *,
    place: Place | None,
    incident: Incident | None = None,
    interval: timedelta,
    now: datetime,
) -> Row:
    """How ``service`` stands at ``now``, by the newest decision on it (None: there is none).

    ``place`` None: the settings do not declare it. ``interval``: how far apart looks should lie.
    """
    known = place or Place()
    base = Row(
        service=service,
        page=page_of(service),
        declared=place is not None,
        standing="unlooked",
        word="never looked at",
        incident=incident,
        console=_console(service, known),
    )
    if entry is None:
        return base
    verdict, report, sighting = entry.verdict, entry.verdict.report, Sighting.of(entry)
    target = report.target.commit if report.target else None
    standing = _standing(entry, interval, now)
    return base.model_copy(
        update={
            "standing": standing,
            "word": word(standing, verdict),
            "status": report.status,
            "decision": verdict.decision,
            "enforced": verdict.enforced,
            "not_enforced_because": verdict.not_enforced_because,
            "severity": verdict.severity,
            "codes": tuple(dict.fromkeys(reason.code for reason in verdict.reasons)),
            "why": why(verdict),
            "live": tuple(LiveRow.of(each, target, known.forge) for each in report.live),
            "target": CommitRef.of(target, known.forge) if target else None,
            "commits_behind": report.commits_behind,
            "since": sighting.landed_at if sighting else None,
            "looked_at": entry.at,
            "looked_by": entry.by,
            "door": entry.door,
        }
    )


def looked(at: datetime | None, interval: timedelta, now: datetime) -> bool:
    """Whether a look at ``at`` still says how it is at ``now``: it is no older than twice the interval."""
    return at is not None and now - at <= 2 * interval


def _standing(entry: Entry, interval: timedelta, now: datetime) -> Standing:
    verdict = entry.verdict
    if not looked(entry.at, interval, now):
        return "unlooked"
    if verdict.report.status == "unknown":
        return "unknown"
    if verdict.decision == "deny":
        return "denied" if verdict.enforced else "lifted"
    return "warned" if verdict.decision == "warn" else "current"


def word(standing: Standing, verdict: Verdict) -> str:
    """``verdict`` in a word: its status; of what runs the right code and is denied all the same, that."""
    if standing == "unlooked":
        return "not looked"
    if verdict.report.status != "identical":
        return verdict.report.status
    return "current" if standing == "current" else standing


def why(verdict: Verdict) -> str | None:
    """The worst reason in a sentence; None: there is none."""
    if verdict.report.unknown:
        return f"{verdict.report.unknown.cause}: {verdict.report.unknown.message}"
    return next((reason.message for reason in verdict.reasons), None)


def page_of(service: str) -> str:
    """The name of the page of ``service``: its own, where that is one that Cloud Run has."""
    if re.fullmatch(SERVICE_NAME, service):
        return service
    return f"x-{hashlib.sha256(service.encode()).hexdigest()[:16]}"


def _console(service: str, place: Place) -> str | None:
    path = _CONSOLE_PAGES[place.kind]
    if path is None or not (place.project and place.region) or not re.fullmatch(SERVICE_NAME, service):
        return None
    return _CONSOLE + path.format(name=service, region=place.region, project=place.project)
