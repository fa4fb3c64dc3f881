"""Calls of Firestore that end: Google's deadlines are 60 and 300 seconds, and its retries begin them anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from google.api_core import exceptions as google
from google.api_core import retry as retries
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

#: Seconds in which a call is answered, its retries included. A request makes several, and is to be answered
#: within five: after one that had no answer each has ``SHORT_S``, until one has an answer again.
LONG_S, SHORT_S = 4.0, 0.25


def connected(project: str, database: str, emulator: str | None) -> Any:
    """Google's client, whose calls end; ``emulator``: ``host:port`` in clear text, None: Google itself.

    Raises Google's ``DefaultCredentialsError`` where there are no credentials.
    """
    credentials = AnonymousCredentials() if emulator else None  # type: ignore[no-untyped-call]  # Google's
    client: Any = firestore.Client(project=project, database=database, credentials=credentials)
    if emulator:
        # The library takes an emulator from the environment alone, where it would be everybody's.
        client._emulator_host = emulator
    # Where the library takes its calls from; it has no other place for a deadline of all of them.
    client._firestore_api_internal = Bounded(client._firestore_api)
    return client


class Bounded:
    """Google's client ``api`` of Firestore, each of whose calls ends in time; for all threads.

    Stands in its place for Google's library, which reaches into it where a query broke off.
    """

    def __init__(self, api: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self.api = api
        self.clock = clock
        self.answers = True

    @property
    def _transport(self) -> Bounded:
        return self

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.api, name)
        return Call(self, found) if callable(found) else found


class Call:
    """One call of the client; ``_retry`` is what a query asks that broke off in the middle: it ends there."""

    _retry = retries.Retry(predicate=lambda _: False)

    def __init__(self, client: Bounded, call: Callable[..., Any]) -> None:
        self._client = client
        self._call = call

    def __call__(self, *args: Any, **named: Any) -> Any:
        """The answer, or Google's error, in time. What is gone is asked again, what took its time is not."""
        client, seconds = self._client, LONG_S if self._client.answers else SHORT_S
        ends = client.clock() + seconds

        def once() -> Any:
            return self._call(*args, **named, retry=None, timeout=max(0.01, ends - client.clock()))

        again = retries.Retry(
            predicate=retries.if_exception_type(google.ServiceUnavailable, google.ResourceExhausted),
            initial=0.1,
            maximum=1.0,
            timeout=seconds,
        )
        try:
            answer = again(once)()
        except (google.DeadlineExceeded, google.RetryError, google.ServiceUnavailable):
            client.answers = False
            raise
        client.answers = True
        return answer
