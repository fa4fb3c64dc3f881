"""What one process remembers from check to check: a bounded number of values, some for a time only."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: Values that are held at once unless the caller says otherwise: those of some dozens of services.
_MOST = 256


class Disk(Protocol):
    """What is kept for later processes: values by kind and key, each of which stands for its key for ever."""

    def get(self, kind: str, keys: Collection[str]) -> Mapping[str, bytes]:
        """The values of those of ``keys`` that are kept."""
        ...

    def put(self, kind: str, key: str, value: bytes) -> None:
        """Keep ``value``, where that can be done."""
        ...

    def flush(self) -> bool:
        """Write what is not written yet; whether all that was put is there for later processes."""
        ...


class Nowhere:
    """A ``Disk`` that keeps nothing."""

    def get(self, kind: str, keys: Collection[str]) -> Mapping[str, bytes]:
        """None of them."""
        return {}

    def put(self, kind: str, key: str, value: bytes) -> None:
        """Forgotten."""

    def flush(self) -> bool:
        """No."""
        return False


class Recent(Generic[K, V]):
    """The values that were used last, by key; safe across threads."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value of ``key``, which counts as used now; None where there is none."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: K, value: V) -> None:
        """Remember; the one unused for longest makes room."""
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._most:
                self._values.popitem(last=False)


class Kept(Generic[K, V]):
    """Answers that serve for ``seconds`` (on ``clock``, monotonic) before they are asked for anew.

    0 keeps nothing. An error is never kept.
    """

    def __init__(self, seconds: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._answers: Recent[K, tuple[float, V]] = Recent()

    def get(
        self,
        key: K,
        ask: Callable[[], V],
        worth: Callable[[V], bool] = lambda _: True,
        *,
        fresh: bool = False,
    ) -> V:
        """The answer to ``key``: what is kept, or ``ask()``, kept from now on if it is ``worth`` it.

        ``fresh`` asks whatever is kept. Two callers at the same time may both ask; what ``ask`` raises is
        raised.
        """
        known = self._answers.get(key)
        if not fresh and known is not None and self._clock() < known[0]:
            return known[1]
        answer = ask()
        if self._seconds > 0 and worth(answer):
            self._answers.put(key, (self._clock() + self._seconds, answer))
        return answer


class Borrowed(Generic[K, V]):
    """The answers of ``kept`` for one check, which knows afterwards whether any of them was ``reused``.

    ``fresh`` asks anew what is kept, and keeps the new answer.
    """

    def __init__(self, kept: Kept[K, V] | None = None, *, fresh: bool = False) -> None:
        self._kept = kept or Kept()
        self._fresh = fresh
        self.reused = False

    def get(self, key: K, ask: Callable[[], V], worth: Callable[[V], bool] = lambda _: True) -> V:
        """As ``Kept.get``."""
        asked = False

        def asking() -> V:
            nonlocal asked
            asked = True
            return ask()

        answer = self._kept.get(key, asking, worth, fresh=self._fresh)
        self.reused = self.reused or not asked
        return answer
