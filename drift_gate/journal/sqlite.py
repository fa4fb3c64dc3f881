"""The journal in a SQLite file: each call opens it, and waits for another writer only for a moment."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from drift_gate.errors import JournalError
from drift_gate.journal import sqlite_outbox
from drift_gate.journal import sqlite_schema as schema
from drift_gate.journal.columns import text
from drift_gate.journal.incidents import HOLD, incidents
from drift_gate.journal.records import Change, Door, Entry, Incident, Look, Notification, Sighting, Uncopied
from drift_gate.runtime.sqlite_file import transaction

log = logging.getLogger("drift_gate")

#: Seconds that a verdict may wait for the journal, and that a person who asks it may.
WRITE_S, READ_S = 0.15, 5.0
_CLAIM = """
INSERT INTO notifications (subject, key, channel, at, by, state, attempts)
VALUES (:subject, :key, :channel, :at, :by, 'claimed', 1)
ON CONFLICT (subject, key, channel) DO UPDATE
    SET at = excluded.at, by = excluded.by, state = 'claimed', attempts = attempts + 1
    WHERE state = 'failed' OR (state = 'claimed' AND at < :again_before)
"""
#: Hops from one service to the next in the index: a year of a large fleet has a million rows.
_LATEST = """
WITH RECURSIVE services (name) AS (
    SELECT min(service) FROM decisions
    UNION ALL
    SELECT (SELECT min(service) FROM decisions WHERE service > name) FROM services WHERE name IS NOT NULL
)
SELECT decisions.* FROM services JOIN decisions ON decisions.id = (
    SELECT id FROM decisions WHERE service = name AND sighted = 1 ORDER BY decided_at DESC, id DESC LIMIT 1
)
ORDER BY service
"""


class SqliteJournal:
    """A ``Journal`` in the file at ``path``, which is made where there is none.

    ``hold``: how long after landing a drift opens. ``old``: a decisions file of an earlier version, whose
    rows are taken over each time that it has new ones; None: there is none. ``busy_s``: seconds that a call
    waits for another writer. ``copied``: what is kept from now on waits for being copied.
    """

    def __init__(
        self,
        path: Path,
        *,
        hold: timedelta = HOLD,
        old: Path | None = None,
        busy_s: float = READ_S,
        copied: bool = False,
    ) -> None:
        self._path = path
        self._hold = hold
        self._old = old
        self._busy_s = busy_s
        self._copied = copied

    def record(self, entries: Sequence[Entry], look: Look | None = None) -> list[Change]:
        """As ``Journal.record``."""
        with self._writing() as connection:
            if look:
                schema.insert_look(connection, look, copied=self._copied)
            for entry in entries:
                schema.insert(connection, entry, copied=self._copied)
            since = _concerned(connection, look) if look else {}
            for entry in entries:
                service = entry.verdict.service
                since[service] = min(entry.at, since.get(service, entry.at))
            return [
                change for service, at in since.items() for change in self._again(connection, service, at)
            ]

    def entries(
        self,
        service: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        without: Collection[Door] = (),
    ) -> list[Entry]:
        """As ``Journal.entries``."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT * FROM decisions WHERE (:service IS NULL OR service = :service)"
                " AND (:since IS NULL OR decided_at >= :since) AND (:until IS NULL OR decided_at < :until)"
                " AND coalesce(door, '') NOT IN (SELECT value FROM json_each(:without))"
                " ORDER BY decided_at DESC, id DESC LIMIT :limit",
                {
                    "service": service,
                    "since": since and text(since),
                    "until": until and text(until),
                    "limit": -1 if limit is None else limit,
                    "without": json.dumps([*without]),
                },
            ).fetchall()
        return [schema.entry_of(row) for row in rows]

    def latest(self) -> list[Entry]:
        """As ``Journal.latest``."""
        with self._reading() as connection:
            return [schema.entry_of(row) for row in connection.execute(_LATEST)]

    def looks(self, since: datetime | None = None, until: datetime | None = None) -> list[Look]:
        """As ``Journal.looks``."""
        with self._reading() as connection:
            return _looks(
                connection.execute(
                    "SELECT body FROM looks WHERE (:since IS NULL OR at >= :since)"
                    " AND (:until IS NULL OR at < :until) ORDER BY at DESC, id DESC",
                    {"since": since and text(since), "until": until and text(until)},
                )
            )

    def seen(self, since: datetime | None = None) -> dict[str, list[datetime]]:
        """As ``Journal.seen``."""
        found: dict[str, list[datetime]] = {}
        with self._reading() as connection:
            for service, at in connection.execute(
                "SELECT service, decided_at FROM decisions"
                " WHERE sighted = 1 AND (:since IS NULL OR decided_at >= :since) ORDER BY decided_at",
                {"since": since and text(since)},
            ):
                found.setdefault(service, []).append(datetime.fromisoformat(at))
        return found

    def incidents(
        self, service: str | None = None, since: datetime | None = None, unresolved: bool = False
    ) -> list[Incident]:
        """As ``Journal.incidents``."""
        with self._reading() as connection:
            return _incidents(
                connection.execute(
                    f"{_WITH_MARKS} WHERE (:service IS NULL OR service = :service)"
                    " AND (resolved_at IS NULL"
                    "      OR (NOT :unresolved AND (:since IS NULL OR resolved_at >= :since)))"
                    " ORDER BY detected_at DESC, first DESC",
                    {"service": service, "since": since and text(since), "unresolved": unresolved},
                )
            )

    def mark(self, incident: str, reason: str | None) -> Incident:
        """As ``Journal.mark``."""
        with self._writing() as connection:
            if not _incidents(connection.execute(f"{_WITH_MARKS} WHERE incidents.id = ?", (incident,))):
                raise JournalError(f"{self._path} holds no incident {incident!r}")
            connection.execute("DELETE FROM marks WHERE incident = ?", (incident,))
            if reason is not None:
                connection.execute("INSERT INTO marks (incident, reason) VALUES (?, ?)", (incident, reason))
            return _incidents(connection.execute(f"{_WITH_MARKS} WHERE incidents.id = ?", (incident,)))[0]

    def claim(self, notification: Notification, again_before: datetime) -> bool:
        """As ``Journal.claim``."""
        asked = notification.model_dump() | {
            "at": text(notification.at),
            "again_before": text(again_before),
        }
        with self._writing() as connection:
            return connection.execute(_CLAIM, asked).rowcount > 0

    def settle(self, notification: Notification) -> None:
        """As ``Journal.settle``."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE notifications SET state = :state, answer = :answer, place = :place"
                " WHERE subject = :subject AND key = :key AND channel = :channel",
                notification.model_dump(mode="json"),
            )

    def notifications(self, subject: str) -> list[Notification]:
        """As ``Journal.notifications``."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT * FROM notifications WHERE subject = ? ORDER BY at, key, channel", (subject,)
            ).fetchall()
        return [Notification.model_validate(dict(row)) for row in rows]

    def uncopied(self, after: str, limit: int) -> list[Uncopied]:
        """As ``Journal.uncopied``."""
        with self._reading() as connection:
            return sqlite_outbox.rows(connection, after, limit)

    def copied(self, keys: Sequence[str]) -> None:
        """As ``Journal.copied``."""
        with self._writing() as connection:
            sqlite_outbox.done(connection, keys)

    def rebuild(self) -> list[Incident]:
        """As ``Journal.rebuild``."""
        with self._writing() as connection:
            for (service,) in connection.execute("SELECT DISTINCT service FROM decisions").fetchall():
                self._again(connection, service, datetime.min.replace(tzinfo=UTC))
            return _incidents(connection.execute(f"{_WITH_MARKS} ORDER BY detected_at DESC, first DESC"))

    def prune(self, before: datetime) -> int:
        """As ``Journal.prune``."""
        with self._writing() as connection:
            forgotten = 0
            for (service,) in connection.execute("SELECT DISTINCT service FROM decisions").fetchall():
                forgotten += _prune(connection, service, text(before))
            connection.execute(
                "DELETE FROM looks WHERE at < ?"
                " AND at < (SELECT coalesce(min(decided_at), '9') FROM decisions)",
                (text(before),),
            )
            connection.execute("DELETE FROM notifications WHERE at < ?", (text(before),))
            sqlite_outbox.forget(connection)
            connection.execute("DELETE FROM deploys WHERE ended_at < ?", (text(before),))
            return forgotten

    def _again(self, connection: sqlite3.Connection, service: str, at: datetime) -> list[Change]:
        """Compute the incidents of ``service`` from the last fine look before ``at`` on; what is new."""
        calm, calm_id = _last_fine(connection, service, text(at))
        begun = _begun(connection, service, calm, calm_id)
        (numbered,) = connection.execute(
            "SELECT coalesce(max(last), 0) FROM numbered WHERE service = ?", (service,)
        ).fetchone()
        found = incidents(
            service,
            _sightings(connection, service, calm, calm_id),
            _looks_from(connection, calm),
            hold=self._hold,
            begun=begun,
            numbered=numbered,
        )
        known = {
            (each.id, transition.key)
            for each in _incidents(
                connection.execute(
                    f"{_WITH_MARKS} WHERE service = ? AND {_BEGAN} > (?, ?)", (service, calm, calm_id)
                )
            )
            for transition in each.transitions
        }
        connection.execute(
            f"DELETE FROM incidents WHERE service = ? AND {_BEGAN} > (?, ?)",  # noqa: S608 - our names
            (service, calm, calm_id),
        )
        for each in found:
            schema.insert_incident(connection, each)
        new = [each for each in found if each.id not in begun.values()]
        schema.number(connection, service, numbered, new)
        return [
            Change(incident=each, transition=transition)
            for each in found
            for transition in each.transitions
            if (each.id, transition.key) not in known
        ]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._open() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._open() as connection, transaction(connection):
            yield connection

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with schema.opened(self._path, self._busy_s) as connection:
            self._take_over(connection)
            yield connection

    def _take_over(self, connection: sqlite3.Connection) -> None:
        """The rows of the old decisions file; one that cannot be read keeps nobody from the new ones."""
        if self._old is None or not self._old.is_file():
            return
        try:
            with transaction(connection):
                for service, at in schema.take_over(connection, self._old, copied=self._copied).items():
                    self._again(connection, service, at)
        except (OSError, ValueError, sqlite3.Error) as error:
            log.warning("the decisions in %s are not taken over: %s", self._old, error)


