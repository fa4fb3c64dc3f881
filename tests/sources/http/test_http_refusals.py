"""What comes back over HTTP and is no answer: each has its cause, and no secret goes to another host."""

from __future__ import annotations

import inspect
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpcore
import httpx
import pytest
from support.limits import ENOUGH_S, in_time, told_in_time
from support.web import (
    HEAD,
    SECRET,
    Reply,
    Web,
    dead,
    error,
    get,
    raw,
    says,
)

from drift_gate.errors import CAUSES, Cause
from drift_gate.sources.http.client import MOST_REDIRECTS
from drift_gate.sources.http.errors import FOREIGN, classify, retry_after, translate
from drift_gate.sources.http.network import Names


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as web:
        yield web


@pytest.fixture
def other() -> Iterator[Web]:
    with Web() as web:
        yield web


REFUSALS: list[tuple[int, Cause, bool]] = [
    (401, "credentials", False),
    (403, "permission-denied", False),
    (404, "not-found", False),
    (408, "timeout", True),
    (429, "rate-limited", True),
    (500, "unavailable", True),
    (503, "unavailable", True),
    (400, "invalid-response", False),
    (418, "invalid-response", False),
    (304, "invalid-response", False),
    (302, "invalid-response", False),
]


class TestRefusals:
    @pytest.mark.parametrize(("status", "cause", "retryable"), REFUSALS)
    def test_each_status_has_its_cause(self, web: Web, status: int, cause: Cause, retryable: bool) -> None:
        web.replies["/"] = Reply(status, b"" if status == 304 else b"{}")
        caught = in_time(
            lambda seconds: error(web.url, seconds if retryable else ENOUGH_S),
            late=lambda caught: caught.cause == "timeout" != cause or (retryable and len(web.seen) == 1),
        )
        assert (caught.cause, caught.retryable) == (cause, retryable)
        assert (len(web.seen) > 1) is retryable
        assert f"(HTTP {status})" in str(caught)

    @pytest.mark.parametrize(
        "body",
        [
            b'{"errors": [{"code": "DENIED", "message": "no\\u001b[2J\\nway"}]}',
            b'{"error": {"message": "no [2J way"}}',
            b'{"error": "no [2J way"}',
            b'{"details": "no [2J way"}',
            b'{"message": "no [2J way"}',
        ],
    )
    def test_the_other_sides_own_words_are_told(self, web: Web, body: bytes) -> None:
        web.replies["/"] = Reply(403, body)
        assert str(error(web.url)) == (
            "asked about the thing, 127.0.0.1 refuses to show it (HTTP 403): no [2J way"
        )

    @pytest.mark.parametrize(
        "body", [b"", b"<html>", b"[]", b'{"errors": []}', b'{"errors": [3]}', b'"\xff"']
    )
    def test_words_that_are_none_are_left_out(self, web: Web, body: bytes) -> None:
        web.replies["/"] = Reply(403, body)
        assert str(error(web.url)).endswith("(HTTP 403)")

    def test_a_secret_that_is_echoed_is_not_told(self, web: Web) -> None:
        web.replies["/"] = Reply(403, b'{"message": "Bearer s3cret-token is not allowed"}')
        assert str(error(web.url, credentials=SECRET)).endswith("Bearer … is not allowed")

    def test_what_heals_is_asked_again(self, web: Web) -> None:
        web.replies["/"] = [Reply(503), Reply(429), Reply()]
        assert get(web.url).status == 200
        assert len(web.seen) == 3

    def test_a_pause_beyond_the_deadline_is_an_answer_at_once(self, web: Web) -> None:
        web.replies["/"] = Reply(503, headers={"Retry-After": "120"})
        caught = error(web.url)
        assert (caught.cause, caught.retry_after) == ("unavailable", 120)
        assert len(web.seen) == 1

    NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({}, None),
            ({"retry-after": "7"}, 7),
            ({"retry-after": "9" * 99}, 999_999_999),
            ({"retry-after": "-7"}, None),
            ({"retry-after": "soon"}, None),
            ({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"}, 30),
            ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0),
            # A server whose clock is an hour ahead of ours.
            ({"retry-after": "Thu, 01 Jan 2026 13:00:30 GMT", "date": "Thu, 01 Jan 2026 13:00:00 GMT"}, 30),
            ({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT", "date": "nonsense"}, 30),
            ({"retry-after": "Thu, 01 Jan 2026 12:00:30"}, 30),
        ],
    )
    def test_a_pause_is_seconds_or_a_date(self, headers: dict[str, str], seconds: float | None) -> None:
        assert retry_after(headers, self.NOW) == seconds


NONSENSE: list[tuple[str, bytes, Cause, bool]] = [
    ("no HTTP", b"hello\r\n\r\n", "invalid-response", False),
    ("a length that is no number", HEAD + b"Content-Length: x\r\n\r\n", "invalid-response", False),
    ("a head without end", HEAD + b"X: " + b"a" * 200_000, "invalid-response", False),
    ("a chunk that is none", HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "invalid-response", False),
    ("nothing", b"", "unavailable", True),
    ("half a head", HEAD, "unavailable", True),
    ("half a body", HEAD + b"Content-Length: 99\r\n\r\nhalf", "unavailable", True),
    ("half a chunk", HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\na", "unavailable", True),
]


class TestNonsense:
    @pytest.mark.parametrize(
        ("text", "cause", "retryable"), [row[1:] for row in NONSENSE], ids=[r[0] for r in NONSENSE]
    )
    def test_each_kind_has_its_cause(self, text: bytes, cause: Cause, retryable: bool) -> None:
        with raw(says(text)) as port:
            caught = told_in_time(partial(error, f"http://127.0.0.1:{port}/"))
        assert (caught.cause, caught.retryable) == (cause, retryable)
        assert "127.0.0.1" in str(caught)

    def test_a_dead_port_is_down(self) -> None:
        with dead() as port:
            caught = told_in_time(partial(error, f"http://127.0.0.1:{port}/"))
        assert (caught.cause, caught.retryable) == ("unavailable", True)

    def test_a_connection_that_is_reset_may_heal(self) -> None:
        def reset(connection: socket.socket, over: threading.Event) -> None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        with raw(reset) as port:
            caught = told_in_time(partial(error, f"http://127.0.0.1:{port}/"))
        assert (caught.cause, caught.retryable) == ("unavailable", True)

    def test_a_body_at_its_bound_is_read_and_one_over_it_is_not(self, web: Web) -> None:
        web.replies["/"] = Reply(200, b"x" * 1000)
        assert len(get(web.url, limit=1000).body) == 1000
        caught = error(web.url, limit=999)
        assert (caught.cause, caught.retryable) == ("invalid-response", False)
        assert "more than 999 bytes" in str(caught)

    def test_a_body_without_end_is_read_to_its_bound_only(self) -> None:
        sent = []

        def endless(connection: socket.socket, over: threading.Event) -> None:
            connection.recv(65536)
            connection.sendall(HEAD + b"\r\n")
            while not over.is_set():
                sent.append(connection.send(b"x" * 65536))

        with raw(endless) as port:
            assert error(f"http://127.0.0.1:{port}/", limit=1_000_000).cause == "invalid-response"
        assert sum(sent) < 20_000_000  # the socket's buffers come on top

    def test_a_refusal_of_any_size_is_that_refusal(self, web: Web) -> None:
        web.replies["/"] = Reply(403, b"x" * 5_000_000)
        assert error(web.url).cause == "permission-denied"


class TestRedirects:
    def test_within_the_origin_the_secret_goes_along(self, web: Web) -> None:
        web.replies |= {"/": Reply(307, headers={"Location": "/a"}), "/a": Reply(200, b"here")}
        assert get(web.url, credentials=SECRET).body == b"here"
        assert [headers["authorization"] for _, headers in web.seen] == [SECRET["Authorization"]] * 2

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_secret_never_reaches_another_origin(self, web: Web, other: Web, status: int) -> None:
        """Another port is another origin, and one that sends the question back gives no secret back."""
        web.replies |= {
            "/": Reply(status, headers={"Location": f"{other.url}/a"}),
            "/end": Reply(200, b"end"),
        }
        other.replies["/a"] = Reply(302, headers={"Location": f"{web.url}/end"})
        answer = get(web.url, credentials=SECRET | {"X-Other": "s3cret"}, headers={"Accept": "a/b"})
        assert (answer.body, answer.url) == (b"end", f"{web.url}/end")
        [(_, first), (_, last)] = web.seen
        [(_, foreign)] = other.seen
        assert (first["authorization"], first["x-other"]) == (SECRET["Authorization"], "s3cret")
        for headers in (foreign, last):
            assert "s3cret" not in str(headers)
            assert headers["accept"] == "a/b"

    def test_another_name_of_the_same_machine_is_another_origin(self, web: Web) -> None:
        away = f"http://localhost:{web.port}/a"
        web.replies |= {"/": Reply(302, headers={"Location": away}), "/a": Reply()}
        get(web.url, credentials=SECRET)
        assert "authorization" not in web.seen[1][1]

    def test_so_many_are_followed_and_no_more(self, web: Web) -> None:
        for number in range(MOST_REDIRECTS + 1):
            web.replies[f"/{number}"] = Reply(302, headers={"Location": f"/{number + 1}"})
        web.replies[f"/{MOST_REDIRECTS + 1}"] = Reply()
        assert get(f"{web.url}/1").status == 200
        caught = error(f"{web.url}/0")
        assert (caught.cause, caught.retryable) == ("invalid-response", False)
        assert "redirected more than 3 times" in str(caught)

    @pytest.mark.parametrize(
        "to",
        [
            "http://192.0.2.1/",
            "ftp://127.0.0.1/",
            "http://a:b@127.0.0.1:1/",
            "file:///etc/passwd",
            "http://[",
            "//:x",
        ],
    )
    def test_nobody_is_asked_where_nothing_may_be_asked(self, web: Web, to: str) -> None:
        web.replies["/"] = Reply(302, headers={"Location": to})
        assert error(web.url).cause == "invalid-response"

    def test_but_for_the_one_host_that_the_caller_names(self, web: Web) -> None:
        """As it stands in the address, port and all; a redirect there goes no further."""
        web.replies["/"] = Reply()
        names, named = Names(lambda host: ["127.0.0.1"]), f"metadata.example:{web.port}"
        assert get(f"http://{named}/", names=names, plain_to=named).status == 200
        for other in ("metadata.example", f"metadata.example.org:{web.port}", f"a@{named}"):
            caught = error(f"http://{other}/", names=names, plain_to=named)
            assert caught.cause == "invalid-response"
        web.replies["/"] = Reply(302, headers={"Location": f"http://metadata.example.org:{web.port}/"})
        assert error(f"http://{named}/", names=names, plain_to=named).cause == "invalid-response"

    @pytest.mark.parametrize(
        "url",
        [
            "http://registry.example/",
            "http://192.0.2.1/",
            "http://127.1/",
            "http://localhost.example/",
            "http://[::ffff:192.0.2.1]/",
            "https:///a",
            "https://user:password@127.0.0.1/",
            "file:///etc/passwd",
            "registry.example",
            "https://a\x00b/",
        ],
    )
    def test_only_https_and_this_machine(self, url: str) -> None:
        caught = error(url, names=Names(lambda host: pytest.fail("nobody is looked up")))
        assert (caught.cause, caught.retryable) == ("invalid-response", False)
        assert "password" not in str(caught).replace("with a password in", "")


def classes(module: Any) -> list[type[Exception]]:
    found = inspect.getmembers(module, inspect.isclass)
    return [kind for name, kind in found if issubclass(kind, Exception) and not name.startswith("_")]


FAILURES: list[tuple[Exception, Cause, bool]] = [
    (httpcore.ConnectTimeout("x"), "timeout", True),
    (httpcore.ReadTimeout("x"), "timeout", True),
    (httpcore.PoolTimeout("x"), "timeout", True),
    (httpcore.ConnectError("x"), "unavailable", True),
    (httpcore.ConnectError(ssl.SSLCertVerificationError("x")), "unavailable", False),
    (httpcore.RemoteProtocolError("illegal status line"), "invalid-response", False),
    (httpcore.RemoteProtocolError("Server disconnected without sending"), "unavailable", True),
    (ConnectionResetError("x"), "unavailable", True),
    (TimeoutError("x"), "timeout", True),
    (socket.gaierror(socket.EAI_NONAME, "x"), "unavailable", False),
    (socket.gaierror(socket.EAI_AGAIN, "x"), "unavailable", True),
    (httpx.InvalidURL("x"), "invalid-response", False),
    (httpx.ReadTimeout("x"), "timeout", True),
    (httpx.StreamClosed(), "unavailable", True),
]


class TestErrors:
    @pytest.mark.parametrize(
        "kind",
        [*classes(httpcore), *classes(httpx), *classes(ssl), *classes(socket)],
        ids=lambda kind: f"{kind.__module__}.{kind.__name__}",
    )
    def test_every_exception_of_the_libraries_has_a_cause(self, kind: Any) -> None:
        assert issubclass(kind, FOREIGN)
        translated = translate(kind.__new__(kind), "registry.example", "the thing")
        assert translated.cause in CAUSES
        assert "registry.example" in str(translated)
        assert "the thing" in str(translated)

    @pytest.mark.parametrize(
        ("failure", "cause", "retryable"), FAILURES, ids=[repr(row[0])[:60] for row in FAILURES]
    )
    def test_the_entry_nearest_to_the_class_counts(
        self, failure: Exception, cause: Cause, retryable: bool
    ) -> None:
        assert classify(failure) == (cause, retryable)
