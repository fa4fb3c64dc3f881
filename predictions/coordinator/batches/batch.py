"""What a batch is: its states and which follows which, its requests, and their results. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, NamedTuple, get_args

from drift_gate.facts import Fact
from drift_gate.policy.verdict import BreakGlass, Reason
from predictions.coordinator.batches.ending import Ending
from predictions.coordinator.batches.stamp import Stamp, Terms
from predictions.coordinator.exceptions import TransitionError
from predictions.worker.worker import PredictionRequest

BatchState = Literal["pending", "dispatched", "completed", "failed", "cancelled", "stalled"]
STATES: tuple[BatchState, ...] = get_args(BatchState)
RequestState = Literal["pending", "dispatched", "completed", "failed"]

#: Which state may follow which. ``pending``: not all of its requests were handed out yet;
#: ``dispatched``: all were; ``stalled``: nobody was heard of it for too long. A batch that failed can be
#: resumed, since what it has is kept; a cancelled one cannot, since somebody meant it.
TRANSITIONS: Mapping[BatchState, frozenset[BatchState]] = {
    "pending": frozenset({"dispatched", "completed", "failed", "cancelled", "stalled"}),
    "dispatched": frozenset({"pending", "completed", "failed", "cancelled", "stalled"}),
    "stalled": frozenset({"pending", "dispatched", "completed", "failed", "cancelled"}),
    "failed": frozenset({"pending"}),
    "completed": frozenset(),
    "cancelled": frozenset(),
}
#: A date has at most one batch in one of these.
ACTIVE: frozenset[BatchState] = frozenset({"pending", "dispatched", "stalled"})

#: The ways of dispatch whose answers come back with it; those of the others come later, as completions.
ANSWERING = frozenset({"local", "http"})

#: What a completion came to. ``counted``: the first that says so; ``duplicate``: the request has its
#: prediction already; ``late``: the batch has ended without it; ``unknown``: no such batch or request.
Applied = Literal["counted", "duplicate", "late", "unknown"]


class Progress(Fact):
    """Where a batch stands, in requests. ``dispatched`` counts those that were handed out at least once.

    ``duplicates`` and ``late`` count completions that changed nothing.
    """

    requested: int
    dispatched: int = 0
    completed: int = 0
    failed: int = 0
    duplicates: int = 0
    late: int = 0

    @property
    def settled(self) -> bool:
        """Whether each request has its prediction or its error."""
        return self.completed + self.failed >= self.requested


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """What a batch is created with.

    ``id``: see ``new_id``. ``slate``: where the requests come from, for people. ``set_aside`` counts the
    rows of the slate that could not be used. ``idempotency_key`` None: the caller gave none. The
    requests are read once, and need not fit into memory; a player stands among them once.
    """

    id: str
    game_date: date
    slate: str
    requests: Iterable[PredictionRequest]
    set_aside: int
    dispatch: str
    stamp: Stamp
    terms: Terms
    reasons: Sequence[Reason] = ()
    break_glass: BreakGlass | None = None
    idempotency_key: str | None = None


class Batch(Fact):
    """A batch as it stands.

    ``stamp``: the verdict that it started on; ``resumed``: those of each time that its requests were handed
    out again, the last one last. ``terms`` None: a batch of an older version, which did not keep them.
    ``rounds``: how often its requests were handed out, wholly or in part; 1 for a batch that nobody had
    to resume. ``heartbeat_at``: when it last moved on. ``ended_at`` None: it has not ended. ``error``
    None: nothing went wrong. ``ending`` None: it has not ended, or ended before its last result. Times
    are UTC.
    """

    id: str
    game_date: date
    state: BatchState
    slate: str
    dispatch: str
    stamp: Stamp
    resumed: tuple[Stamp, ...] = ()
    terms: Terms | None = None
    reasons: tuple[Reason, ...] = ()
    break_glass: BreakGlass | None = None
    progress: Progress
    rounds: int = 0
    set_aside: int = 0
    created_at: datetime
    heartbeat_at: datetime
    ended_at: datetime | None = None
    error: str | None = None
    ending: Ending | None = None
    idempotency_key: str | None = None

    @property
    def active(self) -> bool:
        """Whether it still stands in the way of another batch of its date."""
        return self.state in ACTIVE

    @property
    def stamps(self) -> tuple[Stamp, ...]:
        """All verdicts that its requests were handed out on, the last one last."""
        return (self.stamp, *self.resumed)

    @property
    def latest(self) -> Stamp:
        """The verdict that its requests were last handed out on."""
        return self.stamps[-1]

    def stamp_of(self, attempt: int | None) -> Stamp:
        """The verdict of the round ``attempt``; of the first where a file kept none. None: not known."""
        back = max(self.rounds, 1) - (attempt or 1)
        return self.stamps[max(len(self.stamps) - 1 - max(back, 0), 0)]

    @property
    def marks(self) -> tuple[str, ...]:
        """What a reader of the results must know; ``mixed-revision``, or nothing."""
        return self.ending.marks if self.ending else ()


class Result(NamedTuple):
    """One player's prediction, the worker that made it, and the verdict that let it; empty: not known."""

    player_id: str
    player_name: str
    game_id: str
    points: float
    worker_revision: str
    worker_commit: str
    gate_decision: str
    live_revision: str
    live_commit: str
    target_commit: str
    policy_hash: str


def may_become(batch_id: str, state: BatchState, to: BatchState) -> None:
    """Raise ``TransitionError`` unless a batch in ``state`` may be moved to ``to``, or is there."""
    if state != to and to not in TRANSITIONS[state]:
        raise TransitionError(f"batch {batch_id} is {state} and cannot become {to}")


def running(game_date: date, batch: Batch | None) -> str:
    """What a second start of the date is told; None: the first has not made its batch yet."""
    known = (
        f": batch {batch.id}, {batch.progress.completed} of {batch.progress.requested} predicted"
        if batch
        else ""
    )
    return f"another start is at work on {game_date}{known}; `prediction-coordinator status` shows it"


def new_id(game_date: date) -> str:
    """An id that no other batch has, in any store: a late message must not find a namesake."""
    return f"{game_date.isoformat()}-{secrets.token_hex(4)}"
