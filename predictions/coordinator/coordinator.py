"""``start``: from the gate's verdict to the day's predictions, in six steps; and what follows on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from predictions.coordinator import telemetry
from predictions.coordinator.batches import (
    ACTIVE,
    ANSWERING,
    Applied,
    Batch,
    BatchState,
    Claim,
    Dispatcher,
    Ending,
    NewBatch,
    RequestState,
    Result,
    Serving,
    Stamp,
    Store,
    ending,
    new_id,
    running,
)
from predictions.coordinator.config import DEFAULT_STALL_AFTER
from predictions.coordinator.exceptions import (
    BatchError,
    BatchNotFoundError,
    BatchRunningError,
    KeyReusedError,
    TransitionError,
)
from predictions.coordinator.readiness.side_by_side import Once, beside
from predictions.coordinator.readiness.verdict import Readiness
from predictions.coordinator.serving import serving_now, stamp_of
from predictions.coordinator.slate import Slate, read_slate
from predictions.worker.messages import Completion
from shared.utils.deployment_checker import Verdict, require_current_worker

log = logging.getLogger("prediction_coordinator")

#: How many requests an error of a batch names; all of them are counted.
_NAMED = 3
#: What is handed out again where nobody can still answer for it: whatever has no prediction.
_UNANSWERED: tuple[RequestState, ...] = ("pending", "dispatched")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for.

    ``slate``: for ``read_slate``; None: the one that comes with the package. ``skip_drift_check``: the
    emergency bypass of the gate, with ``reason`` and ``actor`` for its log (None: not given; the gate
    then finds the actor itself). ``skip_readiness_checks``: the same for the readiness checks; neither
    skips the other. ``wait``: seconds that a rollout may take to be over first.
    ``min_minutes``: players who are expected to play less are not asked for; None: all are.
    ``dry_run``: ask the gate and read the slate, start nothing. ``idempotency_key``: the same key again
    gets the batch that it made; None: each start is its own.
    """

    game_date: date
    slate: str | Path | None = None
    skip_drift_check: bool = False
    skip_readiness_checks: bool = False
    reason: str | None = None
    actor: str | None = None
    wait: float = 0.0
    min_minutes: float | None = None
    dry_run: bool = False
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """``done`` of ``total`` requests of the batch were handed out, or answered where answers come at once."""

    batch_id: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What a start or a resumption came to.

    ``how``: ``created``, ``resumed`` (a batch whose coordinator had died went on), ``existing`` (the
    idempotency key had made it before) or ``dry-run``. ``batch`` None: a dry run. ``verdict`` None: the
    gate was not asked. ``slate`` None: it was not read.
    """

    how: Literal["created", "resumed", "existing", "dry-run"]
    batch: Batch | None
    verdict: Verdict | None = None
    slate: Slate | None = None


class Gate(Protocol):
    """What stands before a batch: a verdict, or an exception and no batch."""

    def __call__(self, *, skip: bool, reason: str | None, actor: str | None, wait: float) -> Verdict:
        """As ``shared.utils.deployment_checker.require_current_worker``."""
        ...


class Ready(Protocol):
    """What looks at the data before a batch: a verdict, or an exception and no batch."""

    def __call__(self, order: Order, slate: Callable[[], Slate]) -> Readiness | None:
        """As ``readiness.enforcing.ready_for``; None: nobody declared what ready means."""
        ...


#: Is told what happens, as it happens.
Tell = Callable[[Verdict | Slate | Step | Readiness], None]


def _untold(_: Verdict | Slate | Step | Readiness) -> None:
    """Nobody listens."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _slate_of(order: Order) -> Slate:
    return read_slate(order.game_date, order.slate, order.min_minutes)


