"""A check that waits for a rollout to be over before it judges; one that no rollout can help does not."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from drift_gate.errors import DriftConfigError
from drift_gate.journal.records import Door
from drift_gate.policy.verdict import Outcome, Reason, Verdict, duration
from drift_gate.presentation.plain_text import plain
from drift_gate.runtime.deadline import Deadline
from drift_gate.settings.file import Settings, load
from drift_gate.wiring import checks
from drift_gate.wiring.actor import Actor

log = logging.getLogger("drift_gate")

#: Seconds between two looks: a rollout takes a minute or more, and the read quota is per minute.
PAUSE_S = 5.0
#: Each pause is that much longer or shorter, so that many jobs that wait for one rollout spread out.
JITTER = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """How time passes: ``clock`` in monotonic seconds, ``sleep`` in seconds, ``chance`` from 0 to 1."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    chance: Callable[[], float] = random.SystemRandom().random

    def pause(self, left: float) -> float:
        """The next pause in seconds, never longer than ``left``."""
        return min(left, PAUSE_S * (1 - JITTER + 2 * JITTER * self.chance()))


#: Time as it passes for everybody.
REAL = Pace()


def check(
    names: Sequence[str] = (),
    *,
    wait: float,
    settings: Settings | None = None,
    inventory: bool = False,
    by: Actor | None = None,
    door: Door = "check",
    batch: str | None = None,
    pace: Pace = REAL,
) -> Outcome:
    """What ``assembly.check`` says once no rollout is under way, or once ``wait`` seconds are over.

    It waits while a rollout of a service is in progress, but not where a service is denied and the
    rollout would leave it so, or nobody can say what the rollout brings. A rollout that landed, failed
    or stalled ends the wait, and so does the time: then the last answer holds. The first look has the
    whole ``deadline`` of the settings; each later one has no more than what is left of the wait, and one
    that finds nothing out for now is no answer. Only the verdicts that are returned are written down, as
    ``checks.keep`` does it: asked for at ``door``, ``by`` whom (None: whoever runs this process) and for
    which ``batch`` (None: for none).

    Raises ``DriftConfigError``, also for a ``wait`` that is no number from 0 upwards.
    """
    if not wait >= 0 or math.isinf(wait):
        raise DriftConfigError(f"wait is {wait!r}: give a number of seconds from 0 upwards")
    settings = settings or load()
    by = by or checks.actor(settings)
    ends = Deadline(wait, pace.clock)

    def look(*, first: bool = False, after_rollout: bool = False) -> Outcome:
        within = None if first else Deadline(ends.remaining())
        more = inventory and not after_rollout
        return checks.check(
            names,
            settings=settings,
            within=within,
            record=False,
            inventory=more,
            after_rollout=after_rollout,
        )

    outcome = look(first=True)
    while ends.remaining() > 0 and _worth_it(outcome, lambda: look(after_rollout=True)):
        outcome = _next(outcome, look, ends, pace)
    checks.keep(outcome, settings, by, door, batch)
    return outcome


def cures(verdict: Verdict, *, settings: Settings | None = None) -> bool:
    """Whether a rollout that is under way would cure the denial in ``verdict``, as far as anybody can say.

    For a caller who may come back later instead of waiting. Asks Cloud Run once more, within the
    ``deadline`` of the settings, and only where a rollout is in progress; nothing is written down. Raises
    ``DriftConfigError``.
    """

    def landed() -> Outcome:
        return checks.check([verdict.service], settings=settings, record=False, after_rollout=True)

    if verdict.decision == "deny" and not _denied_now(verdict):
        return False
    return _worth_it(Outcome.of([verdict], checks.utc_now(), 0), landed)


def _next(known: Outcome, look: Callable[[], Outcome], ends: Deadline, pace: Pace) -> Outcome:
    """The next answer after a pause; ``known`` where time runs out before there is one."""
    while True:
        left = ends.remaining()
        if left <= 0:
            return known
        _tell(known, ends.seconds - left, ends.seconds)
        pace.sleep(pace.pause(left))
        if ends.remaining() <= 0:
            return known
        found = look()
        if not any(map(_passing, found.services)):
            return found


def _worth_it(outcome: Outcome, landed: Callable[[], Outcome]) -> bool:
    """Whether a rollout is in progress, and every denial would be cured by one.

    ``landed`` judges what would be live after the rollouts; it is asked only where that decides.
    """
    if not any(map(_rolling, outcome.services)):
        return False
    denied = [verdict for verdict in outcome.services if _denied_now(verdict)]
    if not denied:
        return True
    if not all(map(_rolling, denied)):
        return False
    after = {verdict.service: verdict.decision for verdict in landed().services}
    return all(after.get(verdict.service, "deny") != "deny" for verdict in denied)


def _denied_now(verdict: Verdict) -> bool:
    """Whether what serves now is denied, and not what a rollout would bring: that is judged as it lands."""
    return any(
        reason.decision == "deny" and not (_is_rollout(reason) and reason.data.get("would_deny"))
        for reason in verdict.reasons
    )


def _is_rollout(reason: Reason) -> bool:
    return reason.code == "rollout-in-progress"


def _rolling(verdict: Verdict) -> bool:
    return any(map(_is_rollout, verdict.reasons))


def _passing(verdict: Verdict) -> bool:
    """Whether the verdict denies only because something could not be found out for now."""
    unknown = [reason for reason in verdict.reasons if reason.code == "unknown-drift"]
    return bool(unknown) and all(reason.data.get("retryable") for reason in unknown)


def _tell(outcome: Outcome, waited: float, wait: float) -> None:
    for verdict in outcome.services:
        for reason in verdict.reasons:
            if reason.code == "rollout-in-progress":
                log.info(
                    "waiting, %s of %s, until %s at the latest: %s: %s",
                    duration(waited),
                    duration(wait),
                    f"{checks.utc_now() + timedelta(seconds=wait - waited):%H:%M:%S} UTC",
                    verdict.service,
                    plain(reason.message),
                )
