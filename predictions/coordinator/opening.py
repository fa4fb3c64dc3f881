"""From settings to a coordinator; the only room that names concrete stores and dispatchers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from predictions.coordinator.batches import Batch, Dispatcher, Result, Store
from predictions.coordinator.config import Config
from predictions.coordinator.coordinator import Coordinator
from predictions.coordinator.dispatch.local import Local
from predictions.coordinator.exceptions import ConfigError
from predictions.coordinator.readiness.enforcing import ready_for
from predictions.coordinator.results import write_predictions
from predictions.coordinator.store.sqlite import open_sqlite


@contextmanager
def open_coordinator(config: Config, **parts: Any) -> Iterator[Coordinator]:
    """The coordinator that ``config`` describes, until the end of the ``with`` block.

    ``parts``: what ``Coordinator`` takes beside its store and its dispatcher. Nothing outside is touched
    before something is asked of it. Raises ``ConfigError`` and ``MissingExtraError``.
    """
    with open_store(config) as store, open_dispatcher(config) as dispatcher:
        if isinstance(config.store, Path):
            parts.setdefault("deliver", _Files(config.store))
        parts.setdefault("stall_after", config.stall_after)
        parts.setdefault("ready", ready_for)
        yield Coordinator(store, dispatcher, **parts)


def open_store(config: Config) -> AbstractContextManager[Store]:
    """What keeps the batches."""
    if not isinstance(config.store, Path):
        raise ConfigError("COORDINATOR_STORE: Firestore is not built in yet")
    return open_sqlite(config.store)


@contextmanager
def open_dispatcher(config: Config) -> Iterator[Dispatcher]:
    """The way to the workers."""
    yield Local(at_a_time=config.batch_size, processes=config.processes)


def predictions_file(store: Path, game_date: date) -> Path:
    """Where the predictions of a date go, beside the SQLite file; a later batch of the date replaces them."""
    return store.with_name(f"predictions-{game_date.isoformat()}.csv")


class _Files:
    """Writes the results of each batch into a file beside the store."""

    def __init__(self, store: Path) -> None:
        self._store = store

    def __call__(self, batch: Batch, results: Iterator[Result]) -> None:
        write_predictions(predictions_file(self._store, batch.game_date), results)
