"""What a batch is: its states and which follows which, the verdict that it started on, and the Protocol
of what keeps it. Pure.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, NamedTuple, Protocol, get_args

from predictions.coordinator.exceptions import TransitionError
from predictions.worker.messages import Completion
from predictions.worker.worker import PredictionRequest
from shared.deployment.facts import Fact
from shared.deployment.report import LiveReport
from shared.deployment.verdict import BreakGlass, Policy, Reason, Verdict

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

#: The mark of a batch whose results may come from more than one revision.
MIXED_REVISION = "mixed-revision"


class Stamp(Fact):
    """The verdict that a batch started on, short enough to travel with each request and result.

    ``service``: the workload that was judged; None: a batch of an older version, which did not keep it.
    ``live_revisions`` and ``live_commits`` belong together by position, the one with most traffic first; a
    None in them is not known. ``live_url``: where the only one of them answers alone (its tag URL); None:
    there are several, or it has no tag. ``target_commit`` None: not known. ``policy_hash``: which policy
    judged; None: there was none to read (a bypass with a broken configuration).
    """

    service: str | None = None
    gate_decision: str
    enforced: bool
    not_enforced_because: str | None = None
    live_revisions: tuple[str | None, ...] = ()
    live_commits: tuple[str | None, ...] = ()
    live_url: str | None = None
    target_commit: str | None = None
    policy_hash: str | None = None

    @classmethod
    def of(cls, verdict: Verdict, policy_hash: str | None = None) -> Stamp:
        """The stamp of ``verdict``."""
        serving = Serving.of(verdict.report.live)
        return cls(
            service=verdict.service,
            gate_decision=verdict.decision,
            enforced=verdict.enforced,
            not_enforced_because=verdict.not_enforced_because,
            live_revisions=serving.revisions,
            live_commits=serving.commits,
            live_url=verdict.report.live[0].url if len(verdict.report.live) == 1 else None,
            target_commit=verdict.report.target.commit if verdict.report.target else None,
            policy_hash=policy_hash,
        )

    def attributes(self) -> dict[str, str]:
        """The stamp as the attributes of a message: text only, and what is not known is left out."""
        told = {
            "gate_decision": self.gate_decision,
            "gate_enforced": "true" if self.enforced else "false",
            "live_revision": ",".join(filter(None, self.live_revisions)),
            "live_commit": ",".join(dict.fromkeys(filter(None, self.live_commits))),
            "target_commit": self.target_commit or "",
            "policy_hash": self.policy_hash or "",
        }
        return {name: value for name, value in told.items() if value}


class Serving(NamedTuple):
    """The revisions that get traffic, most first, and their commits by position; None: not known."""

    revisions: tuple[str | None, ...]
    commits: tuple[str | None, ...]

    @classmethod
    def of(cls, live: Iterable[LiveReport]) -> Serving:
        """What ``live`` says; equal for two reports when the same revisions serve, whatever their share."""
        known = sorted(live, key=lambda each: (-each.percent, each.revision or "", each.commit or ""))
        return cls(tuple(each.revision for each in known), tuple(each.commit for each in known))


class Share(Fact):
    """How many results the workers of one revision and commit brought; None: they did not say."""

    revision: str | None
    commit: str | None
    results: int


class Ending(Fact):
    """What a batch looked like when it ended.

    ``live_revisions`` and ``live_commits``: what served then, as in ``Stamp``; ``live_unknown`` says why
    they could not be read. ``mixed``: whether another revision served than at the start, or workers of
    more than one commit answered; None: nobody knows.
    """

    live_revisions: tuple[str | None, ...] = ()
    live_commits: tuple[str | None, ...] = ()
    live_unknown: str | None = None
    mixed: bool | None = None
    shares: tuple[Share, ...] = ()

    @property
    def marks(self) -> tuple[str, ...]:
        """What a reader of the results must know."""
        return (MIXED_REVISION,) if self.mixed else ()


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
    reasons: Sequence[Reason] = ()
    break_glass: BreakGlass | None = None
    idempotency_key: str | None = None


class Batch(Fact):
    """A batch as it stands.

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
        """The new batch, pending; it and all of its requests are there, or nothing is.

        Raises ``BatchRunningError`` where the date has an active batch, and ``KeyReusedError`` where
        another batch has its idempotency key.
        """
        ...

    def requests(self, batch_id: str, states: Sequence[RequestState]) -> Iterator[PredictionRequest]:
        """The requests in one of ``states``, by player, a page at a time; the batch may change meanwhile."""
        ...

    def begin(self, batch_id: str, now: datetime) -> Batch:
        """The batch, pending, at the beginning of another round of handing out its requests.

        Requests that failed are pending again.

        Raises ``TransitionError``, and ``BatchRunningError`` where its date has another active batch.
        """
        ...

    def mark_dispatched(self, batch_id: str, request_ids: Sequence[str], now: datetime) -> BatchState:
        """Note that the requests were handed out in this round; the batch's state, as others may move it.

        Moves the heartbeat; a stalled batch is dispatched again.
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

    def shares(self, batch_id: str) -> tuple[Share, ...]:
        """The results by who made them, most first."""
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


def result_of(
    request: PredictionRequest, points: float, revision: str | None, commit: str | None, stamp: Stamp
) -> Result:
    """The result row of one completed request."""
    told = stamp.attributes()
    return Result(
        player_id=request.player_id,
        player_name=request.player_name,
        game_id=request.game_id,
        points=points,
        worker_revision=revision or "",
        worker_commit=commit or "",
        gate_decision=stamp.gate_decision,
        live_revision=told.get("live_revision", ""),
        live_commit=told.get("live_commit", ""),
        target_commit=told.get("target_commit", ""),
        policy_hash=told.get("policy_hash", ""),
    )


def new_id(game_date: date) -> str:
    """An id that no other batch has, in any store: a late message must not find a namesake."""
    return f"{game_date.isoformat()}-{secrets.token_hex(4)}"


def policy_hash(policy: Policy) -> str:
    """Twelve hex digits that differ when a policy differs."""
    return hashlib.sha256(policy.model_dump_json().encode()).hexdigest()[:12]


def ending(stamp: Stamp, shares: Sequence[Share], now_live: Serving | str) -> Ending:
    """How the batch ended, with ``now_live`` what serves now, or the sentence why nobody knows."""
    known = not isinstance(now_live, str)
    serving = now_live if isinstance(now_live, Serving) else Serving((), ())
    strange = _answered_by_others(stamp, shares)
    changed = _differs(Serving(stamp.live_revisions, stamp.live_commits), serving) if known else None
    return Ending(
        live_revisions=serving.revisions,
        live_commits=serving.commits,
        live_unknown=now_live if isinstance(now_live, str) else None,
        mixed=True if strange or changed else changed,
        shares=tuple(shares),
    )


def _answered_by_others(stamp: Stamp, shares: Sequence[Share]) -> bool:
    """Whether workers of several commits answered, or of one that was not live at the start.

    A worker may say a short id; one that says none tells nothing.
    """
    answered = {share.commit for share in shares if share.commit}
    judged = [commit for commit in stamp.live_commits if commit]
    strangers = [commit for commit in answered if not any(_same_commit(commit, each) for each in judged)]
    return len(answered) > 1 or bool(judged and strangers)


def _same_commit(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _differs(then: Serving, now: Serving) -> bool | None:
    """Whether another revision serves; by commit where there are no revisions (a ledger knows none)."""
    for before, after in ((then.revisions, now.revisions), (then.commits, now.commits)):
        if before and after and None not in before and None not in after:
            return set(before) != set(after)
    return None
