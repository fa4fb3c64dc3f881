"""Whether a regular expression that a person wrote ends soon on any text that a stranger wrote. Pure.

Python's matcher tries one way after another. What it may try is told by a pattern's shape: how many of its
repeats can end at more than one place of the same text. The answer errs to the safe side.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from itertools import combinations
from typing import Any

# Python's own reader of patterns has no other name since 3.11, and no types.
_compiler, _parser, op = map(import_module, ("re._compiler", "re._parser", "re._constants"))

#: A repeat of more than this is one without an end; what repeats less often is a factor.
_FEW = 10
#: How many ways through its options and short repeats a pattern may have.
_MOST_WAYS = 10_000
#: What whoever searches in a stranger's text looks at, in characters: its square is a matter of milliseconds.
MOST_TEXT = 1_000
_SINGLE = frozenset({op.LITERAL, op.NOT_LITERAL, op.IN, op.ANY})
_REPEATS = frozenset({op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT})
_ASSERTS = frozenset({op.ASSERT, op.ASSERT_NOT})
_NOTHING: frozenset[str] = frozenset()
#: The first 256, and letters, digits, spaces and signs beyond them.
_SAMPLES = frozenset(map(chr, range(256))) | frozenset("ıſΩ\u0660\u2003—漢🙂\u212a")

_NESTED = (
    "a repeat within a repeat can share the same text out in more than one way: write it once, "
    "as 'a+' in the place of '(a+)+', or part the rounds by a character that the inner one cannot take"
)
_ADJACENT = (
    "two repeats can share the same text out between them: let the first end by itself, as '[^)]*' in the "
    "place of '.*' before '\\)', and leave out a '.*' at either end"
)
_REFERENCE = "it refers back to what a group took: write that out"
_WAYS = f"it has more than {_MOST_WAYS:,} ways through its options: write fewer of them"


def more_than_linear(pattern: str) -> str | None:
    """Why a match of ``pattern`` may have to look at the same text again and again; None: it does not.

    Where None, a match that begins at one place costs in proportion to the text. A search begins at each
    place, so that it may cost the square: it looks at ``MOST_TEXT`` and no further. Raises ``re.error`` where
    ``pattern`` is no regular expression.
    """
    tree = _parser.parse(pattern)
    try:
        _Shape(tree.state, pattern).walk(list(tree), _NOTHING, _NOTHING, tree.state.flags, within=False)
    except _Refused as refused:
        return str(refused)
    return None


class _Refused(Exception):
    """The shape is not one that is known to be linear."""


class _Shape:
    """One pattern as it is walked through, and the ways through it that were counted so far."""

    def __init__(self, state: Any, pattern: str) -> None:
        self._state = state
        self._ways = 1
        near = {chr(ord(each) + step) for each in pattern for step in (-1, 0, 1) if 0 < ord(each) < 0x10FFFF}
        self._samples = _SAMPLES | near

    def walk(
        self, items: Sequence[Any], after: frozenset[str], before: frozenset[str], flags: int, *, within: bool
    ) -> frozenset[str]:
        """What the repeats up to the end of ``items`` take whose end the text leaves open.

        ``after``: what may follow ``items``; ``before``: the result for what comes before them; ``within``:
        whether all of it is itself repeated.
        """
        for number, (kind, what) in enumerate(items):
            rest = items[number + 1 :]
            follows = self._begins(rest, flags) | (after if _empty(rest) else _NOTHING)
            if kind in _REPEATS:
                before = self._repeat(kind, what, follows, before, flags, within=within)
            elif kind is op.BRANCH:
                before = self._branch(what[1], follows, before, flags, within=within)
            elif kind is op.SUBPATTERN:
                before = self.walk(list(what[3]), follows, before, _flags(flags, what), within=within)
            elif kind is op.ATOMIC_GROUP:
                self.walk(list(what), _NOTHING, before, flags, within=within)
            elif kind in _ASSERTS:
                self._look(list(what[1]), before, flags, within=within)
            elif kind not in _SINGLE and kind is not op.AT:
                raise _Refused(_REFERENCE)
        return before

    def _repeat(
        self,
        kind: Any,
        what: Any,
        follows: frozenset[str],
        before: frozenset[str],
        flags: int,
        *,
        within: bool,
    ) -> frozenset[str]:
        least, most, body = what[0], what[1], list(what[2])
        begins, atomic = self._begins(body, flags), kind is op.POSSESSIVE_REPEAT
        opened = bool(begins & follows) and least < most and not atomic
        if opened and within:
            raise _Refused(_NESTED)
        if most > 1 and not _one(body):
            self._round(body, begins | (_NOTHING if atomic else follows), before, flags)
        elif most <= 1:
            inner = self.walk(body, _NOTHING if atomic else follows, before, flags, within=within)
            before = before if atomic else inner
        if most <= _FEW:
            self._count(most - least + 1 if opened else 1)
            if most <= 1 or _one(body):
                return before
        takes = self._takes(body, flags)
        if takes & before:
            raise _Refused(_ADJACENT)
        return before | takes if opened else before

    def _round(self, body: Sequence[Any], after: frozenset[str], before: frozenset[str], flags: int) -> None:
        if _empty(body):
            raise _Refused(_NESTED)
        self.walk(body, after, before, flags, within=True)

    def _branch(
        self,
        options: Sequence[Any],
        follows: frozenset[str],
        before: frozenset[str],
        flags: int,
        *,
        within: bool,
    ) -> frozenset[str]:
        if not self._parted([list(each) for each in options], follows, flags):
            if within:
                raise _Refused(_NESTED)
            self._count(len(options))
        ends = (self.walk(list(each), follows, before, flags, within=within) for each in options)
        return before.union(*ends)

    def _parted(self, options: Sequence[Sequence[Any]], follows: frozenset[str], flags: int) -> bool:
        """Whether no text can begin two of ``options``."""
        heads = [
            (self._begins(each, flags) | (follows if _empty(each) else _NOTHING), self._head(each, flags))
            for each in options
        ]
        return all(
            not one[0] & other[0] or any(not a & b for a, b in zip(one[1], other[1], strict=False))
            for one, other in combinations(heads, 2)
        )

    def _look(self, items: Sequence[Any], before: frozenset[str], flags: int, *, within: bool) -> None:
        if within and _endless(items):
            raise _Refused(_NESTED)
        self.walk(items, _NOTHING, before, flags, within=within)

    def _count(self, ways: int) -> None:
        self._ways *= ways
        if self._ways > _MOST_WAYS:
            raise _Refused(_WAYS)

    def _head(self, items: Sequence[Any], flags: int) -> list[frozenset[str]]:
        """The characters that ``items`` begin with, one after another, as far as each is a single one."""
        head = []
        for item in items:
            if item[0] not in _SINGLE:
                break
            head.append(self._fits(item, flags))
        return head

    def _begins(self, items: Iterable[Any], flags: int) -> frozenset[str]:
        """What the first character may be; all of them before a look ahead that may go far."""
        found = _NOTHING
        for item in items:
            kind, what = item
            if kind in _SINGLE:
                return found | self._fits(item, flags)
            if kind in _ASSERTS and _endless(what[1]):
                return self._samples
            if kind not in _ASSERTS:
                for each, inner in _inside(item, flags):
                    found |= self._begins(each, inner)
            if not _empty([item]):
                break
        return found

    def _takes(self, items: Iterable[Any], flags: int) -> frozenset[str]:
        found = _NOTHING
        for item in items:
            if item[0] in _SINGLE:
                found |= self._fits(item, flags)
            elif item[0] not in _ASSERTS:
                for each, inner in _inside(item, flags):
                    found |= self._takes(each, inner)
        return found

    def _fits(self, item: Any, flags: int) -> frozenset[str]:
        """Asked of Python itself: a class, a category, the case."""
        one = _compiler.compile(_parser.SubPattern(self._state, [item]), flags & ~re.DEBUG)
        return frozenset(filter(one.fullmatch, self._samples))


def _flags(flags: int, group: Any) -> int:
    return (flags | int(group[1])) & ~int(group[2])


def _inside(item: Any, flags: int) -> list[tuple[list[Any], int]]:
    """What an item is made of, with the flags that hold there."""
    kind, what = item
    if kind in _REPEATS:
        return [(list(what[2]), flags)]
    if kind is op.SUBPATTERN:
        return [(list(what[3]), _flags(flags, what))]
    if kind is op.BRANCH:
        return [(list(each), flags) for each in what[1]]
    if kind in _ASSERTS:
        return [(list(what[1]), flags)]
    return [(list(what), flags)] if kind is op.ATOMIC_GROUP else []


def _empty(items: Iterable[Any]) -> bool:
    """Whether they may take nothing."""
    for item in items:
        kind, what = item
        inner = [each for each, _ in _inside(item, 0)]
        optional = kind in _REPEATS and what[0] == 0
        zero = kind in _ASSERTS or kind is op.AT or (kind not in _SINGLE and not inner)
        if not (zero or optional or any(map(_empty, inner))):
            return False
    return True


def _one(body: Sequence[Any]) -> bool:
    return len(body) == 1 and body[0][0] in _SINGLE


def _endless(items: Iterable[Any]) -> bool:
    return any(
        (item[0] in _REPEATS and item[1][1] > _FEW) or any(_endless(each) for each, _ in _inside(item, 0))
        for item in items
    )
