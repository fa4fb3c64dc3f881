"""Asking over HTTP: nothing outlasts the deadline, and no stranger is trusted."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.limits import OVER_S, told_in_time
from support.web import (
    HEAD,
    SECRET,
    Handler,
    Reply,
    Web,
    certificates,
    deaf,
    drips,
    error,
    floods,
    get,
    raw,
    says,
    silent,
    tunnel,
)

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.http.client import USER_AGENT, Http
from drift_gate.sources.http.network import MOST_LOOKUPS, Names


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as web:
        yield web


class TestAnswers:
    def test_an_answer_is_its_status_headers_and_body(self, web: Web) -> None:
        web.replies["/a"] = Reply(200, b'{"b": 1}', {"X-Thing": "yes"})
        answer = get(f"{web.url}/a?q=1", headers={"Accept": "text/plain"})
        assert (answer.status, answer.headers["x-thing"], answer.json()) == (200, "yes", {"b": 1})
        [(path, headers)] = web.seen
        assert (path, headers["accept"], headers["user-agent"]) == ("/a?q=1", "text/plain", USER_AGENT)

    def test_a_status_that_is_asked_for_is_an_answer(self, web: Web) -> None:
        web.replies["/"] = Reply(401, b"", {"WWW-Authenticate": "Bearer"})
        assert get(web.url, also=(401,)).headers["www-authenticate"] == "Bearer"

    def test_no_cookie_is_kept(self, web: Web) -> None:
        web.replies["/"] = Reply(headers={"Set-Cookie": "a=b"})
        with Http(Deadline(60)) as http:
            http.get(web.url, "the thing")
            http.get(web.url, "the thing")
        assert not any("cookie" in headers for _, headers in web.seen)

    def test_one_connection_serves_a_whole_check(self) -> None:
        connections = []

        def handler(connection: socket.socket, over: threading.Event) -> None:
            connections.append(1)
            while connection.recv(65536):
                connection.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")

        with raw(handler) as port, Http(Deadline(60)) as http:
            for _ in range(3):
                http.get(f"http://127.0.0.1:{port}/", "the thing")
        assert connections == [1]

    def test_nothing_is_taken_from_the_environment(self, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy in the environment is for those who read it in the settings and pass it on."""
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        web.replies["/"] = Reply()
        assert get(web.url).status == 200

    def test_nesting_without_end_is_no_crash(self, web: Web) -> None:
        web.replies["/"] = Reply(200, b"[" * 100_000)
        with pytest.raises(ValueError, match=r"nested|Expecting"):
            get(web.url).json()

    def test_no_address_is_logged(self, web: Web, caplog: pytest.LogCaptureFixture) -> None:
        """Storage hosts sign their addresses: what stands behind the question mark is a secret."""
        web.replies["/"] = Reply()
        with caplog.at_level(logging.INFO):
            get(f"{web.url}/?X-Signature=s3cret")
        assert "s3cret" not in caplog.text


HANGS: dict[str, Handler] = {
    "no answer": silent,
    "a head of a byte now and then": drips(HEAD + b"X-Slow: ", b"a"),
    "heads without end": floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body of a byte now and then": drips(HEAD + b"Content-Length: 999999\r\n\r\n", b"a"),
    "chunks of a byte now and then": drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
}


class TestDeadline:
    def hangs(self, url: str, **more: Any) -> SourceError:
        caught = error(url, OVER_S, **more)
        assert (caught.cause, caught.retryable) == ("timeout", True)
        return caught

    @pytest.mark.parametrize("handler", HANGS.values(), ids=HANGS)
    def test_nothing_that_is_said_slowly_outlasts_it(self, handler: Handler) -> None:
        with raw(handler) as port:
            caught = self.hangs(f"http://127.0.0.1:{port}/")
        assert str(caught).startswith("127.0.0.1 did not answer in time about the thing: ")

    def test_a_refusal_that_is_explained_slowly_is_that_refusal(self) -> None:
        """What decides is known from the head; the explanation is worth no cause."""
        slow = drips(b"HTTP/1.1 403 No\r\nContent-Length: 9999\r\n\r\n", b"a")
        with raw(slow) as port:
            caught = told_in_time(partial(error, f"http://127.0.0.1:{port}/"))
        assert caught.cause == "permission-denied"

    def test_a_connection_that_never_comes_about(self) -> None:
        with deaf() as port:
            self.hangs(f"http://127.0.0.1:{port}/")

    @pytest.mark.parametrize(
        "handler", [silent, drips(b"", b"\x16\x03\x01\x02\x00\x01")], ids=["silent", "slow"]
    )
    def test_tls_that_is_never_agreed_on(self, handler: Handler) -> None:
        with raw(handler) as port:
            self.hangs(f"https://127.0.0.1:{port}/")

    def test_the_second_address_is_asked_while_there_is_time(self, web: Web) -> None:
        """A host with a dead way over IPv6, say, is reached over the other one."""
        web.replies["/"] = Reply()
        with deaf() as port:
            names = Names(lambda host: ["127.0.0.2", "127.0.0.1"])
            silent_first = socket.create_server(("127.0.0.2", web.port), backlog=0)
            with silent_first, contextlib.ExitStack() as stack:
                for _ in range(2):
                    filler = stack.enter_context(socket.socket())
                    filler.setblocking(False)
                    filler.connect_ex(("127.0.0.2", web.port))
                answer = get(f"http://localhost:{web.port}/", 1, names=names)
        assert (answer.status, port > 0) == (200, True)

    def test_one_that_is_over_asks_nobody(self, web: Web) -> None:
        assert error(web.url, 0).cause == "timeout"
        assert web.seen == []


