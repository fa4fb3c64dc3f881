"""From settings to a coordinator; the only room that names concrete stores and dispatchers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, assert_never

from predictions.coordinator.batches.contracts import Dispatcher, Store
from predictions.coordinator.batches.orders import slate_of
from predictions.coordinator.batches.results import Files
from predictions.coordinator.config import Config
from predictions.coordinator.coordinator import Coordinator
from predictions.coordinator.dispatch.local import Local
from predictions.coordinator.exceptions import MissingExtraError
from predictions.coordinator.readiness.enforcement import ready_for
from predictions.coordinator.store.sqlite import open_sqlite


@contextmanager
def open_coordinator(config: Config, **parts: Any) -> Iterator[Coordinator]:
    """The coordinator that ``config`` describes, until the end of the ``with`` block.

    ``parts``: what ``Coordinator`` takes beside its store and its dispatcher. Nothing outside is touched
    before something is asked of it. Raises ``ConfigError`` and ``MissingExtraError``.
    """
    with open_store(config) as store, open_dispatcher(config) as dispatcher:
        if isinstance(config.store, Path):
            parts.setdefault("deliver", Files(config.store))
        parts.setdefault("stall_after", config.stall_after)
        parts.setdefault("ready", ready_for)
        parts.setdefault("read", partial(slate_of, timeout=config.slate_timeout))
        yield Coordinator(store, dispatcher, **parts)


def open_store(config: Config) -> AbstractContextManager[Store]:
    """What keeps the batches. Raises ``MissingExtraError``."""
    if isinstance(config.store, Path):
        return open_sqlite(config.store)
    try:
        from predictions.coordinator.store.firestore import open_firestore
    except ImportError as error:
        raise MissingExtraError.of("a Firestore store", "firestore") from error
    return open_firestore(config.store.project, config.store.database, config.firestore_emulator)


@contextmanager
def open_dispatcher(config: Config) -> Iterator[Dispatcher]:
    """The way to the workers. Raises ``MissingExtraError``."""
    match config.dispatch:
        case "local":
            yield Local(at_a_time=config.batch_size, processes=config.processes)
        case "http":
            yield _http(config)
        case "pubsub":
            with _pubsub(config) as dispatcher:
                yield dispatcher
        case _:
            assert_never(config.dispatch)


def _http(config: Config) -> Dispatcher:
    from predictions.coordinator.dispatch.http import Http

    url = str(config.worker_url)
    audience = config.audience or (url if url.startswith("https:") else None)
    token = None
    if audience is not None:
        from drift_gate.sources.health.tokens import IdTokens

        token = partial(IdTokens().get, audience)
    return Http(
        url,
        at_a_time=config.batch_size,
        timeout=config.worker_timeout,
        token=token,
        pinned=config.pinned,
        audience=audience,
    )


@contextmanager
def _pubsub(config: Config) -> Iterator[Dispatcher]:
    """The client connects, and looks for credentials, when something is first dispatched."""
    try:
        from predictions.coordinator.dispatch.pubsub import PubSub
        from predictions.worker.pubsub import publisher
    except ImportError as error:
        raise MissingExtraError.of("dispatch by Pub/Sub", "pubsub") from error
    dispatcher = PubSub(partial(publisher, config.pubsub_emulator), str(config.topic))
    try:
        yield dispatcher
    finally:
        dispatcher.close()
