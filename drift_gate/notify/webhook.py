"""Messages as JSON to an address of the user's own, signed so that the receiver knows who sends them."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from drift_gate.journal.message_text import Message
from drift_gate.notify.channels import Sent
from drift_gate.sources.http.client import Http

SCHEMA_VERSION = 1
#: Seconds since 1970 when it was signed, and ``sha256=`` with the hex digits of the HMAC.
TIMESTAMP, SIGNATURE = "X-Drift-Timestamp", "X-Drift-Signature"


def signature(secret: SecretStr, timestamp: str, body: bytes) -> str:
    """What ``SIGNATURE`` holds: over the timestamp, a full stop and the body."""
    signed = hmac.new(secret.get_secret_value().encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"


def document(message: Message) -> dict[str, Any]:
    """``message`` as the receiver reads it. ``id`` is the same where it comes a second time."""
    told = message.model_dump(mode="json", exclude={"place", "owners", "page"})
    return {"schema_version": SCHEMA_VERSION, **told, "thread": message.place or message.id}


@dataclass(frozen=True, slots=True)
class Webhook:
    """A ``Channel`` to ``url``, signed with ``secret``; ``http`` is the way out."""

    http: Http
    url: str = field(repr=False)
    secret: SecretStr

    def send(self, message: Message) -> Sent:
        """As ``Channel.send``; any 2xx is a message that arrived."""
        body = json.dumps(document(message), separators=(",", ":")).encode()
        timestamp = str(int(message.at.timestamp()))
        headers = {
            "Content-Type": "application/json",
            TIMESTAMP: timestamp,
            SIGNATURE: signature(self.secret, timestamp, body),
        }
        answer = self.http.post(self.url, "a notification", body=body, headers=headers)
        return Sent(place=message.place or message.id, answer=f"HTTP {answer.status}")

    def look(self) -> str:
        """As ``Channel.look``: whether anything answers there, whatever it says to a ``GET``."""
        answer = self.http.get(self.url, "the webhook", also=range(300, 500), redirects=False)
        return f"something answers there (HTTP {answer.status} to a GET)"
