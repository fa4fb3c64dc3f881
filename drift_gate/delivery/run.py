"""A deploy that is under way: its record in the journal, and the lock for as long as it is held."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any
from uuid import uuid4

from drift_gate.delivery.parts import Parts
from drift_gate.delivery.plan import Due, decide
from drift_gate.errors import JournalError, OvertakenError, SourceError
from drift_gate.journal.deploys import Claim, Deploy, DeployState, Lock, Step, StepName

log = logging.getLogger("drift_gate")

#: How long a claim lasts, and how often it is renewed, in seconds.
LEASE_S, RENEW_S = 60.0, 15.0
#: How often a change is tried again that somebody else came between.
_ATTEMPTS = 20


class Result:
    """What a step comes to: ``said`` is told, and kept with these ``fields`` of the deploy, at its end."""

    def __init__(self) -> None:
        self.said = ""
        self.fields: dict[str, Any] = {}


class Run:
    """The deploy that this process has in hand.

    ``deploy`` is its record as it is kept now; ``lock`` the one that was just taken, by ``process``. Used as
    a block, it renews its claim meanwhile. Each method that writes raises ``OvertakenError`` once somebody
    else has the lock, and ``JournalError``.
    """

    def __init__(self, parts: Parts, deploy: Deploy, lock: Lock, process: str) -> None:
        self.parts = parts
        self.deploy = deploy
        self._lock = lock
        self._process = process
        self._guard = threading.RLock()
        self._over = threading.Event()
        self._renewal = threading.Thread(target=self._renew, name="drift-gate deploy lock", daemon=True)

    def __enter__(self) -> Run:
        self._renewal.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._renewal.join()

    @contextmanager
    def step(self, name: StepName) -> Iterator[Result]:
        """A step: kept as begun before the block, and as ended after it, once however often it is made."""
        known, result, now = self.deploy.step(name), Result(), self.parts.clock.now
        step = Step(
            name=name,
            began_at=known.began_at if known else now(),
            attempts=known.attempts + 1 if known else 1,
        )
        self._keep(self.deploy.with_step(step))
        yield result
        ended = step.model_copy(update={"ended_at": now(), "result": result.said})
        self._keep(self.deploy.with_step(ended).model_copy(update=result.fields))
        self.parts.say(name, result.said)

    def due(self, replace: str | None, *, moving: bool = False) -> Due:
        """What is to be done about what serves now, read anew; the arguments as for ``plan.decide``.

        Raises ``SourceError`` where nobody knows.
        """
        parts = self.parts
        verdict = parts.judge.against(self.deploy.commit)
        kept = parts.deploys.deploys(parts.service)
        due = decide(verdict, kept, parts.clock.now(), replace, moving=moving)
        if due.action == "unknown" and verdict.report.unknown:
            raise SourceError.of(verdict.report.unknown)
        return due

    def keep(self, **fields: Any) -> None:
        """Keep these fields of the deploy."""
        self._keep(self.deploy.model_copy(update=fields))

    def require(self) -> None:
        """Raises ``OvertakenError`` unless this process holds the lock now."""
        self._keep(self.deploy)

    def end(self, state: DeployState, message: str) -> None:
        """Keep what became of it and give the lock back, whoever waits for it.

        Where the lock is somebody else's already, so is the record: nothing is written.
        """
        ended = {"state": state, "message": message, "ended_at": self.parts.clock.now()}
        try:
            self._keep(self.deploy.model_copy(update=ended), release=True)
        except OvertakenError:
            return

    def _keep(self, deploy: Deploy, *, release: bool = False) -> None:
        with self._guard:
            for _ in range(_ATTEMPTS):
                holder = self._lock.holder
                if holder is None or holder.process != self._process:
                    raise OvertakenError(self._taken(holder))
                now = self._lock.model_copy(
                    update={"holder": None if release else self._renewed(holder), "mark": uuid4().hex}
                )
                if self.parts.deploys.swap(self._lock, now, [deploy]):
                    self._lock, self.deploy = now, deploy
                    return
                self._lock = self.parts.deploys.lock(deploy.service)
        raise JournalError(f"the lock of {deploy.service} is changed by others all the time; try again")

    def _renewed(self, holder: Claim) -> Claim:
        until = self.parts.clock.now() + timedelta(seconds=LEASE_S)
        return holder.model_copy(update={"until": until})

    def _taken(self, holder: Claim | None) -> str:
        service = self.deploy.service
        if holder is None:
            return f"the lock of {service} was taken away and given back; nothing more is done here"
        return f"{holder.by} has taken over {service}, to deploy {holder.commit[:12]}"

    def _renew(self) -> None:
        while not self._over.wait(RENEW_S):
            try:
                self.require()
            except OvertakenError:
                return  # whoever makes the next step is told
            except JournalError as error:
                log.warning("the claim on %s was not renewed: %s", self.deploy.service, error)
