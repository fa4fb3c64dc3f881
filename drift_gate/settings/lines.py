"""On which line of a TOML file each key stands: tomllib reads the values and forgets the places. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

#: The keys that lead to a value, from the outermost; a number is a place in a list.
KeyPath = tuple[str | int, ...]

#: Whatever may hold a bracket or a line end that is none, the brackets, the line ends, and the rest. A string
#: that does not end, which valid TOML has none of, goes as far as the text: or each quote would look again.
_TOKEN = re.compile(
    r'"""(?:\\.|"(?!"")|[^"\\])*(?:"{3,5})?'
    r"|'''(?:'(?!'')|[^'])*(?:'{3,5})?"
    r'|"(?:\\.|[^"\\])*"?'
    r"|'[^']*'?"
    r"|\#[^\n]*"
    r"|[\[\]{}\n]"
    r"|[^\[\]{}\n\"'#]+",
    re.DOTALL,
)


class Lines:
    """The lines of ``text``, which is valid TOML."""

    def __init__(self, text: str) -> None:
        self._first: dict[KeyPath, int] = {(): 1}
        self._last: dict[KeyPath, int] = {}
        table: KeyPath = ()
        for number, statement in _statements(text):
            begins = statement.lstrip()[:1]
            if begins in ("", "#"):
                continue
            parsed = tomllib.loads(statement)
            if begins == "[":
                table = self._opened(parsed)
                self._keep(table, {}, number)
            else:
                self._keep(table, parsed, number)

    def of(self, path: KeyPath) -> int:
        """The line where ``path`` first stands, or else the nearest that it would stand below."""
        while path not in self._first:
            path = path[:-1]
        return self._first[path]

    def _opened(self, header: dict[str, Any]) -> KeyPath:
        """The table that ``header`` opens: below a list of tables it is in the last one."""
        path: KeyPath = ()
        value: Any = header
        while isinstance(value, dict) and value:
            ((key, value),) = value.items()
            path += (key,)
            if isinstance(value, list):
                self._last[path] = self._last.get(path, -1) + 1
            if path in self._last:
                path += (self._last[path],)
        return path

    def _keep(self, path: KeyPath, value: object, number: int) -> None:
        for end in range(1, len(path) + 1):
            self._first.setdefault(path[:end], number)
        if isinstance(value, dict | list):
            below = value.items() if isinstance(value, dict) else enumerate(value)
            for key, inner in below:
                self._keep((*path, key), inner, number)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each header, and each key with its value, with the line that it begins on."""
    begin, at, depth = 0, 0, 0
    line, here = 1, 1
    for token in _TOKEN.finditer(text):
        piece, at = token[0], token.end()
        depth += (piece in ("[", "{")) - (piece in ("]", "}"))
        here += piece.count("\n")
        if piece == "\n" and not depth:
            yield line, text[begin:at]
            begin, line = at, here
    yield line, text[begin:]
