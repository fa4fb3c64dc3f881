"""The answer of ``git cat-file --batch``, read as it comes: what is too large is skipped, never held."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from drift_gate.errors import SourceError

#: Bytes of one blob. No Python file and no Dockerfile comes near; one of 50 MB must not sink a check.
BLOB_LIMIT = 5_000_000
#: Bytes of one answer: a hundred times the Python files of a large repository.
CONTENTS_LIMIT = 512 << 20
#: Bytes of the line before an object: an id of 64 digits, a type and a size.
LINE_LIMIT = 256

_HEADER = re.compile(rb"([0-9a-f]{40,64}) (?:(missing)|(blob|tree|commit|tag) ([0-9]+))")


def blobs_of(chunks: Iterable[bytes], limit: int = CONTENTS_LIMIT) -> dict[str, bytes]:
    """The blobs of the answer by id; absent ones, other objects and blobs over ``BLOB_LIMIT`` are left out.

    Raises ``SourceError``: ``invalid-response`` for an answer that makes no sense or ends early, and
    ``history-unavailable`` where all that is to be kept takes over ``limit`` bytes.
    """
    reader = _Reader(chunks)
    found: dict[str, bytes] = {}
    kept = 0
    while (line := reader.line()) is not None:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise _nonsense(line)
        if header[2]:
            continue
        size = int(header[4])
        if header[3] != b"blob" or size > BLOB_LIMIT:
            reader.skip(size + 1)
            continue
        kept += size
        if kept > limit:
            raise SourceError(f"the files asked for take over {limit} bytes", "history-unavailable")
        found[header[1].decode()] = reader.take(size)
        reader.skip(1)
    return found


class _Reader:
    """A stream of chunks by lines and by bytes; nothing but the current chunk and the answer is held."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = b""
        self._at = 0

    def line(self) -> bytes | None:
        """Up to the next line feed, without it; None at the end of the stream."""
        line = b""
        while len(line) <= LINE_LIMIT and self._more():
            end = self._chunk.find(b"\n", self._at)
            line += self._chunk[self._at : end if end >= 0 else len(self._chunk)]
            if end >= 0:
                self._at = end + 1
                return line
            self._at = len(self._chunk)
        if line:
            raise _nonsense(line)
        return None

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        return b"".join(self._parts(size))

    def skip(self, size: int) -> None:
        """Pass over the next ``size`` bytes."""
        for _ in self._parts(size):
            continue

    def _parts(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._more():
                raise SourceError("`git cat-file` ended in the middle of an object", "invalid-response")
            part = self._chunk[self._at : self._at + size]
            self._at += len(part)
            size -= len(part)
            yield part

    def _more(self) -> bool:
        """Whether there is a byte left; gets the next chunk where the current one is used up."""
        while self._at == len(self._chunk):
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._chunk, self._at = chunk, 0
        return True


def _nonsense(line: bytes) -> SourceError:
    return SourceError(f"`git cat-file` answered {line[:80]!r}", "invalid-response")
