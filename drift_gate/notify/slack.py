"""Messages in Slack: a bot's, which change, or an incoming webhook's, which are new each time."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pydantic import SecretStr

from drift_gate.errors import Cause, SourceError
from drift_gate.journal.message_text import Message
from drift_gate.notify import slack_blocks
from drift_gate.notify.channels import Sent
from drift_gate.sources.http.client import Answer, Http
from drift_gate.sources.one_line import one_line

API = "https://slack.com/api"
#: What a bot's token must be allowed.
SCOPE = "chat:write"
#: What lets it see a public and a private channel, and write to a public one that it has not joined.
PUBLIC, PRIVATE, ANYWHERE = "channels:read", "groups:read", "chat:write.public"

_JSON = {"Content-Type": "application/json; charset=utf-8"}
_ID = re.compile(r"[CDG][A-Z0-9]{6,}")
#: How a private channel looks to a token that must not see it.
_HIDDEN = "channel_not_found"
_BLOCKS_REFUSED = ("invalid_blocks", "invalid_blocks_format")
#: The message that was to change is gone, or may not be changed any more.
_GONE = ("message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found")
#: An error of Slack's → (cause, may it heal); any other is nonsense to us.
_ERRORS: Mapping[str, tuple[Cause, bool]] = {
    **dict.fromkeys(("ratelimited", "rate_limited", "message_limit_exceeded"), ("rate-limited", True)),
    **dict.fromkeys(
        ("invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"),
        ("credentials", False),
    ),
    **dict.fromkeys(
        ("missing_scope", "no_permission", "not_in_channel", "restricted_action"),
        ("permission-denied", False),
    ),
    **dict.fromkeys(("channel_not_found", "is_archived"), ("not-found", False)),
    **dict.fromkeys(
        ("internal_error", "fatal_error", "service_unavailable", "request_timeout"), ("unavailable", True)
    ),
}


class _SlackError(SourceError):
    """What Slack said no with: ``code`` is its own word."""

    def __init__(self, code: str, what: str) -> None:
        cause, retryable = _ERRORS.get(code, ("invalid-response", False))
        super().__init__(f"Slack refuses {what}: {one_line(code)}", cause, retryable)
        self.code = code


@dataclass(frozen=True, slots=True)
class Bot:
    """A ``Channel`` to ``channel`` (an id or a name) as the bot that ``token`` belongs to."""

    http: Http
    token: SecretStr
    channel: str
    api: str = API

    def send(self, message: Message) -> Sent:
        """As ``Channel.send``: a message with a place is changed there, and its news go into its thread."""
        if message.place:
            channel, _, stamp = message.place.partition(":")
            try:
                self._shown("chat.update", message, {"channel": channel, "ts": stamp})
                text = slack_blocks.news(message) or slack_blocks.text(message)
                self._call("chat.postMessage", _post(channel, text) | {"thread_ts": stamp})
                return Sent(place=message.place)
            except _SlackError as error:
                if error.code not in _GONE:
                    raise
        answer = self._shown("chat.postMessage", message, _post(self.channel, ""))
        return Sent(place=f"{answer.get('channel')}:{answer.get('ts')}")

    def look(self) -> str:
        """As ``Channel.look``: whose token it is, whether it may write, and whether it is in the channel."""
        answer, said = self._ask("auth.test", {})
        scopes = {each.strip() for each in answer.headers.get("x-oauth-scopes", "").split(",")}
        if SCOPE not in scopes:
            raise _SlackError("missing_scope", f"the token: it lacks {SCOPE}")
        who, where = (one_line(str(said.get(key))) for key in ("user", "team"))
        return f"{who} of {where} may write; {self._joined(who, scopes)}"

    def _joined(self, who: str, scopes: Collection[str]) -> str:
        """Whether it is in the channel, or why that is not known. ``SourceError``: messages cannot arrive."""
        unknown = f"whether it has joined {self.channel} is not known: "
        if not _ID.fullmatch(self.channel):
            return f"{unknown}Slack says that of an id alone, and this is a name"
        try:
            channel = self._info()
        except _SlackError as error:
            if error.code == "missing_scope" or (error.code == _HIDDEN and PRIVATE not in scopes):
                return f"{unknown}for that the token needs {PUBLIC}, or {PRIVATE} for a private channel"
            raise
        if channel.get("is_archived"):
            raise _SlackError("is_archived", f"messages to {self.channel}")
        if channel.get("is_member"):
            return f"it has joined {self.channel}"
        if ANYWHERE in scopes and not channel.get("is_private"):
            return f"it has not joined {self.channel}, and may write there all the same ({ANYWHERE})"
        raise _SlackError("not_in_channel", f"messages to {self.channel} until somebody invites @{who}")

    def _info(self) -> dict[str, Any]:
        """What Slack says about the channel. This method takes no JSON."""
        url = f"{self.api}/conversations.info?{urlencode({'channel': self.channel})}"
        answer = self.http.get(url, "the channel", credentials=self._credentials)
        found = _said(answer, f"a look at {self.channel}").get("channel")
        return found if isinstance(found, dict) else {}

    def _shown(self, method: str, message: Message, body: Mapping[str, Any]) -> dict[str, Any]:
        """The call with as many blocks as Slack takes."""
        *richer, plain = _bodies(message)
        for told in richer:
            try:
                return self._call(method, {**body, **told})
            except _SlackError as error:
                if error.code not in _BLOCKS_REFUSED:
                    raise
        return self._call(method, {**body, **plain})

    def _call(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._ask(method, body)[1]

    def _ask(self, method: str, body: Mapping[str, Any]) -> tuple[Answer, dict[str, Any]]:
        answer = self.http.post(
            f"{self.api}/{method}",
            method,
            body=json.dumps(body).encode(),
            headers=_JSON,
            credentials=self._credentials,
        )
        return answer, _said(answer, method)

    @property
    def _credentials(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token.get_secret_value()}"}


@dataclass(frozen=True, slots=True)
class IncomingWebhook:
    """A ``Channel`` through an incoming webhook: it can only post, so each piece of news is a new message."""

    http: Http
    url: SecretStr

    def send(self, message: Message) -> Sent:
        """As ``Channel.send``."""
        for told in _bodies(message):
            answer = self._post(told)
            if answer.status != 400 or not any(code.encode() in answer.body for code in _BLOCKS_REFUSED):
                break
        if answer.status != 200:
            raise _SlackError(answer.body[:100].decode(errors="replace"), "the message")
        return Sent(place=message.place or message.id)

    def look(self) -> str:
        """As ``Channel.look``; a webhook says nothing about itself, so nobody is asked."""
        return "an incoming webhook is set; whether it works shows when it is sent something"

    def _post(self, body: Mapping[str, Any]) -> Answer:
        url, data = self.url.get_secret_value(), json.dumps(body).encode()
        return self.http.post(url, "a message", body=data, headers=_JSON, also=(400,))


def _said(answer: Answer, what: str) -> dict[str, Any]:
    """What Slack answered. Raises ``SourceError`` where that is a no."""
    try:
        said = answer.json()
    except ValueError as error:
        raise SourceError(f"Slack answered no JSON to {what}", "invalid-response") from error
    if not isinstance(said, dict) or said.get("ok") is not True:
        raise _SlackError(str(said.get("error") if isinstance(said, dict) else None), what)
    return said


def _bodies(message: Message) -> list[dict[str, Any]]:
    """What to try in turn where blocks are refused: all, those that each workspace takes, and text alone."""
    told: dict[str, Any] = {"text": slack_blocks.text(message)}
    plain, data = slack_blocks.blocks(message), slack_blocks.data_blocks(message)
    return [*([{**told, "blocks": [*plain, *data]}] if data else []), {**told, "blocks": plain}, told]


def _post(channel: str, text: str) -> dict[str, Any]:
    """What every new message is given: nothing in it is a link to unfold or a name to look up."""
    return {
        "channel": channel,
        "text": text,
        "mrkdwn": False,
        "parse": "none",
        "unfurl_links": False,
        "unfurl_media": False,
    }
