"""The keys of ``[notify]`` and its channels: their types, defaults and what makes sense together. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import time
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from drift_gate.facts import Fact
from drift_gate.runtime.values import OneOrMore, time_zone
from drift_gate.settings.keys import Duration, PositiveDuration

#: The environment alone holds what nobody may read.
SLACK_TOKEN, SLACK_WEBHOOK = "DRIFT_SLACK_TOKEN", "DRIFT_SLACK_WEBHOOK"
WEBHOOK_SECRET, SMTP_PASSWORD = "DRIFT_WEBHOOK_SECRET", "DRIFT_SMTP_PASSWORD"
SECRETS = frozenset({SLACK_TOKEN, SLACK_WEBHOOK, WEBHOOK_SECRET, SMTP_PASSWORD})

_MAILBOX = r"[^@\s,<>\"]+@[^@\s,<>\"]+"
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def _clock(value: object) -> object:
    if value == "off":
        return None
    if isinstance(value, str) and _CLOCK.fullmatch(value):
        return time.fromisoformat(value)
    if isinstance(value, time):
        return value
    raise ValueError('a time of day is text such as "09:00", or "off"')


def _zone(name: str) -> str:
    time_zone(name)
    return name


MinSeverity = Literal["info", "warning", "critical"]
Mailbox = Annotated[str, Field(pattern=rf"^{_MAILBOX}$", title="an address", examples=["ann@example.com"])]
Owner = Annotated[
    str,
    Field(
        pattern=rf"^([UWS][A-Z0-9]{{6,}}|{_MAILBOX})$",
        title="an id of Slack or an address",
        examples=["U012ABCDEF", "ann@example.com"],
    ),
]
Owners = Annotated[tuple[Owner, ...], OneOrMore()]
Web = Annotated[
    str,
    Field(pattern="^https?://[!-~]+$", title="an address of the web", examples=["https://example.com/drift"]),
]
Clock = Annotated[
    time | None,
    BeforeValidator(
        _clock, json_schema_input_type=Annotated[str, Field(pattern=rf"^{_CLOCK.pattern}$|^off$")]
    ),
    Field(title='a time of day, or "off",', examples=["09:00"]),
]


class SlackKeys(Fact):
    """``[notify.slack]``: ``channel`` is the id or name of the channel that the bot posts to.

    Without one, messages go through an incoming webhook, which belongs to one channel. ``api`` is where
    Slack's methods are asked for.
    """

    channel: Annotated[
        str | None,
        # The length apart from the pattern: the engine spells a counted `\w` out, which takes 30 ms to build.
        Field(
            pattern=r"^#?[\w-]+$", max_length=81, title="a channel, by name or id", examples=["C012ABCDEF"]
        ),
    ] = None
    api: Web = "https://slack.com/api"
    min_severity: MinSeverity = "info"


class WebhookKeys(Fact):
    """``[notify.webhook]``: ``url`` is where messages are posted."""

    url: Web
    min_severity: MinSeverity = "info"


class EmailKeys(Fact):
    """``[notify.email]``: the server, who sends, and to whom."""

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(strict=True, gt=0, lt=65_536)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    sender: Mailbox
    to: Annotated[tuple[Mailbox, ...], Field(min_length=1), OneOrMore()]
    min_severity: MinSeverity = "info"

    @model_validator(mode="after")
    def _private(self) -> EmailKeys:
        if self.user and self.security == "none":
            raise ValueError('user needs security = "starttls" or "tls": a password is not sent in the open')
        return self


class NotifyKeys(Fact):
    """``[notify]``: when what is said, and to whom; a channel that has no table is told nothing.

    ``hold``: seconds after landing before a drift opens an incident. ``remind``: seconds after that, and
    daily after the last. ``digest``: the time of day in ``time_zone``; None: there is none.
    """

    hold: Duration = 600.0
    remind: tuple[PositiveDuration, ...] = (7200.0, 21_600.0, 86_400.0)
    digest: Clock = time(9)
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    owners: Annotated[
        Mapping[str, Owners],
        Field(title="a table by service", examples=[{"worker": ["U012ABCDEF", "ann@example.com"]}]),
    ] = Field(default_factory=dict)
    authors: Annotated[
        Mapping[str, Owners],
        Field(title="a table by author", examples=[{"ann": ["U012ABCDEF", "ann@example.com"]}]),
    ] = Field(default_factory=dict)
    slack: SlackKeys | None = None
    webhook: WebhookKeys | None = None
    email: EmailKeys | None = None


#: The tables of the channels, by name.
CHANNELS: Mapping[str, type[Fact]] = {"slack": SlackKeys, "webhook": WebhookKeys, "email": EmailKeys}