#: Where an incident begins among the decisions of its service, which are sorted by time and id.
_BEGAN = "(incidents.detected_at, incidents.first)"
_WITH_MARKS = (
    "SELECT incidents.body AS body, marks.reason AS reason FROM incidents"
    " LEFT JOIN marks ON marks.incident = incidents.id"
)


def _concerned(connection: sqlite3.Connection, look: Look) -> dict[str, datetime]:
    """The services whose incidents ``look`` may change, which may come late, with its time."""
    rows = connection.execute(
        "SELECT DISTINCT service FROM incidents WHERE resolved_at IS NULL OR resolved_at >= ?",
        (text(look.at),),
    )
    return {service: look.at for (service,) in rows}


def _incidents(rows: Iterable[sqlite3.Row]) -> list[Incident]:
    found = [(Incident.model_validate_json(row["body"]), row["reason"]) for row in rows]
    return [each.model_copy(update={"false_alarm": reason}) for each, reason in found]


def _last_fine(connection: sqlite3.Connection, service: str, before: str) -> tuple[str, str]:
    """Time and id of the last fine look before then, which no incident reaches across; empty: none."""
    calm, calm_id = connection.execute(
        "SELECT decided_at, id FROM decisions"
        " WHERE service = ? AND decided_at < ? AND sighted = 1 AND drifted = 0"
        " UNION ALL SELECT '', '' ORDER BY 1 DESC, 2 DESC LIMIT 1",
        (service, before),
    ).fetchone()
    return calm, calm_id


