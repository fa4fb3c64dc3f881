"""What a channel does, and how the messages that are due get to each of them once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from drift_gate.errors import JournalError, SourceError
from drift_gate.facts import Fact, Text
from drift_gate.journal import last_looks
from drift_gate.journal.message_text import Message, message
from drift_gate.journal.messages import CLAIM_ENDS, Claim, Picture, Rules, due
from drift_gate.journal.records import Journal, Notification
from drift_gate.policy.verdict import Severity

log = logging.getLogger("drift_gate")


class Sent(Fact):
    """What a channel answered: ``place`` is where the message is found again, as the channel names it."""

    place: Text
    answer: Text = "ok"


class Channel(Protocol):
    """A way to people."""

    def send(self, message: Message) -> Sent:
        """Send it, or change the message at its ``place``. Raises ``SourceError``."""
        ...

    def look(self) -> str:
        """One sentence on whether messages would arrive, found out without sending one; ``SourceError``."""
        ...


@dataclass(frozen=True, slots=True)
class Recipient:
    """A channel by its ``name`` in the settings, and the mildest incident that it is told of."""

    name: str
    channel: Channel
    min_severity: Severity = "info"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one message on one channel; ``error`` None: it was sent."""

    channel: str
    message: Message
    error: str | None = None


def deliver(journal: Journal, seen: Picture, to: Recipient, rules: Rules, by: str) -> list[Outcome]:
    """Send ``to`` what it is to be told now, as far as nobody else does.

    ``by`` names who sends it. What fails is kept in the journal and tried again by a later call; after a
    failure that may heal, the rest waits for that call as well. Raises ``JournalError``.
    """
    outcomes: list[Outcome] = []
    for draft in due(seen, to.name, rules, to.min_severity):
        told = message(draft, seen)
        told = told.model_copy(update={"looks": last_looks.read(journal, told.services)})
        rows = _claimed(journal, draft.claims, to.name, seen.at, by)
        if not rows:
            continue
        error = _sent(journal, rows, told, to)
        outcomes.append(Outcome(to.name, told, error.message if error else None))
        if error and error.retryable:
            break
    return outcomes


def send_once(journal: Journal, told: Message, to: Recipient, by: str) -> str:
    """Send ``told`` unless ``to`` has it already, and say which; ``by`` names who sends it.

    Raises ``SourceError`` where it does not arrive, and ``JournalError``.
    """
    claim = Claim(told.id, told.kind)
    rows = _claimed(journal, [claim], to.name, told.at, by)
    if not rows:
        told_as = {(row.key, row.channel): row for row in journal.notifications(claim.subject)}
        row = told_as[claim.key, to.name]
        state = "told" if row.state == "sent" else "being told"
        return f"was {state} at {row.at:%Y-%m-%d %H:%M} UTC, by {row.by}"
    if error := _sent(journal, rows, told, to):
        raise error
    return "told"


def _sent(journal: Journal, rows: Sequence[Notification], told: Message, to: Recipient) -> SourceError | None:
    """Send ``told``, and keep what came of it; why it did not arrive, or None."""
    try:
        sent = to.channel.send(told)
    except SourceError as error:
        log.warning("the channel %s was not told %r: %s", to.name, told.title, error)
        _settle(journal, rows, state="failed", answer=error.message)
        return error
    _settle(journal, rows, state="sent", answer=sent.answer, place=sent.place)
    return None


def _claimed(
    journal: Journal, claims: Sequence[Claim], channel: str, at: datetime, by: str
) -> list[Notification]:
    """The claims that are ours now; none where somebody else has the first one, and so the message."""
    rows = [_row(claim, channel, at, by) for claim in claims]
    if not journal.claim(rows[0], at - CLAIM_ENDS):
        return []
    return rows[:1] + [row for row in rows[1:] if journal.claim(row, at - CLAIM_ENDS)]


def _row(claim: Claim, channel: str, at: datetime, by: str) -> Notification:
    return Notification(subject=claim.subject, key=claim.key, channel=channel, at=at, by=by, state="claimed")


def _settle(journal: Journal, rows: Sequence[Notification], **came: str) -> None:
    """Keep what came of a message; where that fails for one, it is still kept for the others."""
    failed: JournalError | None = None
    for row in rows:
        try:
            journal.settle(Notification.model_validate({**row.model_dump(), **came}))
        except JournalError as error:
            failed = error
    if failed:
        raise failed
