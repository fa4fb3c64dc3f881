"""The tables of the journal's SQLite file, and how decisions of an earlier version come into them."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from drift_gate.errors import JournalError
from drift_gate.journal.columns import columns, text
from drift_gate.journal.kept_open import KEPT, Open
from drift_gate.journal.records import Entry, Incident, Look, Sighting, verdict_of
from drift_gate.runtime import sqlite_file
from drift_gate.runtime.forks import CALLS
from drift_gate.runtime.sqlite_file import transaction

log = logging.getLogger("drift_gate")

#: Written to ``user_version``; a file with a higher one was written by a later version of this module.
SCHEMA_VERSION = 4
_TABLES = (
    # What a person may ask by stands in columns; ``verdict`` keeps all of it as JSON. ``sighting`` is what
    # incidents are made of (``sighted`` 0: nothing), ``drifted`` whether it found drift.
    """
CREATE TABLE decisions (
    id TEXT PRIMARY KEY,
    decided_at TEXT NOT NULL,
    service TEXT NOT NULL,
    door TEXT,
    by TEXT,
    batch TEXT,
    version TEXT,
    look TEXT,
    decision TEXT NOT NULL,
    enforced INTEGER NOT NULL,
    not_enforced_because TEXT,
    severity TEXT,
    status TEXT NOT NULL,
    commits_behind INTEGER,
    live_commit TEXT,
    target_commit TEXT,
    reasons TEXT NOT NULL,
    bypass_actor TEXT,
    bypass_reason TEXT,
    policy TEXT,
    sighted INTEGER NOT NULL,
    drifted INTEGER NOT NULL,
    sighting TEXT,
    verdict TEXT NOT NULL
)""",
    "CREATE INDEX decisions_of_service ON decisions (service, decided_at)",
    "CREATE INDEX decisions_in_time ON decisions (decided_at)",
    "CREATE TABLE looks (id TEXT PRIMARY KEY, at TEXT NOT NULL, body TEXT NOT NULL)",
    "CREATE INDEX looks_in_time ON looks (at)",
    """
CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    service TEXT NOT NULL,
    number INTEGER NOT NULL,
    detected_at TEXT NOT NULL,
    resolved_at TEXT,
    body TEXT NOT NULL
)""",
    "CREATE INDEX incidents_of_service ON incidents (service, detected_at)",
    "CREATE TABLE marks (incident TEXT PRIMARY KEY, reason TEXT NOT NULL)",
    """
CREATE TABLE notifications (
    subject TEXT NOT NULL,
    key TEXT NOT NULL,
    channel TEXT NOT NULL,
    at TEXT NOT NULL,
    by TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('claimed', 'sent', 'failed')),
    attempts INTEGER NOT NULL,
    answer TEXT,
    place TEXT,
    PRIMARY KEY (subject, key, channel)
)""",
    # How many incidents of a service are kept no more: the numbers of the others go on from there.
    "CREATE TABLE pruned (service TEXT PRIMARY KEY, incidents INTEGER NOT NULL)",
    # How far a decisions file of an earlier version has been taken over.
    "CREATE TABLE taken_over (path TEXT PRIMARY KEY, last INTEGER NOT NULL)",
)
_IDS = (
    # Which incident began with this sighting, as far as was known when the incident got its id.
    "ALTER TABLE decisions ADD COLUMN begins TEXT",
    # How many ids of a service were given.
    "CREATE TABLE numbered (service TEXT PRIMARY KEY, last INTEGER NOT NULL)",
    """
INSERT INTO numbered (service, last) SELECT service, max(last) FROM (
    SELECT service, number AS last FROM incidents UNION ALL SELECT service, incidents FROM pruned
) GROUP BY service""",
    "DROP TABLE pruned",
    # ``first`` is the sighting that it begins with.
    """
CREATE TABLE begun (
    id TEXT PRIMARY KEY,
    service TEXT NOT NULL,
    detected_at TEXT NOT NULL,
    first TEXT NOT NULL,
    resolved_at TEXT,
    body TEXT NOT NULL
)""",
    "INSERT INTO begun SELECT id, service, detected_at, json_extract(body, '$.transitions[0].sighting'),"
    " resolved_at, body FROM incidents",
    "DROP TABLE incidents",
    "ALTER TABLE begun RENAME TO incidents",
    "CREATE INDEX incidents_of_service ON incidents (service, detected_at, first)",
    "UPDATE decisions SET begins = (SELECT incidents.id FROM incidents WHERE first = decisions.id)"
    " WHERE id IN (SELECT first FROM incidents)",
)
#: The decisions and looks that wait for being copied.
_OUTBOX = ("CREATE TABLE uncopied (kind TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (kind, id))",)
_DEPLOYS = (
    # All of a deploy stands in its body. One that has not ended has no ``ended_at``.
    """