def _sightings(connection: sqlite3.Connection, service: str, since: str, after: str) -> list[Sighting]:
    rows = connection.execute(
        "SELECT sighting FROM decisions WHERE service = ? AND (decided_at, id) > (?, ?) AND sighted = 1",
        (service, since, after),
    )
    return [Sighting.model_validate_json(row["sighting"]) for row in rows]


def _begun(connection: sqlite3.Connection, service: str, since: str, after: str) -> dict[str, str]:
    """The ids of the incidents that began there, by the sighting that each began with at first."""
    rows = connection.execute(
        "SELECT id, begins FROM decisions"
        " WHERE service = ? AND (decided_at, id) > (?, ?) AND begins IS NOT NULL",
        (service, since, after),
    )
    return dict(rows.fetchall())


def _looks(rows: Iterable[sqlite3.Row]) -> list[Look]:
    return [_look(row["body"]) for row in rows]


@lru_cache(maxsize=512)
def _look(body: str) -> Look:
    """Of one look at a fleet each service asks for the same ones."""
    return Look.model_validate_json(body)


def _looks_from(connection: sqlite3.Connection, since: str) -> list[Look]:
    """The looks from ``since`` on, and of each monitor the last before: what it declared until then."""
    return _looks(
        connection.execute(
            "SELECT body FROM looks WHERE at >= :since UNION ALL SELECT body FROM ("
            " SELECT body, max(at) FROM looks WHERE at < :since GROUP BY json_extract(body, '$.scope'))",
            {"since": since},
        )
    )


def _prune(connection: sqlite3.Connection, service: str, before: str) -> int:
    """Forget what ``service`` had before then, up to the last fine look: no incident is cut in two."""
    cut = _last_fine(connection, service, before)
    ended = f"FROM incidents WHERE service = ? AND {_BEGAN} < (?, ?)"
    connection.execute(f"DELETE FROM marks WHERE incident IN (SELECT id {ended})", (service, *cut))  # noqa: S608 - our names
    connection.execute(f"DELETE {ended}", (service, *cut))
    return connection.execute(
        "DELETE FROM decisions WHERE service = ? AND (decided_at, id) < (?, ?)", (service, *cut)
    ).rowcount
