"""For tests: a Cloud Run that answers on this machine, and real git repositories with a history to order.

Each loads when it is first asked for, so that a test of history alone needs no Google library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.deployment.testing.cloud_run import FakeCloudRun
    from shared.deployment.testing.history import Draft, File, HistoryBuilder

__all__ = ["Draft", "FakeCloudRun", "File", "HistoryBuilder"]

_HOMES = {"Draft": "history", "File": "history", "HistoryBuilder": "history", "FakeCloudRun": "cloud_run"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