CREATE TABLE deploys (
    id TEXT PRIMARY KEY,
    service TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    ended_at TEXT,
    state TEXT NOT NULL,
    body TEXT NOT NULL
)""",
    "CREATE INDEX deploys_of_service ON deploys (service, asked_at)",
    "CREATE TABLE locks (service TEXT PRIMARY KEY, mark TEXT NOT NULL, body TEXT NOT NULL)",
)
#: What brings a file of each version to the next one.
_STEPS = {0: _TABLES, 1: _IDS, 2: _OUTBOX, 3: _DEPLOYS}


@contextmanager
def opened(path: Path, busy_s: float) -> Iterator[sqlite3.Connection]:
    """The file at ``path``, open; made where there is none. Raises ``JournalError``, for the block too.

    ``busy_s``: seconds that it waits for another writer. A fork in the middle would leave the child with
    locks that are not its own.
    """
    try:
        with CALLS.one():
            used = KEPT.take(path) or _opened(path, busy_s)
            try:
                used.connection.execute(f"PRAGMA busy_timeout = {round(busy_s * 1000)}")
                prepare(used.connection)
                yield used.connection
            except BaseException:
                used.connection.close()
                raise
            KEPT.give(used)
    except (OSError, sqlite3.Error) as error:
        later = isinstance(error, _LaterSchemaError)
        todo = (
            "install the one that wrote it, or a later one"
            if later
            else "is its folder writable, and it whole?"
        )
        raise JournalError(f"the journal {path} cannot be used: {error}; {todo}") from error


class _LaterSchemaError(sqlite3.DatabaseError):
    """A later version of the gate has written the file."""


def _opened(path: Path, busy_s: float) -> Open:
    connection = sqlite_file.connect(path, prepare, busy_s=busy_s, log=log)
    # A crash of the machine may lose the last rows; one of the process loses none.
    connection.execute("PRAGMA synchronous = NORMAL")
    return Open.of(connection, path)


def prepare(connection: sqlite3.Connection) -> None:
    """Bring the file to our schema. Raises ``sqlite3.DatabaseError`` for a file of a later version."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == SCHEMA_VERSION:
        return
    if version not in _STEPS:
        raise _LaterSchemaError(f"it has schema {version}, this version knows {SCHEMA_VERSION}")
    with transaction(connection):
        for step in range(version, SCHEMA_VERSION):
            for statement in _STEPS[step]:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def insert(connection: sqlite3.Connection, entry: Entry, *, copied: bool) -> None:
    """Keep ``entry``; once, however often it comes. ``copied``: a new one waits for being copied."""
    sighting = Sighting.of(entry)
    row = columns(entry) | {
        "sighted": sighting is not None,
        "drifted": sighting is not None and sighting.severity is not None,
        "sighting": sighting.model_dump_json() if sighting else None,
    }
    names = ", ".join(row)
    done = connection.execute(
        f"INSERT OR IGNORE INTO decisions ({names}) VALUES ({', '.join('?' * len(row))})",  # noqa: S608 - our names
        tuple(row.values()),
    )
    if copied and done.rowcount:
        connection.execute("INSERT INTO uncopied (kind, id) VALUES ('decision', ?)", (entry.id,))


def insert_look(connection: sqlite3.Connection, look: Look, *, copied: bool) -> None:
    """As ``insert``."""
    done = connection.execute(
        "INSERT OR IGNORE INTO looks (id, at, body) VALUES (?, ?, ?)",
        (look.id, text(look.at), look.model_dump_json()),
    )
    if copied and done.rowcount:
        connection.execute("INSERT INTO uncopied (kind, id) VALUES ('look', ?)", (look.id,))


def entry_of(row: sqlite3.Row) -> Entry:
    """The decision that ``insert`` has written."""
    fields = {name: row[name] for name in ("id", "door", "by", "batch", "version", "look")}
    return Entry.model_validate(fields | {"at": row["decided_at"], "verdict": verdict_of(row["verdict"])})


def insert_incident(connection: sqlite3.Connection, incident: Incident) -> None:
    """Keep ``incident``; none of its id is kept."""
    connection.execute(
        "INSERT INTO incidents (id, service, detected_at, first, resolved_at, body)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            incident.id,
            incident.service,
            text(incident.detected_at),
            incident.transitions[0].sighting,
            incident.resolved_at and text(incident.resolved_at),
            incident.model_dump_json(),
        ),
    )


def number(connection: sqlite3.Connection, service: str, numbered: int, new: Sequence[Incident]) -> None:
    """Keep which ids the ``new`` incidents of ``service`` got, which had ``numbered`` before."""
    connection.executemany(
        "UPDATE decisions SET begins = ? WHERE id = ?",
        [(each.id, each.transitions[0].sighting) for each in new],
    )
    connection.execute(
        "INSERT OR REPLACE INTO numbered (service, last) VALUES (?, ?)", (service, numbered + len(new))
    )


def take_over(connection: sqlite3.Connection, old: Path, *, copied: bool) -> dict[str, datetime]:
    """Copy the rows of the decisions file ``old`` that are not here; from when on, by service.

    The file stays as it is: an earlier version may go on writing it. Raises ``sqlite3.Error`` or
    ``ValueError`` where it is no such file.
    """
    found: dict[str, datetime] = {}
    path = str(old.resolve())
    (last,) = connection.execute(
        "SELECT coalesce(max(last), 0) FROM taken_over WHERE path = ?", (path,)
    ).fetchone()
    with closing(sqlite3.connect(f"{old.resolve().as_uri()}?mode=ro", uri=True)) as source:
        source.row_factory = sqlite3.Row
        for row in source.execute("SELECT * FROM decisions WHERE id > ? ORDER BY id", (last,)):
            last, at = row["id"], datetime.fromisoformat(row["decided_at"])
            verdict = verdict_of(row["verdict"])
            insert(connection, Entry(id=f"{path}#{last}", at=at, verdict=verdict), copied=copied)
            found[verdict.service] = min(found.get(verdict.service, at), at)
    if found:
        connection.execute("INSERT OR REPLACE INTO taken_over (path, last) VALUES (?, ?)", (path, last))
    return found
