"""What the tests of readiness share: loggers that a command line leaves as it found them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    """A command line sets up loggers for the whole process."""
    loggers = [
        logging.getLogger(name) for name in ("drift_gate", "drift_gate.verdict", "prediction_coordinator")
    ]
    before = [(each.handlers[:], each.level, each.propagate) for each in loggers]
    yield
    for each, (handlers, level, propagate) in zip(loggers, before, strict=True):
        each.handlers[:], each.level, each.propagate = handlers, level, propagate
