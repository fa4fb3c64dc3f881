"""Who sends a request: ID tokens that are verified here, or that the platform has verified before us."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from google.auth import jwt
from google.auth.exceptions import GoogleAuthError

from drift_gate.dashboard.confirmations import foreign
from drift_gate.errors import SourceError
from drift_gate.presentation import render
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.http.client import Http
from predictions.coordinator import variables
from predictions.coordinator.exceptions import ForbiddenError, IdentityUnavailableError, UnauthenticatedError
from predictions.coordinator.http import access
from predictions.coordinator.http.access import Access, Caller

log = logging.getLogger("prediction_coordinator")

ISSUERS = frozenset({"accounts.google.com", "https://accounts.google.com"})
#: Cloud Run puts this in the place of the signature once it has verified a token, so that nobody
#: can use the token again: https://cloud.google.com/run/docs/troubleshooting#signature-removed
SIGNATURE_REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"
#: Seconds by which the caller's clock and ours may differ.
CLOCK_SKEW_S = 30
#: Seconds that fetching the certificates may take; the caller is waiting.
FETCH_S = 5.0
#: Seconds after a fetch before an unknown key, or a failure, is a reason for another: a made-up token
#: must not become a request to Google each.
PAUSE_S = 10.0
#: Seconds that certificates are kept: what the answer says, within these bounds.
SHORTEST_S, LONGEST_S = 60.0, 86_400.0
#: Seconds past their time for which they still serve while no new ones come: Google rotates its keys
#: every few days and publishes a new one before it signs with it.
STALE_S = 6 * 3600.0
#: The largest answer that is read; Google's is below 5 kB.
_LARGEST_CERTS = 256 * 1024
#: The longest token that is looked at; Google's are about 1 kB.
_LONGEST_TOKEN = 8 * 1024
_MAX_AGE = re.compile(r"max-age\s*=\s*(\d{1,9})", re.IGNORECASE)
_BEARER = re.compile(r"bearer +([\w.~+/=-]+) *", re.IGNORECASE | re.ASCII)


#: What google-auth raises for a text that is no token; JSON within JSON, 1,000 deep, is none either.
_UNREADABLE = (GoogleAuthError, ValueError, TypeError, RecursionError)


class Presented(NamedTuple):
    """What a request says about its sender, by header; None where it is absent.

    ``origin`` and ``fetch_site`` are a browser's word on the page that sends it, ``changes`` is whether the
    request is one that changes something.
    """

    authorization: str | None = None
    serverless_authorization: str | None = None
    bypass_authorization: str | None = None
    api_key: str | None = None
    host: str | None = None
    origin: str | None = None
    fetch_site: str | None = None
    changes: bool = True


class Certs(NamedTuple):
    """Certificates by key id, and the monotonic second until which they are fresh."""

    by_key_id: Mapping[str, str]
    fresh_until: float


#: Gets the certificates at an address: their text by key id, and for how many seconds they hold.
Fetch = Callable[[str], tuple[Mapping[str, str], float]]


def fetch(url: str) -> tuple[Mapping[str, str], float]:
    """The table at ``url``, within ``FETCH_S``. Raises ``SourceError``, ``ValueError`` for nonsense."""
    with Http(Deadline(FETCH_S)) as http:
        answer = http.get(url, "Google's certificates", limit=_LARGEST_CERTS, redirects=False)
    certs = answer.json()
    if not isinstance(certs, dict) or not all(isinstance(text, str) for text in certs.values()) or not certs:
        raise ValueError("the answer is no table of certificates")
    held = _MAX_AGE.search(answer.headers.get("cache-control", ""))
    return certs, min(LONGEST_S, max(SHORTEST_S, float(held[1]) if held else SHORTEST_S))


class CertStore:
    """The certificates of one address, kept for as long as they hold; safe to use from many threads."""

    def __init__(self, url: str, get: Fetch = fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._get = get
        self._clock = clock
        self._lock = threading.Lock()
        self._certs: Certs | None = None
        self._asked_at: float | None = None

    def certs(self, key_id: object) -> Mapping[str, str]:
        """The certificates, fetched anew where they are old or lack ``key_id``, and not too often.

        Ends within ``FETCH_S`` seconds and a fraction. Raises ``IdentityUnavailableError`` where there are
        none, or only such as are ``STALE_S`` seconds past their time.
        """
        if self._due(key_id) and self._lock.acquire(timeout=FETCH_S):
            try:
                if self._due(key_id):  # whoever waited for the lock looks again
                    self._refresh()
            finally:
                self._lock.release()
        known = self._certs
        if known is None or self._clock() > known.fresh_until + STALE_S:
            raise IdentityUnavailableError("the certificates for ID tokens could not be fetched: see the log")
        return known.by_key_id

    def _due(self, key_id: object) -> bool:
        if self._asked_at is not None and self._clock() < self._asked_at + PAUSE_S:
            return False
        known = self._certs
        return known is None or self._clock() > known.fresh_until or key_id not in known.by_key_id

    def _refresh(self) -> None:
        self._asked_at = self._clock()
        try:
            certs, seconds = self._get(self._url)
        except (SourceError, ValueError) as error:
            log.error("Google's certificates could not be fetched: %s", render.plain(str(error)))
            return
        self._certs = Certs(certs, self._clock() + seconds)


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """Tells who sends a request, by the settings in ``access``; ``store`` verifies tokens, if any are."""

    access: Access
    store: CertStore

    def admit(self, presented: Presented) -> Caller:
        """The caller, with what they may.

        Raises ``UnauthenticatedError``, ``IdentityUnavailableError``, and ``ForbiddenError`` for a request
        to an open server under a foreign name or from a page of another origin, as a web page in somebody's
        browser could send it.
        """
        match self.access.mode:
            case "open":
                if not access.is_loopback(_name(presented.host)):
                    raise ForbiddenError("this coordinator is open to this machine alone, by its own name")
                _require_no_other_page(presented)
                return access.unnamed(self.access)
            case "platform":
                return self._let_through(presented)
            case "api-key" if presented.api_key is not None:
                return access.by_key(self.access, presented.api_key)
            case _:
                token = _bearer(presented.authorization)
                if token is None or not self.access.verifies_tokens:
                    return access.unnamed(self.access)
                return access.by_email(self.access, self._verified(token))

    def _let_through(self, presented: Presented) -> Caller:
        """The caller whom the platform has checked; a bypass may take a token that we check ourselves."""
        email = _platform_email(presented)
        caller = access.by_email(self.access, email) if email else access.unnamed(self.access)
        if not self.access.bypass_by_token:
            return caller
        second = _bearer(presented.bypass_authorization)
        return access.proven(self.access, caller, self._verified(second) if second else None)

    def _verified(self, token: str) -> str:
        """The e-mail address in the token, once the token is proven; else ``UnauthenticatedError``."""
        if len(token) > _LONGEST_TOKEN:
            raise UnauthenticatedError("the ID token is too long")
        if token.endswith(f".{SIGNATURE_REMOVED}"):
            raise UnauthenticatedError(
                f"the platform has removed the signature of the ID token: set {variables.MODE}=platform, "
                "or let the platform take requests without a check of its own"
            )
        try:
            header = jwt.decode_header(token)  # type: ignore[no-untyped-call] # google-auth has no types
            key_id = header.get("kid")
            certs = self.store.certs(key_id if isinstance(key_id, str) else None)
            claims = jwt.decode(  # type: ignore[no-untyped-call] # google-auth has no types
                token,
                certs=certs,
                audience=list(self.access.audiences),
                clock_skew_in_seconds=CLOCK_SKEW_S,
            )
        except _UNREADABLE as error:
            log.warning("an ID token was refused: %s", _no_token(error))
            raise UnauthenticatedError("the ID token does not hold: see the coordinator's log") from error
        if claims.get("iss") not in ISSUERS:
            raise UnauthenticatedError("the ID token is not issued by Google")
        email = _email(claims)
        if email is None:
            raise UnauthenticatedError("the ID token names no verified e-mail address; ask for one with it")
        return email


def _platform_email(presented: Presented) -> str | None:
    """The e-mail address in the token that the platform has verified; None: it passed none on.

    Of two headers, Cloud Run checks ``X-Serverless-Authorization`` alone and passes the other one on as
    it came: only one that stands alone leaves no doubt. A token that still has its signature was not checked
    by anybody.
    """
    sent = [
        each for each in (presented.serverless_authorization, presented.authorization) if each is not None
    ]
    token = _bearer(sent[0]) if len(sent) == 1 else None
    if token is None or len(token) > _LONGEST_TOKEN or not token.endswith(f".{SIGNATURE_REMOVED}"):
        return None
    try:
        claims = jwt.decode(token, verify=False)  # type: ignore[no-untyped-call] # google-auth has no types
    except _UNREADABLE:
        return None
    return _email(claims)


def _require_no_other_page(presented: Presented) -> None:
    """Raise ``ForbiddenError`` for a change that a page of another origin asks for."""
    if presented.changes and foreign(presented.host, presented.fetch_site, presented.origin):
        raise ForbiddenError("this coordinator takes no request that a web page of another origin sends")


def _email(claims: Mapping[str, Any]) -> str | None:
    email = claims.get("email")
    return email if isinstance(email, str) and email and claims.get("email_verified") is True else None


def _bearer(header: str | None) -> str | None:
    found = _BEARER.fullmatch(header) if header else None
    return found[1] if found else None


def _name(host: str | None) -> str:
    """The name in a ``Host`` header, without its port."""
    if host is None:
        return ""
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


def _no_token(error: Exception) -> str:
    """What is wrong, without a word of the token: some of google-auth's messages quote it."""
    text = str(error)
    for known in ("Token expired", "Token used too early", "wrong audience", "not found", "signature"):
        if known in text:
            return known
    return type(error).__name__
