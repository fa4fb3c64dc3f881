"""``start``: from the gate's verdict to the day's predictions, in six steps; and what follows on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Literal

from drift_gate.policy.verdict import NO_START
from drift_gate.runtime.background import finish
from predictions.coordinator.batches import telemetry
from predictions.coordinator.batches.batch import (
    ANSWERING,
    Applied,
    Batch,
    NewBatch,
    RequestState,
    Result,
    new_id,
    running,
)
from predictions.coordinator.batches.contracts import Claim, Dispatcher, Store
from predictions.coordinator.batches.counting import Completions
from predictions.coordinator.batches.export import Predictions
from predictions.coordinator.batches.finalizer import Deliver, Finalizer, goes_on
from predictions.coordinator.batches.gate_context import declared_terms, serving_now
from predictions.coordinator.batches.orders import (
    Gate,
    Order,
    Overridden,
    Ready,
    Started,
    Tell,
    slate_of,
    untold,
)
from predictions.coordinator.batches.predecessors import Predecessors
from predictions.coordinator.batches.rounds import hand_out
from predictions.coordinator.batches.stamp import Serving, Stamp, Terms
from predictions.coordinator.config import DEFAULT_STALL_AFTER
from predictions.coordinator.exceptions import (
    BatchNotFoundError,
    BatchRunningError,
    StateError,
    TransitionError,
)
from predictions.coordinator.readiness.concurrently import Once, beside
from predictions.coordinator.slate import Slate
from predictions.worker.messages import Completion
from predictions.worker.worker import PredictionRequest
from shared.utils.deployment_checker import Start, Verdict, require_current_worker

log = logging.getLogger("prediction_coordinator")

#: What is handed out again where nobody can still answer for it: whatever has no prediction.
_UNANSWERED: tuple[RequestState, ...] = ("pending", "dispatched")
_PLAYER = attrgetter("player_id")


def unheard(_: Batch) -> None:
    """Nobody wants to know."""


def permitted(
    order: Order,
    *,
    gate: Gate = require_current_worker,
    read: Callable[[Order], Slate] = slate_of,
    ready: Ready | None = None,
    tell: Tell = untold,
) -> tuple[Verdict, Slate]:
    """The verdict and the slate of a batch that may start; nothing exists of it yet.

    ``ready`` looks beside the gate, each within its own deadline; None: nobody looks. Raises what
    ``gate``, ``read`` and ``ready`` raise, in this order.
    """
    read = Once(read)  # for the batch, and for a check of who is on the slate
    looked = ready and beside(partial(ready, order, partial(read, order)))

    # 1. Is the worker current? The gate raises, or lets us through.
    verdict = gate(skip=order.skip_drift_check, reason=order.reason, actor=order.actor, wait=order.wait)
    tell(verdict)

    # 2. What is there to predict?
    slate = read(order)
    tell(slate)

    # 3. Is the data ready for it?
    readiness = looked and looked()
    if readiness:
        tell(readiness)
    return verdict, slate


class Coordinator:
    """Starts batches, resumes them, counts what workers report, and ends them; for all threads.

    Holds no batch itself: whatever it knows is in its store, so that several may share one.
    """

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        *,
        gate: Gate = require_current_worker,
        read: Callable[[Order], Slate] = slate_of,
        ready: Ready | None = None,
        stamp: Callable[[Verdict], Stamp] = Stamp.of,
        terms: Callable[[], Terms] = declared_terms,
        live: Callable[[Batch], Serving | str] = serving_now,
        deliver: Deliver | None = None,
        stall_after: float = DEFAULT_STALL_AFTER,
        tell: Tell = untold,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``read``: the slate of an order. ``ready``: raises where the data are not; None: nobody looks.

        ``terms``: those that are declared for new batches. ``live``: what serves when a batch ends, or why
        nobody knows. ``deliver``: takes the results of a batch before it counts as completed, and what a
        failed one has; None: they stay in the store. ``stall_after``: seconds without a sign of life.
        """
        self._store = store
        self._dispatcher = dispatcher
        self._gate = gate
        self._read = read
        self._ready = ready
        self._stamp = stamp
        self._terms = terms
        self._before = Predecessors(store, dispatcher.name, clock)
        self._finalizer = Finalizer(store, live, deliver, clock)
        self.completions = Completions(store, self._finalizer, clock)
        self._stall_after = timedelta(seconds=stall_after)
        self._tell = tell
        self._clock = clock

    def start(self, order: Order, begun: Callable[[Batch], object] = unheard) -> Started:
        """Start the batch of ``order.game_date``, unless the gate refuses; or go on with the one there.

        ``begun`` is told of the batch as soon as this start works on it, whatever becomes of it.
        Returns when each request was handed out. Raises what the gate raises (``DeploymentDriftError``,
        ``DriftConfigError``), ``NotReadyError``, ``SlateError``, ``BatchRunningError`` with the batch,
        ``KeyReusedError``, ``TransitionError`` for a key whose batch has failed or was cancelled,
        ``ConfigError`` and ``BatchError``. A refusal and an unusable slate leave nothing behind; a
        batch that fails later, by Ctrl-C too, stays on record as failed. A date may be started again once its
        batch has ended. Where its coordinator died, the start goes on with it in place of making another.
        """
        if (made := self._before.of_key(order)) and not self._before.unattended(made):
            return Started(how="existing", batch=made)  # whatever the gate says now
        overridden = Overridden(self._keep_verdict)
        fresh = new_id(order.game_date)
        gate = partial(self._gate, later=overridden, start=self._announced(order, made, fresh))
        verdict, slate = permitted(order, gate=gate, read=self._read, ready=self._ready, tell=self._tell)
        if order.dry_run:
            return Started(how="dry-run", batch=None, verdict=verdict, slate=slate, overridden=overridden)

        self.find_stalled()
        with self._store.claim(order.game_date, self._clock()) as claim:
            made = self._before.of_key(order)
            if made and not self._before.abandoned(made):  # by the one who held the claim until now
                return Started(how="existing", batch=made, verdict=verdict, slate=slate)

            # 4. The batch exists from here on, with all of its requests.
            stamp = self._stamp(verdict)
            left = made or self._before.of_date(order.game_date)
            batch = left or self._created(fresh, order, slate, verdict, stamp)
            begun(batch)

            # 5. The requests go out; what comes back at once is kept as it comes. With the last result
            # the batch ends, here or in ``complete``.
            if left:
                batch = self._go_on(batch, claim, stamp, overridden)
            else:  # what was just written need not be read
                batch = self._hand_out(batch, claim, overridden, sorted(slate.requests, key=_PLAYER))
        how: Literal["created", "resumed"] = "resumed" if left else "created"
        return Started(how=how, batch=batch, verdict=verdict, slate=slate, overridden=overridden)

    def resume(
        self,
        batch_id: str | None = None,
        *,
        skip_drift_check: bool = False,
        reason: str | None = None,
        actor: str | None = None,
        wait: float = 0.0,
        start: Start = NO_START,
    ) -> list[Started]:
        """Go on with what a dead coordinator left behind; None: with every batch that has none.

        A batch that is named is resumed when it has failed, too. The gate is asked anew, since work is
        handed out again; where nothing is left to go on with it is not. Raises as ``start``,
        ``BatchNotFoundError``, ``TransitionError`` and, before the gate is asked, ``ConfigError``.
        """
        self.find_stalled()
        chosen = self._store.active() if batch_id is None else [self.get(batch_id)]
        if batch_id is None:
            chosen = [batch for batch in chosen if self._before.abandoned(batch)]
        if not chosen:
            return []
        for batch in chosen:
            self._before.require_same_way(batch)
        later = Overridden(self._keep_verdict)
        start = replace(start, batch=chosen[0].id) if len(chosen) == 1 else start
        verdict = self._gate(
            skip=skip_drift_check, reason=reason, actor=actor, wait=wait, later=later, start=start
        )
        self._tell(verdict)
        stamp, resumed = self._stamp(verdict), []
        for batch in chosen:
            try:
                batch = self._resume(batch, stamp, later)
                resumed.append(Started(how="resumed", batch=batch, verdict=verdict, overridden=later))
            except BatchRunningError:
                if batch_id is not None:
                    raise
                log.info("batch %s is being worked on", batch.id)
        return resumed

    def overridden(self, started: Started) -> Started:
        """``started`` with what a bypass has overridden, after the wait for it; at once where none did."""
        if started.verdict is None or started.verdict.break_glass is None:
            return started
        finish()
        verdict = started.overridden.instead_of(started.verdict)
        if verdict is not started.verdict:
            self._tell(verdict)
        return replace(started, verdict=verdict, batch=started.batch and self.get(started.batch.id))

    def complete(self, completion: Completion) -> Applied:
        """Count what a worker reports, and end the batch with its last result.

        Raises ``StateError``; the same completion may then come again, and is counted once.
        """
        (counted,) = self.completions.count([completion])
        self.completions.follow_up(completion, counted)
        return counted.applied

    def cancel(self, batch_id: str) -> Batch:
        """End the batch as it is; what comes for it from now on is late.

        Raises ``BatchNotFoundError``, and ``TransitionError`` where it has ended otherwise.
        """
        now = self._clock()
        batch = self._store.move(batch_id, "cancelled", now, error="cancelled by hand")
        telemetry.ended(batch, now)
        return batch

    def get(self, batch_id: str) -> Batch:
        """The batch. Raises ``BatchNotFoundError``."""
        batch = self._store.get(batch_id)
        if batch is None:
            raise BatchNotFoundError(f"there is no batch {batch_id}")
        return batch

    def batches(self, game_date: date | None = None, limit: int = 100) -> list[Batch]:
        """The batches of ``game_date`` (None: of all dates), the newest first; a look finds the stalled."""
        listed = beside(partial(self._store.batches, game_date, limit))
        if self.find_stalled():  # nearly always none is, and then the list holds
            return self._store.batches(game_date, limit)
        return listed()

    def results(self, batch_id: str) -> Iterator[Result]:
        """The predictions of a batch so far, by player. Raises ``BatchNotFoundError``."""
        return self._store.results(self.get(batch_id).id)

    def predictions(self, batch_id: str) -> Predictions:
        """The predictions of a batch that has ended, and who has none.

        Raises ``BatchNotFoundError``, ``BatchRunningError`` while more may come, and ``TransitionError``
        where a stranger's answers are the reason that nothing is delivered.
        """
        batch = self.get(batch_id)
        if batch.active:
            raise BatchRunningError(running(batch.game_date, batch), batch)
        if batch.state == "failed" and batch.ending is not None and batch.ending.foreign:
            raise TransitionError(f"batch {batch_id} has failed: {batch.error}", batch)
        failed = self._store.errors(batch_id, batch.progress.failed)
        return Predictions(batch, self._store.results(batch_id), failed)

    def find_stalled(self) -> list[Batch]:
        """Mark the batches that nobody was heard of for too long, and tell each once."""
        now = self._clock()
        stalled = self._store.stall(now - self._stall_after, now)
        for batch in stalled:
            telemetry.stalled(batch)
            log.error(
                "batch %s for %s is stalled: %d of %d predicted, last heard of at %s; %s",
                batch.id,
                batch.game_date,
                batch.progress.completed,
                batch.progress.requested,
                batch.heartbeat_at.isoformat(timespec="seconds"),
                goes_on(batch.id),
            )
        return stalled

    def _announced(self, order: Order, made: Batch | None, fresh: str) -> Start:
        """How the gate hears of the batch: by its id, as far as anybody can say before its date is claimed.

        ``made``: the batch of its key; else the one that is left of the date; else one with the id ``fresh``.
        """
        if order.dry_run:
            return order.start
        with suppress(StateError):  # the gate has the first word; then it is raised
            made = made or next(iter(self._store.active(order.game_date)), None)
        return replace(order.start, batch=made.id if made else fresh)

    def _created(self, id: str, order: Order, slate: Slate, verdict: Verdict, stamp: Stamp) -> Batch:
        batch = self._store.create(replace(self._new(order, slate, verdict, stamp), id=id), self._clock())
        telemetry.started(batch)
        return batch

    def _new(self, order: Order, slate: Slate, verdict: Verdict, stamp: Stamp) -> NewBatch:
        return NewBatch(
            id=new_id(slate.game_date),
            game_date=slate.game_date,
            slate=slate.source,
            requests=slate.requests,
            set_aside=len(slate.set_aside),
            dispatch=self._dispatcher.name,
            stamp=stamp,
            terms=order.terms(self._terms()),
            reasons=verdict.reasons,
            break_glass=verdict.break_glass,
            idempotency_key=order.idempotency_key,
        )

    def _resume(self, batch: Batch, stamp: Stamp, overridden: Overridden) -> Batch:
        with self._store.claim(batch.game_date, self._clock()) as claim:
            batch = self.get(batch.id)  # as it is now that nobody else may touch it
            if batch.active and not self._before.abandoned(batch):
                raise BatchRunningError(f"workers have the requests of batch {batch.id}", batch)
            return self._go_on(batch, claim, stamp, overridden)

    def _keep_verdict(self, batch_id: str, verdict: Verdict) -> None:
        """Put on record what a bypass has overridden, beside whatever becomes of the batch."""
        self._store.judge(batch_id, self._stamp(verdict), verdict.reasons, verdict.break_glass)

    def _go_on(self, batch: Batch, claim: Claim, stamp: Stamp, overridden: Overridden) -> Batch:
        """Hand out whatever nobody can still answer for, on the verdict ``stamp``; the batch afterwards."""
        self._before.require_same_way(batch)
        # Pub/Sub delivers what it took, so that a batch whose dispatch broke off lacks the rest alone.
        broke_off = batch.state == "pending" and batch.dispatch not in ANSWERING
        states: Sequence[RequestState] = ("pending",) if broke_off else _UNANSWERED
        batch = self._store.begin(batch.id, self._clock(), stamp)
        # What was out before counts as done when it goes out again.
        done = batch.progress.dispatched if broke_off else batch.progress.completed
        return self._hand_out(batch, claim, overridden, self._store.requests(batch.id, states), done)

    def _hand_out(
        self,
        batch: Batch,
        claim: Claim,
        overridden: Overridden,
        requests: Iterable[PredictionRequest],
        done: int = 0,
    ) -> Batch:
        """Hand out ``requests`` of ``batch``, of which ``done`` others need it not; the batch afterwards."""
        overridden.began(batch.id)
        with telemetry.handing_out(batch), self._finalizer.failed_unless_done(batch.id):
            parts = (self._store, self._dispatcher, batch, requests, done, claim, self._clock, self._tell)
            if hand_out(*parts) and not self._end_if_settled(batch.id):
                self._store.move(batch.id, "dispatched", self._clock())
        return self.get(batch.id)

    def _end_if_settled(self, batch_id: str) -> bool:
        if settled := self._store.settled(batch_id):
            self._finalizer.end(batch_id)
        return settled
