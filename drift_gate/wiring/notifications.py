"""Settings into channels, and what the journal has to say through them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import SecretStr

from drift_gate.errors import DriftConfigError, DriftGateError, JournalError, SourceError
from drift_gate.runtime import background
from drift_gate.runtime.deadline import Deadline, gather
from drift_gate.runtime.spelling import near_misses
from drift_gate.settings.file import Settings
from drift_gate.settings.notify_keys import (
    CHANNELS,
    SLACK_TOKEN,
    SLACK_WEBHOOK,
    SMTP_PASSWORD,
    WEBHOOK_SECRET,
    EmailKeys,
    SlackKeys,
    WebhookKeys,
)
from drift_gate.wiring.journals import opened

if TYPE_CHECKING:
    from drift_gate.journal.looks import Seen
    from drift_gate.journal.message_text import Message
    from drift_gate.journal.messages import Rules
    from drift_gate.journal.records import Entry, Journal
    from drift_gate.notify.channels import Outcome, Recipient
    from drift_gate.sources.http.client import Http

log = logging.getLogger("drift_gate")

Result = TypeVar("Result")

#: Seconds that all channels have together, side by side.
SEND_S = 30.0
#: Seconds that they have together beside the answer on a batch.
AT_ONCE_S = 10.0
#: Seconds to wait for another writer of the journal.
BUSY_S = 5.0
#: So much earlier a channel stops, for what came of it to be kept.
_KEEP_S = 1.0


def tell(settings: Settings, journal: Journal, now: datetime, by: str) -> list[Outcome]:
    """Tell every channel of ``settings`` what ``journal`` has to say by ``now`` (UTC); what came of it.

    ``by`` says who tells it. What was said is not said again, whoever calls. A channel that fails is logged,
    kept in the journal and tried again by a later call; it stops no other. Raises nothing for a channel, and
    ``JournalError`` where there is nothing to be read.
    """
    names = channel_names(settings)
    if not names:
        return []
    from drift_gate.journal.messages import picture
    from drift_gate.notify.channels import deliver

    agreed = rules(settings)
    seen = picture(journal, now, agreed)

    def told(to: Recipient) -> list[Outcome]:
        return deliver(journal, seen, to, agreed, by)

    found = _each(settings, names, told, Deadline(SEND_S))
    _log_failures(found)
    return [outcome for outcomes in found.values() if isinstance(outcomes, list) for outcome in outcomes]


def tell_batch(settings: Settings, entries: Sequence[Entry], now: datetime, by: str) -> None:
    """Tell beside the caller of a batch that was refused or started past the gate; ``entries`` are kept.

    ``now`` (UTC). Nothing else is told, and nothing where ``entries`` are of no such batch. What does not get
    through in time is told by the monitor's next look.
    """
    if not channel_names(settings):
        return
    from drift_gate.journal.messages import batches

    if not batches(entries, now):
        return
    within = Deadline(AT_ONCE_S)
    try:
        background.start(partial(_tell_batch, settings, now, by, within), within, "notify")
    except RuntimeError as error:  # no room for a thread, or the process ends
        log.warning("the monitor tells of the batch: %s", error)


def _tell_batch(settings: Settings, now: datetime, by: str, within: Deadline) -> None:
    from drift_gate.journal.messages import batch_picture
    from drift_gate.notify.channels import deliver

    journal = opened(settings, busy_s=BUSY_S)
    if journal is None:
        return
    agreed = rules(settings).model_copy(update={"digest": None})
    try:
        seen = batch_picture(journal, now)
        names = channel_names(settings)
        _log_failures(_each(settings, names, lambda to: deliver(journal, seen, to, agreed, by), within))
    except DriftGateError as error:
        log.warning("nobody is told of the batch at once: %s", error)


class Notifications:
    """A ``Notifier`` over the channels of ``settings``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def tell(self, seen: Seen) -> None:
        """As ``Notifier.tell``. That the journal cannot be read is logged: the look itself is kept."""
        journal = opened(self._settings, busy_s=BUSY_S)
        if journal is None:
            return
        try:
            tell(self._settings, journal, seen.look.at, seen.look.by)
        except JournalError as error:
            log.warning("nobody is told anything: %s", error)


def test(settings: Settings, names: tuple[str, ...], now: datetime) -> dict[str, str | DriftGateError]:
    """Send each channel a message that says it is a test; what it answered. The journal keeps none of it."""
    from drift_gate.journal.message_text import test_message

    return _each(settings, names, lambda to: to.channel.send(test_message(now)).answer, Deadline(SEND_S))


def send(settings: Settings, journal: Journal, message: Message, by: str) -> dict[str, str | DriftGateError]:
    """Send ``message`` to each channel that does not have it yet; ``by`` says who sends it.

    What each came to: ``told``, when and by whom it was told before, or why it does not work.
    """
    from drift_gate.notify.channels import send_once

    def sent(to: Recipient) -> str:
        return send_once(journal, message, to, by)

    return _each(settings, named(settings), sent, Deadline(SEND_S))


