"""Where the coverage of a test process is measured: in what a test and its fixtures do, and not in pytest.

A tracer costs most where nothing of ours runs: pytest, its plugins and xdist take a thousand small steps for
each of thousands of tests.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest


class TracedLines:
    """A plugin of pytest; it has nothing to do where the lines of this process are not traced.

    All test processes collect the same tests, so the first one alone is measured meanwhile.
    """

    def __init__(self) -> None:
        self._tracer = sys.gettrace()
        if os.environ.get("PYTEST_XDIST_WORKER", "gw0") != "gw0":
            sys.settrace(None)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        """What was loaded was measured."""
        sys.settrace(None)

    def _traced(self) -> Iterator[None]:
        sys.settrace(self._tracer)
        try:
            return (yield)
        finally:
            sys.settrace(None)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_fixture_setup(self) -> Iterator[None]:
        """What a fixture does before the test."""
        return (yield from self._traced())

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Iterator[None]:
        """The test, unless it is marked ``texts``."""
        if pyfuncitem.get_closest_marker("texts"):
            return (yield)
        return (yield from self._traced())

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Iterator[None]:
        """What fixtures do after it."""
        return (yield from self._traced())

    def pytest_sessionfinish(self) -> None:
        """Let whoever measures find the tracer as it was."""
        sys.settrace(self._tracer)
