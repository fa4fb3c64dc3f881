"""The webhook: JSON that its receiver can check the sender of, and that is the same when it comes twice."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from notify.test_slack import told
from pydantic import SecretStr
from support.limits import ENOUGH_S

from drift_gate.errors import SourceError
from drift_gate.notify.webhook import SIGNATURE, TIMESTAMP, Webhook
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.http.client import Http

SECRET = "a-shared-secret"


class Receiver(BaseHTTPRequestHandler):
    """Takes what is signed as its own secret signs it, and nothing else."""

    taken: list[dict[str, object]]
    redirects = False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        said = self.headers[TIMESTAMP].encode() + b"." + body
        own = hmac.new(SECRET.encode(), said, hashlib.sha256).hexdigest()
        genuine = hmac.compare_digest(self.headers[SIGNATURE], f"sha256={own}")
        if genuine:
            self.taken.append(json.loads(body))
        self._answer(204 if genuine else 401)

    def do_GET(self) -> None:
        self._answer(405)

    def _answer(self, status: int) -> None:
        self.send_response(307 if self.redirects else status)
        if self.redirects:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[tuple[str, type[Receiver]]]:
    """Where one listens."""

    class Here(Receiver):
        taken: list[dict[str, object]] = []  # noqa: RUF012 (one for each test)

    with HTTPServer(("127.0.0.1", 0), Here) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/drift", Here
        server.shutdown()


@pytest.fixture
def http() -> Iterator[Http]:
    with Http(Deadline(ENOUGH_S)) as found:
        yield found


def test_the_receiver_can_check_who_sent_it(receiver: tuple[str, type[Receiver]], http: Http) -> None:
    url, door = receiver
    sent = Webhook(http, url, SecretStr(SECRET)).send(told())
    assert (sent.place, sent.answer) == ("worker#1/opened", "HTTP 204")
    [document] = door.taken
    assert (document["schema_version"], document["id"], document["thread"], document["kind"]) == (
        1,
        "worker#1/opened",
        "worker#1/opened",
        "incident",
    )


def test_what_follows_names_the_message_that_it_follows(
    receiver: tuple[str, type[Receiver]], http: Http
) -> None:
    url, door = receiver
    hook = Webhook(http, url, SecretStr(SECRET))
    hook.send(told(id="worker#1/resolved", place=hook.send(told()).place))
    assert [(each["id"], each["thread"]) for each in door.taken] == [
        ("worker#1/opened", "worker#1/opened"),
        ("worker#1/resolved", "worker#1/opened"),
    ]


def test_another_secret_is_refused_and_none_is_told(receiver: tuple[str, type[Receiver]], http: Http) -> None:
    url, door = receiver
    hook = Webhook(http, url, SecretStr("another-secret"))
    with pytest.raises(SourceError) as caught:
        hook.send(told())
    assert (caught.value.cause, door.taken) == ("credentials", [])
    assert "another-secret" not in f"{caught.value!r} {hook!r}"


def test_nothing_is_sent_on_to_where_a_redirect_points(
    receiver: tuple[str, type[Receiver]], http: Http
) -> None:
    url, door = receiver
    door.redirects = True
    with pytest.raises(SourceError, match="HTTP 307"):
        Webhook(http, url, SecretStr(SECRET)).send(told())


def test_it_is_looked_at_without_a_message(receiver: tuple[str, type[Receiver]], http: Http) -> None:
    url, door = receiver
    assert Webhook(http, url, SecretStr(SECRET)).look() == "something answers there (HTTP 405 to a GET)"
    assert door.taken == []