class TestNames:
    """A look-up cannot be interrupted: this is the one thing here that no real server can be made to do."""

    def test_a_hanging_look_up_holds_one_thread_however_often_it_is_asked(self) -> None:
        release, asked = threading.Event(), []

        def resolve(host: str) -> list[str]:
            asked.append(host)
            release.wait(60)
            return ["127.0.0.1"]

        names = Names(resolve)
        for _ in range(2):
            TestDeadline().hangs("https://registry.example/", names=names)
        assert asked == ["registry.example"]
        assert sum("registry.example" in thread.name for thread in threading.enumerate()) == 1
        release.set()

    def test_hosts_that_all_hang_are_bounded(self) -> None:
        release = threading.Event()

        def resolve(host: str) -> list[str]:
            release.wait(60)
            return ["127.0.0.1"]

        names = Names(resolve)
        for number in range(MOST_LOOKUPS):
            with pytest.raises(TimeoutError):
                names.addresses(f"{number}.example", Deadline(0))
        with pytest.raises(socket.gaierror, match="look-ups hang"):
            names.addresses("one.more.example", Deadline(60))
        assert names.addresses("127.0.0.1", Deadline(0)) == ["127.0.0.1"]
        release.set()
        names.addresses("0.example", Deadline(60))
        assert names.addresses("one.more.example", Deadline(60)) == ["127.0.0.1"]

    def test_answers_are_asked_for_anew(self) -> None:
        answers = [["127.0.0.1"], ["127.0.0.2"]]
        names = Names(lambda host: answers.pop(0))
        found = [names.addresses("a.example", Deadline(60)) for _ in range(2)]
        assert found == [["127.0.0.1"], ["127.0.0.2"]]

    @pytest.mark.parametrize(
        ("errno", "retryable"),
        [(socket.EAI_NONAME, False), (socket.EAI_AGAIN, True)],
        ids=["no name", "later"],
    )
    def test_a_name_that_is_not_found_is_told(self, errno: int, retryable: bool) -> None:
        def resolve(host: str) -> list[str]:
            raise socket.gaierror(errno, "no such name")

        caught = error("https://registry.example/", 0.3, names=Names(resolve))
        assert (caught.cause, caught.retryable) == ("unavailable", retryable)
        assert "registry.example could not be asked about the thing" in str(caught)

    def test_a_name_for_this_machine_leads_nowhere_else(self) -> None:
        """Plain http is for this machine, so the name must not be bent by whoever answers for names."""
        caught = error("http://localhost:1/", names=Names(lambda host: ["192.0.2.1"]))
        assert (caught.cause, caught.retryable) == ("unavailable", False)

    def test_a_child_of_a_fork_begins_anew(self) -> None:
        """The thread that hangs stays with the parent; waiting for it in the child would be for ever."""
        release, asked = threading.Event(), []

        def resolve(host: str) -> list[str]:
            asked.append(host)
            if len(asked) == 1:
                release.wait(60)
            return ["127.0.0.1"]

        names = Names(resolve)
        with pytest.raises(TimeoutError):
            names.addresses("a.example", Deadline(OVER_S))
        names.forget()
        assert names.addresses("a.example", Deadline(60)) == ["127.0.0.1"]
        release.set()


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    return certificates(tmp_path_factory.mktemp("certificates"))


