"""A slate in a table or a view of BigQuery, asked for one date by a query with a parameter.

Three things bound the query: the partition of the date, the bytes that it may be billed for, and a
deadline that holds whatever the network does.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import TYPE_CHECKING

from drift_gate.runtime.deadline import Deadline
from predictions.coordinator.exceptions import MissingExtraError, SlateError
from predictions.coordinator.slate.rows import COLUMNS, Row, numbered

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

#: 1 GiB: a hundred times the least that a query is billed for (10 MB a table), and less than a cent.
#: One day of a partitioned table is far below it; a table that is scanned whole soon is not.
MAXIMUM_BYTES_BILLED = 1 << 30
#: Seconds for the whole reading. A query over one small partition takes one to five.
DEADLINE_S = 60.0
#: Rows of one answer, and so the most that are held at a time.
PAGE_SIZE = 1000


def _connected(project: str) -> Client:
    """A client with the credentials of the machine; its queries are jobs of ``project``."""
    from google.cloud.bigquery import Client

    return Client(project=project)


@dataclass(frozen=True, slots=True, kw_only=True)
class BigQueryTable:
    """A ``rows.Source``: the rows of one date in ``project.dataset.table``, read by a job of ``project``.

    The names have been checked to hold nothing that ends a quoted name. ``game_date`` must be a DATE;
    ``recent_points`` is an array of numbers, or numbers in a text. A query that would be billed for
    more than ``maximum_bytes_billed`` bytes fails and costs nothing. ``deadline_s`` bounds the reading,
    in seconds. ``connect`` makes the client for a project.
    """

    project: str
    dataset: str
    table: str
    maximum_bytes_billed: int = MAXIMUM_BYTES_BILLED
    deadline_s: float = DEADLINE_S
    connect: Callable[[str], Client] = _connected

    @property
    def name(self) -> str:
        """The table as people write it."""
        return f"BigQuery {self.project}.{self.dataset}.{self.table}"

    def rows(
        self, game_date: date, columns: Sequence[str] = COLUMNS, deadline: Deadline | None = None
    ) -> Iterator[Row]:
        """The rows of ``game_date`` and those without a date, by game and player, from row 1."""
        try:
            import google.cloud.bigquery  # noqa: F401 (loaded before the clock starts: about a second)
        except ImportError as error:
            raise MissingExtraError.of("a BigQuery slate", "bigquery") from error
        left = self.deadline_s if deadline is None else min(self.deadline_s, deadline.remaining())
        deadline = Deadline(left)
        pages = self._in_time(lambda: self._pages(self._query(columns), game_date, deadline), deadline)
        yield from numbered(chain.from_iterable(pages), columns)

    def _query(self, columns: Sequence[str]) -> str:
        """A row without a date may be one of any day; both conditions leave two partitions to read."""
        return (
            f"SELECT {', '.join(columns)} "  # noqa: S608 (checked names, in backticks)
            f"FROM `{self.project}`.`{self.dataset}`.`{self.table}` "
            "WHERE game_date = @game_date OR game_date IS NULL ORDER BY game_id, player_id"
        )

    def _pages(self, query: str, game_date: date, deadline: Deadline) -> Iterator[list[tuple[object, ...]]]:
        """The answer, a page at a time. Raises ``SlateError``."""
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.bigquery import DEFAULT_RETRY, QueryJobConfig, ScalarQueryParameter
        from requests.exceptions import RequestException

        left = deadline.remaining()
        config = QueryJobConfig(
            query_parameters=[ScalarQueryParameter("game_date", "DATE", game_date)],
            maximum_bytes_billed=self.maximum_bytes_billed,
            job_timeout_ms=max(1, int(left * 1000)),
        )
        try:
            with closing(self.connect(self.project)) as client:
                found = client.query_and_wait(
                    query,
                    job_config=config,
                    api_timeout=left,
                    wait_timeout=left,
                    retry=DEFAULT_RETRY.with_timeout(left),
                    # The default goes on for 40 minutes, in the thread that nobody waits for.
                    job_retry=None,  # type: ignore[arg-type]  # None is documented and means: no retry
                    page_size=PAGE_SIZE,
                )
                for page in found.pages:
                    yield [row.values() for row in page]
        except (GoogleAPIError, GoogleAuthError, RequestException) as error:
            raise self._failed(error) from error

    def _in_time(
        self, pages: Callable[[], Iterator[list[tuple[object, ...]]]], deadline: Deadline
    ) -> Iterator[list[tuple[object, ...]]]:
        """``pages()``, read by a thread that nobody waits for: some calls cannot be interrupted."""
        handed: queue.Queue[list[tuple[object, ...]] | Exception | None] = queue.Queue(maxsize=1)

        def read() -> None:
            last: Exception | None = None
            with suppress(queue.Full):  # nobody listens any more
                try:
                    for page in pages():
                        handed.put(page, timeout=deadline.remaining())
                except queue.Full:
                    raise
                except Exception as error:  # handed to the caller, who raises it
                    last = error
                handed.put(last, timeout=deadline.remaining())

        threading.Thread(target=read, name="slate from BigQuery", daemon=True).start()
        while True:
            try:
                page = handed.get(timeout=deadline.remaining())
            except queue.Empty:
                raise SlateError(f"{self.name} did not answer within {deadline.seconds:g} s") from None
            if page is None:
                return
            if isinstance(page, Exception):
                raise page
            yield page

    def _failed(self, error: Exception) -> SlateError:
        """The error in one sentence, with the next step where one is known."""
        message = getattr(error, "message", None) or str(error) or type(error).__name__
        code = getattr(error, "code", None)
        todo = {
            401: "; are there credentials? gcloud auth application-default login",
            403: f"; it takes roles/bigquery.jobUser on the project {self.project} and "
            "roles/bigquery.dataViewer on the table",
        }.get(code if isinstance(code, int) else 0, "")
        if "bytes billed" in message:
            todo = "; partition the table by game_date, or name a higher ?maximum_bytes_billed=…"
        return SlateError(f"{self.name} cannot be read: {message}{todo}")
