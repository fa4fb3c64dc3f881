"""``start``: from the gate's verdict to the day's predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal, Protocol

from predictions.coordinator.batches import Applied, Batch, Dispatcher, Result, Store
from predictions.coordinator.dispatch import Worker, dispatch, local_worker
from predictions.coordinator.exceptions import StateError
from predictions.coordinator.results import write_predictions
from predictions.coordinator.slate import Slate, read_slate
from predictions.coordinator.state import NewBatch, State, open_state
from predictions.worker.messages import Completion
from shared.utils.deployment_checker import Verdict, require_current_worker

DEFAULT_STATE = Path(".drift") / "predictions.sqlite"
#: Players per call of the worker: about one game and a half, so that the progress bar moves and a
#: failure costs little.
DEFAULT_BATCH_SIZE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for.

    ``slate``: for ``read_slate``; None: the one that comes with the package. ``state``: the SQLite file that
    keeps the batch; the predictions are written beside it. ``batch_size``: players per call of the
    worker. ``skip_drift_check``: the emergency bypass of the gate, with ``reason`` and ``actor`` for
    its log (None: not given; the gate then finds the actor itself). ``wait``: seconds that a rollout may
    take to be over first. ``min_minutes``: players who are expected to play less are not asked for;
    None: all are. ``dry_run``: ask the gate and read the slate, start nothing. ``idempotency_key``: the
    same key again gets the batch that it made; None: each start is its own.
    """

    game_date: date
    slate: str | Path | None = None
    state: Path = DEFAULT_STATE
    batch_size: int = DEFAULT_BATCH_SIZE
    skip_drift_check: bool = False
    reason: str | None = None
    actor: str | None = None
    wait: float = 0.0
    min_minutes: float | None = None
    dry_run: bool = False
    idempotency_key: str | None = None

    @property
    def predictions(self) -> Path:
        """Where the predictions of this date go; a later batch of the same date replaces them."""
        return self.state.with_name(f"predictions-{self.game_date.isoformat()}.csv")


@dataclass(frozen=True, slots=True)
class Progress:
    """``done`` of ``total`` players of the batch have their prediction."""

    batch_id: int
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A completed batch: the verdict that let it start, what was predicted, and where it lies."""

    batch_id: int
    verdict: Verdict
    slate: Slate
    predictions: Path
    state: Path


class Gate(Protocol):
    """What stands before a batch: a verdict, or an exception and no batch."""

    def __call__(self, *, skip: bool, reason: str | None, actor: str | None) -> Verdict:
        """As ``shared.utils.deployment_checker.require_current_worker``."""
        ...


#: Is told what happens, as it happens.
Tell = Callable[[Verdict | Slate | Progress], None]


def _untold(_: Verdict | Slate | Progress) -> None:
    """Nobody listens."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def start(
    order: Order,
    *,
    gate: Gate = require_current_worker,
    worker: Worker = local_worker,
    tell: Tell = _untold,
    clock: Callable[[], datetime] = _utc_now,
) -> Finished:
    """Predict for everybody on the slate of ``order.game_date``, unless the gate refuses.

    Raises what ``gate`` raises (``DeploymentDriftError``, ``DriftConfigError``), ``SlateError`` and
    ``BatchError``. A refusal and an unusable slate leave no batch, no request and no prediction; a
    batch that fails later, by Ctrl-C too, stays on record as failed. A date may be started again once
    its batch has ended; two starts at the same time are one batch and one ``BatchRunningError``.
    """
    # 1. Is the worker current? The gate raises, or lets us through.
    verdict = gate(skip=order.skip_drift_check, reason=order.reason, actor=order.actor)
    tell(verdict)

    # 2. What is there to predict?
    slate = read_slate(order.game_date, order.slate, order.min_minutes)
    tell(slate)

    with open_state(order.state) as state, state.claim(order.game_date, clock()):
        # 3. The batch exists from here on, with all of its requests.
        batch_id = state.create(_new_batch(slate, verdict), clock())
        with _failed_unless_done(state, batch_id, clock):
            # 4. The worker predicts; each answer is kept as it comes.
            done = 0
            for predictions in dispatch(slate.requests, worker, order.batch_size):
                state.keep(batch_id, predictions)
                done += len(predictions)
                tell(Progress(batch_id, done, len(slate.requests)))

            # 5. Hand over.
            write_predictions(order.predictions, state.results(batch_id))
            state.complete(batch_id, clock())
    return Finished(
        batch_id=batch_id, verdict=verdict, slate=slate, predictions=order.predictions, state=order.state
    )


