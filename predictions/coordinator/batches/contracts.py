"""What the story of a batch needs of others, as Protocols: a way to the workers, and what keeps batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import NamedTuple, Protocol

from drift_gate.policy.verdict import BreakGlass, Reason
from predictions.coordinator.batches.batch import Applied, Batch, BatchState, NewBatch, RequestState, Result
from predictions.coordinator.batches.ending import Ending, Share
from predictions.coordinator.batches.stamp import Stamp
from predictions.worker.messages import Completion
from predictions.worker.worker import PredictionRequest


class Handed(NamedTuple):
    """Requests that a worker has now; ``completions`` are its answers where it gave them at once."""

    request_ids: tuple[str, ...]
    completions: tuple[Completion, ...] = ()


class Dispatcher(Protocol):
    """One way to the workers."""

    @property
    def name(self) -> str:
        """The word that ``COORDINATOR_DISPATCH`` has for it."""
        ...

    def dispatch(self, batch: Batch, requests: Iterable[PredictionRequest]) -> Iterator[Handed]:
        """Hand ``requests`` to workers while it is iterated over; each once, as soon as it is sure.

        Holds a bounded number of them in memory. Raises ``BatchError`` when a worker cannot be reached
        or does not answer for what it was asked; what was yielded before stands.
        """
        ...


class Claim(Protocol):
    """The right to work on one date, while its ``with`` block lasts."""

    def renew(self, now: datetime) -> None:
        """Keep it for longer. Raises ``BatchRunningError`` when somebody else has it meanwhile."""
        ...


class Store(Protocol):
    """What keeps batches. Each method is one transaction, and raises ``StateError`` when it fails."""

    def claim(self, game_date: date, now: datetime) -> AbstractContextManager[Claim]:
        """Be the only one who creates or hands out batches of ``game_date``.

        Raises ``BatchRunningError``, with the batch where there is one, when somebody else is. A holder
        that died loses its claim by itself: at once, or when its lease is over.
        """
        ...

    def create(self, batch: NewBatch, now: datetime) -> Batch:
        """The new batch, pending in its first round; it and all of its requests are there, or nothing is.

        Raises ``BatchRunningError`` where the date has an active batch, and ``KeyReusedError`` where
        another batch has its idempotency key.
        """
        ...

    def requests(self, batch_id: str, states: Sequence[RequestState]) -> Iterator[PredictionRequest]:
        """The requests in one of ``states``, by player, a page at a time; the batch may change meanwhile."""
        ...

    def begin(self, batch_id: str, now: datetime, stamp: Stamp | None = None) -> Batch:
        """The batch, pending, at the beginning of another round of handing out its requests.

        ``stamp``: the verdict of this round; None: the one that the batch was made on. Requests that failed
        are pending again.

        Raises ``TransitionError``, and ``BatchRunningError`` where its date has another active batch.
        """
        ...

    def judge(
        self, batch_id: str, stamp: Stamp, reasons: Sequence[Reason], break_glass: BreakGlass | None
    ) -> None:
        """Keep the verdict of the batch's last round, which a bypass let begin before it was known.

        Whatever state the batch is in; it is no sign of life. Raises ``BatchNotFoundError``.
        """
        ...

    def mark_dispatched(
        self, batch_id: str, request_ids: Sequence[str], now: datetime, answers: Sequence[Completion] = ()
    ) -> BatchState:
        """Note that the requests were handed out in this round; the batch's state, as others may move it.

        Moves the heartbeat; a stalled batch is dispatched again. ``answers``: what came back at once, which
        is counted as ``apply`` does.
        """
        ...

    def apply(self, completions: Sequence[Completion], now: datetime) -> list[Applied]:
        """What each completion came to, in their order. Counts each request once, moves the heartbeat.

        A stalled batch that is heard of is dispatched again.
        """
        ...

    def move(
        self,
        batch_id: str,
        to: BatchState,
        now: datetime,
        *,
        error: str | None = None,
        ending: Ending | None = None,
    ) -> Batch:
        """Put the batch into the state ``to``; a batch that is there already stays as it is.

        Raises ``TransitionError`` where ``TRANSITIONS`` does not allow it, and ``BatchNotFoundError``.
        """
        ...

    def stall(self, silent_since: datetime, now: datetime) -> list[Batch]:
        """Mark as stalled what is pending or dispatched and has not moved since then; those batches."""
        ...

    def get(self, batch_id: str) -> Batch | None:
        """The batch; None: there is none."""
        ...

    def batches(self, game_date: date | None = None, limit: int = 100) -> list[Batch]:
        """The batches of ``game_date`` (None: of all dates), the newest first, at most ``limit``."""
        ...

    def active(self, game_date: date | None = None) -> list[Batch]:
        """Those among them that have not ended, all of them, the newest first."""
        ...

    def by_key(self, idempotency_key: str) -> Batch | None:
        """The batch that was made under this key; None: there is none."""
        ...

    def results(self, batch_id: str) -> Iterator[Result]:
        """The predictions so far, by player."""
        ...

    def shares(self, batch_id: str, state: RequestState = "completed") -> tuple[Share, ...]:
        """The requests in ``state`` by who answered them, most first."""
        ...

    def settled(self, batch_id: str) -> bool:
        """Whether no request of the batch waits for its prediction."""
        ...

    def errors(self, batch_id: str, limit: int) -> list[tuple[str, str]]:
        """Requests that have an error and no prediction, by player: the player and the error."""
        ...

    def strays(self) -> int:
        """How many completions came for a batch or a request that does not exist."""
        ...
