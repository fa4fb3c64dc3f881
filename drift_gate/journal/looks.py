"""One look of a monitor into the journal, and whoever is to be told what it changed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple, Protocol
from uuid import uuid4

from drift_gate.errors import JournalError
from drift_gate.journal.records import Asked, Change, Journal, Look
from drift_gate.journal.sink import entries_of, tell
from drift_gate.policy.verdict import Outcome

log = logging.getLogger("drift_gate")


class Seen(NamedTuple):
    """What one look came to: the verdicts, the look itself, and what was not known of incidents before."""

    outcome: Outcome
    look: Look
    changes: Sequence[Change]


class Notifier(Protocol):
    """Somebody who tells people what a monitor saw."""

    def tell(self, seen: Seen) -> None:
        """Called after each look that is kept, also where nothing changed.

        A monitor that was killed between a look and this call never makes it: what has to reach people is
        told once by what the journal says was told. Of a service whose verdict bears the reason ``freeze``
        nothing is to be told now.
        """
        ...


def keep(outcome: Outcome, declared: Sequence[str], scope: str, asked: Asked, journal: Journal) -> Seen:
    """``outcome`` as a look at the ``declared`` services of the monitor ``scope``, kept in ``journal``.

    A service is read where its status is known. Raises ``JournalError``; then the log has all of it.
    """
    look = Look(
        id=uuid4().hex,
        at=outcome.checked_at,
        by=asked.by,
        scope=scope,
        declared=tuple(declared),
        read=tuple(each.service for each in outcome.services if each.report.status != "unknown"),
    )
    entries = entries_of(outcome.services, asked, look.at, look.id)
    try:
        return Seen(outcome, look, journal.record(entries, look))
    except JournalError as error:
        tell(entries, str(error))
        raise


def prune_daily(journal: Journal, look: Look, kept_s: float) -> None:
    """Forget what is older than ``kept_s`` seconds, at the first look of a day (UTC).

    Counted back from the last decision before this look: a clock that has jumped ahead forgets nothing more.
    A journal that does not answer is warned about: the look stands, and the next day tries again.
    """
    midnight = look.at.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        if any(each.id != look.id for each in journal.looks(since=midnight, until=look.at)):
            return
        before = journal.entries(until=look.at, limit=1)
        forgotten = journal.prune(before[0].at - timedelta(seconds=kept_s)) if before else 0
    except JournalError as error:
        log.warning("what is old stays in the journal: %s", error)
    else:
        if forgotten:
            log.info("%d decisions were older than the journal keeps, and are forgotten", forgotten)