def permitted(
    order: Order,
    *,
    gate: Gate = require_current_worker,
    read: Callable[[Order], Slate] = _slate_of,
    ready: Ready | None = None,
    tell: Tell = _untold,
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
        read: Callable[[Order], Slate] = _slate_of,
        ready: Ready | None = None,
        stamp: Callable[[Verdict], Stamp] = stamp_of,
        live: Callable[[Batch], Serving | str] = serving_now,
        deliver: Callable[[Batch, Iterator[Result]], object] | None = None,
        stall_after: float = DEFAULT_STALL_AFTER,
        tell: Tell = _untold,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        """``read``: the slate of an order. ``ready``: raises where the data are not; None: nobody looks.

        ``live``: what serves when a batch ends, or why nobody knows. ``deliver``: takes the results of a
        batch before it counts as completed; None: they stay in the store. ``stall_after``: seconds
        without a sign of life.
        """
        self._store = store
        self._dispatcher = dispatcher
        self._gate = gate
        self._read = read
        self._ready = ready
        self._stamp = stamp
        self._live = live
        self._deliver = deliver
        self._stall_after = timedelta(seconds=stall_after)
        self._tell = tell
        self._clock = clock

    def start(self, order: Order) -> Started:
        """Start the batch of ``order.game_date``, unless the gate refuses; or go on with the one there.

        Returns when each request was handed out. Raises what the gate raises (``DeploymentDriftError``,
        ``DriftConfigError``), ``NotReadyError``, ``SlateError``, ``BatchRunningError`` with the batch,
        ``KeyReusedError`` and ``BatchError``. A refusal and an unusable slate leave nothing behind; a batch
        that fails later, by Ctrl-C too, stays on record as failed. A date may be started again once its
        batch has ended. Where its coordinator died, the start goes on with it in place of making another.
        """
        if made := self._made_before(order):  # the same key is the same batch, whatever the gate says now
            return Started(how="existing", batch=made)
        verdict, slate = permitted(
            order, gate=self._gate, read=self._read, ready=self._ready, tell=self._tell
        )
        if order.dry_run:
            return Started(how="dry-run", batch=None, verdict=verdict, slate=slate)

        self.find_stalled()
        with self._store.claim(order.game_date, self._clock()) as claim:
            if made := self._made_before(order):  # by the one who held the claim until now
                return Started(how="existing", batch=made, verdict=verdict, slate=slate)

            # 4. The batch exists from here on, with all of its requests.
            left = self._left_behind(order.game_date)
            batch = left or self._store.create(self._new(order, slate, verdict), self._clock())
            if not left:
                telemetry.started(batch)

            # 5. The requests go out; what comes back at once is kept as it comes. With the last result
            # the batch ends, here or in ``complete``.
            batch = self._go_on(batch, claim)
        return Started(how="resumed" if left else "created", batch=batch, verdict=verdict, slate=slate)

    def resume(
        self,
        batch_id: str | None = None,
        *,
        skip_drift_check: bool = False,
        reason: str | None = None,
        actor: str | None = None,
        wait: float = 0.0,
    ) -> list[Started]:
        """Go on with what a dead coordinator left behind; None: with every batch that has none.

        A batch that is named is resumed when it has failed, too. The gate is asked anew, since work is
        handed out again; where nothing is left to go on with it is not. Raises as ``start``,
        ``BatchNotFoundError`` and ``TransitionError``.
        """
        self.find_stalled()
        chosen = self._store.active() if batch_id is None else [self.get(batch_id)]
        if batch_id is None:
            chosen = [batch for batch in chosen if self._abandoned(batch)]
        if not chosen:
            return []
        verdict = self._gate(skip=skip_drift_check, reason=reason, actor=actor, wait=wait)
        self._tell(verdict)
        resumed = []
        for batch in chosen:
            try:
                resumed.append(Started(how="resumed", batch=self._resume(batch), verdict=verdict))
            except BatchRunningError:
                if batch_id is not None:
                    raise
                log.info("batch %s is being worked on", batch.id)
        return resumed

    def complete(self, completion: Completion) -> Applied:
        """Count what a worker reports, and end the batch with its last result.

        Raises ``StateError``; the same completion may then come again, and is counted once.
        """
        (applied,) = self._store.apply([completion], self._clock())
        telemetry.applied(applied)
        if applied == "unknown":
            log.warning("completion for batch %s, which nobody asked for", completion.batch_id)
        elif applied != "late" and self._store.settled(completion.batch_id):
            # A duplicate too: the first one may have been counted by a coordinator that died of it.
            self._end(completion.batch_id)
        return applied

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
        self.find_stalled()
        return self._store.batches(game_date, limit)

    def results(self, batch_id: str) -> Iterator[Result]:
        """The predictions of a batch so far, by player. Raises ``BatchNotFoundError``."""
        return self._store.results(self.get(batch_id).id)

    def find_stalled(self) -> list[Batch]:
        """Mark the batches that nobody was heard of for too long, and tell each once."""
        now = self._clock()
        stalled = self._store.stall(now - self._stall_after, now)
        for batch in stalled:
            telemetry.stalled(batch)
            log.error(
                "batch %s for %s is stalled: %d of %d predicted, last heard of at %s; "
                "`prediction-coordinator resume %s` hands out the rest again",
                batch.id,
                batch.game_date,
                batch.progress.completed,
                batch.progress.requested,
                batch.heartbeat_at.isoformat(timespec="seconds"),
                batch.id,
            )
        return stalled

    def _made_before(self, order: Order) -> Batch | None:
        """What the idempotency key has made. Raises ``KeyReusedError`` where that was another order."""
        if order.idempotency_key is None:
            return None
        batch = self._store.by_key(order.idempotency_key)
        if batch is not None and batch.game_date != order.game_date:
            raise KeyReusedError(f"this idempotency key started the batch {batch.id} for {batch.game_date}")
        return batch

    def _new(self, order: Order, slate: Slate, verdict: Verdict) -> NewBatch:
        return NewBatch(
            id=new_id(slate.game_date),
            game_date=slate.game_date,
            slate=slate.source,
            requests=slate.requests,
            set_aside=len(slate.set_aside),
            dispatch=self._dispatcher.name,
            stamp=self._stamp(verdict),
            reasons=verdict.reasons,
            break_glass=verdict.break_glass,
            idempotency_key=order.idempotency_key,
        )

    def _left_behind(self, game_date: date) -> Batch | None:
        """The batch of the date that nobody works on any more; its claim must be held.

        None: there is none. Raises ``BatchRunningError`` where workers still have its requests.
        """
        for batch in self._store.active(game_date):
            if not self._abandoned(batch):
                raise BatchRunningError(running(game_date, batch), batch)
            return batch
        return None

    def _abandoned(self, batch: Batch) -> bool:
        """Whether nothing more would come of the batch by itself, if nobody holds its date."""
        if batch.state == "dispatched" and batch.dispatch not in ANSWERING:
            return self._store.settled(batch.id)
        return True

    def _resume(self, batch: Batch) -> Batch:
        with self._store.claim(batch.game_date, self._clock()) as claim:
            batch = self.get(batch.id)  # as it is now that nobody else may touch it
            if batch.active and not self._abandoned(batch):
                raise BatchRunningError(f"workers have the requests of batch {batch.id}", batch)
            return self._go_on(batch, claim)

    def _go_on(self, batch: Batch, claim: Claim) -> Batch:
        """Hand out whatever nobody can still answer for; the batch as it is then."""
        # Pub/Sub delivers what it took, so that a batch whose dispatch broke off lacks the rest alone.
        broke_off = batch.state == "pending" and batch.dispatch not in ANSWERING
        states: Sequence[RequestState] = ("pending",) if broke_off else _UNANSWERED
        batch = self._store.begin(batch.id, self._clock())
        with telemetry.handing_out(batch), self._failed_unless_done(batch.id):
            if self._hand_out(batch, states, claim) and not self._end_if_settled(batch.id):
                self._store.move(batch.id, "dispatched", self._clock())
        return self.get(batch.id)

    def _hand_out(self, batch: Batch, states: Sequence[RequestState], claim: Claim) -> bool:
        """Whether all went out; not so when somebody has ended the batch meanwhile."""
        done = batch.progress.completed if batch.dispatch in ANSWERING else batch.progress.dispatched
        for handed in self._dispatcher.dispatch(batch, self._store.requests(batch.id, states)):
            state = self._store.mark_dispatched(batch.id, handed.request_ids, self._clock())
            if handed.completions:
                self._store.apply(handed.completions, self._clock())
            if state not in ACTIVE:
                return False
            claim.renew(self._clock())
            done += len(handed.request_ids)
            self._tell(Step(batch.id, done, batch.progress.requested))
        return True

    def _end_if_settled(self, batch_id: str) -> bool:
        if not self._store.settled(batch_id):
            return False
        self._end(batch_id)
        return True

    def _end(self, batch_id: str) -> None:
        """Hand over the results and close the batch; of several who come here at once one does."""
        batch = self.get(batch_id)
        if not batch.active:
            return
        end = ending(batch.stamp, self._store.shares(batch_id), self._live(batch))
        if errors := self._store.errors(batch_id, _NAMED):
            self._close(batch_id, "failed", end, _failures(batch, errors))
            return
        if self._deliver is not None:
            self._deliver(batch, self._store.results(batch_id))
        self._close(batch_id, "completed", end)

    def _close(self, batch_id: str, to: BatchState, end: Ending, error: str | None = None) -> None:
        with suppress(TransitionError):  # somebody else ended it while we looked
            now = self._clock()
            batch = self._store.move(batch_id, to, now, error=error, ending=end)
            telemetry.ended(batch, now)
            if batch.marks:
                log.warning("batch %s is %s: %s", batch_id, ", ".join(batch.marks), _told(end))

    @contextmanager
    def _failed_unless_done(self, batch_id: str) -> Iterator[None]:
        """Whatever ends the block early is put on record and goes on its way."""
        try:
            yield
        except BatchRunningError:  # it belongs to somebody else now
            raise
        except BaseException as error:
            # Where even that cannot be written, the next start of this date finds the batch without a
            # coordinator; the first error is the one to report.
            with suppress(BatchError):
                now = self._clock()
                batch = self._store.move(batch_id, "failed", now, error=str(error) or type(error).__name__)
                telemetry.ended(batch, now)
            raise


def _failures(batch: Batch, errors: Sequence[tuple[str, str]]) -> str:
    named = "; ".join(f"{player}: {error}" for player, error in errors)
    return f"{batch.progress.failed} of {batch.progress.requested} requests failed: {named}"


def _told(end: Ending) -> str:
    """Who brought how many of the results."""
    total = sum(share.results for share in end.shares) or 1
    return ", ".join(
        f"{share.results / total:.0%} by {share.commit or share.revision or 'nobody knows whom'}"
        for share in end.shares
    )
