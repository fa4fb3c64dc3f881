"""How far a batch in Firestore is, added up in a few documents below it, in the commit of what they count.

One document would take one write at a time from all coordinators; each has one of a few instead. A batch of a
version before them has none, and is counted by queries.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from google.cloud.firestore import Increment

from predictions.coordinator.store import rows

_FIELDS = ("dispatched", "completed", "failed")
#: Documents of a batch: more than coordinators are at work on it on any usual day, and few to read at a look.
_SHARDS = 4


class Tallies:
    """The tallies of all batches; what this process adds goes to the same one of each batch's documents."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._mine = str(secrets.randbelow(_SHARDS))

    def begin(self, write: Any, batch: Any) -> None:
        """Let the new batch with the document reference ``batch`` have tallies."""
        write.set(first_of(batch), dict.fromkeys(_FIELDS, 0))

    def add(self, write: Any, batch: Any, more: Mapping[str, int], now: datetime | None = None) -> None:
        """Add ``more`` in the commit ``write``; ``now``: a worker was heard of, None: none was."""
        change: dict[str, Any] = {name: Increment(more[name]) for name in _FIELDS if more.get(name)}
        if now is not None:
            change["heard_at"] = rows.text(now)
        if change:
            write.set(_tally(batch, self._mine), change, merge=True)

    def read(self, batches: Iterable[Any]) -> dict[str, dict[str, Any]]:
        """The counts by the ids of ``batches`` (document references) that have any, by one call for all."""
        references = [_tally(each, str(shard)) for each in batches for shard in range(_SHARDS)]
        counts: dict[str, dict[str, Any]] = {}
        if not references:
            return counts
        told: dict[str, dict[str, dict[str, Any]]] = {}
        for found in self._client.get_all(references):
            if found.exists:
                told.setdefault(found.reference.parent.parent.id, {})[found.id] = found.to_dict()
        for batch_id, shards in told.items():
            if "0" in shards:
                counts[batch_id] = _sum(shards.values())
        return counts


def first_of(batch: Any) -> Any:
    """The document that is there where a batch has tallies."""
    return _tally(batch, "0")


def _tally(batch: Any, shard: str) -> Any:
    return batch.collection("tallies").document(shard)


def _sum(shards: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    told = list(shards)
    counts: dict[str, Any] = {name: sum(int(each.get(name, 0)) for each in told) for name in _FIELDS}
    counts["heard_at"] = max((each.get("heard_at", "") for each in told), default="") or None
    return counts
