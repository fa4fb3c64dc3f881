"""What is to be said now, on one channel: out of the journal and the time alone. Pure.

Whoever computes it, and however often, comes to the same messages with the same claims: two monitors and
one that was started again say each thing once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Literal, NamedTuple

from pydantic import Field

from drift_gate.facts import Fact, Text
from drift_gate.journal.records import Entry, Incident, Journal, Look, Notification, Sighting
from drift_gate.policy.freezes import CODE as FREEZE
from drift_gate.policy.verdict import SEVERITIES, Severity
from drift_gate.runtime.values import time_zone

Kind = Literal["incident", "refusal", "bypass", "digest", "report", "test"]

DAY = timedelta(days=1)
#: How long a message goes on changing after its incident is over, as long as another one shares it.
MEMORY = timedelta(days=7)
#: Who claimed a message so long ago has died over it.
CLAIM_ENDS = timedelta(minutes=10)
#: The pause after the first failure of a message, doubled by each further one, and the longest.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)


class Rules(Fact):
    """When what is said.

    ``remind``: so many seconds after an incident opened, and daily after the last; none: never. ``digest``:
    the time of day of the digest in ``time_zone``; None: there is none. ``owners``: who is mentioned, by
    service. ``authors``: who is mentioned where their commits are missing, by the author's name in git.
    """

    remind: tuple[float, ...] = (2 * 3600.0, 6 * 3600.0, 24 * 3600.0)
    digest: time | None = time(9)
    time_zone: str = "UTC"
    owners: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    authors: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)


class Claim(NamedTuple):
    """What is claimed before a message is sent: one transition of an incident, say."""

    subject: str
    key: str


class Draft(Fact):
    """A message that is due: what it is about, and what sending it claims.

    ``place``: where the message stands that this one changes, as the channel named it; None: a new one.
    ``claims``: by subject and key, the first one decides who sends it. ``incidents``: all that the message
    is about, also those without news. ``reminder``: nothing happened, it only goes on. ``entry``: the
    decision that it is about, or None. ``day``: that of a digest. ``owners`` are mentioned.
    """

    kind: Kind
    claims: tuple[Claim, ...]
    place: Text | None = None
    incidents: tuple[Incident, ...] = ()
    reminder: bool = False
    entry: Entry | None = None
    day: datetime | None = None
    owners: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The same for the same message, whenever it is sent."""
        return "/".join(self.claims[0])


@dataclass(frozen=True, slots=True)
class Picture:
    """What the journal says at ``at``: all that messages are made of.

    ``entries`` are the decisions since the day before began (UTC), ``looks`` those of the last day,
    ``newest`` the last decision about each service with an incident, ``told`` what was told, by subject.
    """

    at: datetime
    incidents: Sequence[Incident] = ()
    entries: Sequence[Entry] = ()
    looks: Sequence[Look] = ()
    newest: Mapping[str, Entry] = field(default_factory=dict)
    told: Mapping[str, Sequence[Notification]] = field(default_factory=dict)

    @property
    def in_rollout(self) -> frozenset[str]:
        """The services that a rollout is under way of, as far as the last look at them knows."""
        sightings = {name: Sighting.of(entry) for name, entry in self.newest.items()}
        return frozenset(name for name, seen in sightings.items() if seen and seen.rollout)

    @property
    def frozen(self) -> frozenset[str]:
        """The services that a freeze is on for, as far as the last look at them knows."""
        noted = {name: [reason.code for reason in each.verdict.reasons] for name, each in self.newest.items()}
        return frozenset(name for name, codes in noted.items() if FREEZE in codes)


def picture(journal: Journal, now: datetime, rules: Rules) -> Picture:
    """Read it from ``journal``. Raises ``JournalError``."""
    incidents = journal.incidents(since=now - MEMORY)
    entries = journal.entries(since=_midnight(now - DAY))
    newest = {
        service: entry
        for service in {each.service for each in incidents}
        # What a clock that is ahead has dated would be the newest for as long as it is ahead.
        for entry in journal.entries(service, until=now + timedelta(microseconds=1), limit=1)
    }
    subjects = [each.id for each in incidents] + [entry.id for _, entry in batches(entries, now)]
    if day := digest_day(rules, now):
        subjects.append(_digest(day).subject)
    told = {subject: journal.notifications(subject) for subject in subjects}
    return Picture(now, incidents, entries, journal.looks(since=now - DAY), newest, told)


