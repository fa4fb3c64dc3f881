"""How the gate asks over HTTP: inside one deadline, bounded, and without giving a secret to a stranger.

Only https, and plain http to this machine or to the one host that the caller names. Nothing is taken from
the environment: no proxy, no ``.netrc``. No cookie is kept.
"""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import httpcore
import httpx

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline, retrying
from drift_gate.sources.http.errors import FOREIGN, refusal, translate
from drift_gate.sources.http.network import NAMES, Backend, Names, is_loopback
from drift_gate.sources.one_line import one_line

#: Bytes of a body that are read unless the caller says otherwise, and of one that only explains a refusal.
BODY_LIMIT, REFUSAL_LIMIT = 1_000_000, 10_000
MOST_REDIRECTS = 3
USER_AGENT = "prediction-drift-gate"

_REDIRECTS = (301, 302, 303, 307, 308)
_DEFAULT_PORTS = {"https": 443, "http": 80}
#: A shorter word of a credential (its scheme, say) is no secret.
_SECRET_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the headers by lower-case name, the body, and the address that gave it."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    url: str

    def json(self) -> Any:
        """The body as JSON. Raises ``ValueError``, for nesting without end as well."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


class Http:
    """The way out for one check: nothing that is asked through it outlasts ``deadline``.

    ``ca_file`` holds the certificates to trust instead of the usual ones (those of the system and of
    Mozilla). ``proxy`` is the ``http://`` address of a proxy for everything but this machine; None: none.
    ``plain_to`` (a host, perhaps with a port) is asked over plain http; None: only this machine is.
    ``names`` is for tests. To be closed, or used as a context manager; threads may share it.
    """

    def __init__(
        self,
        deadline: Deadline,
        *,
        ca_file: Path | None = None,
        proxy: str | None = None,
        plain_to: str | None = None,
        names: Names = NAMES,
    ) -> None:
        self._deadline = deadline
        self._plain_to = plain_to
        self._transport = Transport(deadline, ca_file=ca_file, proxy=proxy, names=names)

    def __enter__(self) -> Http:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connections back. A thread that still waits on one learns of it at its deadline."""
        self._transport.close()

    def get(
        self,
        url: str,
        what: str,
        *,
        headers: Mapping[str, str] | None = None,
        credentials: Mapping[str, str] | None = None,
        limit: int = BODY_LIMIT,
        also: Collection[int] = (),
        redirects: bool = True,
        attempts: int | None = None,
    ) -> Answer:
        """What ``url`` answers, asked again while that may heal and the deadline leaves room.

        ``what`` names the thing for an error. ``credentials`` are headers that only the scheme, host and
        port of ``url`` ever see; a redirect takes ``headers`` along. ``limit`` is the most bytes that the
        body may have. A status other than 2xx is an error unless it is one of ``also``; so is a redirect
        where ``redirects`` are not to be followed. ``attempts``: how often it is asked at most;
        None: as often as there is time.

        Raises ``SourceError``; its cause follows the status, and a body over ``limit``, a redirect to
        where nothing may be asked, and one too many, are ``invalid-response``.
        """
        asked = _Asked(url, what, headers or {}, credentials or {}, limit, also, redirects)
        return retrying(lambda: self._follow(asked), self._deadline, attempts=attempts)

    def post(
        self,
        url: str,
        what: str,
        *,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        credentials: Mapping[str, str] | None = None,
        limit: int = BODY_LIMIT,
        also: Collection[int] = (),
    ) -> Answer:
        """What ``url`` answers to ``body``; the rest as for ``get``.

        Sent again only where the other side says that it came too often and was not taken; of any other
        failure nobody knows whether it arrived. A redirect is not followed, and is an error.
        """
        asked = _Asked(url, what, headers or {}, credentials or {}, limit, also, False, body)

        def once() -> Answer | SourceError:
            try:
                return self._follow(asked)
            except SourceError as error:
                if error.cause == "rate-limited":
                    raise
                return error

        answer = retrying(once, self._deadline)
        if isinstance(answer, SourceError):
            raise answer
        return answer

    def _follow(self, asked: _Asked) -> Answer:
        url = _address(asked.url, asked.what, self._plain_to)
        credentials = asked.credentials
        for _ in range(1 + MOST_REDIRECTS):
            answer = self._once(url, asked, credentials)
            to = answer.headers.get("location")
            if answer.status not in _REDIRECTS or to is None or not asked.redirects:
                return _judged(answer, url.host, asked)
            following = _redirected(url, to, asked.what)
            credentials = credentials if _origin(following) == _origin(url) else {}
            url = following
        sentence = f"{url.host} redirected more than {MOST_REDIRECTS} times when asked about {asked.what}"
        raise SourceError(sentence, "invalid-response", False)

    def _once(self, url: httpx.URL, asked: _Asked, credentials: Mapping[str, str]) -> Answer:
        self._deadline.require(asked.what)
        # Not through httpx.Client: that would keep cookies, and log each address with what is signed in it.
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **asked.headers, **credentials}
        method = "GET" if asked.body is None else "POST"
        request = httpx.Request(method, url, headers=headers, content=asked.body)
        try:
            response = self._transport.handle_request(request)
            try:
                return self._read(response, url, asked)
            finally:
                response.close()
        except FOREIGN as error:
            raise translate(error, url.host, asked.what) from error

    def _read(self, response: httpx.Response, url: httpx.URL, asked: _Asked) -> Answer:
        status = response.status_code
        if not (response.is_success or status in asked.also):
            return Answer(status, {**response.headers}, _explanation(response), str(url))
        body = b"".join(bounded(response, asked.limit))
        if len(body) > asked.limit:
            sentence = f"{url.host} answered more than {asked.limit:,} bytes about {asked.what}"
            raise SourceError(sentence, "invalid-response", False)
        return Answer(status, {**response.headers}, body, str(url))


