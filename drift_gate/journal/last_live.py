"""What was live when the journal last knew: read in a moment, by a process that loads nothing else of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

#: Seconds that a writer is waited for.
BUSY_S = 0.1
_LAST = """
SELECT live_commit FROM decisions WHERE service = ? AND sighted = 1 AND live_commit IS NOT NULL
ORDER BY decided_at DESC, id DESC LIMIT 1
"""


def live_commits(path: Path, services: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The live commits of each of ``services`` that the SQLite journal at ``path`` knows last, by service.

    One is left out where nothing is known of it; all are where there is no such file, or it cannot be read.
    """
    found: dict[str, tuple[str, ...]] = {}
    if not path.is_file():
        return found
    try:
        place = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(place, uri=True, timeout=BUSY_S)) as connection:
            for service in services:
                for (commits,) in connection.execute(_LAST, (service,)):
                    found[service] = tuple(str(commits).split(", "))
    except (sqlite3.Error, OSError, ValueError):
        return {}
    return found
