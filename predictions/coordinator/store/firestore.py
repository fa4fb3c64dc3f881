"""Batches in Firestore, for several coordinators at once.

Nothing here is a transaction: what must not be lost or doubled is written on the condition that the
document is still the one that was read, and read again where it is not. That takes no locks, so that
completions do not wait for each other. A batch has a document, each of its requests another below it; a
date has one that names its last batch.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from itertools import islice
from typing import Any

from google.cloud import firestore
from google.cloud.firestore import FieldFilter, Increment

from drift_gate.policy.verdict import BreakGlass, Reason
from predictions.coordinator.batches.batch import (
    ACTIVE,
    Applied,
    Batch,
    BatchState,
    NewBatch,
    RequestState,
    Result,
    may_become,
    running,
)
from predictions.coordinator.batches.contracts import Claim
from predictions.coordinator.batches.ending import Ending, Share
from predictions.coordinator.batches.stamp import Stamp
from predictions.coordinator.exceptions import (
    BatchNotFoundError,
    BatchRunningError,
    KeyReusedError,
    StateError,
)
from predictions.coordinator.store import rows
from predictions.coordinator.store.firestore_calls import connected
from predictions.coordinator.store.firestore_claims import Claims
from predictions.coordinator.store.firestore_completions import TOGETHER, count, strays_of
from predictions.coordinator.store.firestore_parts import (
    UNFINISHED,
    attempt,
    errors,
    lots,
    seen,
    unchanged,
)
from predictions.coordinator.store.firestore_requests import (
    counted,
    hand_out,
    pages,
    reopen_failed,
    write_requests,
)
from predictions.coordinator.store.firestore_tallies import Tallies
from predictions.coordinator.store.judging import settled_by
from predictions.worker.messages import Completion
from predictions.worker.worker import PredictionRequest

#: How often a write is tried that others come before, and the seconds before the next time.
_TRIES, _PAUSE = 100, 0.02
#: What of a batch says whether somebody is at work on it.
_SIGNS = ("state", "heartbeat_at")


class FirestoreStore:
    """A ``Store`` in one database. Made by ``open_firestore``."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._all = client.collection("batches")
        self._claims = Claims(client)
        self._tallies = Tallies(client)

    def close(self) -> None:
        """Give back the dates that are held: whoever comes next need not wait for the end of a lease."""
        self._claims.give_back()

    @contextmanager
    def claim(self, game_date: date, now: datetime) -> Iterator[Claim]:
        """As ``Store.claim``; a holder that died is rid of it when its lease is over."""
        with self._claims.hold(game_date, now) as claim:
            if claim is None:
                active = next(iter(self.active(game_date)), None)
                raise BatchRunningError(running(game_date, active), active)
            yield claim

    def create(self, batch: NewBatch, now: datetime) -> Batch:
        """As ``Store.create``: its requests are written first, and nobody sees it before all are there."""
        with errors():
            self._forget_unfinished(batch.game_date)
            reference = self._all.document(batch.id)
            fields = rows.batch_row(batch, now)
            fields["created_at"] = fields["heartbeat_at"] = fields.pop("now")
            hidden = {"state": UNFINISHED, "game_date": fields["game_date"], "active": False}
            reference.create(hidden)
            requested = write_requests(self._client, reference, batch.requests)
            shown = {**fields, "state": "pending", "active": True, "requested": requested, "rounds": 1}
            self._show(batch, reference, shown)
        return self._need(batch.id)

    def begin(self, batch_id: str, now: datetime, stamp: Stamp | None = None) -> Batch:
        """As ``Store.begin``."""
        for found in self._until_written(batch_id):
            may_become(batch_id, found.get("state"), "pending")
            game_date = date.fromisoformat(found.get("game_date"))
            last = self._last(game_date)
            for other in self.active(game_date):
                if other.id != batch_id:
                    raise BatchRunningError(running(game_date, other), other)
            write = self._client.batch()
            change = {"state": "pending", "active": True, "rounds": Increment(1), "counts": None}
            change["resumed"] = rows.resumed_row(self._shown([found])[0], stamp)
            change |= {"error": None, "ending": None, "ended_at": None, "heartbeat_at": rows.text(now)}
            write.update(found.reference, change, option=unchanged(self._client, found))
            self._replace_last(write, last, batch_id)
            with attempt():
                write.commit()
                reopen_failed(self._client, self._tallies, found.reference)
                break
        return self._need(batch_id)

    def judge(
        self, batch_id: str, stamp: Stamp, reasons: Sequence[Reason], break_glass: BreakGlass | None
    ) -> None:
        """As ``Store.judge``."""
        for found in self._until_written(batch_id):
            known = rows.judged_row(self._shown([found])[0], stamp, reasons, break_glass)
            with attempt():
                found.reference.update(known, option=unchanged(self._client, found))
                break

    def requests(self, batch_id: str, states: Sequence[RequestState]) -> Iterator[PredictionRequest]:
        """As ``Store.requests``."""
        for state in states:
            for found in self._pages(batch_id, state):
                yield rows.request_of(found.to_dict())

    def mark_dispatched(
        self, batch_id: str, request_ids: Sequence[str], now: datetime, answers: Sequence[Completion] = ()
    ) -> BatchState:
        """As ``Store.mark_dispatched``."""
        with errors():
            found = self._find(batch_id)
            settled = settled_by(answers, self.apply(answers, now))
            for lot in lots(each for each in request_ids if each not in settled):
                self._hand_out(found, lot)
            self._heard_of(found, now)
            state: BatchState = found.get("state")
        return state

    def apply(self, completions: Sequence[Completion], now: datetime) -> list[Applied]:
        """As ``Store.apply``; some at a time, each of these all or nothing."""
        lots = range(0, len(completions), TOGETHER)
        return [what for at in lots for what in self._apply(completions[at : at + TOGETHER], now)]

    def move(
        self,
        batch_id: str,
        to: BatchState,
        now: datetime,
        *,
        error: str | None = None,
        ending: Ending | None = None,
    ) -> Batch:
        """As ``Store.move``."""
        for found in self._until_written(batch_id):
            state: BatchState = found.get("state")
            if state == to:
                break
            may_become(batch_id, state, to)
            ended = to not in ACTIVE
            change = {
                "state": to,
                "active": not ended,
                "error": error,
                "ending": ending.model_dump_json() if ending else None,
                "ended_at": rows.text(now) if ended else None,
                "heartbeat_at": rows.text(now),
                "counts": counted(found.reference) if ended else None,
            }
            with attempt():
                found.reference.update(change, option=unchanged(self._client, found))
                break
        return self._need(batch_id)

    def stall(self, silent_since: datetime, now: datetime) -> list[Batch]:
        """As ``Store.stall``; what its own document says moved of late is not asked about any further."""
        since = rows.text(silent_since)
        with errors():
            active = self._all.where(filter=FieldFilter("active", "==", True)).select(_SIGNS)
            told = [(each.reference, *map(each.get, _SIGNS)) for each in active.stream()]
            old = [(one, at) for one, state, at in told if state != "stalled" and at < since]
            tallies = self._tallies.read(one for one, _ in old)
            heard = {one.id: (tallies.get(one.id) or counted(one))["heard_at"] or "" for one, _ in old}
        silent = [(one.id, last) for one, at in old if (last := max(at, heard[one.id])) < since]
        return [self.move(id, "stalled", datetime.fromisoformat(last)) for id, last in silent]

    def get(self, batch_id: str) -> Batch | None:
        """As ``Store.get``."""
        with errors():
            found = self._all.document(batch_id).get()
            return self._shown([found])[0] if seen(found) else None

    def batches(self, game_date: date | None = None, limit: int = 100) -> list[Batch]:
        """As ``Store.batches``."""
        with errors():
            newest = self._all.order_by("created_at", direction=firestore.Query.DESCENDING)
            if game_date is None:
                return self._shown(list(newest.limit(limit).stream()))
            # Sorted here: to sort a date's batches there would need an index that somebody must make.
            dated = self._all.where(filter=FieldFilter("game_date", "==", game_date.isoformat()))
            return self._newest_first(dated, limit)

    def active(self, game_date: date | None = None) -> list[Batch]:
        """As ``Store.active``."""
        with errors():
            query = self._all.where(filter=FieldFilter("active", "==", True))
            if game_date is not None:
                query = query.where(filter=FieldFilter("game_date", "==", game_date.isoformat()))
            return self._newest_first(query)

    def by_key(self, idempotency_key: str) -> Batch | None:
        """As ``Store.by_key``."""
        with errors():
            found = self._key(idempotency_key).get()
        return self.get(found.get("batch")) if found.exists else None

    def results(self, batch_id: str) -> Iterator[Result]:
        """As ``Store.results``."""
        found = (each.to_dict() for each in self._pages(batch_id, "completed"))
        return rows.results_of(self._need(batch_id), found)

    def shares(self, batch_id: str, state: RequestState = "completed") -> tuple[Share, ...]:
        """As ``Store.shares``; reads each result."""
        counted: Counter[tuple[str | None, str | None]] = Counter()
        for found in self._pages(batch_id, state):
            counted[found.get("worker_revision"), found.get("worker_commit")] += 1
        most = sorted(counted.items(), key=lambda each: (-each[1], str(each[0])))
        return tuple(Share(revision=who[0], commit=who[1], results=count) for who, count in most)

    def settled(self, batch_id: str) -> bool:
        """As ``Store.settled``."""
        with errors():
            below = self._find(batch_id).reference.collection("requests")
            waiting = below.where(filter=FieldFilter("state", "==", "open")).limit(1)
            return not list(waiting.stream())

    def errors(self, batch_id: str, limit: int) -> list[tuple[str, str]]:
        """As ``Store.errors``."""
        found = islice(self._pages(batch_id, "failed"), limit)
        return [(each.get("player_id"), each.get("error")) for each in found]

    def strays(self) -> int:
        """As ``Store.strays``."""
        with errors():
            found = strays_of(self._client).get()
        return int(found.get("value")) if found.exists else 0

    def _show(self, batch: NewBatch, reference: Any, shown: Mapping[str, Any]) -> None:
        """All at once: the batch, the last of its date, under its key. Raises where one is in the way."""
        for _ in range(_TRIES):
            last = self._last(batch.game_date)
            for other in self.active(batch.game_date):
                raise BatchRunningError(running(batch.game_date, other), other)
            if batch.idempotency_key and (made := self.by_key(batch.idempotency_key)):
                raise KeyReusedError(f"this idempotency key made batch {made.id} for {made.game_date} before")
            write = self._client.batch()
            write.set(reference, shown)
            self._tallies.begin(write, reference)
            self._replace_last(write, last, batch.id)
            if batch.idempotency_key:
                write.create(self._key(batch.idempotency_key), {"batch": batch.id})
            with attempt():
                write.commit()
                return
            time.sleep(_PAUSE)
        raise StateError(f"the batch of {batch.game_date} could not be written: others were always first")

    def _last(self, game_date: date) -> Any:
        """The document that names the date's last batch; to be read before a look for active ones.

        Of two starts that both found none, the second one's write fails on it.
        """
        return self._client.collection("dates").document(game_date.isoformat()).get()

    def _replace_last(self, write: Any, last: Any, batch_id: str) -> None:
        if last.exists:
            write.update(last.reference, {"batch": batch_id}, option=unchanged(self._client, last))
        else:
            write.create(last.reference, {"batch": batch_id})

    def _forget_unfinished(self, game_date: date) -> None:
        """What a coordinator that died wrote of a batch that nobody ever saw."""
        query = self._all.where(filter=FieldFilter("game_date", "==", game_date.isoformat()))
        for found in query.where(filter=FieldFilter("state", "==", UNFINISHED)).stream():
            self._client.recursive_delete(found.reference)

    def _hand_out(self, found: Any, players: Sequence[str]) -> None:
        for _ in range(_TRIES):
            with attempt():
                return hand_out(self._client, self._tallies, found, players)
            time.sleep(_PAUSE)
        raise StateError(f"that {len(players)} requests are handed out could not be written")

    def _apply(self, completions: Sequence[Completion], now: datetime) -> list[Applied]:
        for _ in range(_TRIES):
            with attempt():
                return count(self._client, self._tallies, completions, now)
            if len(completions) > 1:  # one that somebody else wrote does not hold up the others
                return [what for each in completions for what in self._apply([each], now)]
            time.sleep(_PAUSE)
        raise StateError(f"the completion for {completions[0].request_id} could not be written")

    def _heard_of(self, found: Any, now: datetime) -> None:
        """Move the heartbeat; what was stalled is dispatched. Another's move counts more than ours."""
        change = {"heartbeat_at": rows.text(now)}
        if found.get("state") == "stalled":
            change["state"] = "dispatched"
        with attempt():
            found.reference.update(change, option=unchanged(self._client, found))

    def _pages(self, batch_id: str, state: str) -> Iterator[Any]:
        with errors():
            reference = self._find(batch_id).reference
        return pages(reference, state)

    def _newest_first(self, query: Any, limit: int | None = None) -> list[Batch]:
        found = [each for each in query.stream() if seen(each)]
        found.sort(key=lambda each: str(each.get("created_at")), reverse=True)
        return self._shown(found[:limit])

    def _shown(self, found: Sequence[Any]) -> list[Batch]:
        """The batches; how far those are that go on is read for all of them at once."""
        told = [(each.reference, each.to_dict()) for each in found]
        tallies = self._tallies.read(reference for reference, row in told if row.get("counts") is None)
        return [self._batch(reference, row, tallies.get(reference.id)) for reference, row in told]

    def _batch(self, reference: Any, row: dict[str, Any], tally: dict[str, Any] | None) -> Batch:
        counts = row.pop("counts", None) or tally or counted(reference)
        row.pop("active")
        heard = counts.pop("heard_at", None) or ""
        row["heartbeat_at"] = max(row["heartbeat_at"], heard)
        empty = {"duplicates": 0, "late": 0, "ended_at": None, "error": None, "ending": None}
        empty |= {"resumed": None, "terms": None}
        try:
            return rows.batch_of({**empty, **row, **counts})
        except (KeyError, ValueError) as error:
            raise StateError(f"{reference.path} cannot be read: {error}") from error

    def _until_written(self, batch_id: str) -> Iterator[Any]:
        """The batch's document, anew each time that somebody else was first."""
        for _ in range(_TRIES):
            with errors():
                found = self._find(batch_id)
            yield found
            time.sleep(_PAUSE)
        raise StateError(f"batch {batch_id} could not be written: others were always first")

    def _find(self, batch_id: str) -> Any:
        found = self._all.document(batch_id).get()
        if not seen(found):
            raise BatchNotFoundError(f"there is no batch {batch_id}")
        return found

    def _need(self, batch_id: str) -> Batch:
        batch = self.get(batch_id)
        if batch is None:
            raise BatchNotFoundError(f"there is no batch {batch_id}")
        return batch

    def _key(self, idempotency_key: str) -> Any:
        name = hashlib.sha256(idempotency_key.encode()).hexdigest()
        return self._client.collection("keys").document(name)


@contextmanager
def open_firestore(project: str, database: str, emulator: str | None = None) -> Iterator[FirestoreStore]:
    """The store in ``database``; ``emulator``: ``host:port`` in clear text, None: Google.

    Raises ``StateError`` where there are no credentials.
    """
    with errors():
        client = connected(project, database, emulator)
    store = FirestoreStore(client)
    try:
        yield store
    finally:
        with suppress(StateError):  # it is over all the same, later
            store.close()
        client.close()
