"""Mail through a real server: encrypted, in one thread for each incident, and text whatever a commit says."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from notify.test_slack import told
from pydantic import SecretStr
from support.limits import ENOUGH_S, OVER_S
from support.web import certificates, dead, raw, silent

from drift_gate.errors import SourceError
from drift_gate.notify.smtp import Email
from drift_gate.runtime.deadline import Deadline


class Postbox:
    """Keeps each mail that it is given; ``refusal`` is its answer to a recipient, or None."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.to: list[list[str]] = []
        self.refusal: str | None = None

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.refusal:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        assert session.ssl is not None, "it came in the open"
        read = email.message_from_bytes(envelope.content, _class=EmailMessage, policy=email.policy.default)
        self.mails.append(read)
        self.to.append(envelope.rcpt_tos)
        return "250 OK"


def authenticator(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
    fine = isinstance(data, LoginPassword) and data == LoginPassword(b"gate", b"the-password")
    return AuthResult(success=fine, handled=False)


@contextmanager
def serving(postbox: Postbox, folder: Path, **more: Any) -> Iterator[tuple[int, Path]]:
    """The port of a mail server, and the authority that vouches for it."""
    authority, context = certificates(folder, "localhost")
    settings: dict[str, Any] = {
        "tls_context": context,
        "require_starttls": True,
        "authenticator": authenticator,
        "auth_required": True,
    }
    with dead() as port:  # it is given back and nobody else is: the server wants to know its own
        pass
    controller = Controller(postbox, "127.0.0.1", port, **settings | more)
    controller.start()
    try:
        yield port, authority
    finally:
        controller.stop()


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


def channel(port: int, authority: Path | None, **more: Any) -> Email:
    """To two people, with the right password."""
    made: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "sender": "gate@example.com",
        "to": ("ann@example.com", "bob@example.com"),
        "deadline": Deadline(ENOUGH_S),
        "user": "gate",
        "password": SecretStr("the-password"),
        "ca_file": authority,
    }
    return Email(**made | more)


def test_an_incident_is_one_thread(postbox: Postbox, tmp_path: Path) -> None:
    with serving(postbox, tmp_path) as (port, authority):
        mail = channel(port, authority)
        place = mail.send(told()).place
        assert mail.send(told(id="worker#1/resolved", place=place)).place == place
    first, second = postbox.mails
    assert first["Message-ID"] == place == second["In-Reply-To"] == second["References"]
    assert first["In-Reply-To"] is None
    assert second["Message-ID"] != place
    assert postbox.to == [["ann@example.com", "bob@example.com"]] * 2


def test_the_same_message_is_the_same_mail(postbox: Postbox, tmp_path: Path) -> None:
    """Whoever died before it could be noted that it was sent has it sent a second time."""
    with serving(postbox, tmp_path) as (port, authority):
        for _ in range(2):
            channel(port, authority).send(told())
    assert len({each["Message-ID"] for each in postbox.mails}) == 1


def test_both_parts_say_all_of_it_as_text(postbox: Postbox, tmp_path: Path) -> None:
    message = told(
        title="Critical: a\nSubject: forged \x1b[31m <b>",
        facts=(("Live", "<i>&"),),
        commits=("abc Fix <script>alert(1)</script> (e\x1bve)",),
        more_commits=3,
        history=("16:00 UTC: worker opened",),
        owners=("U012ABCDEF", "eve@example.com", "ann@example.com"),
    )
    with serving(postbox, tmp_path) as (port, authority):
        channel(port, authority).send(message)
    [mail] = postbox.mails
    assert mail["Subject"] == "Critical: a Subject: forged [31m <b>"
    assert (mail["Cc"], mail["Auto-Submitted"]) == ("eve@example.com", "auto-generated")
    plain, html = mail.iter_parts()
    for part, kind, words in (
        (plain, "text/plain", ("abc Fix <script>alert(1)</script> (e ve)", "and 3 more", "worker opened")),
        (html, "text/html", ("&lt;script&gt;alert(1)&lt;/script&gt;", "and 3 more", "&lt;i&gt;&amp;")),
    ):
        assert isinstance(part, EmailMessage)
        assert part.get_content_type() == kind
        for each in words:
            assert each in part.get_content()
    assert "<script>" not in html.get_content()


def test_nothing_is_sent_in_the_open(postbox: Postbox, tmp_path: Path) -> None:
    """A server that offers no encryption, as one would that somebody put in between, is told nothing."""
    plain = {"tls_context": None, "require_starttls": False, "auth_required": False}
    with serving(postbox, tmp_path, **plain) as (port, authority), pytest.raises(SourceError) as caught:
        channel(port, authority).send(told())
    assert (caught.value.cause, postbox.mails) == ("invalid-response", [])


def test_a_server_that_nobody_vouches_for_is_told_nothing(postbox: Postbox, tmp_path: Path) -> None:
    with serving(postbox, tmp_path) as (port, _), pytest.raises(SourceError, match="certificate") as caught:
        channel(port, None).send(told())
    assert (caught.value.retryable, postbox.mails) == (False, [])


def test_a_wrong_password_is_named_and_not_shown(postbox: Postbox, tmp_path: Path) -> None:
    with serving(postbox, tmp_path) as (port, authority):
        mail = channel(port, authority, password=SecretStr("another-word"))
        with pytest.raises(SourceError) as caught:
            mail.send(told())
    assert (caught.value.cause, caught.value.retryable) == ("credentials", False)
    assert "another-word" not in f"{caught.value!r} {mail!r}"


@pytest.mark.parametrize(("answer", "retryable"), [("450 busy", True), ("550 nobody of that name", False)])
def test_a_recipient_who_is_refused(postbox: Postbox, tmp_path: Path, answer: str, retryable: bool) -> None:
    postbox.refusal = answer
    with serving(postbox, tmp_path) as (port, authority), pytest.raises(SourceError) as caught:
        channel(port, authority).send(told())
    assert caught.value.retryable is retryable


def test_a_server_that_is_not_there_or_says_nothing() -> None:
    with dead() as port, pytest.raises(SourceError) as caught:
        channel(port, None).send(told())
    assert (caught.value.cause, caught.value.retryable) == ("unavailable", True)
    with raw(silent) as port, pytest.raises(SourceError) as caught:
        channel(port, None, deadline=Deadline(OVER_S)).send(told())
    assert caught.value.cause == "timeout"


def test_a_name_that_is_none_is_a_failure_of_this_channel_alone() -> None:
    with pytest.raises(SourceError) as caught:
        channel(25, None, host="mail..example.com").send(told())
    assert (caught.value.cause, caught.value.retryable) == ("invalid-response", False)


def test_a_password_that_mail_cannot_carry_stays_a_secret(postbox: Postbox, tmp_path: Path) -> None:
    with serving(postbox, tmp_path) as (port, authority), pytest.raises(SourceError) as caught:
        channel(port, authority, password=SecretStr("schlüssel")).send(told())
    assert caught.value.cause == "invalid-response"
    assert "schl" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_it_is_looked_at_without_a_mail(postbox: Postbox, tmp_path: Path) -> None:
    with serving(postbox, tmp_path) as (port, authority):
        found = channel(port, authority).look()
    assert found == f"127.0.0.1:{port} answers (starttls), and gate may log in"
    assert postbox.mails == []
