"""All that a deploy of one service is given: the real parts, or those of a test."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from drift_gate.delivery.contracts import Builder, Candidate, Export, Probe, Release
from drift_gate.facts import Kind
from drift_gate.journal.deploys import Deploys
from drift_gate.policy.verdict import Verdict


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """How time passes: ``now`` in UTC, ``monotonic`` and ``sleep`` in seconds."""

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What ``[deploy]`` says of the steps; each as the key of its name. ``traffic`` ends with 100."""

    traffic: tuple[int, ...] = (100,)
    healthy_answers: int = 3
    watch: float = 60.0
    build_timeout: float = 1800.0
    release_timeout: float = 600.0


class Judge(Protocol):
    """Knows what serves, and the history."""

    def against(self, commit: str) -> Verdict:
        """What serves now, read anew, held against ``commit`` (a full id) as the target.

        Nothing is kept of it. What could not be found out is a verdict about an unknown.
        """
        ...

    def holds(self, commit: str, other: str) -> bool:
        """Whether ``commit`` is ``other`` or descends from it. Raises ``SourceError``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """With whose help one service is deployed.

    ``export``: the files of a commit, for as long as the block lasts. ``smoke``: why the user's own command
    is not content with the candidate of a commit; None: it is, or there is none. ``say`` takes what is going
    on, for people: a step and a sentence.
    """

    service: str
    kind: Kind
    release: Release
    builder: Builder
    probe: Probe
    judge: Judge
    deploys: Deploys
    export: Callable[[str], AbstractContextManager[Export]]
    smoke: Callable[[Candidate, str], str | None]
    say: Callable[[str, str], None]
    limits: Limits = field(default_factory=Limits)
    clock: Clock = field(default_factory=Clock)
