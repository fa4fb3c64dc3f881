"""The drift monitor as a Cloud Function: each message of Pub/Sub is one look at all declared services.

What stands in a message is not read. It is done with when the look stands in the journal, whole or not: the
verdicts and their causes are kept, and the next look is the schedule's. A look that could not be kept raises,
so that Pub/Sub brings the message again, and after five times lays it among the dead letters.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from pathlib import Path

import functions_framework
from cloudevents.http import CloudEvent

from drift_gate.errors import DriftConfigError, DriftGateError, SourceError
from drift_gate.presentation.looks import lines
from drift_gate.settings.file import CACHE_DIR, Settings, load
from drift_gate.settings.location import environment
from drift_gate.settings.stores import firestore
from drift_gate.wiring import answers, checks, monitors
from drift_gate.wiring.notifications import Notifications
from predictions.coordinator import logs

log = logging.getLogger("drift_gate")

#: Held by the look that is under way.
_looking = threading.Lock()
#: Set once this instance has its mirrors, and has read what each service imports.
_prepared = threading.Event()
logs.configure(environment())


@functions_framework.cloud_event  # type: ignore[untyped-decorator]  # it is not here where types are checked
def deployment_drift_monitor(event: CloudEvent) -> None:
    """One look. A message that comes during another's is left out, as that look answers it too.

    Raises ``DriftConfigError`` for a ``drift.toml`` that this function cannot go by, and ``JournalError``
    where nothing could be kept.
    """
    if not _looking.acquire(blocking=False):
        log.warning("message %s is left out: a look is under way", event["id"])
        return
    try:
        _look()
    except DriftGateError as error:
        log.error("the look failed: %s", error)
        raise
    finally:
        _looking.release()


def _look() -> None:
    settings = _settings()
    if not _prepared.is_set():
        _prepare(settings)
    seen = monitors.look(settings, [Notifications(settings)])
    for number, line in enumerate(lines(seen)):
        log.log(logging.INFO if number or seen.look.whole else logging.WARNING, "%s", line)


def _settings() -> Settings:
    """``drift.toml`` beside this file, which came with it. Nothing but a folder in memory can be written."""
    cache = Path(tempfile.gettempdir(), "drift-gate")
    settings = load(Path(__file__).parent, {CACHE_DIR: str(cache), **environment()})
    if firestore(settings.journal.store) is None:
        raise DriftConfigError(
            f"{settings.file}: [journal] store = {settings.journal.store!r} is lost with this instance, and "
            'everybody would be told everything again: say "firestore://PROJECT/DATABASE"'
        )
    return settings


def _prepare(settings: Settings) -> None:
    """What an instance needs that has just started, within ``clone_timeout`` for each step.

    Without it the look goes on: what it cannot read is unknown, with the cause, and the next one tries again.
    """
    try:
        checks.warm(settings=settings)
        failed = [each for each in answers.learn(settings=settings).values() if isinstance(each, SourceError)]
        if failed:
            raise failed[0]
    except SourceError as error:
        log.error("the history cannot be read from a mirror: %s: %s", error.cause, error)
        return
    _prepared.set()
