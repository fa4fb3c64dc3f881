"""What a commit changes, as a value that is the same wherever the change was made: from ``git log -p``.

Git's own patch ids leave white space out, in which Python has its meaning, and do not tell what takes a
change back.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator

from drift_gate.facts import Patch

#: Bytes of one patch, and of all of one question; what is larger or comes later is compared with nothing.
PATCH_LIMIT, PATCHES_LIMIT = 1 << 20, 8 << 20

#: Nothing of the user's settings changes what is listed, and merges have no patch.
PATCH_OPTIONS = (
    "--no-renames",
    "--no-relative",
    "--ignore-submodules=none",
    "-O/dev/null",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-show-signature",
    "--no-notes",
    "--patch",
    "--unified=3",
    "--inter-hunk-context=0",
    "--full-index",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--submodule=short",
    "--no-diff-merges",
    "--no-indent-heuristic",
    "--diff-algorithm=myers",
    "--no-walk=unsorted",
    "--stdin",
)


#: The same for what people read: a patch, or its summary, whose lines are as wide as the longest path.
DIFFERENCE_OPTIONS = (
    "-r",
    "--no-renames",
    "--no-relative",
    "--ignore-submodules=none",
    "-O/dev/null",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--submodule=short",
    "--diff-algorithm=myers",
)
READABLE_OPTIONS = ("--patch", "--unified=3", "--inter-hunk-context=0")
SUMMARY_OPTIONS = ("--stat=5000", "--stat-graph-width=20")


def patch_of(text: bytes) -> Patch | None:
    """The change that one commit's patch makes; None where it changes nothing.

    Where in a file a change stands does not matter, what stands three lines around it does.
    """
    sides = _Sides()
    in_hunk = False
    for whole in io.BytesIO(text.strip(b"\n")):
        line = whole.rstrip(b"\n")
        if line.startswith(b"diff --git "):
            in_hunk = False
            sides.both(line)
        elif line.startswith(b"@@ "):
            in_hunk = True
            sides.both(b"@@")
        elif in_hunk:
            sides.content(line)
        else:
            sides.header(line)
    return sides.patch()


class _Sides:
    """The files before and after a change, as far as its patch shows them, each summed up."""

    def __init__(self) -> None:
        self._old, self._new = hashlib.sha256(), hashlib.sha256()
        self._empty = True
        self._blobs = [b"", b""]
        self._last = b" "

    def both(self, line: bytes) -> None:
        self._empty = False
        self._add(line, b" ")

    def header(self, line: bytes) -> None:
        """A line of a file's head: modes count, and where there is no text to compare the contents' ids."""
        words = line.split(b" ")
        if line.startswith((b"old mode ", b"deleted file mode ")):
            self._add(b"mode " + words[-1], b"-")
        elif line.startswith((b"new mode ", b"new file mode ")):
            self._add(b"mode " + words[-1], b"+")
        elif line.startswith(b"index "):
            self._blobs = words[1].split(b"..")
        elif line.startswith(b"Binary files "):
            self._add(self._blobs[0], b"-")
            self._add(self._blobs[-1], b"+")

    def content(self, line: bytes) -> None:
        """A line of a hunk. That a last line has no end belongs to the side of that line."""
        sign = line[:1] or b" "  # git may be told to leave the blank of an empty line out
        if sign == b"\\":
            sign = self._last
        self._last = sign
        self._add(line[1:], sign)

    def _add(self, text: bytes, sign: bytes) -> None:
        if sign != b"+":
            self._old.update(text + b"\n")
        if sign != b"-":
            self._new.update(text + b"\n")

    def patch(self) -> Patch | None:
        old, new = self._old.digest(), self._new.digest()
        return None if self._empty else Patch(old + new, new + old)


def patches_of(pieces: Iterable[bytes]) -> Iterator[tuple[str, Patch]]:
    """The patch of each commit, but for those over a limit: after an empty piece ids and texts take turns."""
    turns = iter(pieces)
    next(turns, None)
    left = PATCHES_LIMIT
    for sha, text in zip(turns, turns, strict=False):
        left -= len(text)
        if left < 0:
            return
        patch = patch_of(text) if len(text) <= PATCH_LIMIT else None
        if patch is not None:
            yield sha.decode("ascii", "replace"), patch
