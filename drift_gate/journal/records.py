"""What the journal keeps: decisions, looks, incidents, notifications; and what a store does with them."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Protocol, get_args

from drift_gate.comparison.report import Status
from drift_gate.facts import Fact, Text
from drift_gate.policy.codes import Decision
from drift_gate.policy.verdict import Severity, Verdict

#: Where a verdict was asked for.
Door = Literal["check", "start", "preflight", "drift", "monitor", "deploy"]
DOORS: tuple[Door, ...] = get_args(Door)

#: Whoever sets it asks about another branch.
TARGET = "DRIFT_TARGET_REF"

State = Literal["held", "open", "acknowledged", "resolved"]
#: What can happen to an incident. ``opened`` comes again when an acknowledgement ends before the drift does.
Event = Literal["held", "opened", "worsened", "acknowledged", "resolved"]


def verdict_of(text: str) -> Verdict:
    """The verdict that its JSON says; of the report, what the JSON leaves out is not known any more.

    Raises ``ValueError`` where it is none.
    """
    told = json.loads(text)
    told["report"]["service"] = told["service"]
    return Verdict.model_validate(told)


class Asked(Fact):
    """Where a verdict was asked for, by whom, and for which batch (None: for none, or nobody knows)."""

    door: Door
    by: Text
    batch: str | None = None


class Entry(Fact):
    """One decision of the gate, as the journal keeps it.

    ``id`` is made by whoever writes it, so that a copy written twice counts once. ``at`` (UTC) is when the
    check began, ``door`` where it was asked for and ``by`` who asked. ``batch``: the batch that it let start;
    None: there was none, or nobody said which. ``version`` is the gate's own. ``look``: the monitor's look
    that it belongs to, or None. An earlier version kept no door, name or version: None.
    """

    id: str
    at: datetime
    door: Door | None = None
    by: Text | None = None
    batch: str | None = None
    version: str | None = None
    look: str | None = None
    verdict: Verdict

    @property
    def other_target(self) -> str | None:
        """The target it was held against in place of the declared one; None: it was held against that."""
        policy = self.verdict.policy
        return policy.overrides.get(TARGET) if policy else None


class Look(Fact):
    """One look of a monitor at all that it declares.

    ``scope`` names the monitor: those that look at the same services share it. ``declared`` are the services
    that should be read, ``read`` those that were. Whole: all were.
    """

    id: str
    at: datetime
    by: Text
    scope: Text
    declared: tuple[Text, ...]
    read: tuple[Text, ...]

    @property
    def whole(self) -> bool:
        """Whether each declared service was read, and there was one."""
        return bool(self.declared) and set(self.declared) <= set(self.read)


class Sighting(Fact):
    """What one decision says about the drift of its service: all that an incident is made of.

    ``severity`` None: nothing relevant is missing. ``drift_age_s`` None: nothing dates it. ``acknowledged``:
    each denial is covered by an acknowledgement. ``rollout``: one is under way, and not overdue.
    """

    id: str
    at: datetime
    service: Text
    status: Status
    decision: Decision
    severity: Severity | None
    drift_age_s: int | None = None
    acknowledged: bool = False
    rollout: bool = False
    codes: tuple[str, ...] = ()
    live_commits: tuple[str, ...] = ()
    target: str | None = None

    @classmethod
    def of(cls, entry: Entry) -> Sighting | None:
        """The sighting that ``entry`` is; None where it was held against another target than is declared."""
        verdict, report = entry.verdict, entry.verdict.report
        if entry.other_target is not None:
            return None
        codes = tuple(dict.fromkeys(reason.code for reason in verdict.reasons))
        return cls(
            id=entry.id,
            at=entry.at,
            service=verdict.service,
            status=report.status,
            decision=verdict.decision,
            severity=verdict.severity,
            drift_age_s=report.drift_age_s,
            acknowledged=verdict.not_enforced_because == "acknowledged",
            rollout="rollout-in-progress" in codes,
            codes=codes,
            live_commits=tuple(dict.fromkeys(live.commit for live in report.live if live.commit)),
            target=report.target.commit if report.target else None,
        )

    @property
    def landed_at(self) -> datetime | None:
        """When the oldest missing commit landed; None: nothing dates it, or nothing is missing."""
        if self.severity is None or self.drift_age_s is None or self.status == "identical":
            return None  # what is denied for another reason than a commit that is missing has landed nowhere
        return self.at - timedelta(seconds=self.drift_age_s)


class Transition(Fact):
    """Something that happened to an incident: at which look, and how bad it was then.

    ``key`` names it within its incident, the same whenever the incident is computed again.
    """

    event: Event
    key: str
    at: datetime
    sighting: str | None
    severity: Severity | None


class Incident(Fact):
    """One drift of one service, from the first look that found it to the first that found it gone.

    ``landed_at``: when the oldest missing commit landed, its true beginning; None: nothing dates it.
    ``detected_at``: the first look that found it. ``opened_at`` None: it was over before anybody had to be
    told. ``seen_at``: the last look that found it. ``resolved_at`` None: it goes on. ``severity`` is the
    worst that it had. ``codes`` are all that it was given, ``live_commits`` and ``target`` those of the last
    look. ``ended_because``: ``fixed``, or ``undeclared`` where no monitor looks at the service any more.
    ``false_alarm``: why a person says that it was none; None: nobody does.
    """

    id: str
    service: Text
    state: State
    landed_at: datetime | None
    detected_at: datetime
    opened_at: datetime | None = None
    acknowledged_at: datetime | None = None
    seen_at: datetime
    resolved_at: datetime | None = None
    ended_because: Literal["fixed", "undeclared"] | None = None
    severity: Severity
    codes: tuple[str, ...] = ()
    live_commits: tuple[str, ...] = ()
    target: str | None = None
    transitions: tuple[Transition, ...] = ()
    false_alarm: Text | None = None

    @property
    def began_at(self) -> datetime:
        """Since when production was stale, as far as is known."""
        return self.landed_at or self.detected_at


class Change(Fact):
    """A transition that was not known before, with its incident as it is now."""

    incident: Incident
    transition: Transition


class Notification(Fact):
    """What one channel was told about one transition, claimed before it is sent.

    ``subject``: an incident's id, a digest's day, a decision's id. ``answer`` is the channel's own, ``None``
    while nobody knows whether it arrived; ``place`` is where a message that changes is found again.
    """

    subject: Text
    key: Text
    channel: Text
    at: datetime
    by: Text
    state: Literal["claimed", "sent", "failed"]
    attempts: int = 0
    answer: Text | None = None
    place: Text | None = None


class Uncopied(NamedTuple):
    """A row that is not copied yet; ``key`` sorts by its kind, then by time."""

    key: str
    row: Entry | Look


class Journal(Protocol):
    """Where it is kept. Each method raises ``JournalError`` where the store does not answer in time."""

    def record(self, entries: Sequence[Entry], look: Look | None = None) -> list[Change]:
        """Keep ``entries`` (each once, by id) and ``look``; what that changed about incidents."""
        ...

    def entries(
        self,
        service: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        without: Collection[Door] = (),
    ) -> list[Entry]:
        """Decisions of ``service`` (None: of all) with ``since <= at < until``, the newest first.

        ``without``: the doors whose decisions are left out.
        """
        ...

    def latest(self) -> list[Entry]:
        """Of each service the newest decision that was held against its declared target, by service."""
        ...

    def looks(self, since: datetime | None = None, until: datetime | None = None) -> list[Look]:
        """Looks with ``since <= at < until``, the newest first."""
        ...

    def seen(self, since: datetime | None = None) -> dict[str, list[datetime]]:
        """When each service was held against its declared target since then, at whatever door, in order."""
        ...

    def incidents(
        self, service: str | None = None, since: datetime | None = None, unresolved: bool = False
    ) -> list[Incident]:
        """Incidents of ``service`` (None: of all) that were not over by ``since``, the newest first."""
        ...

    def mark(self, incident: str, reason: str | None) -> Incident:
        """Say why an incident was a false alarm (None: it was none). Raises ``JournalError``."""
        ...

    def claim(self, notification: Notification, again_before: datetime) -> bool:
        """Whether the caller may send it: nobody has it, or it failed, or its claim is older than that."""
        ...

    def settle(self, notification: Notification) -> None:
        """Keep what came of a notification that was claimed."""
        ...

    def notifications(self, subject: str) -> list[Notification]:
        """All that was told about ``subject``, in order."""
        ...

    def uncopied(self, after: str, limit: int) -> list[Uncopied]:
        """At most so many decisions and looks that wait for being copied, those after the key ``after``."""
        ...

    def copied(self, keys: Sequence[str]) -> None:
        """Keep that these are copied."""
        ...

    def rebuild(self) -> list[Incident]:
        """Compute every incident again from the decisions and looks that are kept, and keep the answer."""
        ...

    def prune(self, before: datetime) -> int:
        """Forget what is older, unresolved incidents and what they are made of aside; how many decisions."""
        ...
