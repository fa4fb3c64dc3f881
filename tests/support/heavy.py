"""Tables of which ``make test`` asks the rows that differ in kind, and ``make test-heavy`` all the others."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest


def light(rows: Iterable[Any], kept: Container[Any]) -> list[Any]:
    """The parameters of ``rows``, a tuple being several; those that are not ``kept`` are ``heavy``."""
    return [
        pytest.param(
            *(row if isinstance(row, tuple) else (row,)), marks=[] if row in kept else [pytest.mark.heavy]
        )
        for row in rows
    ]
