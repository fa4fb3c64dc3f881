"""What was found in a file's content, remembered by blob id: equal content is read once."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from drift_gate.runtime import ahead
from drift_gate.runtime.memory import Disk, Nowhere

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """How a disk keeps values of the kind ``name``. ``read`` says None to what it cannot read."""

    name: str
    write: Callable[[T], bytes]
    read: Callable[[bytes], T | None]


class ByBlob(Generic[T]):
    """``read(content)``, remembered for the ``most`` blobs that were asked for last; safe across threads.

    A blob id stands for its content for ever, so nothing here is ever out of date. Two threads that
    ask for the same new blob at once may both read it. ``form`` is how a disk keeps what was found (None: it
    keeps nothing), see ``on``.
    """

    def __init__(
        self, read: Callable[[bytes], T], most: int = 65_536, *, form: Form[T] | None = None
    ) -> None:
        self._read = read
        self._most = most
        self._form = form
        self._disk: Disk = Nowhere()
        self._ahead: ahead.Ahead | None = None
        self._known: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def on(self, disk: Disk) -> ByBlob[T]:
        """The same memory, which also asks ``disk`` and has it keep what is read from now on."""
        beside = copy.copy(self)
        beside._disk = disk
        return beside

    def __contains__(self, blob: str) -> bool:
        """Whether ``blob`` can be answered without its content."""
        return blob in self._known

    def recall(self, blobs: Iterable[str]) -> set[str]:
        """Take up what the disk knows of ``blobs``; those that still cannot be answered without content."""
        unknown = {blob for blob in blobs if blob not in self._known}
        if unknown and self._form is not None:
            for blob, text in self._disk.get(self._form.name, unknown).items():
                if (found := self._form.read(text)) is not None:
                    self._keep(blob, found)
                    unknown.discard(blob)
        return unknown

    @contextmanager
    def ahead(self, contents: Mapping[str, bytes]) -> Iterator[None]:
        """Within the block those of ``contents``, by blob, that are not known are read by a second core too.

        That is so where it can be, see ``ahead.begun``, and for values that have a ``form``.
        """
        unknown = {blob: content for blob, content in contents.items() if blob not in self._known}
        form = self._form
        if form is not None:
            self._ahead = ahead.begun(unknown, lambda content: form.write(self._read(content)))
        try:
            yield
        finally:
            if self._ahead is not None:
                self._ahead.end()
                self._ahead = None

    def of(self, blob: str, content: Callable[[], bytes]) -> T:
        """What ``read`` says of ``blob``; ``content()`` is called only where that is not known yet."""
        if self._ahead is not None and blob not in self._known:
            self._take(self._ahead.told(blob))
        with self._lock:
            if blob in self._known:
                self._known.move_to_end(blob)
                return self._known[blob]
        found = self._read(content())
        self._keep(blob, found)
        if self._form is not None:
            self._disk.put(self._form.name, blob, self._form.write(found))
        return found

    def _take(self, told: Mapping[str, bytes]) -> None:
        for blob, text in told.items():
            if self._form is not None and (found := self._form.read(text)) is not None:
                self._keep(blob, found)
                self._disk.put(self._form.name, blob, text)

    def _keep(self, blob: str, found: T) -> None:
        with self._lock:
            self._known[blob] = found
            while len(self._known) > self._most:
                self._known.popitem(last=False)
