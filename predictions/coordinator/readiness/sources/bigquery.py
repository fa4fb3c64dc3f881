"""BigQuery as a ``Source``: parametrised queries that read at most so many bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import date

import requests
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from drift_gate.errors import Cause, SourceError
from drift_gate.runtime.deadline import Deadline, retrying
from predictions.coordinator.readiness.facts import MOST_ROWS
from predictions.coordinator.readiness.parameters import used

#: The most specific class counts.
_CAUSES: Mapping[type[Exception], Cause] = {
    auth_errors.TransportError: "unavailable",
    auth_errors.GoogleAuthError: "credentials",
    google_errors.Unauthorized: "credentials",
    google_errors.Forbidden: "permission-denied",
    google_errors.NotFound: "not-found",
    google_errors.TooManyRequests: "rate-limited",
    google_errors.ServerError: "unavailable",
    google_errors.RetryError: "unavailable",
    google_errors.GoogleAPICallError: "invalid-response",
    FutureTimeoutError: "timeout",
    requests.Timeout: "timeout",
    requests.RequestException: "unavailable",
    ValueError: "invalid-response",
}
_RETRYABLE: frozenset[Cause] = frozenset({"timeout", "unavailable", "rate-limited"})
#: BigQuery says 403 for a quota as well as for a missing permission; the reason tells which.
_RATE_REASONS = frozenset({"rateLimitExceeded", "quotaExceeded", "jobRateLimitExceeded"})


class BigQuery:
    """Queries of one project, billed to it; they name days as ``@day`` and get them as DATE.

    ``location`` None: where the tables are, as BigQuery finds out. A query that would read more than
    ``maximum_bytes_billed`` is refused before it costs anything. ``connect`` makes the client when the
    first query comes, which loads and looks for credentials.
    """

    def __init__(
        self, *, location: str | None, maximum_bytes_billed: int, connect: Callable[[], bigquery.Client]
    ) -> None:
        self._location = location
        self._most_bytes = maximum_bytes_billed
        self._connect = connect
        self._lock = threading.Lock()
        self._client: bigquery.Client | None = None

    def rows(self, query: str, days: Mapping[str, date], deadline: Deadline) -> Sequence[Sequence[object]]:
        """As ``Source.rows``."""
        return retrying(lambda: self._attempt(query, days, deadline), deadline)

    def _attempt(
        self, query: str, days: Mapping[str, date], deadline: Deadline
    ) -> Sequence[Sequence[object]]:
        left = deadline.require("BigQuery")
        try:
            # Its own retries are off: they know nothing of our deadline.
            answer = self._connected().query_and_wait(
                query,
                job_config=self._config(query, days, left),
                location=self._location,
                api_timeout=left,
                wait_timeout=left,
                retry=None,  # type: ignore[arg-type]  # None is documented and means: no retry
                job_retry=None,  # type: ignore[arg-type]  # the same
                max_results=MOST_ROWS + 1,
            )
            found = [row.values() for row in answer]
        except tuple(_CAUSES) as error:
            raise _failed(error) from error
        if len(found) > MOST_ROWS:
            raise SourceError(f"BigQuery: the query gave more than {MOST_ROWS} rows", "invalid-response")
        return found

    def _connected(self) -> bigquery.Client:
        """One client for all checks of this source: a token and a connection serve every query."""
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _config(self, query: str, days: Mapping[str, date], left: float) -> bigquery.QueryJobConfig:
        return bigquery.QueryJobConfig(
            query_parameters=[
                bigquery.ScalarQueryParameter(name, "DATE", days[name]) for name in sorted(used(query))
            ],
            maximum_bytes_billed=self._most_bytes,
            job_timeout_ms=int(left * 1000) + 1,
            use_legacy_sql=False,
        )


def client(project: str, emulator: str | None) -> bigquery.Client:
    """Google's client for ``project``; ``emulator`` (a URL): one that needs no credentials.

    Raises what Google's libraries raise where there are no credentials.
    """
    if emulator is None:
        return bigquery.Client(project=project)
    return bigquery.Client(
        project=project,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]  # google-auth types it not
        client_options={"api_endpoint": emulator},
    )


def _failed(error: Exception) -> SourceError:
    cause = next(_CAUSES[kind] for kind in type(error).__mro__ if kind in _CAUSES)
    if isinstance(error, google_errors.GoogleAPICallError) and _reasons(error) & _RATE_REASONS:
        cause = "rate-limited"
    said = error.message if isinstance(error, google_errors.GoogleAPICallError) else str(error)
    return SourceError(f"BigQuery: {said or type(error).__name__}", cause, cause in _RETRYABLE)


def _reasons(error: google_errors.GoogleAPICallError) -> set[str]:
    return {str(each.get("reason")) for each in error.errors if isinstance(each, Mapping)}
