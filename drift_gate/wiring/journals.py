"""Settings into the journal that they name."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from drift_gate.errors import DriftConfigError
from drift_gate.journal.records import Journal
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.settings.file import Settings
from drift_gate.settings.stores import firestore

if TYPE_CHECKING:
    from drift_gate.journal.deploys import Deploy, Deploys

#: What ``[journal] store`` says where nothing is to be kept.
OFF = "off"
#: Names Google's emulator of Firestore, ``host:port``, as it does for Google's own libraries.
EMULATOR = "FIRESTORE_EMULATOR_HOST"


def opened(settings: Settings, *, busy_s: float) -> Journal | None:
    """The journal of ``settings``; None: none is kept.

    ``busy_s``: seconds that a call waits for another writer, or for Firestore.
    """
    store, old = settings.journal.store, settings.sinks.decisions
    if store == OFF:
        return None
    hold, copied = timedelta(seconds=settings.notify.hold), settings.journal.bigquery is not None
    if at := firestore(store):
        from drift_gate.journal.firestore import Database, FirestoreJournal

        return FirestoreJournal(
            Database(*at, settings.environ.get(EMULATOR) or None), hold=hold, busy_s=busy_s, copied=copied
        )
    return SqliteJournal(
        settings.beside(store),
        hold=hold,
        old=settings.beside(old) if old else None,
        busy_s=busy_s,
        copied=copied,
    )


def nothing_kept(settings: Settings) -> str | None:
    """Why the journal of ``settings`` has nothing in it, as a sentence; None: it may have something."""
    store, old = settings.journal.store, settings.sinks.decisions
    if store == OFF:
        return f'{settings.file}: [journal] store = "off": no verdict is kept'
    if firestore(store) or settings.beside(store).exists() or (old and settings.beside(old).exists()):
        return None
    return f"nothing is kept yet: {settings.beside(store)} does not exist; the next check makes it"


def deploys(settings: Settings, *, busy_s: float) -> Deploys:
    """Where the journal of ``settings`` keeps deploys. Raises ``DriftConfigError`` where none is kept.

    ``busy_s`` as in ``opened``.
    """
    from drift_gate.journal.firestore import FirestoreJournal
    from drift_gate.journal.firestore_deploys import FirestoreDeploys
    from drift_gate.journal.sqlite_deploys import SqliteDeploys

    journal = opened(settings, busy_s=busy_s)
    if journal is None:
        raise DriftConfigError(
            f'{settings.file}: [journal] store = "off": a deploy keeps its lock and steps there; name a file'
        )
    if isinstance(journal, FirestoreJournal):
        return FirestoreDeploys(journal)
    return SqliteDeploys(settings.beside(settings.journal.store), busy_s=busy_s)


def kept_deploys(settings: Settings, *, busy_s: float) -> list[Deploy]:
    """The deploys of all services that the journal has, the newest first; no journal is made where none is.

    ``busy_s`` as in ``opened``. Raises ``JournalError``.
    """
    store = settings.journal.store
    if store == OFF or not (firestore(store) or settings.beside(store).exists()):
        return []
    return deploys(settings, busy_s=busy_s).deploys()
