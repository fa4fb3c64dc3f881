"""The answer of ``git log``, read as it comes, however many its commits and however long what they say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from drift_gate.errors import SourceError
from drift_gate.facts import Commit

#: Characters of an author and of a subject that are kept.
AUTHOR_LIMIT, SUBJECT_LIMIT = 200, 500

_ID = "(?:[0-9a-f]{40}|[0-9a-f]{64})"
_FULL_ID = re.compile(_ID.encode())
#: What nearly every commit says of itself, as text that is shown as it stands, whole and within every limit:
#: its id, its parents, a time that every calendar holds, an author, a subject.
_PLAIN_HEADER = re.compile(
    rf"({_ID})\0((?:{_ID}(?: {_ID})*)?)\0([0-9]{{1,11}})\0"
    rf"([^\0]{{0,{AUTHOR_LIMIT}}})\0(.{{0,{SUBJECT_LIMIT}}})",
    re.DOTALL,
)
#: Bytes of everything that a commit says of itself (ids, time, author, subject), after which the rest is
#: cut while it is read: subjects of megabytes exist. Paths are never cut.
HEADER_LIMIT = 64 << 10
#: The last second that a datetime holds (end of 9999, UTC).
LAST_SECOND = 253_402_300_799


def nonsense(command: str) -> SourceError:
    """The error for a ``command`` of git whose answer is none to what was asked."""
    return SourceError(f"`git {command}` answered something that makes no sense", "invalid-response")


def between(chunks: Iterable[bytes], mark: bytes, limit: int | None = None) -> Iterator[bytes]:
    """The pieces of a stream before, between and after each ``mark``, cut where they are too long.

    The pieces at odd places (a commit's header) are cut after ``HEADER_LIMIT`` bytes without ever
    being held, the others (its paths, its patch) after ``limit``; None cuts nothing. The time is linear,
    however long a piece is.
    """
    hold = len(mark) - 1
    piece, header = _Piece(limit), False
    tail = b""
    for chunk in chunks:
        first, *rest = (tail + chunk).split(mark)
        if rest:
            piece.add(first)
            yield piece.text()
            *whole, first = rest
            for text in whole:
                header = not header
                yield text[: HEADER_LIMIT if header else limit]
            header = not header
            piece = _Piece(HEADER_LIMIT if header else limit)
        # A mark may begin in the last bytes and end in the next chunk.
        cut = max(0, len(first) - hold)
        piece.add(first[:cut])
        tail = first[cut:]
    piece.add(tail)
    yield piece.text()


class _Piece:
    """A text in the making, cut after ``limit`` bytes; None cuts nothing."""

    __slots__ = ("_limit", "_parts", "_size")

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        if self._limit is not None:
            part = part[: self._limit - self._size]
        if part:
            self._parts.append(part)
            self._size += len(part)

    def text(self) -> bytes:
        return b"".join(self._parts)


def commits_of(pieces: Iterator[bytes], roots: list[str]) -> Iterator[Commit]:
    """The commits of ``git log``: after an empty piece header and paths take turns.

    The ids of those that have no parent are added to ``roots``.
    """
    if next(pieces, None):
        raise nonsense("log")
    for header in pieces:
        paths = next(pieces, b"")
        if not paths.startswith(b"\0") or not paths.endswith(b"\0"):  # cut off in the middle of a commit
            raise nonsense("log")
        commit = _commit(header, paths)
        if not commit.parents:
            roots.append(commit.sha)
        yield commit


def _commit(header: bytes, paths: bytes) -> Commit:
    """``header`` is ``%H %P %ct %an %s`` between NULs. ``paths`` is the NUL that ends the format, then,
    where there are any, a separator of one byte (a line feed, a NUL for a merge) and path, NUL, path, NUL.
    """
    changed = path_of(paths[2:-1]).split("\0") if len(paths) > 2 else []
    try:
        plain = _PLAIN_HEADER.fullmatch(header.decode())
    except UnicodeDecodeError:
        plain = None
    if plain is None:
        return _odd_commit(header, changed)
    sha, parents, seconds, author, subject = plain.groups()
    return Commit(sha, parents.split(), int(seconds), author, subject, changed)


def _odd_commit(header: bytes, paths: Sequence[str]) -> Commit:
    """One whose header was cut or has to be, whose time is none, or whose words are no text."""
    fields = header.split(b"\0", 4)
    ids = [fields[0], *b"".join(fields[1:2]).split()]
    if len(fields) < 4 or not all(map(_FULL_ID.fullmatch, ids)):
        raise nonsense("log")
    sha, *parents = map(bytes.decode, ids)
    author, subject = _shown(fields[3], AUTHOR_LIMIT), _shown(b"".join(fields[4:]), SUBJECT_LIMIT)
    return Commit(sha, parents, seconds_of(fields[2]), author, subject, paths)


def seconds_of(text: bytes) -> int:
    """A committer time. One that no calendar holds is 0, as git takes one that it cannot read.

    Never the future: a drift may look too old then, not too young.
    """
    try:
        seconds = int(text)
    except ValueError:
        return 0
    return seconds if 0 <= seconds <= LAST_SECOND else 0


def _shown(text: bytes, limit: int) -> str:
    """Text for people, bytes that are not UTF-8 as ``\\xNN``, at most ``limit`` characters."""
    shown = text[: 4 * limit].decode("utf-8", "backslashreplace")
    return shown if len(shown) <= limit and len(text) <= 4 * limit else shown[: limit - 1] + "…"


def path_of(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