def named(settings: Settings) -> tuple[str, ...]:
    """The channels that have a table. Raises ``DriftConfigError`` where there is none."""
    if names := channel_names(settings):
        return names
    raise DriftConfigError(
        f"{settings.file}: no channel is set: write a table [notify.slack], [notify.webhook] or "
        "[notify.email]"
    )


def looks(settings: Settings) -> dict[str, str | DriftGateError]:
    """What can be said about each channel without sending anything: a sentence, or why it cannot work."""
    names = channel_names(settings)
    return _each(settings, names, lambda to: to.channel.look(), Deadline(SEND_S)) if names else {}


def channel_names(settings: Settings) -> tuple[str, ...]:
    """The channels that have a table."""
    return tuple(name for name in CHANNELS if getattr(settings.notify, name) is not None)


def rules(settings: Settings) -> Rules:
    """When what is said."""
    from drift_gate.journal.messages import Rules

    keys = settings.notify
    return Rules(
        remind=keys.remind,
        digest=keys.digest,
        time_zone=keys.time_zone,
        owners=keys.owners,
        authors=keys.authors,
    )


def _each(
    settings: Settings,
    names: tuple[str, ...],
    ask: Callable[[Recipient], Result],
    deadline: Deadline,
) -> dict[str, Result | DriftGateError]:
    """Ask the channels side by side: each one's answer, or its error."""
    from drift_gate.sources.http.client import Http

    inner = deadline.sooner(_KEEP_S)

    def asked(name: str, http: Http) -> tuple[Result | DriftGateError]:
        """In a tuple, as ``gather`` raises an error that it is given."""
        try:
            return (ask(_recipient(name, settings, http, inner)),)
        except DriftGateError as error:
            return (error,)

    with ExitStack() as stack:
        http = stack.enter_context(Http(inner, ca_file=settings.ca_file, proxy=settings.proxy))
        gathered = gather({name: partial(asked, name, http) for name in names}, deadline)
    return {name: each if isinstance(each, SourceError) else each[0] for name, each in gathered.items()}


def _log_failures(answers: Mapping[str, object]) -> None:
    """For who tells beside something else, and shows nobody what the channels answer."""
    for name, answer in answers.items():
        if isinstance(answer, DriftGateError):
            log.warning("the channel %s does not work: %s", name, answer)


def _recipient(name: str, settings: Settings, http: Http, deadline: Deadline) -> Recipient:
    """The channel ``name``. Raises ``DriftConfigError`` where its secret is missing."""
    keys, environ = settings.notify, settings.environ
    if name == "slack" and keys.slack:
        return _slack(keys.slack, environ, http)
    if name == "webhook" and keys.webhook:
        return _webhook(keys.webhook, environ, http)
    if name == "email" and keys.email:
        return _email(keys.email, environ, deadline, settings.ca_file)
    raise DriftConfigError(f"{settings.file}: no table [notify.{name}]{near_misses(name, CHANNELS)}")


def _slack(keys: SlackKeys, environ: Mapping[str, str], http: Http) -> Recipient:
    from drift_gate.notify.channels import Recipient
    from drift_gate.notify.slack import Bot, IncomingWebhook

    if keys.channel is None:
        url = _secret(environ, SLACK_WEBHOOK, "[notify.slack] without a channel")
        return Recipient("slack", IncomingWebhook(http, url), keys.min_severity)
    token = _secret(environ, SLACK_TOKEN, "[notify.slack] with a channel")
    return Recipient("slack", Bot(http, token, keys.channel, keys.api), keys.min_severity)


def _webhook(keys: WebhookKeys, environ: Mapping[str, str], http: Http) -> Recipient:
    from drift_gate.notify.channels import Recipient
    from drift_gate.notify.webhook import Webhook

    secret = _secret(environ, WEBHOOK_SECRET, "[notify.webhook]")
    return Recipient("webhook", Webhook(http, keys.url, secret), keys.min_severity)


def _email(
    keys: EmailKeys, environ: Mapping[str, str], deadline: Deadline, ca_file: Path | None
) -> Recipient:
    from drift_gate.notify.channels import Recipient
    from drift_gate.notify.smtp import Email

    password = _secret(environ, SMTP_PASSWORD, "[notify.email] with a user") if keys.user else None
    mail = Email(
        host=keys.host,
        port=keys.port,
        sender=keys.sender,
        to=keys.to,
        deadline=deadline,
        security=keys.security,
        user=keys.user,
        password=password,
        ca_file=ca_file,
    )
    return Recipient("email", mail, keys.min_severity)


def _secret(environ: Mapping[str, str], name: str, who: str) -> SecretStr:
    if not environ.get(name):
        raise DriftConfigError(f"environment {name}: {who} needs it, and it is not set")
    return SecretStr(environ[name])