class Transport(httpx.BaseTransport):
    """Connections of one check, straight to this machine, else through ``proxy`` where there is one."""

    def __init__(self, deadline: Deadline, *, ca_file: Path | None, proxy: str | None, names: Names) -> None:
        backend = Backend(deadline, names)
        self._deadline = deadline
        self._direct = httpcore.ConnectionPool(_trust(ca_file), network_backend=backend)
        self._outward = self._direct
        if proxy is not None:
            self._outward = httpcore.HTTPProxy(proxy, ssl_context=_trust(ca_file), network_backend=backend)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The head of the answer; the body is read from its stream. Raises one of ``FOREIGN``."""
        url = request.url
        pool = self._direct if is_loopback(url.host) else self._outward
        response = pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions={"timeout": {"pool": self._deadline.remaining()}},
            )
        )
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    def close(self) -> None:
        for pool in {self._direct, self._outward}:
            pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._response.iter_stream())

    def close(self) -> None:
        self._response.close()


@dataclass(frozen=True, slots=True)
class _Asked:
    url: str
    what: str
    headers: Mapping[str, str]
    credentials: Mapping[str, str] = field(repr=False)
    limit: int
    also: Collection[int]
    redirects: bool
    #: What is posted; None: nothing is, it is a GET.
    body: bytes | None = None


@cache
def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """Who may vouch for a server. Reading them takes longer than a whole answer, so once per process."""
    if ca_file is not None:
        return ssl.create_default_context(cafile=ca_file)
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def _address(url: str, what: str, plain_to: str | None = None) -> httpx.URL:
    """``url``, if it may be asked, over plain http at ``plain_to`` too. Raises ``SourceError``."""
    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise _unfit(f"{one_line(url)} is no address", what) from error
    place = f"{address.scheme}://{one_line(address.host)}"
    if not address.host or address.scheme not in _DEFAULT_PORTS:
        raise _unfit(f"{place} is no address to ask over https", what)
    if address.userinfo:
        raise _unfit(f"{place} comes with a password in the address", what)
    if address.scheme == "http" and not (is_loopback(address.host) or address.netloc.decode() == plain_to):
        raise _unfit(f"{place} is not https", what)
    return address


def _redirected(url: httpx.URL, to: str, what: str) -> httpx.URL:
    """Where ``url`` sends the question. Raises ``SourceError`` where it must not go."""
    try:
        following = _address(str(url.join(to)), what)
    except (httpx.InvalidURL, ValueError) as error:
        raise _unfit(f"{url.host} redirects to what is no address", what) from error
    if url.scheme == "https" and following.scheme != "https":
        raise _unfit(f"{url.host} redirects from https to http", what)
    return following


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or _DEFAULT_PORTS[url.scheme]


def _unfit(problem: str, what: str) -> SourceError:
    return SourceError(f"{problem}, so nobody is asked about {what}", "invalid-response", False)


def bounded(response: httpx.Response, limit: int) -> Iterator[bytes]:
    """The body as it was sent, not unpacked, up to the first piece that goes over ``limit`` bytes."""
    size = 0
    for piece in response.stream:  # type: ignore[union-attr] # our transport is the synchronous one
        yield piece
        size += len(piece)
        if size > limit:
            return


def _explanation(response: httpx.Response) -> bytes:
    """The body of a refusal, or its beginning: one that breaks off changes nothing about the refusal."""
    pieces: list[bytes] = []
    with contextlib.suppress(*FOREIGN):
        pieces.extend(bounded(response, REFUSAL_LIMIT))
    return b"".join(pieces)


def _judged(answer: Answer, host: str, asked: _Asked) -> Answer:
    if 200 <= answer.status < 300 or answer.status in asked.also:
        return answer
    words = _words(answer)
    for secret in {word for value in asked.credentials.values() for word in value.split()}:
        words = words.replace(secret, "…") if len(secret) >= _SECRET_LENGTH else words
    raise refusal(
        answer.status, answer.headers, host=host, what=asked.what, words=words, now=datetime.now(UTC)
    )


def _words(answer: Answer) -> str:
    """The other side's own reason, in the forms of OCI registries, of Google and of token servers."""
    try:
        said = answer.json()
    except ValueError:
        return ""
    said = said if isinstance(said, dict) else {}
    errors = said.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else said.get("error", said)
    words = first.get("message") if isinstance(first, dict) else first
    words = words or said.get("details")
    return words if isinstance(words, str) else ""
