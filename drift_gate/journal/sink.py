"""Verdicts into the journal: one that cannot be written delays no verdict, and stands in the log whole."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from uuid import uuid4

from drift_gate import __version__
from drift_gate.errors import JournalError
from drift_gate.journal.records import Asked, Entry, Journal
from drift_gate.policy.verdict import Verdict
from drift_gate.runtime import background
from drift_gate.runtime.deadline import Deadline, attempt

log = logging.getLogger("drift_gate")
lines = logging.getLogger("drift_gate.verdict")

#: Seconds that a verdict waits for the journal, and that the journal gets beside it.
WAIT_S, WRITE_S = 0.2, 2.0


def entries_of(
    verdicts: Sequence[Verdict], asked: Asked, at: datetime, look: str | None = None
) -> list[Entry]:
    """A row for each of ``verdicts``; ``at`` (UTC) and ``look`` are those of ``Entry``."""
    return [
        Entry(
            id=uuid4().hex,
            at=at,
            door=asked.door,
            by=asked.by,
            batch=None if each.refuses else asked.batch,  # what is refused is never made
            version=__version__,
            look=look,
            verdict=each,
        )
        for each in verdicts
    ]


class JournalSink:
    """A ``gate.Sink``: keeps the verdicts of one check in ``journal``.

    ``asked`` is where the check was asked for and by whom, ``at`` (UTC) when it began. ``then`` is called
    with what is kept, on a thread that no verdict waits for.
    """

    def __init__(
        self,
        journal: Journal,
        asked: Asked,
        at: datetime,
        then: Callable[[Sequence[Entry]], object] = lambda _: None,
    ) -> None:
        self._journal = journal
        self._asked = asked
        self._at = at
        self._then = then

    def write(self, verdicts: Sequence[Verdict]) -> None:
        """Keep each of ``verdicts``, or warn, and say all of them in the log."""
        entries = entries_of(verdicts, self._asked, self._at)
        try:
            writing = background.start(partial(self._keep, entries), Deadline(WRITE_S), "journal")
        except RuntimeError as error:  # no room for a thread
            tell(entries, str(error))
        else:
            writing.join(WAIT_S)

    def _keep(self, entries: Sequence[Entry]) -> None:
        """Keep them, or say in the log what is not kept."""
        kept = attempt(partial(self._kept, entries), Deadline(WRITE_S), "journal")
        if kept is not None:
            tell(entries, str(kept))
        else:
            self._then(entries)

    def _kept(self, entries: Sequence[Entry]) -> str | None:
        """None once they are; else why not."""
        try:
            self._journal.record(entries)
        except JournalError as error:
            return str(error)
        return None


def tell(entries: Sequence[Entry], why: str) -> None:
    """Say in the log, whole, what ``why`` keeps out of the journal."""
    services = ", ".join(dict.fromkeys(each.verdict.service for each in entries))
    log.warning("the verdict on %s is not in the journal: %s", services, why)
    for entry in entries:
        lines.warning("%s", json.dumps({"event": "drift_decision", **entry.model_dump(mode="json")}))
