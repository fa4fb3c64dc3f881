"""A wait until a commit is live."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta

from drift_gate.errors import SourceError
from drift_gate.policy.verdict import duration
from drift_gate.questions import Liveness
from drift_gate.runtime.deadline import Deadline
from drift_gate.settings.file import Settings
from drift_gate.wiring import answers
from drift_gate.wiring.plans import utc_now
from drift_gate.wiring.rollouts import REAL, Pace

log = logging.getLogger("drift_gate")


def wait(
    wanted: Mapping[str, str], *, seconds: float, settings: Settings, pace: Pace = REAL
) -> dict[str, list[Liveness]]:
    """What ``answers.is_live`` says once each ``wanted`` commit is live, or once ``seconds`` are over.

    A commit that means nothing to a service is not waited for. The first look has the whole ``deadline`` of
    the settings; each later one has no more than what is left, and one that finds nothing out for now is no
    answer. Raises ``DriftConfigError``, and ``SourceError`` where no look ever found anything out.
    """
    ends = Deadline(seconds, pace.clock)
    if seconds:
        _tell(wanted, ends)
    found = _look(wanted, settings, None)
    while ends.remaining() > 0 and (lacking := _lacking(wanted, found)):
        pace.sleep(pace.pause(ends.remaining()))
        if (left := ends.remaining()) > 0:
            _tell(lacking, ends)
            later = _look(wanted, settings, left)
            found = found if isinstance(later, SourceError) else later
    if isinstance(found, SourceError):
        raise found
    return found


def _look(
    wanted: Mapping[str, str], settings: Settings, within: float | None
) -> dict[str, list[Liveness]] | SourceError:
    """One answer, or why there is none for now. Raises ``SourceError`` where waiting does not help."""
    try:
        return answers.is_live(wanted, settings=settings, within=within)
    except SourceError as error:
        if not error.retryable:
            raise
        return error


def _lacking(wanted: Mapping[str, str], found: Mapping[str, list[Liveness]] | SourceError) -> dict[str, str]:
    """Those of ``wanted`` that a revision still lacks, as far as anybody knows."""
    if isinstance(found, SourceError):
        return dict(wanted)
    return {name: wanted[name] for name, each in found.items() if not all(one.suffices for one in each)}


def _tell(lacking: Mapping[str, str], ends: Deadline) -> None:
    left = ends.remaining()
    log.info(
        "waiting, %s of %s, until %s at the latest, for %s",
        duration(ends.seconds - left),
        duration(ends.seconds),
        f"{utc_now() + timedelta(seconds=left):%H:%M:%S} UTC",
        ", ".join(f"{commit[:12]} on {name}" for name, commit in lacking.items()),
    )