def _slate_of(order: Order) -> Slate:
    return read_slate(order.game_date, order.slate, order.min_minutes)


def _new_batch(slate: Slate, verdict: Verdict) -> NewBatch:
    return NewBatch(
        game_date=slate.game_date,
        slate=slate.source,
        requests=slate.requests,
        set_aside=len(slate.set_aside),
        decision=verdict.decision,
        enforced=verdict.enforced,
    )


@contextmanager
def _failed_unless_done(state: State, batch_id: int, clock: Callable[[], datetime]) -> Iterator[None]:
    """Whatever ends the block early is put on record and goes on its way."""
    try:
        yield
    except BaseException as error:
        # Where even that cannot be written, the next start of this date finds the batch without a
        # coordinator; the first error is the one to report.
        with suppress(StateError):
            state.fail(batch_id, str(error) or type(error).__name__, clock())
        raise


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


class Waits(Protocol):
    """The gate, as the coordinator asks it: a verdict, or an exception and no batch."""

    def __call__(self, *, skip: bool, reason: str | None, actor: str | None, wait: float) -> Verdict:
        """As ``shared.utils.deployment_checker.require_current_worker``."""
        ...


class Coordinator:
    """Starts batches, resumes them, counts what workers report, and ends them; one for a process.

    Holds no batch itself: whatever it knows is in its store, so that several may share one.
    """

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        *,
        gate: Waits = require_current_worker,
        read: Callable[[Order], Slate] = _slate_of,
        ready: Callable[[Order, Slate], object] | None = None,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        """``read``: the slate of an order. ``ready``: raises where the data is not; None: nobody asks."""
        self._store = store
        self._dispatcher = dispatcher
        self._gate = gate
        self._read = read
        self._ready = ready
        self._clock = clock

    def start(self, order: Order) -> Started:
        """Start the batch of ``order.game_date``, unless the gate refuses; or go on with the one there.

        Returns when each request was handed out. Raises what the gate raises (``DeploymentDriftError``,
        ``DriftConfigError``), ``SlateError``, ``BatchRunningError`` with the batch, ``KeyReusedError``
        and ``BatchError``. A refusal and an unusable slate leave nothing behind.
        """
        raise NotImplementedError

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

        The gate is asked anew, since work is handed out again; where nothing is left to do it is not.
        Raises as ``start``, ``BatchNotFoundError`` and ``TransitionError``.
        """
        raise NotImplementedError

    def complete(self, completion: Completion) -> Applied:
        """Count what a worker reports, and end the batch with its last result. Raises ``StateError``."""
        raise NotImplementedError

    def cancel(self, batch_id: str) -> Batch:
        """End the batch as it is; what comes for it from now on is late.

        Raises ``BatchNotFoundError``, and ``TransitionError`` where it has ended otherwise.
        """
        raise NotImplementedError

    def get(self, batch_id: str) -> Batch:
        """The batch. Raises ``BatchNotFoundError``."""
        raise NotImplementedError

    def batches(self, game_date: date | None = None, limit: int = 100) -> list[Batch]:
        """The batches of ``game_date`` (None: of all dates), the newest first."""
        raise NotImplementedError

    def results(self, batch_id: str) -> Iterator[Result]:
        """The predictions of a batch so far, by player. Raises ``BatchNotFoundError``."""
        raise NotImplementedError
