"""The coordinator's own settings, out of a mapping of the environment.

They come from the environment alone and never from ``drift.toml``: who may start and bypass is decided
by whoever deploys the coordinator, not by a merged commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from drift_gate.runtime.spelling import near_misses
from drift_gate.runtime.value_words import mistakes
from predictions.coordinator import variables
from predictions.coordinator.exceptions import ConfigError
from predictions.coordinator.readiness import settings as readiness
from predictions.coordinator.slate import SLATE_TIMEOUT_S

DEFAULT_STORE = Path(".drift") / "predictions.sqlite"
#: Players per call of the worker: about one game and a half, so that the progress bar moves and a
#: failure costs little.
DEFAULT_BATCH_SIZE = 50
#: Seconds without a sign of life after which a batch counts as stalled: some times the ten minutes that
#: a redelivery of Pub/Sub may take to come.
DEFAULT_STALL_AFTER = 1800.0

_PREFIX = "COORDINATOR_"
_FIRESTORE = "firestore://"


class FirestoreAt(BaseModel):
    """A Firestore database: its project and its name."""

    model_config = ConfigDict(frozen=True)

    project: str
    database: str


class Config(BaseModel):
    """What the coordinator is told by its environment; each field names its variable.

    ``slate``: what a server reads its slates from, as ``--slate`` takes it; None: the shipped ones.
    ``store``: the SQLite file or Firestore database that keeps the batches. ``dispatch``: how requests
    reach the worker. ``processes``: for ``local``, how many predict at once; 1 is this process. ``topic``:
    for ``pubsub``, ``projects/PROJECT/topics/TOPIC``. ``worker_url``: for ``http``, the worker or the tag
    of one revision. ``audience``: whose ID token the worker wants; None: its URL where that is https, no
    token elsewhere. ``pinned``: for ``http``, whether a batch stays on the revision that was judged, at its
    tag's URL. ``stall_after`` and ``worker_timeout``: seconds. ``request_timeout``: seconds after
    which the platform gives up on a request (300 is Cloud Run's default); ours is answered before. The
    emulators: ``host:port`` in clear text, None: Google itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=False, validate_by_alias=True)

    store: Path | FirestoreAt = Field(default=DEFAULT_STORE, alias="COORDINATOR_STORE")
    dispatch: Literal["local", "pubsub", "http"] = Field(default="local", alias="COORDINATOR_DISPATCH")
    slate: str | None = Field(default=None, alias="COORDINATOR_SLATE")
    batch_size: int = Field(default=DEFAULT_BATCH_SIZE, ge=1, alias="COORDINATOR_BATCH_SIZE")
    processes: int = Field(default=1, ge=1, alias="COORDINATOR_PROCESSES")
    topic: str | None = Field(
        default=None,
        pattern="^projects/[^/]+/topics/[^/]+$",
        title="projects/PROJECT/topics/TOPIC",
        alias="COORDINATOR_TOPIC",
    )
    worker_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+(/\S*)?$",
        title="an http or https address",
        examples=["https://worker.example.com"],
        alias="COORDINATOR_WORKER_URL",
    )
    audience: str | None = Field(default=None, min_length=1, alias="COORDINATOR_WORKER_AUDIENCE")
    pinned: bool = Field(default=False, alias="COORDINATOR_PIN_REVISION")
    worker_timeout: float = Field(default=60.0, gt=0, le=3600, alias="COORDINATOR_WORKER_TIMEOUT")
    stall_after: float = Field(default=DEFAULT_STALL_AFTER, gt=0, alias="COORDINATOR_STALL_AFTER")
    slate_timeout: float = Field(default=SLATE_TIMEOUT_S, gt=0, le=3600, alias="COORDINATOR_SLATE_TIMEOUT")
    request_timeout: float = Field(default=300.0, ge=5, le=3600, alias="COORDINATOR_REQUEST_TIMEOUT")
    firestore_emulator: str | None = Field(default=None, alias="FIRESTORE_EMULATOR_HOST")
    pubsub_emulator: str | None = Field(default=None, alias="PUBSUB_EMULATOR_HOST")

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Config:
        """The settings in ``environ``; an empty variable is one that is not set.

        ``http.access`` and ``readiness`` read variables of the same prefix themselves. Raises ``ConfigError``
        naming the variable, for one that begins with ``COORDINATOR_`` and is unknown too.
        """
        known = {str(field.alias) for field in cls.model_fields.values()}
        told = {name: value for name, value in environ.items() if value and name in known}
        every = known | {*variables.VARIABLES, readiness.VARIABLE}
        for name in environ:
            if name.startswith(_PREFIX) and name not in every:
                raise ConfigError(f"{name}: there is no such setting{near_misses(name, every)}")
        try:
            return cls.model_validate(told)
        except ValidationError as error:
            wrong = mistakes(error, cls).items()
            raise ConfigError("; ".join(_sentence(path, said) for path, said in wrong)) from error

    @field_validator("store", mode="before")
    @classmethod
    def _store(cls, value: object) -> object:
        if not isinstance(value, str) or not value.startswith(_FIRESTORE):
            return value
        project, _, database = value.removeprefix(_FIRESTORE).partition("/")
        if not project or "/" in database:
            raise ValueError("a Firestore store is firestore://PROJECT/DATABASE")
        return FirestoreAt(project=project, database=database or "(default)")

    @model_validator(mode="after")
    def _complete(self) -> Config:
        if self.dispatch == "pubsub" and self.topic is None:
            raise ValueError("COORDINATOR_TOPIC is not set, and COORDINATOR_DISPATCH=pubsub needs it")
        if self.pinned and self.dispatch != "http":
            raise ValueError("COORDINATOR_PIN_REVISION needs COORDINATOR_DISPATCH=http")
        if self.dispatch == "http" and self.worker_url is None:
            raise ValueError("COORDINATOR_WORKER_URL is not set, and COORDINATOR_DISPATCH=http needs it")
        return self


def _sentence(path: Sequence[str | int], said: str) -> str:
    """What is wrong with a variable, without its value: it may be a secret. No path: with several."""
    return f"{path[0]}: {said}" if path else said