def batch_picture(journal: Journal, now: datetime) -> Picture:
    """As ``picture``, of batches that were refused or started past the gate alone."""
    entries = journal.entries(since=_midnight(now - DAY))
    told = {entry.id: journal.notifications(entry.id) for _, entry in batches(entries, now)}
    return Picture(now, entries=entries, told=told)


def due(seen: Picture, channel: str, rules: Rules, min_severity: Severity = "info") -> list[Draft]:
    """What ``channel`` is to be told now: batches first, then incidents, then the digest.

    ``min_severity``: the mildest incident that the channel is told of.
    """
    told = _Told(channel, seen)
    drafts = [
        Draft(
            kind=kind,
            claims=(Claim(entry.id, kind),),
            entry=entry,
            owners=_owners([entry.verdict.service], [entry], rules),
        )
        for kind, entry in batches(seen.entries, seen.at)
    ]
    drafts += _incidents(seen, told, rules, min_severity)
    if day := digest_day(rules, seen.at):
        drafts.append(Draft(kind="digest", claims=(_digest(day),), incidents=tuple(seen.incidents), day=day))
    return [draft for draft in drafts if told.may(draft.claims)]


def batches(entries: Iterable[Entry], now: datetime) -> list[tuple[Literal["refusal", "bypass"], Entry]]:
    """The batches of the last day that were refused or started past the gate, the oldest first.

    A batch that is tried again and refused for the same two commits is the same refusal until the day ends
    (UTC): whoever tries every five minutes is told once.
    """
    found: dict[object, tuple[Literal["refusal", "bypass"], Entry]] = {}
    for entry in sorted(entries, key=lambda each: (each.at, each.id)):
        verdict, report = entry.verdict, entry.verdict.report
        if entry.door != "start":
            continue
        if verdict.break_glass:
            found[entry.id] = ("bypass", entry)
        elif verdict.refuses:
            live = tuple(each.commit for each in report.live)
            target = report.target.commit if report.target else None
            found.setdefault((verdict.service, _midnight(entry.at), live, target), ("refusal", entry))
    return [(kind, entry) for kind, entry in found.values() if now - DAY < entry.at]


def digest_day(rules: Rules, now: datetime) -> datetime | None:
    """When the last digest was due; None: there is none."""
    if rules.digest is None:
        return None
    # UTC is known where the machine has no database of zones.
    here = now.astimezone(UTC if rules.time_zone == "UTC" else time_zone(rules.time_zone))
    today = datetime.combine(here.date(), rules.digest, here.tzinfo)
    if today <= here:
        return today
    return datetime.combine(here.date() - DAY, rules.digest, here.tzinfo)


def pause(attempts: int) -> timedelta:
    """How long a message waits after so many attempts that failed."""
    doubled: int = 2 ** min(attempts - 1, 10)
    return min(LONGEST_PAUSE, FIRST_PAUSE * doubled)


