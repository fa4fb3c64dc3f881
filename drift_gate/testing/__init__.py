"""For tests: a Cloud Run and a registry that answer on this machine, and real git repositories made to order.

Each loads when it is first asked for, so that a test of history alone needs no Google library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drift_gate.testing.cloud_run import FakeCloudRun
    from drift_gate.testing.history import Draft, File, HistoryBuilder
    from drift_gate.testing.registry import FakeRegistry

__all__ = ["Draft", "FakeCloudRun", "FakeRegistry", "File", "HistoryBuilder"]

_HOMES = {
    "Draft": "history",
    "FakeCloudRun": "cloud_run",
    "FakeRegistry": "registry",
    "File": "history",
    "HistoryBuilder": "history",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
