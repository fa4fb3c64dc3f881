"""Deploys and their locks in the journal's SQLite file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from drift_gate.journal.columns import text
from drift_gate.journal.deploys import Deploy, Lock
from drift_gate.journal.sqlite_schema import opened
from drift_gate.runtime.sqlite_file import transaction

_KEEP = """
INSERT INTO deploys (id, service, asked_at, ended_at, state, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, state = excluded.state, body = excluded.body
"""


class SqliteDeploys:
    """``Deploys`` in the file at ``path``, which is made where there is none.

    ``busy_s``: seconds that a call waits for another writer.
    """

    def __init__(self, path: Path, *, busy_s: float) -> None:
        self._path = path
        self._busy_s = busy_s

    def lock(self, service: str) -> Lock:
        """As ``Deploys.lock``."""
        with opened(self._path, self._busy_s) as connection:
            row = connection.execute("SELECT body FROM locks WHERE service = ?", (service,)).fetchone()
        return Lock.model_validate_json(row["body"]) if row else Lock(service=service)

    def swap(self, was: Lock, now: Lock, deploys: Sequence[Deploy] = ()) -> bool:
        """As ``Deploys.swap``."""
        with opened(self._path, self._busy_s) as connection, transaction(connection):
            row = connection.execute("SELECT mark FROM locks WHERE service = ?", (was.service,)).fetchone()
            if (row["mark"] if row else "") != was.mark:
                return False
            connection.execute(
                "INSERT OR REPLACE INTO locks (service, mark, body) VALUES (?, ?, ?)",
                (now.service, now.mark, now.model_dump_json()),
            )
            for each in deploys:
                at = text(each.asked_at), each.ended_at and text(each.ended_at)
                connection.execute(_KEEP, (each.id, each.service, *at, each.state, each.model_dump_json()))
        return True

    def deploys(
        self, service: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> list[Deploy]:
        """As ``Deploys.deploys``."""
        with opened(self._path, self._busy_s) as connection:
            rows = connection.execute(
                "SELECT body FROM deploys WHERE (:service IS NULL OR service = :service)"
                " AND (:since IS NULL OR asked_at >= :since) ORDER BY asked_at DESC, id DESC LIMIT :limit",
                {
                    "service": service,
                    "since": since and text(since),
                    "limit": -1 if limit is None else limit,
                },
            ).fetchall()
        return [Deploy.model_validate_json(row["body"]) for row in rows]
