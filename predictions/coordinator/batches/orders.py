"""What is asked for, what may be done of it, and what it came to: the values at both ends of a start."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal, Protocol

from drift_gate.facts import readable
from drift_gate.policy.verdict import NO_START
from predictions.coordinator.batches.batch import Batch
from predictions.coordinator.batches.stamp import Terms
from predictions.coordinator.exceptions import KeyReusedError
from predictions.coordinator.readiness.verdict import Readiness
from predictions.coordinator.slate import SLATE_TIMEOUT_S, Slate, read_slate
from shared.utils.deployment_checker import Start, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for.

    ``slate``: for ``read_slate``; None: the one that comes with the package. ``skip_drift_check``: the
    emergency bypass of the gate, with ``reason`` and ``actor`` for its log (None: not given; the gate
    then finds the actor itself). ``skip_readiness_checks``: the same for the readiness checks; neither
    skips the other. ``wait``: seconds that a rollout may take to be over first.
    ``min_minutes``: players who are expected to play less are not asked for; None: all are.
    ``dry_run``: ask the gate and read the slate, start nothing. ``idempotency_key``: the same key again
    gets the batch that it made; None: each start is its own. ``resume``: go on with that batch where it
    failed. ``again`` and ``bypass``: the lines that ask for it again, and past the gate, for the message of
    a refusal; None: there is no such line.
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
    resume: bool = False
    again: str | None = field(default=None, compare=False)
    bypass: str | None = field(default=None, compare=False)

    @property
    def start(self) -> Start:
        """How it is asked for, as a refusal says it."""
        return Start(date=self.game_date, dry_run=self.dry_run, again=self.again, bypass=self.bypass)

    def terms(self, declared: Terms) -> Terms:
        """What its batch keeps of it, beside the terms that are ``declared``."""
        slate = readable(str(self.slate)) if self.slate is not None else None
        caller = readable(self.actor) if self.actor is not None else None
        return declared.model_copy(update={"caller": caller, "slate": slate, "min_minutes": self.min_minutes})

    def require_same(self, batch: Batch) -> None:
        """Raise ``KeyReusedError`` unless this is the order that made ``batch``, by the one who made it.

        What it is asked past (a bypass), and for how long it waits, is no part of what is ordered.
        """
        asked = {"date": (self.game_date, batch.game_date), "dry run": (self.dry_run, False)}
        if batch.terms is not None:
            now, then = self.terms(batch.terms), batch.terms
            asked |= {
                "slate": (now.slate, then.slate),
                "min_minutes": (now.min_minutes, then.min_minutes),
                "caller": (now.caller, then.caller),
            }
        if differs := [name for name, (now, then) in asked.items() if now != then]:
            raise KeyReusedError(
                f"this idempotency key started the batch {batch.id} for {batch.game_date}, with another "
                f"{' and '.join(differs)}: give each order a key of its own",
                batch,
            )


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
    gate was not asked. ``slate`` None: it was not read. ``overridden``: what becomes known of the verdict
    after a bypass.
    """

    how: Literal["created", "resumed", "existing", "dry-run"]
    batch: Batch | None
    verdict: Verdict | None = None
    slate: Slate | None = None
    overridden: Overridden = field(default_factory=lambda: Overridden(), compare=False)


class Overridden:
    """What a bypass has overridden: it becomes known while the batches that it let start are at work.

    ``keep`` is told the id of each of them with the verdict, whichever comes last.
    """

    def __init__(self, keep: Callable[[str, Verdict], object] = lambda *_: None) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._batches: list[str] = []
        self._verdict: Verdict | None = None

    def __call__(self, verdict: Verdict) -> None:
        """The check is over."""
        with self._lock:
            self._verdict = verdict
            batches = tuple(self._batches)
        for batch in batches:
            self._keep(batch, verdict)

    def began(self, batch_id: str) -> None:
        """A batch that was let start is on record."""
        with self._lock:
            self._batches.append(batch_id)
            verdict = self._verdict
        if verdict is not None:
            self._keep(batch_id, verdict)

    def instead_of(self, verdict: Verdict) -> Verdict:
        """The verdict of the check where it is over; until then ``verdict``, which let the batch start."""
        with self._lock:
            return self._verdict or verdict


class Gate(Protocol):
    """What stands before a batch: a verdict, or an exception and no batch."""

    def __call__(
        self,
        *,
        skip: bool,
        reason: str | None,
        actor: str | None,
        wait: float,
        later: Callable[[Verdict], object] | None = None,
        start: Start = NO_START,
    ) -> Verdict:
        """As ``shared.utils.deployment_checker.require_current_worker``."""
        ...


class Ready(Protocol):
    """What looks at the data before a batch: a verdict, or an exception and no batch."""

    def __call__(self, order: Order, slate: Callable[[], Slate]) -> Readiness | None:
        """As ``readiness.enforcement.ready_for``; None: nobody declared what ready means."""
        ...


#: Is told what happens, as it happens.
Tell = Callable[[Verdict | Slate | Step | Readiness], None]


def untold(_: Verdict | Slate | Step | Readiness) -> None:
    """Nobody listens."""


def slate_of(order: Order, timeout: float = SLATE_TIMEOUT_S) -> Slate:
    """The slate that is asked for, within ``timeout`` seconds. Raises ``SlateError``."""
    return read_slate(order.game_date, order.slate, order.min_minutes, timeout)
