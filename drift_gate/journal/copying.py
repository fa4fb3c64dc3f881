"""Rows of the journal into a table elsewhere: each at least once, with an id by which it counts once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from drift_gate.journal.columns import columns, text
from drift_gate.journal.records import Entry, Journal, Look, Uncopied
from drift_gate.runtime.deadline import Deadline

#: A row of the copy: its columns by name.
Row = Mapping[str, str | int | None]

#: How many rows are read at a time, and how many characters of them go in one request, which BigQuery takes
#: up to 10 MB of (https://cloud.google.com/bigquery/quotas#streaming_inserts).
LOT, MOST = 100, 3_000_000


class Table(Protocol):
    """Where copies go."""

    def insert(self, rows: Mapping[str, Row]) -> Mapping[str, str]:
        """Add ``rows``, each by an id that is its own; why each one that was refused was. ``SourceError``."""
        ...


class Copied(NamedTuple):
    """How many rows were sent, and why others were refused, by key."""

    sent: int
    refused: Mapping[str, str]


def copy(journal: Journal, table: Table, deadline: Deadline) -> Copied:
    """Send what waits in ``journal`` to ``table``; what is refused goes on waiting, and stops no other row.

    Raises ``SourceError`` and ``JournalError``; what was sent by then is not sent again. What was sent and
    could not be noted comes twice.
    """
    after, sent, refused = "", 0, dict[str, str]()
    while deadline.remaining() > 0 and (lot := journal.uncopied(after, LOT)):
        for part in _parts(lot):
            by_id = {hashlib.sha256(each.key.encode()).hexdigest(): each for each in part}
            wrong = table.insert({id: row_of(each.row) for id, each in by_id.items()})
            done = [each.key for id, each in by_id.items() if id not in wrong]
            journal.copied(done)
            sent += len(done)
            refused |= {by_id[id].key: why for id, why in wrong.items()}
        after = lot[-1].key
    return Copied(sent, refused)


def row_of(row: Entry | Look) -> Row:
    """``row`` by columns; of one that is too long for a request ``body`` is missing.

    ``at`` and ``by`` are words of SQL, and no names of columns there.
    """
    if isinstance(row, Look):
        made: dict[str, str | int | None] = {"id": row.id, "asked_by": row.by}
        at, kind, body = row.at, "look", row.model_dump_json()
    else:
        made = columns(row)
        at, kind, body = row.at, "decision", str(made.pop("verdict"))
        made.pop("decided_at")
        made["asked_by"] = made.pop("by")
    return {**made, "kind": kind, "happened_at": text(at), "body": body if len(body) <= MOST else None}


def _parts(lot: Sequence[Uncopied]) -> Iterator[list[Uncopied]]:
    """``lot`` in requests that are short enough."""
    part: list[Uncopied] = []
    size = 0
    for each in lot:
        length = len(json.dumps(row_of(each.row)))
        if part and size + length > MOST:
            yield part
            part, size = [], 0
        part.append(each)
        size += length
    if part:
        yield part