def reminder(incident: Incident, rules: Rules, now: datetime) -> str | None:
    """The key of the last reminder that was due by ``now``; None: none was."""
    opened = [each for each in incident.transitions if each.event == "opened"]
    if incident.state != "open" or incident.false_alarm or not opened or not rules.remind:
        return None
    waited, last = (now - opened[-1].at).total_seconds(), max(rules.remind)
    days = max(0, int((waited - last) // DAY.total_seconds()))
    marks = [each for each in (*rules.remind, last + days * DAY.total_seconds()) if each <= waited]
    return f"{opened[-1].key}+{max(marks):g}s" if marks else None


def is_reminder(key: str) -> bool:
    """Whether a key is that of a reminder, and of no transition."""
    return "+" in key


class _Told:
    """What one channel has been told so far."""

    def __init__(self, channel: str, seen: Picture) -> None:
        self._at = seen.at
        self._rows = {
            Claim(row.subject, row.key): row
            for rows in seen.told.values()
            for row in rows
            if row.channel == channel
        }
        sent = [row for row in self._rows.values() if row.state == "sent"]
        #: Where each subject's message stands.
        self.places = {row.subject: row.place for row in sorted(sent, key=lambda row: row.at)}

    def unsent(self, claims: Iterable[Claim]) -> tuple[Claim, ...]:
        """Those of ``claims`` that nobody has sent."""
        rows = ((claim, self._rows.get(claim)) for claim in claims)
        return tuple(claim for claim, row in rows if row is None or row.state != "sent")

    def may(self, claims: Sequence[Claim]) -> bool:
        """Whether all may be tried now: none is sent, in somebody's hands, or to wait after a failure."""
        return bool(claims) and all(self._free(claim) for claim in claims)

    def _free(self, claim: Claim) -> bool:
        row = self._rows.get(claim)
        if row is None:
            return True
        if row.state == "claimed":
            return self._at - row.at > CLAIM_ENDS
        return row.state == "failed" and self._at - row.at >= pause(row.attempts)


def _incidents(seen: Picture, told: _Told, rules: Rules, min_severity: Severity) -> Iterator[Draft]:
    """One draft for each message with news: those who lack the same commit share one."""
    news = {
        each.id: claims
        for each in seen.incidents
        if SEVERITIES.index(each.severity) >= SEVERITIES.index(min_severity)
        if (claims := told.unsent(_happened(each, seen, told, rules)))
    }
    by_id = {each.id: each for each in sorted(seen.incidents, key=lambda each: (each.detected_at, each.id))}
    shared = {
        each.target: told.places[each.id]
        for each in by_id.values()
        if each.target and each.id in told.places and each.state != "resolved"
    }
    groups: dict[tuple[str | None, str], list[Incident]] = {}
    for each in (incident for id_, incident in by_id.items() if id_ in news):
        going_on = each.state != "resolved"
        place = told.places.get(each.id) or (shared.get(each.target or "") if going_on else None)
        groups.setdefault((place, "" if place else each.target or each.id), []).append(each)
    for (place, _), group in groups.items():
        claims = tuple(claim for each in group for claim in news[each.id])
        others = [each for each in by_id.values() if place and told.places.get(each.id) == place]
        members = {each.id: each for each in (*others, *group)}
        strangers = [each for each in group if each.id not in told.places]
        entries = [seen.newest[each.service] for each in strangers if each.service in seen.newest]
        yield Draft(
            kind="incident",
            claims=claims,
            place=place,
            incidents=tuple(members.values()),
            reminder=all(is_reminder(claim.key) for claim in claims),
            owners=_owners([each.service for each in strangers], entries, rules),
        )


def _happened(incident: Incident, seen: Picture, told: _Told, rules: Rules) -> list[Claim]:
    """All that can have been said of ``incident`` by now; nothing while it is held, rolled out or frozen."""
    heard = incident.id in told.places
    if incident.service in seen.frozen:
        return []
    # What came late may say that it was over before it opened: whoever was told of it hears of its end.
    if incident.opened_at is None and not (heard and incident.resolved_at):
        return []
    if incident.state == "open" and incident.service in seen.in_rollout:
        return []
    if incident.resolved_at and not heard and seen.at - incident.resolved_at > DAY:
        return []
    keys = [each.key for each in incident.transitions if each.event != "held"]
    if remind := reminder(incident, rules, seen.at):
        keys.append(remind)
    return [Claim(incident.id, key) for key in keys]


def _owners(services: Iterable[str], entries: Iterable[Entry], rules: Rules) -> tuple[str, ...]:
    """Whom to mention: the owners of ``services``, and the authors of what is missing by ``entries``."""
    listed = [owner for name in services for owner in rules.owners.get(name, ())]
    missing = [commit for entry in entries for commit in entry.verdict.report.undeployed]
    listed += [each for commit in missing for each in rules.authors.get(commit.author, ())]
    return tuple(dict.fromkeys(listed))


def _digest(day: datetime) -> Claim:
    return Claim(f"digest:{day:%Y-%m-%d}", "digest")


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def open_services(incidents: Collection[Incident]) -> list[str]:
    """The services whose incident goes on and that nobody has acknowledged, in order."""
    return sorted({each.service for each in incidents if each.state == "open"})
