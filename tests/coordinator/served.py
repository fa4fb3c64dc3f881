"""The application as it serves, with its real coordinator and store, asked without a socket."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from coordinator.worlds import HEADER
from support.asgi import AsgiClient

from predictions.coordinator.config import Config
from predictions.coordinator.coordinator import Coordinator
from predictions.coordinator.http import access, server
from predictions.coordinator.http.app import App
from predictions.coordinator.wiring import open_coordinator
from predictions.worker.messages import Completion

DAY = "2026-02-05"
NOON = datetime(2026, 2, 5, 17, 0, tzinfo=UTC)


class Served(NamedTuple):
    """The application, the coordinator behind it and who asks it."""

    app: App
    coordinator: Coordinator
    client: AsgiClient


@contextmanager
def served(
    folder: Path,
    environ: Mapping[str, str] | None = None,
    *,
    host: str = "127.0.0.1",
    clock: Callable[[], datetime] = lambda: NOON,
    **parts: Any,
) -> Iterator[Served]:
    """A server with its store in ``folder``; ``parts``: what ``Coordinator`` takes, such as a gate."""
    told = {"COORDINATOR_STORE": str(folder / "batches.sqlite"), **(environ or {})}
    config = Config.of(told)
    with open_coordinator(config, **parts) as coordinator:
        made = server.parts(coordinator, config, access.read(told, host))
        app = App(replace(made, clock=clock))
        with AsgiClient(app.api) as client:
            yield Served(app, coordinator, client)


def two_players(folder: Path) -> dict[str, str]:
    """The variable that names a slate of two players on one day; every other day is without games."""
    slate = folder / "slate.csv"
    rows = [f"G1,{DAY},P{number},Player {number},T1,T2,1 2 3,{20 * number}" for number in (1, 2)]
    slate.write_text("\n".join([f"{HEADER},expected_minutes", *rows]) + "\n", encoding="utf-8")
    return {"COORDINATOR_SLATE": str(slate)}


def pushed(completion: Completion | bytes, message_id: str = "1") -> dict[str, object]:
    """What Pub/Sub pushes for ``completion``."""
    data = completion if isinstance(completion, bytes) else completion.to_json()
    return {
        "message": {"data": base64.b64encode(data).decode(), "attributes": {}, "messageId": message_id},
        "subscription": "projects/example-project/subscriptions/completions",
    }
