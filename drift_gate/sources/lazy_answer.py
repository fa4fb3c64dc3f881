"""A question that is asked once, whoever needs its answer first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from drift_gate.errors import SourceError

T = TypeVar("T")


class LazyAnswer(Generic[T]):
    """The outcome of a question that is asked once, on whatever thread first needs it."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._answers: list[T | SourceError] = []

    def get(self) -> T:
        """The answer, or the ``SourceError`` that the question ended with."""
        with self._lock:
            if not self._answers:
                self._answers.append(self._outcome())
        [answer] = self._answers
        if isinstance(answer, SourceError):
            raise answer
        return answer

    def _outcome(self) -> T | SourceError:
        try:
            return self._ask()
        except SourceError as error:
            return error
