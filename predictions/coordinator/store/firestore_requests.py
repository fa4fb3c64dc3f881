"""The requests of a batch in Firestore: a document each, below the one of the batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.cloud import firestore
from google.cloud.firestore import FieldFilter

from predictions.coordinator.exceptions import StateError
from predictions.coordinator.store import rows
from predictions.coordinator.store.firestore_parts import LOT, attempt, errors, lots, name_of, unchanged
from predictions.coordinator.store.firestore_tallies import Tallies, first_of
from predictions.worker.worker import PredictionRequest

#: Documents of one read.
_PAGE = 1000
#: How ``RequestState`` is kept: what is open was handed out or was not.
_OPEN = {"pending": ("open", False), "dispatched": ("open", True)}
_COUNTED = ("dispatched", "completed", "failed")


def write_requests(client: Any, reference: Any, requests: Iterable[PredictionRequest]) -> int:
    """Write ``requests``, not handed out, below the batch; how many they are.

    Raises ``StateError`` where a player stands among them twice.
    """
    below, count = reference.collection("requests"), 0
    for lot in lots(requests):
        write = client.batch()
        names = {name_of(each.player_id): each for each in lot}
        if len(names) < len(lot):
            raise StateError("a player stands on the slate twice")
        for name, each in names.items():
            told = dict(zip(rows.REQUEST, rows.request_fields(each), strict=True))
            fresh = {"state": "open", "handed": False}
            write.create(below.document(name), {**told, **fresh})
        write.commit()
        count += len(lot)
    return count


def hand_out(client: Any, tallies: Tallies, batch: Any, players: Iterable[str]) -> None:
    """Note that the requests of ``players`` were handed out; all of it or nothing.

    Raises one of ``TAKEN`` where somebody else wrote meanwhile: a worker may be quicker than the note.
    """
    below, first = batch.reference.collection("requests"), first_of(batch.reference)
    wanted = [below.document(name_of(each)) for each in players]
    found = {each.reference.path: each for each in client.get_all([first, *wanted])}
    tallied, write = found.pop(first.path).exists, client.batch()
    fresh = [each for each in found.values() if not each.get("handed")]
    for each in fresh:
        write.update(each.reference, {"handed": True}, option=unchanged(client, each))
    if tallied:
        tallies.add(write, batch.reference, {"dispatched": len(fresh)})
    write.commit()


def reopen_failed(client: Any, tallies: Tallies, batch: Any) -> None:
    """Let those of the batch at the reference ``batch`` that failed be handed out again."""
    failed = batch.collection("requests").where(filter=FieldFilter("state", "==", "failed"))
    tallied = first_of(batch).get().exists
    while found := list(failed.limit(LOT).stream()):
        write = client.batch()
        for each in found:
            change = {"state": "open", "handed": False, "error": None}
            write.update(each.reference, change, option=unchanged(client, each))
        if tallied:
            tallies.add(write, batch, {"failed": -len(found), "dispatched": -len(found)})
        with attempt():  # one may have its prediction meanwhile
            write.commit()


def pages(reference: Any, state: str) -> Iterator[Any]:
    """The documents of the requests in ``state``, by name; ones that change meanwhile are left out."""
    kept, handed = _OPEN.get(state, (state, None))
    with errors():
        query = reference.collection("requests").order_by("__name__")
        query = query.where(filter=FieldFilter("state", "==", kept))
        if handed is not None:
            query = query.where(filter=FieldFilter("handed", "==", handed))
        page = list(query.limit(_PAGE).stream())
    while page:
        yield from page
        with errors():
            page = list(query.start_after(page[-1]).limit(_PAGE).stream())


def counted(reference: Any) -> dict[str, Any]:
    """How many requests are where, and when the last one was settled; nobody else keeps that."""
    below = reference.collection("requests")
    wanted = (("handed", True), ("state", "completed"), ("state", "failed"))
    counts: dict[str, Any] = {}
    for name, (field, value) in zip(_COUNTED, wanted, strict=True):
        answer = below.where(filter=FieldFilter(field, "==", value)).count().get()
        counts[name] = int(answer[0][0].value)
    newest = below.order_by("settled_at", direction=firestore.Query.DESCENDING).limit(1).stream()
    counts["heard_at"] = next((each.get("settled_at") for each in newest), None)
    return counts
