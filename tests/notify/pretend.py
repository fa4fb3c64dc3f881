"""Channels that write down what they are sent, and may be down."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from drift_gate.errors import SourceError
from drift_gate.journal.message_text import Message
from drift_gate.journal.messages import Rules, picture
from drift_gate.journal.records import Journal
from drift_gate.notify.channels import Outcome, Recipient, Sent, deliver

#: Nothing but what an incident says.
QUIET = Rules(digest=None)


class Notebook:
    """A ``Channel`` that is a list. ``down`` says of each message whether it fails, and may heal."""

    def __init__(self, down: Callable[[Message], bool] = lambda _: False) -> None:
        self.sent: list[Message] = []
        self.down = down

    def send(self, message: Message) -> Sent:
        if self.down(message):
            raise SourceError("the notebook is shut", "unavailable", True)
        self.sent.append(message)
        return Sent(place=message.place or f"page {len(self.sent)}")

    def look(self) -> str:
        return "it lies on the table"

    @property
    def titles(self) -> list[str]:
        return [each.title for each in self.sent]


def tell(
    journal: Journal, to: Recipient, now: datetime, rules: Rules = QUIET, by: str = "m1"
) -> list[Outcome]:
    """Tell ``to`` what is due at ``now``."""
    return deliver(journal, picture(journal, now, rules), to, rules, by)


def news(channel: Notebook) -> list[str]:
    """The lines about what happened, without how long it took."""
    return [line.partition(":")[0] for each in channel.sent for line in each.news]


def keys(journal: Journal, subject: str, states: Iterable[str] = ("sent",)) -> list[str]:
    """What was told about a subject, in order."""
    return [each.key for each in journal.notifications(subject) if each.state in states]
