"""What is asked and answered over HTTP, as values: the bodies of requests and of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, computed_field

from drift_gate.policy.verdict import Verdict
from predictions.coordinator.batches.batch import Applied, Batch, BatchState
from predictions.coordinator.batches.orders import Started
from predictions.coordinator.batches.ran_with import RanWith, ran_with

#: The words and the form of a game date, for the description; ``game_dates`` decides.
GAME_DATE = {
    "anyOf": [{"type": "string", "enum": ["TODAY", "TOMORROW"]}, {"type": "string", "format": "date"}],
    "description": "A date such as 2026-02-05, or TODAY or TOMORROW in New York.",
    "examples": ["TODAY", "2026-02-05"],
}


def _described_date(schema: dict[str, object]) -> None:
    schema.pop("type", None)
    schema.update(GAME_DATE)


class StartRequest(BaseModel):
    """What is to be started, and past which checks.

    ``min_minutes``: leave out players who are expected to play less. ``wait``: seconds for which a
    rollout may be waited for first. ``dry_run``: ask the gate and read the slate, and start nothing.
    ``skip_drift_check`` and ``skip_readiness_checks`` are emergency bypasses, each for its own check;
    they need a permission of their own, and are logged with ``reason``. ``resume``: go on with the batch of
    the same idempotency key where it has failed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    game_date: Annotated[str, Field(max_length=20, json_schema_extra=_described_date)]
    min_minutes: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] | None = None
    wait: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    dry_run: bool = False
    skip_drift_check: bool = False
    skip_readiness_checks: bool = False
    reason: Annotated[str, Field(max_length=500)] | None = None
    resume: bool = False

    @property
    def bypasses(self) -> tuple[str, ...]:
        """The checks that are to be passed by."""
        return tuple(name for name in ("skip_drift_check", "skip_readiness_checks") if getattr(self, name))


class BatchAnswer(Batch):
    """A batch as it stands, with what a reader of its results must know (``marks``)."""

    @computed_field(alias="marks")  # type: ignore[prop-decorator] # mypy knows no decorated property
    @property
    def marked(self) -> tuple[str, ...]:
        """``mixed-revision``, or nothing."""
        return self.marks

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """The answer that shows ``batch``."""
        return cls.model_construct(**{name: getattr(batch, name) for name in Batch.model_fields})


class BatchList(BaseModel):
    """Batches, the newest first."""

    model_config = ConfigDict(frozen=True)

    batches: tuple[BatchAnswer, ...]


class HeldBatch(BatchAnswer):
    """A batch, and whether it ran with the commit that was asked for: ``unknown`` is no ``without``."""

    ran_with: RanWith

    @classmethod
    def held(cls, batch: Batch, ran_with: RanWith) -> Self:
        """The answer that shows ``batch`` so."""
        return cls.model_construct(**dict(BatchAnswer.of(batch)), ran_with=ran_with)


class HeldList(BaseModel):
    """Batches, the newest first, each held against the commit ``ran_with``.

    ``unknown``: why that is not known of some of them, a sentence each.
    """

    model_config = ConfigDict(frozen=True)

    ran_with: str
    batches: tuple[HeldBatch, ...]
    unknown: tuple[str, ...]

    @classmethod
    def of(cls, commit: str, batches: Sequence[Batch]) -> Self:
        """The answer for ``batches``; asks git. Raises ``DriftConfigError``."""
        told = ran_with(commit, batches)
        held = tuple(HeldBatch.held(batch, told.by_batch[batch.id]) for batch in batches)
        return cls(ran_with=commit, batches=held, unknown=told.why)


class Failed(BaseModel):
    """A player who has no prediction, and why."""

    model_config = ConfigDict(frozen=True)

    player_id: str
    error: str


class PredictionsAnswer(BaseModel):
    """The predictions of a batch that has ended, with the columns of the CSV, and who has none."""

    model_config = ConfigDict(frozen=True)

    batch: str
    game_date: date
    state: BatchState
    marks: tuple[str, ...]
    failed: tuple[Failed, ...]
    predictions: tuple[Mapping[str, str | float], ...]


class StartAnswer(BaseModel):
    """What a start came to.

    ``how``: ``created``, ``resumed`` (a batch that had lost its coordinator went on), ``existing`` (the
    same idempotency key had made it) or ``dry-run``. ``batch`` null: a dry run. ``verdict`` null: the gate
    was not asked. ``requested`` and ``set_aside`` count the slate's players and its rows that could not be
    used; null: it was not read.
    """

    model_config = ConfigDict(frozen=True)

    how: Literal["created", "resumed", "existing", "dry-run"]
    batch: BatchAnswer | None
    verdict: SerializeAsAny[Verdict] | None
    requested: int | None
    set_aside: int | None

    @classmethod
    def of(cls, started: Started) -> Self:
        """The answer that shows ``started``."""
        return cls(
            how=started.how,
            batch=BatchAnswer.of(started.batch) if started.batch else None,
            verdict=started.verdict,
            requested=len(started.slate.requests) if started.slate else None,
            set_aside=len(started.slate.set_aside) if started.slate else None,
        )


class PushedMessage(BaseModel):
    """A message as Pub/Sub pushes it; ``data`` is in base64."""

    data: str = ""
    attributes: Mapping[str, str] = Field(default_factory=dict)
    messageId: str = ""
    publishTime: str = ""


class Envelope(BaseModel):
    """What Pub/Sub's push sends, with wrapping: a message and the subscription that it came by."""

    message: PushedMessage
    subscription: str = ""


class CompletionAnswer(BaseModel):
    """What a completion came to; each of these acknowledges the message.

    ``malformed``: it can never be counted, so that bringing it again would help nobody.
    """

    model_config = ConfigDict(frozen=True)

    applied: Applied | Literal["malformed"]


class Health(BaseModel):
    """All is well."""

    model_config = ConfigDict(frozen=True)

    status: Literal["ok"]
