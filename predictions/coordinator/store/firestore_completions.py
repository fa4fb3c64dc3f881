"""Completions in Firestore: what each comes to, and all that they change, in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from google.cloud.firestore import Increment

from predictions.coordinator.batches.batch import ACTIVE, Applied, RequestState
from predictions.coordinator.store import rows
from predictions.coordinator.store.firestore_parts import name_of, seen, unchanged
from predictions.coordinator.store.firestore_tallies import Tallies, first_of
from predictions.coordinator.store.judging import Asked, players_of
from predictions.worker.messages import Completion

#: Completions of one commit, each of which may be of another batch: three documents each at most.
TOGETHER = 100


def count(client: Any, tallies: Tallies, completions: Sequence[Completion], now: datetime) -> list[Applied]:
    """As ``Store.apply``, for at most ``TOGETHER``; all of it is written, or nothing is.

    Raises one of ``TAKEN`` where somebody else wrote between the look and the write.
    """
    batches = {each: client.collection("batches").document(each) for each in players_of(completions)}
    found = _found(client, batches, completions)
    asked = {each: _asked(found, batches[each], who) for each, who in players_of(completions).items()}
    applied = [asked[each.batch_id].judge(each) for each in completions]
    write = client.batch()
    for batch_id, each in asked.items():
        _write(write, client, tallies, found, batches[batch_id], each, now)
    if strays := applied.count("unknown"):
        write.set(strays_of(client), {"value": Increment(strays)}, merge=True)
    write.commit()
    return applied


def strays_of(client: Any) -> Any:
    """The document that counts completions that nobody asked for."""
    return client.collection("counters").document("strays")


def _found(client: Any, batches: dict[str, Any], completions: Sequence[Completion]) -> dict[str, Any]:
    """The documents that decide, by path."""
    wanted = {_request(batches[each.batch_id], each.request_id).path for each in completions}
    references = [client.document(path) for path in sorted(wanted)]
    for each in batches.values():
        references += [each, first_of(each)]
    return {each.reference.path: each for each in client.get_all(references)}


def _asked(found: dict[str, Any], batch: Any, players: Sequence[str]) -> Asked:
    told = found[batch.path]
    if not seen(told):
        return Asked(active=False)
    asked = Asked(active=told.get("state") in ACTIVE)
    for player in players:
        request = found[_request(batch, player).path]
        if request.exists:
            asked.known[player] = (player, _state(request), request.get("game_id"))
    return asked


def _state(request: Any) -> RequestState:
    state = request.get("state")
    if state == "open":
        return "dispatched" if request.get("handed") else "pending"
    known: RequestState = state
    return known


def _write(
    write: Any, client: Any, tallies: Tallies, found: dict[str, Any], batch: Any, asked: Asked, now: datetime
) -> None:
    for player, completion in asked.settled.items():
        request = found[_request(batch, player).path]
        change = {**rows.settled_row(completion, now), "handed": True}
        write.update(request.reference, change, option=unchanged(client, request))
    if asked.settled and found[first_of(batch).path].exists:
        tallies.add(write, batch, asked.changes(), now)
    change = {name: Increment(asked.counts[name]) for name in ("duplicates", "late") if asked.counts[name]}
    told, option = found[batch.path], None
    if asked.settled and told.get("state") == "stalled":
        change |= {"state": "dispatched", "heartbeat_at": rows.text(now)}
        option = unchanged(client, told)
    if change:
        write.update(batch, change, option=option)


def _request(batch: Any, player: str) -> Any:
    return batch.collection("requests").document(name_of(player))
