"""What the journal keeps of deploys: each with its steps, and who may deploy a service now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol
from uuid import uuid4

from pydantic import Field

from drift_gate.facts import Fact, Text

#: ``running`` and ``interrupted`` may go on: whoever asks for the same commit again takes them up.
DeployState = Literal[
    "waiting", "running", "interrupted", "done", "nothing", "overtaken", "failed", "rolled-back"
]
OPEN: tuple[DeployState, ...] = ("running", "interrupted")

#: How a deploy stands that has ended, in words; of the others nobody can say without its lock.
BECAME: Mapping[DeployState, str] = {
    "done": "done",
    "nothing": "had nothing to do",
    "overtaken": "was overtaken",
    "failed": "failed",
    "rolled-back": "was not healthy, the traffic is back",
    "interrupted": "interrupted",
}

StepName = Literal[
    "lock", "plan", "build", "push", "release", "prove", "forward", "move", "watch", "verdict", "back"
]


class Step(Fact):
    """A step of a deploy, once in it however often it was made.

    ``ended_at`` None: it is going on, or was interrupted. ``result``: what came of it, in one sentence.
    """

    name: StepName
    began_at: datetime
    ended_at: datetime | None = None
    attempts: int = 1
    result: Text = ""


class Deploy(Fact):
    """One deploy, or a declared rollback, of one service.

    ``commit``: what was to be deployed; of a rollback what the revision runs, "" where nobody knows. ``by``
    asked for it, ``reason`` why (None: nobody said). ``image`` (by digest) and ``revision`` are what it made
    so far, ``before`` the percents that it found, kept before it moves any. ``unfit``: why the traffic goes,
    or went, back; None: it does not. ``until``: when a rollback is no longer meant. ``message``: what became
    of it. ``overtaken_by``: the deploy that took its place.
    """

    id: str = Field(default_factory=lambda: uuid4().hex)
    service: Text
    kind: Literal["deploy", "rollback"] = "deploy"
    commit: str
    by: Text
    reason: Text | None = None
    until: datetime | None = None
    asked_at: datetime
    ended_at: datetime | None = None
    state: DeployState = "running"
    image: Text | None = None
    revision: Text | None = None
    before: Mapping[str, int] | None = None
    unfit: Text | None = None
    message: Text = ""
    overtaken_by: str | None = None
    steps: tuple[Step, ...] = ()

    def step(self, name: StepName) -> Step | None:
        """The step ``name``; None: it was not begun."""
        return next((each for each in self.steps if each.name == name), None)

    def with_step(self, step: Step) -> Deploy:
        """The same with ``step``, in the place of the one of its name."""
        others = tuple(each if each.name != step.name else step for each in self.steps)
        known = any(each.name == step.name for each in self.steps)
        return self.model_copy(update={"steps": others if known else (*others, step)})


class Claim(Fact):
    """Who deploys a service, or waits for that.

    ``until``: when the claim ends unless it is renewed. ``process``: where it is made, so that one that has
    died on this machine is known at once.
    """

    deploy: str
    commit: str
    by: Text
    since: datetime
    until: datetime
    process: Text


class Lock(Fact):
    """Who may deploy ``service`` now: one at a time, and at most one waits, the newest.

    ``mark`` is another one for each state that was ever kept.
    """

    service: Text
    holder: Claim | None = None
    waiting: Claim | None = None
    mark: str = ""


class Deploys(Protocol):
    """Where it is kept. Each method raises ``JournalError`` where the store does not answer in time."""

    def lock(self, service: str) -> Lock:
        """The lock of ``service`` as it is kept now; nobody holds one that never was."""
        ...

    def swap(self, was: Lock, now: Lock, deploys: Sequence[Deploy] = ()) -> bool:
        """Keep ``now`` in the place of ``was``, and ``deploys`` (by id) with it: all of it or nothing.

        False: the lock is not ``was`` any more, and nothing was changed. ``now`` has a new ``mark``.
        """
        ...

    def deploys(
        self, service: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> list[Deploy]:
        """Those of ``service`` (None: of all) that were asked for since then, the newest first."""
        ...
