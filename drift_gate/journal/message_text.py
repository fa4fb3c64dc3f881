"""A draft in words: plain text, no channel's markup. What a commit says stands in it as it is. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from drift_gate.facts import Fact, Text
from drift_gate.journal.last_looks import LastLooks
from drift_gate.journal.messages import DAY, Draft, Kind, Picture, batches, is_reminder, open_services
from drift_gate.journal.records import Entry, Incident, Transition
from drift_gate.policy.verdict import SEVERITIES, Severity, duration

#: How many services a title names.
_NAMED = 3
_ID = 12
_HAPPENED = {
    "opened": "opened",
    "worsened": "grew worse",
    "acknowledged": "was acknowledged",
    "resolved": "was resolved",
}


class Message(Fact):
    """A draft in words. Every text is plain, may be long, and may hold whatever a commit says.

    ``id``: the same for the same message, whenever it is sent. ``place`` as in ``Draft``. ``severity`` None:
    nothing is wrong. ``news``: what happened since this message was last sent. ``facts``: pairs of a word and
    a value. ``commits``: what is missing, the newest first; ``more_commits``: how many more there are.
    ``history``: all that happened, with times. ``looks``: the last ones at these services.
    ``sections``: titles, each with its lines. ``page``: all of it as a page of HTML; None: none was made.
    """

    id: str
    kind: Kind
    place: Text | None = None
    at: datetime
    severity: Severity | None = None
    resolved: bool = False
    title: Text
    news: tuple[Text, ...] = ()
    facts: tuple[tuple[Text, Text], ...] = ()
    services: tuple[Text, ...] = ()
    commits: tuple[Text, ...] = ()
    more_commits: int = 0
    history: tuple[Text, ...] = ()
    owners: tuple[str, ...] = ()
    incidents: tuple[Incident, ...] = ()
    looks: LastLooks = LastLooks()
    sections: tuple[tuple[Text, tuple[Text, ...]], ...] = ()
    page: Text | None = None


def message(draft: Draft, seen: Picture) -> Message:
    """``draft`` in words, as the journal stands in ``seen``."""
    if draft.kind == "digest":
        return _digest(draft, seen)
    return _batch(draft, draft.entry, seen.at) if draft.entry else _incident(draft, seen)


def test_message(at: datetime) -> Message:
    """What a channel is sent to try it out."""
    return Message(
        id=f"test/{at:%Y-%m-%dT%H:%M:%S}",
        kind="test",
        at=at,
        title="Test message of the drift gate",
        news=("Nothing has happened: somebody is trying out this channel.",),
    )


def _incident(draft: Draft, seen: Picture) -> Message:
    members = draft.incidents
    going_on = [each for each in members if each.state != "resolved"]
    shown = going_on or list(members)
    entries = [seen.newest[each.service] for each in going_on if each.service in seen.newest]
    commits = list(dict.fromkeys(line for entry in entries for line in _commits(entry)))
    counted = max((entry.verdict.report.commits_behind or 0 for entry in entries), default=0)
    severity = max((each.severity for each in shown), key=SEVERITIES.index)
    return Message(
        id=draft.id,
        kind="incident",
        place=draft.place,
        at=seen.at,
        severity=severity,
        resolved=not going_on,
        title=_title(members, seen),
        news=tuple(_news(draft, seen)),
        facts=tuple(_facts(shown, severity, seen.at)),
        services=tuple(each.service for each in members),
        commits=tuple(commits),
        more_commits=max(0, counted - len(commits)),
        history=tuple(_history(members)),
        owners=draft.owners,
        incidents=members,
    )


def _title(members: Sequence[Incident], seen: Picture) -> str:
    by_state = {
        state: [each for each in members if each.state == state] for state in ("open", "acknowledged")
    }
    if opened := by_state["open"]:
        worst = max((each.severity for each in opened), key=SEVERITIES.index)
        return f"{worst.capitalize()}: {_lacks(opened, seen)}"
    if known := [each for each in members if each.state == "acknowledged"]:
        return f"Acknowledged: {_lacks(known, seen)}"
    began, ended = (
        min(each.began_at for each in members),
        max(each.resolved_at or seen.at for each in members),
    )
    return f"Resolved after {_span(began, ended)}: {_names([each.service for each in members])}"


def _lacks(members: Sequence[Incident], seen: Picture) -> str:
    """Who lacks what, since when."""
    since = _span(min(each.began_at for each in members), seen.at)
    names = _names([each.service for each in members])
    if len(members) > 1:
        return f"{names} do not run what they should, for {since}"
    entry = seen.newest.get(members[0].service)
    return f"{names} {_state(entry) if entry else 'does not run what it should'}, for {since}"


def _state(entry: Entry) -> str:
    report = entry.verdict.report
    target = f" {report.target.commit[:_ID]}" if report.target else " its target"
    if report.unknown:
        return f"could not be determined ({report.unknown.cause})"
    if report.commits_behind:
        count = report.commits_behind
        return f"is {count:,} commit{'' if count == 1 else 's'} behind{target}"
    return f"is {report.status}, held against{target}"


def _news(draft: Draft, seen: Picture) -> Iterator[str]:
    """A line for each incident that something happened to."""
    for each in draft.incidents:
        keys = [claim.key for claim in draft.claims if claim.subject == each.id]
        if not keys:
            continue
        if all(map(is_reminder, keys)):
            yield f"Reminder: {_lacks([each], seen)}, and nobody has acknowledged it"
        elif each.state == "resolved":
            lasted = _span(each.began_at, each.resolved_at or seen.at)
            yield f"{each.service} was resolved after {lasted}{_end(each)}"
        elif each.state == "acknowledged":
            yield f"{each.service} was acknowledged: no more reminders"
        elif not any(key.startswith("opened") and not is_reminder(key) for key in keys):
            yield f"{each.service} grew worse, to {each.severity}: {_lacks([each], seen)}"
        else:
            again = " again, as its acknowledgement no longer holds" if "opened" not in keys else ""
            yield f"{each.service} opened{again}: {_lacks([each], seen)}"


def _end(incident: Incident) -> str:
    return "" if incident.ended_because == "fixed" else ": no monitor declares it any more"


def _facts(members: Sequence[Incident], severity: Severity, now: datetime) -> Iterator[tuple[str, str]]:
    yield "Severity", severity
    yield "Since", _clock(min(each.began_at for each in members))
    yield "Services", ", ".join(each.service for each in members)
    if live := {commit[:_ID] for each in members for commit in each.live_commits}:
        yield "Live", ", ".join(sorted(live))
    if targets := {each.target[:_ID] for each in members if each.target}:
        yield "Target", ", ".join(sorted(targets))
    if codes := list(dict.fromkeys(code for each in members for code in each.codes)):
        yield "Reasons", ", ".join(codes)
    yield "As of", _clock(now)


def _history(members: Sequence[Incident]) -> list[str]:
    steps = [(each.at, member, each) for member in members for each in member.transitions]
    steps.sort(key=lambda step: (step[0], step[1].service))
    landed = [
        f"{_clock(member.landed_at)}: what {member.service} lacks landed"
        for member in members
        if member.landed_at
    ]
    return landed + [_step(member, step) for _, member, step in steps if step.event != "held"]


def _step(incident: Incident, step: Transition) -> str:
    grade = f" ({step.severity})" if step.severity else ""
    return f"{_clock(step.at)}: {incident.service} {_HAPPENED[step.event]}{grade}"


def _batch(draft: Draft, entry: Entry, now: datetime) -> Message:
    """A batch that was refused, or started past the gate."""
    verdict = entry.verdict
    glass = verdict.break_glass
    batch = f"batch {entry.batch}" if entry.batch else "a batch"
    if glass:
        title = f"{glass.actor} started {batch} past the gate: {verdict.service} {_state(entry)}"
        facts = [("Who", glass.actor), ("Why", glass.reason or "no reason was given"), ("How", glass.via)]
        facts.append(("Overrode", ", ".join(glass.overrode) or "nothing"))
    else:
        title = f"{batch.capitalize()} was refused: {verdict.service} {_state(entry)}"
        denials = [each.code for each in verdict.reasons if each.decision == "deny"]
        facts = [("Reasons", ", ".join(denials)), ("Asked by", entry.by or "unknown")]
    commits = tuple(_commits(entry))
    return Message(
        id=draft.id,
        kind=draft.kind,
        at=now,
        severity=verdict.severity or "warning",
        title=title,
        news=tuple(each.message for each in verdict.reasons if each.decision == "deny"),
        facts=(*facts, ("At", _clock(entry.at))),
        services=(verdict.service,),
        commits=commits,
        more_commits=max(0, (verdict.report.commits_behind or 0) - len(commits)),
        owners=draft.owners,
    )


def _digest(draft: Draft, seen: Picture) -> Message:
    """What goes on and what the last day brought; that it comes at all says that somebody looks."""
    day = draft.day or seen.at
    opened = open_services(draft.incidents)
    worst = [None, *(each.severity for each in draft.incidents if each.state == "open")]
    known = [each for each in draft.incidents if each.state == "acknowledged"]
    over = [each for each in draft.incidents if each.resolved_at and each.resolved_at > seen.at - DAY]
    whole = sum(look.whole for look in seen.looks)
    kinds = [kind for kind, _ in batches(seen.entries, seen.at)]
    declared = {name for look in seen.looks for name in look.declared}
    unread = sorted(declared - {name for look in seen.looks for name in look.read})
    title = f"{len(opened)} of the services drift: {_names(opened)}" if opened else "No service drifts"
    if not any(look.read for look in seen.looks):
        title = "Nobody has looked for a day"
    facts = [
        ("Open", ", ".join(opened) or "none"),
        ("Acknowledged", ", ".join(each.service for each in known) or "none"),
        ("Resolved", ", ".join(each.service for each in over if each.opened_at) or "none"),
        ("Looks", f"{len(seen.looks)}, of which {whole} read every service"),
        ("Never read", ", ".join(unread) or "none"),
        ("Refused", str(kinds.count("refusal"))),
        ("Past the gate", str(kinds.count("bypass"))),
    ]
    return Message(
        id=draft.id,
        kind="digest",
        at=seen.at,
        severity=max(worst, key=SEVERITIES.index),
        title=f"{day:%Y-%m-%d}: {title}",
        news=("The last 24 hours.",),
        facts=tuple(facts),
        services=tuple(opened),
    )


def _commits(entry: Entry) -> Iterator[str]:
    for each in entry.verdict.report.undeployed:
        yield f"{each.sha[:_ID]} {each.subject} ({each.author})"


def _names(services: Sequence[str]) -> str:
    shown, more = services[:_NAMED], len(services) - _NAMED
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _span(since: datetime, until: datetime) -> str:
    return duration(max(0.0, (until - since).total_seconds()))


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
