"""The string literals of a ``.py`` file, found without parsing it: for files that need not be understood."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: A longer text names no file: no path component on Linux is longer.
_LONGEST_NAME = 255

#: Comments are matched first, so that a quote inside of one opens nothing.
_LITERAL = re.compile(
    r"""\#[^\n]*
    | \"{3}(?P<a>(?:[^"\\]++|\\.|"(?!""))*+)\"{3}
    | '{3}(?P<b>(?:[^'\\]++|\\.|'(?!''))*+)'{3}
    | "(?P<c>(?:[^"\\\n]++|\\.)*+)"
    | '(?P<d>(?:[^'\\\n]++|\\.)*+)'""",
    re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"[^\s\"'`,;:=()<>|]*[./][^\s\"'`,;:=()<>|]*")


def texts_of(source: bytes) -> Iterator[str]:
    """Every string literal as it stands between its quotes; escapes stay, comments are passed over.

    Bytes that are not UTF-8 become lone surrogates, as in the paths of a tree.
    """
    for match in _LITERAL.finditer(source.decode("utf-8", "surrogateescape")):
        if match.lastgroup:
            yield match[match.lastgroup]


def literals_of(source: bytes) -> frozenset[str]:
    """What in the literals of ``source`` may name a file or a folder.

    Each literal of one line, and of those that hold white space (a command line, a docstring) also each
    word with a dot or a slash in it.
    """
    found: set[str] = set()
    for text in texts_of(source):
        if 0 < len(text) <= _LONGEST_NAME and "\n" not in text:
            found.add(text)
        if " " in text or "\n" in text:
            found.update(word for word in _WORD.findall(text) if len(word) <= _LONGEST_NAME)
    return frozenset(found)
