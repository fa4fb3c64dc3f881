"""The table ``deployment_drift_log`` of BigQuery, through Google's client. Imported late: it is slow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests
from google.api_core import exceptions as google
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery

from drift_gate.errors import SourceError
from drift_gate.journal.copying import Row
from drift_gate.runtime.deadline import Deadline

T = TypeVar("T")

TABLE = "deployment_drift_log"
#: The label of the table that says which columns it has; each later version has more.
LABEL, VERSION = "drift_gate_schema", 1
_REQUIRED = {"id": "STRING", "kind": "STRING", "happened_at": "TIMESTAMP"}
_MORE = {
    **dict.fromkeys(("service", "door", "asked_by", "batch", "version", "look", "decision"), "STRING"),
    **dict.fromkeys(("not_enforced_because", "severity", "status", "live_commit"), "STRING"),
    **dict.fromkeys(("target_commit", "reasons", "bypass_actor", "bypass_reason"), "STRING"),
    "policy": "STRING",
    "body": "STRING",
    "enforced": "BOOLEAN",
    "commits_behind": "INTEGER",
}
SCHEMA = [
    *(bigquery.SchemaField(name, kind, "REQUIRED") for name, kind in _REQUIRED.items()),
    *(bigquery.SchemaField(name, kind) for name, kind in _MORE.items()),
]


class BigQueryTable:
    """A ``copying.Table`` in ``dataset`` of ``project``, made where there is none; all ends by ``deadline``.

    ``emulator``: the URL of one that stands in for Google and asks for no credentials; None: Google itself.
    """

    def __init__(self, project: str, dataset: str, emulator: str | None, deadline: Deadline) -> None:
        self._project = project
        self._emulator = emulator
        self._name = f"{project}.{dataset}.{TABLE}"
        self._deadline = deadline
        self._client: bigquery.Client | None = None

    def insert(self, rows: Mapping[str, Row]) -> Mapping[str, str]:
        """As ``Table.insert``."""
        ids = list(rows)
        wrong = self._ask(
            lambda client: client.insert_rows_json(
                self._name, [*rows.values()], row_ids=ids, skip_invalid_rows=True, **self._bounds()
            )
        )
        return {ids[each["index"]]: _reason(each["errors"]) for each in wrong}

    def _ask(self, work: Callable[[bigquery.Client], T]) -> T:
        """What ``work`` returns, once the table is as it should be. Raises ``SourceError``."""
        try:
            if self._client is None:
                client = self._connected()
                self._make_ready(client)
                self._client = client
            return work(self._client)
        except google.NotFound as error:
            hint = "was the dataset made (bq mk)? A new table takes rows after a moment"
            raise SourceError(f"{self._name}: {error.message}; {hint}", "not-found", True) from error
        except google.Forbidden as error:
            hint = "it needs roles/bigquery.dataEditor there"
            raise SourceError(f"{self._name}: {error.message}; {hint}", "permission-denied") from error
        except GoogleAuthError as error:
            raise SourceError(f"{self._name}: {error}", "credentials") from error
        except (google.GoogleAPIError, requests.RequestException, KeyError, ValueError) as error:
            raise SourceError(f"{self._name}: {error}", "unavailable", True) from error

    def _connected(self) -> bigquery.Client:
        if self._emulator is None:
            return bigquery.Client(project=self._project)
        return bigquery.Client(
            project=self._project,
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]  # google-auth types it not
            client_options={"api_endpoint": self._emulator},
        )

    def _make_ready(self, client: bigquery.Client) -> None:
        """Make the table, or give an older one the columns that it lacks."""
        try:
            table = client.get_table(self._name, **self._bounds())
        except google.NotFound:
            table = bigquery.Table(self._name, schema=SCHEMA)
            table.time_partitioning = bigquery.TimePartitioning(field="happened_at")
            table.labels = {LABEL: str(VERSION)}
            table.description = "What the drift gate decided, and when it looked; count by kind and id."
            table = client.create_table(table, exists_ok=True, **self._bounds())
        version = table.labels.get(LABEL, "")
        if not version.isdecimal() or int(version) > VERSION:
            whose = f"a later version ({version})" if version else "somebody else"
            told = f"the label {LABEL} says that {whose} has made it; name another dataset"
            raise SourceError(f"{self._name}: {told}", "invalid-response")
        if int(version) < VERSION:
            known = {field.name for field in table.schema}
            table.schema = [*table.schema, *(field for field in SCHEMA if field.name not in known)]
            table.labels = {**table.labels, LABEL: str(VERSION)}
            client.update_table(table, ["schema", "labels"], **self._bounds())

    def _bounds(self) -> dict[str, Any]:
        # Its own retries know nothing of our deadline; what is not sent now is sent later.
        return {"retry": None, "timeout": max(0.01, self._deadline.remaining())}


def _reason(errors: list[dict[str, Any]]) -> str:
    found = (f"{each.get('reason')} {each.get('location') or ''}: {each.get('message')}" for each in errors)
    return "; ".join(found)
