"""Messages as mail: text and HTML, one thread for each incident."""

from __future__ import annotations

import html
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from drift_gate.errors import Cause, SourceError
from drift_gate.journal.message_text import Message
from drift_gate.notify.channels import Sent
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.one_line import one_line

Security = Literal["starttls", "tls", "none"]

#: Characters of a subject: what a list of mails shows, and below what a header may hold.
_SUBJECT = 150
#: What an SMTP server's answer says by its first digit: 4 heals, 5 does not.
_TRANSIENT = range(400, 500)


@dataclass(frozen=True, slots=True)
class Email:
    """A ``Channel`` to the mailboxes ``to``, through the server at ``host`` and ``port``.

    ``security``: ``starttls`` and ``tls`` are required, never merely tried. ``user`` None: nobody logs in.
    ``ca_file``: the certificates to trust instead of the system's; None: those. Nothing outlasts
    ``deadline``.
    """

    host: str
    port: int
    sender: str
    to: tuple[str, ...]
    deadline: Deadline
    security: Security = "starttls"
    user: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None

    def send(self, message: Message) -> Sent:
        """As ``Channel.send``: a message with a place is an answer in that thread."""
        mail = letter(message, self.sender, self.to)
        with self._connected() as server:
            refused = server.send_message(mail)
        place = message.place or str(mail["Message-ID"])
        answer = f"refused for {', '.join(sorted(refused))}" if refused else "accepted"
        return Sent(place=place, answer=one_line(answer))

    def look(self) -> str:
        """As ``Channel.look``: the server greets, encrypts and lets us log in."""
        with self._connected() as server:
            server.noop()
        login = f", and {self.user} may log in" if self.user else ""
        return f"{self.host}:{self.port} answers ({self.security}){login}"

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        try:
            with self._server() as server:
                if self.security == "starttls":
                    server.starttls(context=ssl.create_default_context(cafile=self.ca_file))
                if self.user and self.password:
                    server.login(self.user, self.password.get_secret_value())
                yield server
        except (OSError, smtplib.SMTPException) as error:
            raise self._translated(error) from error
        except UnicodeError:
            sentence = (
                f"{self.host}:{self.port} took no mail: its name is none, or the password has letters that "
                "SMTP does not carry"
            )
            # Without the error, which holds the whole password.
            raise SourceError(sentence, "invalid-response") from None

    def _server(self) -> smtplib.SMTP:
        left = self.deadline.require(f"mail through {self.host}")
        if self.security == "tls":
            trusted = ssl.create_default_context(cafile=self.ca_file)
            return smtplib.SMTP_SSL(self.host, self.port, timeout=left, context=trusted)
        return smtplib.SMTP(self.host, self.port, timeout=left)

    def _translated(self, error: Exception) -> SourceError:
        cause, retryable = _classify(error)
        words = str(error)
        if self.password:
            words = words.replace(self.password.get_secret_value(), "…")
        return SourceError(f"{self.host}:{self.port} took no mail: {one_line(words)}", cause, retryable)


def letter(message: Message, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """``message`` as a mail, the same each time: whoever gets it twice sees it once, by its Message-ID."""
    mail = EmailMessage()
    mail["Subject"] = one_line(message.title, _SUBJECT)
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    if owners := [each for each in message.owners if "@" in each and each not in to]:
        mail["Cc"] = ", ".join(owners)
    mail["Date"] = format_datetime(message.at.astimezone(UTC))
    mail["Message-ID"] = _message_id(message.id, sender)
    mail["Auto-Submitted"] = "auto-generated"
    if message.place:
        mail["In-Reply-To"] = mail["References"] = message.place
    mail.set_content(text(message))
    mail.add_alternative(message.page or page(message), subtype="html")
    return mail


def text(message: Message) -> str:
    """The part for whoever reads no HTML."""
    lines = [one_line(message.title)]
    if message.news:
        lines += ["", *(one_line(line) for line in message.news)]
    if message.facts:
        lines += ["", *(f"{word + ':':<14}{one_line(value)}" for word, value in message.facts)]
    if message.commits:
        lines += ["", "Missing:", *(f"  {one_line(line)}" for line in message.commits)]
        lines += [f"  and {message.more_commits:,} more"] if message.more_commits else []
    if message.history:
        lines += ["", "So far:", *(f"  {one_line(line)}" for line in message.history)]
    for head, told in message.sections:
        lines += ["", f"{one_line(head)}:", *(f"  {one_line(line)}" for line in told)]
    return "\n".join(lines) + "\n"


def page(message: Message) -> str:
    """The part in HTML; nothing that a commit says is markup in it."""
    rows = "".join(
        f"<tr><th align=left>{_h(word)}</th><td>{_h(value)}</td></tr>" for word, value in message.facts
    )
    more = (f"and {message.more_commits:,} more",) if message.more_commits else ()
    title, news = _h(message.title), "".join(f"<p>{_h(line)}</p>" for line in message.news)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h2>{title}</h2>{news}<table>{rows}</table>"
        f"{_listed('Missing', (*message.commits, *more))}{_listed('So far', message.history)}</body></html>"
    )


def _listed(head: str, lines: tuple[str, ...]) -> str:
    if not lines:
        return ""
    return f"<h3>{_h(head)}</h3><ul>{''.join(f'<li>{_h(line)}</li>' for line in lines)}</ul>"


def _h(value: str) -> str:
    return html.escape(one_line(value))


def _message_id(id: str, sender: str) -> str:
    domain = sender.rpartition("@")[2].strip("> ")
    return f"<{sha256(id.encode()).hexdigest()[:32]}@{domain}>"


def _classify(error: Exception) -> tuple[Cause, bool]:
    match error:
        case smtplib.SMTPAuthenticationError():
            return "credentials", False
        case smtplib.SMTPRecipientsRefused():
            return "not-found", any(code in _TRANSIENT for code, _ in error.recipients.values())
        case smtplib.SMTPNotSupportedError():
            return "invalid-response", False
        case smtplib.SMTPResponseException():
            return "unavailable", error.smtp_code in _TRANSIENT
        case smtplib.SMTPServerDisconnected() if isinstance(error.__context__, TimeoutError):
            return "timeout", True
        case TimeoutError():
            return "timeout", True
        case ssl.SSLError():
            return "unavailable", False
        case _:
            return "unavailable", True
