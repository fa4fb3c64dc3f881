"""What to predict: a slate read from a file, a database or BigQuery, each row of it validated."""

from __future__ import annotations

from predictions.coordinator.slate.reader import NAMES, SLATE_TIMEOUT_S, read_slate, shipped_slates
from predictions.coordinator.slate.rows import COLUMNS, MOST_POINTS, Row, SetAside, Slate, Source

__all__ = [
    "COLUMNS",
    "MOST_POINTS",
    "NAMES",
    "SLATE_TIMEOUT_S",
    "Row",
    "SetAside",
    "Slate",
    "Source",
    "read_slate",
    "shipped_slates",
]
