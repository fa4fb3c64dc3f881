"""1. One deploy of a service at a time, and at most one waits behind it: the newest."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from drift_gate.delivery.holder import Holder, alive
from drift_gate.delivery.parts import Parts
from drift_gate.delivery.run import LEASE_S, Run
from drift_gate.errors import JournalError, OvertakenError
from drift_gate.journal.deploys import OPEN, Claim, Deploy, Lock
from drift_gate.policy.verdict import duration

log = logging.getLogger("drift_gate")

#: Seconds between two looks of somebody who waits.
POLL_S = 2.0
#: How many deploys of a service are looked through for one that goes on.
_RECENT = 50
#: That many deploys overtaken without one that landed, within that time, is starvation.
STARVING, WITHIN = 3, timedelta(hours=2)


def acquire(parts: Parts, mine: Deploy) -> Run:
    """The lock for ``mine``, or for the same one that was interrupted before, which goes on.

    Waits behind whoever holds it. Raises ``OvertakenError`` where somebody who holds it or waits for it
    brings ``mine`` along, and ``JournalError``.
    """
    queue = _Queue(parts, mine)
    try:
        return queue.wait()
    except OvertakenError:
        raise
    except BaseException as error:
        queue.leave(f"{type(error).__name__}: {error}")
        raise


def seize(parts: Parts, mine: Deploy) -> Run:
    """The lock at once, whoever holds it: for a rollback. He is told at his next step."""
    queue = _Queue(parts, mine)
    while True:
        lock = parts.deploys.lock(mine.service)
        if run := queue.take(lock):
            return run


class _Queue:
    def __init__(self, parts: Parts, mine: Deploy) -> None:
        self._parts = parts
        self._mine = mine
        self._me = Holder.of_this_process().mark
        self._joined = False

    def wait(self) -> Run:
        while True:
            lock = self._parts.deploys.lock(self._mine.service)
            holder, waiting = self._alive(lock.holder), self._alive(lock.waiting)
            if self._joined and waiting and waiting.process != self._me:
                raise OvertakenError(self._sentence(waiting, "has taken its place in the queue"))
            self._yield_to(lock, waiting, "waits")
            if holder is None:
                if run := self.take(lock):
                    return run
                continue
            self._yield_to(lock, holder, "is being deployed")
            self._stand(lock, holder, waiting)
            self._parts.clock.sleep(POLL_S)

    def leave(self, why: str) -> None:
        """End our record as interrupted, and give back the place that it has, or the lock.

        A journal that does not answer keeps them: the place ends by itself.
        """
        with contextlib.suppress(JournalError):
            while True:
                lock = self._parts.deploys.lock(self._mine.service)
                claims = {"holder": lock.holder, "waiting": lock.waiting}
                ours = {key: each for key, each in claims.items() if each and each.process == self._me}
                if not ours:
                    return
                left = {each.deploy for each in ours.values()}
                recent = self._parts.deploys.deploys(self._mine.service, limit=_RECENT)
                ended = [self._interrupted(each, why) for each in recent if each.id in left]
                now = lock.model_copy(update={**dict.fromkeys(ours), "mark": uuid4().hex})
                if self._parts.deploys.swap(lock, now, ended):
                    return

    def take(self, lock: Lock) -> Run | None:
        """The lock, as it was read, for the deploy that goes on; None: somebody came between."""
        recent = self._parts.deploys.deploys(self._mine.service, limit=_RECENT)
        deploy = self._resumed(recent)
        left = {claim.deploy for claim in (lock.holder, lock.waiting) if claim and claim.process != self._me}
        ours = {deploy.id, self._mine.id}
        closed = [self._closed(each, lock) for each in recent if each.id in left - ours]
        closed += [self._ended(each) for each in recent if each.id == self._mine.id != deploy.id]
        now = Lock(service=lock.service, holder=self._claim(deploy), mark=uuid4().hex)
        kept = deploy.model_copy(update={"state": "running", "ended_at": None})
        if not self._parts.deploys.swap(lock, now, [kept, *closed]):
            return None
        self._tell_starvation(recent)
        return Run(self._parts, kept, now, self._me)

    def _resumed(self, recent: Sequence[Deploy]) -> Deploy:
        """The same deploy where it is the last that did anything and has not ended, else ours."""
        for each in recent:
            idle = each.state == "interrupted" and not each.steps  # it waited, and had not begun
            if idle or each.state in ("waiting", "overtaken", "nothing") or each.id == self._mine.id:
                continue
            same = each.kind == self._mine.kind and each.commit == self._mine.commit
            return each if same and each.state in OPEN and each.kind == "deploy" else self._mine
        return self._mine

    def _stand(self, lock: Lock, holder: Claim, waiting: Claim | None) -> None:
        """Wait behind ``holder``, in the place of whoever is older."""
        if waiting and waiting.process == self._me:
            soon = self._parts.clock.now() + timedelta(seconds=LEASE_S / 2)
            if waiting.until > soon:
                return
        closed = []
        if lock.waiting and lock.waiting.process != self._me:
            recent = self._parts.deploys.deploys(self._mine.service, limit=_RECENT)
            closed = [self._overtaken(each) for each in recent if each.id == lock.waiting.deploy]
        mine = self._mine.model_copy(update={"state": "waiting"})
        now = lock.model_copy(update={"waiting": self._claim(mine), "mark": uuid4().hex})
        if self._parts.deploys.swap(lock, now, [mine, *closed]) and not self._joined:
            self._joined = True
            since = f"since {holder.since:%H:%M:%S} UTC"
            self._parts.say("lock", f"{holder.by} deploys {holder.commit[:12]} {since}; waiting behind it")

    def _yield_to(self, lock: Lock, other: Claim | None, what: str) -> None:
        """End where ``other`` brings our commit along and is newer: its deploy is ours as well."""
        if other is None or other.process == self._me or other.commit in ("", self._mine.commit):
            return
        if not self._parts.judge.holds(other.commit, self._mine.commit):
            return
        sentence = self._sentence(other, what)
        over = self._mine.model_copy(
            update={
                "state": "overtaken",
                "ended_at": self._parts.clock.now(),
                "overtaken_by": other.deploy,
                "message": sentence,
            }
        )
        waiting = lock.waiting if lock.waiting and lock.waiting.process != self._me else None
        now = lock.model_copy(update={"waiting": waiting, "mark": uuid4().hex})
        if self._parts.deploys.swap(lock, now, [over]):
            raise OvertakenError(sentence)

    def _sentence(self, other: Claim, what: str) -> str:
        return (
            f"{self._mine.service}: {self._mine.commit[:12]} is not deployed by itself: {other.commit[:12]}, "
            f"which {other.by} asked for, {what} and brings it along"
        )

    def _closed(self, deploy: Deploy, lock: Lock) -> Deploy:
        """What becomes of ``deploy`` whose lock or place is taken."""
        if lock.waiting and deploy.id == lock.waiting.deploy:
            return self._overtaken(deploy)
        why = deploy.unfit or f"it did not end; {self._mine.by} took its lock"
        return self._interrupted(deploy, why).model_copy(update={"overtaken_by": self._mine.id})

    def _interrupted(self, deploy: Deploy, why: str) -> Deploy:
        now = self._parts.clock.now()
        return deploy.model_copy(update={"state": "interrupted", "ended_at": now, "message": why})

    def _overtaken(self, deploy: Deploy) -> Deploy:
        return deploy.model_copy(
            update={
                "state": "overtaken",
                "ended_at": self._parts.clock.now(),
                "overtaken_by": self._mine.id,
                "message": f"{self._mine.commit[:12]} took its place in the queue",
            }
        )

    def _ended(self, deploy: Deploy) -> Deploy:
        """Our own record, which waited, where an interrupted one goes on in its place."""
        return deploy.model_copy(
            update={
                "state": "nothing",
                "ended_at": self._parts.clock.now(),
                "message": "the same deploy that was interrupted goes on",
            }
        )

    def _claim(self, deploy: Deploy) -> Claim:
        now = self._parts.clock.now()
        return Claim(
            deploy=deploy.id,
            commit=deploy.commit,
            by=self._mine.by,
            since=now,
            until=now + timedelta(seconds=LEASE_S),
            process=self._me,
        )

    def _alive(self, claim: Claim | None) -> Claim | None:
        return alive(claim, self._parts.clock.now())

    def _tell_starvation(self, recent: Sequence[Deploy]) -> None:
        """Say it where deploys are overtaken again and again and none lands."""
        since = self._parts.clock.now() - WITHIN
        count, first = 0, None
        for each in recent:
            if each.state == "done" or each.asked_at < since:
                break
            if each.state == "overtaken":
                count, first = count + 1, each.asked_at
        if count >= STARVING and first:
            lasted = duration((self._parts.clock.now() - first).total_seconds())
            log.warning(
                "%d deploys of %s were overtaken in %s, and none has landed",
                count,
                self._mine.service,
                lasted,
            )