class TestTls:
    def test_a_server_that_is_vouched_for_is_asked(self, trusted: tuple[Path, ssl.SSLContext]) -> None:
        with Web(trusted[1]) as web:
            web.replies["/"] = Reply(200, b"safe")
            assert get(web.url, ca_file=trusted[0]).body == b"safe"

    def test_one_that_nobody_vouches_for_hears_no_secret(self, trusted: tuple[Path, ssl.SSLContext]) -> None:
        with Web(trusted[1]) as web:
            caught = error(web.url, credentials=SECRET)
            assert web.seen == []
        assert (caught.cause, caught.retryable) == ("unavailable", False)
        assert "certificate verify failed" in str(caught)

    def test_a_certificate_for_another_name_is_none(self, trusted: tuple[Path, ssl.SSLContext]) -> None:
        with Web(trusted[1]) as web:
            caught = error(f"https://localhost:{web.port}/", ca_file=trusted[0], credentials=SECRET)
            assert web.seen == []
        assert (caught.cause, caught.retryable) == ("unavailable", False)

    def test_what_speaks_no_tls_at_all(self, web: Web) -> None:
        caught = error(f"https://127.0.0.1:{web.port}/")
        assert (caught.cause, caught.retryable) == ("unavailable", False)

    def test_a_server_that_hangs_up_may_heal(self) -> None:
        with raw(says(b"")) as port:
            caught = told_in_time(partial(error, f"https://127.0.0.1:{port}/"))
        assert (caught.cause, caught.retryable) == ("unavailable", True)

    def test_no_redirect_leads_out_of_it(self, trusted: tuple[Path, ssl.SSLContext], web: Web) -> None:
        with Web(trusted[1]) as secure:
            secure.replies["/"] = Reply(302, headers={"Location": f"{web.url}/"})
            caught = error(secure.url, ca_file=trusted[0])
        assert caught.cause == "invalid-response"
        assert "from https to http" in str(caught)
        assert web.seen == []

    def test_a_slow_body_inside_of_it_ends_in_time(self, trusted: tuple[Path, ssl.SSLContext]) -> None:
        slow = drips(HEAD + b"Content-Length: 999999\r\n\r\n", b"a")

        def handler(connection: socket.socket, over: threading.Event) -> None:
            with trusted[1].wrap_socket(connection, server_side=True) as secured:
                slow(secured, over)

        with raw(handler) as port:
            TestDeadline().hangs(f"https://127.0.0.1:{port}/", ca_file=trusted[0])


class TestProxy:
    def test_the_way_out_goes_through_it_and_the_way_in_does_not(
        self, web: Web, trusted: tuple[Path, ssl.SSLContext]
    ) -> None:
        lines: list[bytes] = []
        web.replies["/"] = Reply()
        with Web(trusted[1]) as secure, raw(tunnel(secure.port, lines)) as port:
            address = f"http://127.0.0.1:{port}"
            caught = error("https://registry.example/", proxy=address, ca_file=trusted[0])
            assert get(web.url, proxy=address).status == 200
        assert lines == [b"CONNECT registry.example:443 HTTP/1.1"]
        assert "certificate" in str(caught)

    def test_one_that_hangs_ends_in_time(self) -> None:
        with raw(silent) as port:
            TestDeadline().hangs("https://registry.example/", proxy=f"http://127.0.0.1:{port}")

    def test_one_that_refuses_is_no_answer(self) -> None:
        with raw(says(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")) as port:
            caught = error("https://registry.example/", 0.4, proxy=f"http://127.0.0.1:{port}")
        assert caught.cause == "unavailable"


def test_closing_ends_what_another_thread_waits_on() -> None:
    """A check that is over leaves no connection behind; the thread learns it as an error of ours."""
    caught: list[BaseException] = []
    asked = threading.Event()

    def heard(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(1)
        asked.set()
        over.wait()

    with raw(heard) as port:
        http = Http(Deadline(OVER_S))

        def ask() -> None:
            try:
                http.get(f"http://127.0.0.1:{port}/", "the thing")
            except BaseException as failure:
                caught.append(failure)

        thread = threading.Thread(target=ask)
        thread.start()
        asked.wait(OVER_S)
        http.close()
        thread.join(60)
    assert [type(failure) for failure in caught] == [SourceError]


def test_many_threads_share_one() -> None:
    """The revisions of a split are asked about side by side."""
    with Web() as web, Http(Deadline(60)) as http:
        web.replies["/"] = Reply(200, b"here")
        bodies: list[bytes] = []
        ask: Callable[[], None] = lambda: bodies.append(http.get(web.url, "the thing").body)  # noqa: E731 - one line
        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert bodies == [b"here"] * 20


def test_no_socket_is_left_open() -> None:
    def sockets() -> int:
        return sum(os.readlink(f"/proc/self/fd/{fd}").startswith("socket:") for fd in open_files())

    def open_files() -> list[str]:
        return [fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("what is open is told by /proc only")
    opened: AbstractContextManager[int] = raw(says(HEAD + b"Content-Length: 99\r\n\r\nhalf"))
    with opened as port:
        before = sockets()
        for _ in range(5):
            error(f"http://127.0.0.1:{port}/", 0.1)
        time.sleep(0.1)
        assert sockets() <= before
