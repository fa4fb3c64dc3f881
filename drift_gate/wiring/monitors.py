"""Settings into a monitor: one look at all that is declared, and a process that looks again and again."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from drift_gate import gate
from drift_gate.errors import DriftConfigError
from drift_gate.journal.log import LogSink
from drift_gate.journal.looks import Notifier, Seen, keep, prune_daily
from drift_gate.journal.records import Asked, Journal
from drift_gate.journal.telemetry import MetricsSink
from drift_gate.settings.file import Settings
from drift_gate.wiring import checks
from drift_gate.wiring.journals import opened

log = logging.getLogger("drift_gate")

#: Seconds that a look waits for another writer of the journal: nobody waits for the look.
BUSY_S = 5.0


def look(settings: Settings, notifiers: Sequence[Notifier] = ()) -> Seen:
    """Judge all declared services, keep that as a look, and hand it to each of ``notifiers``.

    Raises ``DriftConfigError`` where there is no journal to keep it in, and ``JournalError`` where that
    cannot be written.
    """
    journal = opened(settings, busy_s=BUSY_S)
    if journal is None:
        raise DriftConfigError(
            f'{settings.file}: [journal] store = "off": a monitor keeps what it sees; name a file'
        )
    seen = _looked(settings, journal)
    prune_daily(journal, seen.look, settings.journal.keep)
    for notifier in notifiers:
        notifier.tell(seen)
    return seen


def _looked(settings: Settings, journal: Journal) -> Seen:
    by = checks.actor(settings)
    outcome = checks.check(settings=settings, record=False)
    checks.warn_of_overrides(settings)
    gate.write(outcome.services, [LogSink(), MetricsSink()])
    asked = Asked(door="monitor", by=by.known())
    return keep(outcome, tuple(settings.services), settings.monitor.name, asked, journal)
