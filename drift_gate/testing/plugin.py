"""The pytest plugin: the loopback Cloud Run and the history builder as fixtures.

Installed with the package; pytest finds it by itself. Google's client loads with the first test that
asks for ``fake_cloud_run``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from drift_gate.testing import FakeCloudRun, HistoryBuilder


@pytest.fixture
def fake_cloud_run() -> Iterator[FakeCloudRun]:
    """A loopback Cloud Run Admin API, empty; ``CLOUD_RUN_EMULATOR_HOST`` is its ``host``."""
    from drift_gate.testing import FakeCloudRun

    with FakeCloudRun() as cloud:
        yield cloud


@pytest.fixture
def history_builder(tmp_path: Path) -> HistoryBuilder:
    """A real, empty git repository below ``tmp_path`` to write commits into."""
    from drift_gate.testing import HistoryBuilder

    return HistoryBuilder(tmp_path / "history")
