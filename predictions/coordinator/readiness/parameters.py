"""The days that a query may name: ``game_date``, ``day`` and ``first_day``. Pure.

Each source writes a name in its own way: ``:day`` or ``@day`` in SQLite, ``$day`` in DuckDB, ``@day`` in
BigQuery.
"""

from __future__ import annotations

import re

#: The date to predict for, the day that is judged, and the first day of its history.
NAMES = ("game_date", "day", "first_day")
_NAMED = re.compile(rf"[:@$]({'|'.join(NAMES)})\b")


def used(query: str) -> frozenset[str]:
    """Which of the names ``query`` has in it."""
    return frozenset(_NAMED.findall(query))
