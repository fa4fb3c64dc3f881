"""ID tokens of Google's, which a private service on Cloud Run asks of whoever calls it."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline, Lookup
from drift_gate.sources.one_line import one_line

#: The token for an audience, within a deadline. Raises ``SourceError`` (``credentials``).
Token = Callable[[str, Deadline], str]

#: Seconds before its end at which a token is fetched anew: a request must not outlive it. They last an hour.
EARLY_S = 300

#: One line of a header; a JSON web token is shorter than this.
_TOKEN = re.compile(r"[!-~]{1,8000}")
_HINT = (
    "an ID token needs a service account: the attached one, its key, or "
    "`gcloud auth application-default login --impersonate-service-account=ACCOUNT`"
)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A token, and when it ends (seconds since 1970)."""

    value: str = field(repr=False)
    ends: float


def fetch(audience: str) -> Fetched:
    """A new token for ``audience``, from whatever credentials the machine has.

    May hang: a metadata server that never answers holds it for many seconds. Raises what google-auth
    raises.
    """
    from google.auth.transport.requests import Request

    request = Request()
    credentials = _credentials(audience, request)
    credentials.refresh(request)
    ends = credentials.expiry.replace(tzinfo=UTC)  # google-auth's times are UTC and do not say so
    return Fetched(str(credentials.token), ends.timestamp())


def _credentials(audience: str, request: Any) -> Any:
    """Google's own search (a service account's key, the metadata server), then an account to act as."""
    from google.auth import default, impersonated_credentials
    from google.auth.exceptions import DefaultCredentialsError
    from google.oauth2.id_token import fetch_id_token_credentials

    try:
        return fetch_id_token_credentials(audience, request)  # type: ignore[no-untyped-call] # google-auth has no types
    except DefaultCredentialsError:
        # What it does not look at: the file of `gcloud auth application-default login`, and identities
        # that another provider vouches for.
        found, _ = default(scopes=("https://www.googleapis.com/auth/cloud-platform",))
        email = getattr(found, "service_account_email", None)
        if not email:
            raise
        if not isinstance(found, impersonated_credentials.Credentials):
            found = impersonated_credentials.Credentials(found, email, ())  # type: ignore[no-untyped-call] # as above
        return impersonated_credentials.IDTokenCredentials(found, audience, True)  # type: ignore[no-untyped-call] # as above


class IdTokens:
    """The tokens of this process, one for each audience, kept until shortly before they end.

    One thread at most fetches them, and nobody waits for it beyond a deadline. ``fetch`` and ``clock``
    (seconds since 1970) are for tests.
    """

    def __init__(
        self, fetch: Callable[[str], Fetched] = fetch, clock: Callable[[], float] = time.time
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Begins anew, as in the child of a fork: the thread stays with the parent."""
        self._lock = threading.Lock()
        self._kept: dict[str, Fetched] = {}
        self._wanted: set[str] = set()
        self._lookup = Lookup(self._fetch_wanted, "Google ID token", keep=False)

    def get(self, audience: str, deadline: Deadline) -> str:
        """The token for ``audience``. Raises ``SourceError`` (``credentials``) where none turns up."""
        while True:
            with self._lock:
                kept = self._kept.get(audience)
                if kept is not None and kept.ends - self._clock() > EARLY_S:
                    return kept.value
                self._wanted.add(audience)
            try:
                outcome = self._lookup.result(deadline).get(audience)
            except TimeoutError as error:
                sentence = f"no ID token for {one_line(audience)} turned up within {deadline.seconds:.3g} s"
                raise SourceError(sentence, "credentials", True) from error
            if isinstance(outcome, Exception):
                sentence = f"there is no ID token for {one_line(audience)}: {one_line(str(outcome))}; {_HINT}"
                raise SourceError(sentence, "credentials") from outcome
            if outcome is not None:
                return outcome.value

    def _fetch_wanted(self) -> dict[str, Fetched | Exception]:
        """All that is wanted when it begins; what is wanted later has to ask again."""
        with self._lock:
            wanted, self._wanted = self._wanted, set()
        outcomes = {audience: self._attempt(audience) for audience in wanted}
        with self._lock:
            self._kept |= {key: each for key, each in outcomes.items() if isinstance(each, Fetched)}
        return outcomes

    def _attempt(self, audience: str) -> Fetched | Exception:
        try:
            token = self._fetch(audience)
            return token if _TOKEN.fullmatch(token.value) else ValueError("what was fetched is no token")
        except Exception as error:  # google-auth lets those of its own libraries through
            return error


#: The ones of this process.
TOKENS = IdTokens()
os.register_at_fork(after_in_child=TOKENS.forget)
