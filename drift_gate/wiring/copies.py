"""Settings into the copy of the journal in BigQuery."""

from __future__ import annotations

import logging
import threading
from functools import partial

from drift_gate.errors import DriftGateError
from drift_gate.journal.copying import copy
from drift_gate.journal.records import Journal
from drift_gate.runtime import background
from drift_gate.runtime.deadline import Deadline, attempt
from drift_gate.settings.file import Settings

log = logging.getLogger("drift_gate")

#: Seconds that a copy may take beside a verdict, and of a monitor's look.
BESIDE_S, LOOK_S = 5.0, 30.0
#: Names a stand-in of BigQuery by its URL, as it does for Google's own library.
EMULATOR = "BIGQUERY_EMULATOR_HOST"
#: Two copies at once would send the same rows.
_one = threading.Lock()


def begin(settings: Settings, journal: Journal) -> None:
    """Copy beside the caller what waits in ``journal``; nothing where no copy is wanted."""
    if settings.journal.bigquery is None:
        return
    within = Deadline(BESIDE_S)
    try:
        background.start(partial(run, settings, journal, within), within, "copy")
    except RuntimeError as error:  # no room for a thread, or the process ends
        log.info("the journal is copied later: %s", error)


def run(settings: Settings, journal: Journal, within: Deadline) -> None:
    """Copy what waits in ``journal``, as far as it goes ``within``; what does not, waits. Raises nothing."""
    if settings.journal.bigquery is None or not _one.acquire(blocking=False):
        return
    try:
        failed = attempt(partial(_copy, settings, journal, within), within, "copy")
    finally:
        _one.release()
    if failed is not None:
        log.warning("rows of the journal wait for being copied: %s", failed)


def _copy(settings: Settings, journal: Journal, within: Deadline) -> str | None:
    """None where nothing waits any more; else why."""
    project, _, dataset = (settings.journal.bigquery or "").rpartition(".")
    try:
        # Google's library takes a moment to load; here it is loaded.
        from drift_gate.journal.bigquery_table import BigQueryTable

        table = BigQueryTable(project, dataset, settings.environ.get(EMULATOR) or None, within)
        _, refused = copy(journal, table, within)
    except ImportError:
        return "[journal] bigquery needs Google's library: pip install 'prediction-drift-gate[bigquery]'"
    except DriftGateError as error:
        return str(error)
    for key, why in list(refused.items())[:1]:
        return f"BigQuery refuses {len(refused):,}, such as {key}: {why}"
    return None
