"""Settings into a monitor: one look at all that is declared, and a process that looks again and again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NoReturn

from drift_gate import gate
from drift_gate.errors import DriftConfigError, DriftGateError
from drift_gate.journal.heartbeat import Heartbeat
from drift_gate.journal.log import LogSink
from drift_gate.journal.looks import Notifier, Seen, keep, prune_daily
from drift_gate.journal.records import Asked, Journal
from drift_gate.journal.telemetry import MetricsSink, count, note
from drift_gate.presentation.plain_text import plain
from drift_gate.runtime.deadline import Deadline
from drift_gate.runtime.schedule import Schedule
from drift_gate.settings.file import Settings
from drift_gate.wiring import checks, copies
from drift_gate.wiring.journals import opened

log = logging.getLogger("drift_gate")

#: Seconds that a look waits for another writer of the journal, or for Firestore, which is asked several times
#: for each service that drifted. Nobody waits for the look.
BUSY_S = 30.0
#: The longest pause between two glances at the clock, in seconds.
NAP_S = 60.0


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
    heartbeat = Heartbeat(settings.monitor.heartbeat_url, ca_file=settings.ca_file, proxy=settings.proxy)
    heartbeat.start()
    try:
        seen = _looked(settings, journal)
    except Exception:
        _over(settings, heartbeat, whole=False)
        raise
    _over(settings, heartbeat, whole=seen.look.whole)
    copies.run(settings, journal, Deadline(copies.LOOK_S))
    prune_daily(journal, seen.look, settings.journal.keep)
    for notifier in notifiers:
        notifier.tell(seen)
    return seen


def _over(settings: Settings, heartbeat: Heartbeat, *, whole: bool) -> None:
    """Say that a look is over, to whoever listens for it."""
    name = {"driftgate.monitor": settings.monitor.name}
    count("driftgate.monitor.looks", "looks at all that is declared", {**name, "driftgate.whole": whole})
    if whole:
        last = checks.utc_now().timestamp()
        note("driftgate.monitor.last_look", "when the last whole look ended, since 1970 (UTC)", last, name)
    heartbeat.end(whole=whole)


def _looked(settings: Settings, journal: Journal) -> Seen:
    by = checks.actor(settings)
    outcome = checks.check(settings=settings, record=False)
    checks.warn_of_overrides(settings)
    gate.write(outcome.services, [LogSink(), MetricsSink()])
    asked = Asked(door="monitor", by=by.known())
    return keep(outcome, tuple(settings.services), settings.monitor.name, asked, journal)


def watch(
    schedule: Schedule,
    look: Callable[[], object],
    *,
    clock: Callable[[], datetime] = checks.utc_now,
    sleep: Callable[[float], object] = time.sleep,
) -> NoReturn:
    """``look`` whenever ``schedule`` says so, one at a time, until a signal ends the process.

    What comes due during a look is left out. A look that fails is logged, and the next one comes in its time.
    ``clock`` says the time in UTC and ``sleep`` makes pauses in seconds, short ones: a machine that was
    suspended, or a clock that was set, is noticed within ``NAP_S``.
    """
    while True:
        due = schedule.after(clock())
        log.info("the next look is at %s", f"{due:%Y-%m-%d %H:%M} UTC")
        while (left := (due - clock()).total_seconds()) > 0:
            sleep(min(left, NAP_S))
        try:
            look()
        except Exception as error:  # whatever it was, the next look may find it mended
            log.error(
                "the look failed: %s", plain(str(error)), exc_info=not isinstance(error, DriftGateError)
            )
