"""What was found in a file's content, remembered by blob id: equal content is read once per process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class ByBlob(Generic[T]):
    """``read(content)``, remembered for the ``most`` blobs that were asked for last; safe across threads.

    A blob id stands for its content for ever, so nothing here is ever out of date. Two threads that
    ask for the same new blob at once may both read it.
    """

    def __init__(self, read: Callable[[bytes], T], most: int = 65_536) -> None:
        self._read = read
        self._most = most
        self._known: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, blob: str) -> bool:
        """Whether ``blob`` can be answered without its content."""
        return blob in self._known

    def of(self, blob: str, content: Callable[[], bytes]) -> T:
        """What ``read`` says of ``blob``; ``content()`` is called only where that is not known yet."""
        with self._lock:
            if blob in self._known:
                self._known.move_to_end(blob)
                return self._known[blob]
        found = self._read(content())
        with self._lock:
            self._known[blob] = found
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return found
