"""Patterns of file names, matched in a time that grows with the name and the pattern and not faster.

A pattern is a list of tokens, whatever dialect it was written in: the expression of one character, or one
of the three that repeat. A regular expression with several of them can take longer than anybody waits
(seven stars against a long name), so such a pattern is followed in all of its states at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

#: Any number of characters of one file or folder name.
STAR = "[^/]*"
#: Any number of whole folders, none included.
FOLDERS = "(?:.*/)?"
#: Any characters at all.
ALL = ".*"

#: Each once and in this order: what one of them gives back, none of the others tries again.
_AT_ONCE = re.compile("(?:F)?(?:S)?(?:A)?")
_LETTERS = {FOLDERS: "F", STAR: "S", ALL: "A"}

#: Something true where a name matches: a call more for each name would cost as much as the match itself.
Matcher = Callable[[str], object]


def matcher(tokens: Sequence[str]) -> Matcher:
    """Whether a whole name matches ``tokens``: each an expression of one character, or one that repeats."""
    repeated = "".join(_LETTERS[token] for token in tokens if token in _LETTERS)
    if not _AT_ONCE.fullmatch(repeated):
        return States(tokens).accept
    return re.compile("".join(tokens), re.DOTALL).fullmatch


class States:
    """All the places of a pattern that a name may have come to, one bit each; a character is read once."""

    def __init__(self, tokens: Iterable[str]) -> None:
        #: For each place what leads to the next one, and what stays there.
        self._places: list[tuple[str, str]] = []
        #: A place, and the places that are reached from it without a character; lower ones first.
        self._free: list[tuple[int, int]] = []
        self._known: dict[str, tuple[int, int]] = {}
        for token in tokens:
            self._append(token)
        self._end = 1 << len(self._places)

    def accept(self, name: Iterable[str]) -> bool:
        """Whether the characters of ``name``, all of them, lead through the pattern."""
        states = self._freed(1)
        for character in name:
            onwards, stays = self._steps(character)
            states = self._freed((states & onwards) << 1 | states & stays)
            if not states:
                return False
        return states & self._end != 0

    def _append(self, token: str) -> None:
        place = 1 << len(self._places)
        if token == FOLDERS:  # around the folders, or into them and out behind a slash
            self._free.append((place, place << 1 | place << 2))
            self._places += [("", ""), ("/", ".")]
        elif token in (STAR, ALL):
            self._free.append((place, place << 1))
            self._places.append(("", token.removesuffix("*")))
        else:
            self._places.append((token, ""))

    def _freed(self, states: int) -> int:
        for place, reached in self._free:
            if states & place:
                states |= reached
        return states

    def _steps(self, character: str) -> tuple[int, int]:
        """The places that ``character`` leads on from, and those that it stays in."""
        if character not in self._known:
            onwards, stays = (
                sum(
                    1 << number
                    for number, place in enumerate(self._places)
                    if place[side] and re.fullmatch(place[side], character, re.DOTALL)
                )
                for side in (0, 1)
            )
            self._known[character] = onwards, stays
        return self._known[character]
