"""Which rows of the SQLite file wait for being copied."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from drift_gate.journal.records import Look, Uncopied
from drift_gate.journal.sqlite_schema import entry_of

_KEY = "uncopied.kind || '/' || {at} || ' ' || uncopied.id"
_DECISIONS = f"""
SELECT {_KEY.format(at="decided_at")} AS uncopied_key, decisions.*
FROM uncopied JOIN decisions ON decisions.id = uncopied.id
WHERE kind = 'decision' AND uncopied_key > ? ORDER BY uncopied_key LIMIT ?
"""  # noqa: S608 - our names
_LOOKS = f"""
SELECT {_KEY.format(at="at")} AS uncopied_key, body
FROM uncopied JOIN looks ON looks.id = uncopied.id
WHERE kind = 'look' AND uncopied_key > ? ORDER BY uncopied_key LIMIT ?
"""  # noqa: S608 - our names


def rows(connection: sqlite3.Connection, after: str, limit: int) -> list[Uncopied]:
    """As ``Journal.uncopied``."""
    decisions = [
        Uncopied(row["uncopied_key"], entry_of(row)) for row in connection.execute(_DECISIONS, (after, limit))
    ]
    looks = [
        Uncopied(row["uncopied_key"], Look.model_validate_json(row["body"]))
        for row in connection.execute(_LOOKS, (after, limit - len(decisions)))
    ]
    return [*decisions, *looks]


def done(connection: sqlite3.Connection, keys: Iterable[str]) -> None:
    """As ``Journal.copied``."""
    parts = [key.partition("/") for key in keys]
    connection.executemany(
        "DELETE FROM uncopied WHERE kind = ? AND id = ?",
        [(kind, rest.partition(" ")[2]) for kind, _, rest in parts],
    )


def forget(connection: sqlite3.Connection) -> None:
    """Leave out what is kept no more."""
    connection.execute(
        "DELETE FROM uncopied WHERE (kind, id) NOT IN"
        " (SELECT 'decision', id FROM decisions UNION ALL SELECT 'look', id FROM looks)"
    )
