"""The tables of the SQLite file, and how a file of an older version becomes one of ours."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from drift_gate.runtime import sqlite_file
from drift_gate.runtime.sqlite_file import is_unmapped, transaction
from predictions.coordinator.batches.stamp import Stamp
from predictions.coordinator.exceptions import StateError

log = logging.getLogger("prediction_coordinator")

#: Seconds that a write waits for another process's transaction.
BUSY_SECONDS = 10
#: Written to ``user_version``; a file with a higher one was written by a later version of this module.
SCHEMA_VERSION = 3

#: A date has one active batch: the index refuses another, whoever writes it. A request's states are no list
#: after ``IN``: SQLite makes a table of one for each row, and that took a third of the time to write it.
#: ``attempts`` is for versions before, which write it: ``attempt`` says which one was answered.
_TABLES = (
    """
CREATE TABLE batches (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    game_date TEXT NOT NULL,
    state TEXT NOT NULL CHECK (
        state IN ('pending', 'dispatched', 'completed', 'failed', 'cancelled', 'stalled')
    ),
    slate TEXT NOT NULL,
    dispatch TEXT NOT NULL,
    set_aside INTEGER NOT NULL,
    requested INTEGER NOT NULL DEFAULT 0,
    rounds INTEGER NOT NULL DEFAULT 0,
    dispatched INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0,
    late INTEGER NOT NULL DEFAULT 0,
    stamp TEXT NOT NULL,
    resumed TEXT NOT NULL DEFAULT '[]',
    terms TEXT,
    reasons TEXT NOT NULL DEFAULT '[]',
    break_glass TEXT,
    idempotency_key TEXT UNIQUE,
    created_at TEXT NOT NULL,
    heartbeat_at TEXT NOT NULL,
    ended_at TEXT,
    error TEXT,
    ending TEXT
)""",
    """
CREATE UNIQUE INDEX one_active_batch ON batches (game_date)
    WHERE state IN ('pending', 'dispatched', 'stalled')""",
    """
CREATE TABLE requests (
    batch INTEGER NOT NULL REFERENCES batches (number),
    player_id TEXT NOT NULL,
    player_name TEXT NOT NULL,
    game_id TEXT NOT NULL,
    recent_points TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (
        state = 'pending' OR state = 'dispatched' OR state = 'completed' OR state = 'failed'
    ),
    attempts INTEGER NOT NULL DEFAULT 0,
    points REAL,
    error TEXT,
    worker_revision TEXT,
    worker_commit TEXT,
    attempt INTEGER,
    message_id TEXT,
    settled_at TEXT,
    PRIMARY KEY (batch, player_id)
) WITHOUT ROWID""",
    """
CREATE VIEW predictions AS
    SELECT batches.id AS batch_id, player_id, points, worker_revision, worker_commit, settled_at
    FROM requests JOIN batches ON batch = number WHERE requests.state = 'completed'""",
    "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
)

#: Version 1 knew no more than one coordinator at a time; a second pending batch of a date is a leftover.
_FROM_1 = (
    """
UPDATE batches SET state = 'failed', error = 'its coordinator ended before it', ended_at = created_at
    WHERE state = 'pending' AND EXISTS (
        SELECT 1 FROM batches AS newer
        WHERE newer.game_date = batches.game_date AND newer.state = 'pending' AND newer.id > batches.id
    )""",
    "ALTER TABLE batches RENAME TO batches_1",
    "ALTER TABLE requests RENAME TO requests_1",
    "ALTER TABLE predictions RENAME TO predictions_1",
    *_TABLES,
    """
INSERT INTO batches (number, id, game_date, state, slate, dispatch, set_aside, requested, rounds, dispatched,
        completed, stamp, created_at, heartbeat_at, ended_at, error)
    SELECT id, id, game_date, state, slate, 'local', set_aside,
        (SELECT count(*) FROM requests_1 WHERE batch_id = id), 1,
        (SELECT count(*) FROM predictions_1 WHERE batch_id = id),
        (SELECT count(*) FROM predictions_1 WHERE batch_id = id),
        stamp_1(decision, enforced), created_at, coalesce(ended_at, created_at), ended_at, error
    FROM batches_1""",
    """
INSERT INTO requests (batch, player_id, player_name, game_id, recent_points, state, attempts, points)
    SELECT batch_id, player_id, player_name, game_id, recent_points, state, points IS NOT NULL, points
    FROM requests_1 LEFT JOIN predictions_1 USING (batch_id, player_id)""",
    "DROP TABLE predictions_1",
    "DROP TABLE requests_1",
    "DROP TABLE batches_1",
)
#: Version 2 kept no terms, and the verdict of the first start alone.
_FROM_2 = (
    "ALTER TABLE batches ADD COLUMN resumed TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE batches ADD COLUMN terms TEXT",
)
_STEPS = {0: _TABLES, 1: _FROM_1, 2: _FROM_2}


def prepare(connection: sqlite3.Connection) -> None:
    """Bring the file to our schema, in one transaction.

    Raises ``sqlite3.DatabaseError`` for a file of a later version.
    """
    connection.create_function("stamp_1", 2, _stamp_1, deterministic=True)
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (*_STEPS, SCHEMA_VERSION):
            raise sqlite3.DatabaseError(f"it has schema {version}, this version knows {SCHEMA_VERSION}")
        for statement in _STEPS.get(version, ()):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("PRAGMA foreign_keys = ON")  # not before: tables change places above


def _stamp_1(decision: str, enforced: int) -> str:
    return Stamp(gate_decision=decision, enforced=bool(enforced)).model_dump_json()


def connect(path: Path) -> sqlite3.Connection:
    """The file at ``path`` with our schema, as ``sqlite_file.connect`` opens it. Raises ``StateError``."""
    try:
        return sqlite_file.connect(path, prepare, busy_s=BUSY_SECONDS, log=log)
    except (OSError, sqlite3.Error) as error:  # the lock's Timeout is an OSError
        raise StateError(f"{path} cannot be used: {error}{_next_step(error)}") from error


def _next_step(error: BaseException) -> str:
    """How a message about ``error`` ends."""
    if not is_unmapped(error):
        return ""
    return "; move it, with its -wal if there is one, to another folder or a local file system, and name that"
