"""Counts what Python's matcher has to look at: the same backtracking, a step at a time, without a clock."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from re import _constants as op
from re import _parser
from typing import Any

_CATEGORIES = {
    op.CATEGORY_DIGIT: r"\d",
    op.CATEGORY_NOT_DIGIT: r"\D",
    op.CATEGORY_SPACE: r"\s",
    op.CATEGORY_NOT_SPACE: r"\S",
    op.CATEGORY_WORD: r"\w",
    op.CATEGORY_NOT_WORD: r"\W",
}
_SINGLE = {op.LITERAL, op.NOT_LITERAL, op.IN, op.ANY, op.RANGE}


class Matcher:
    """``pattern`` over one text; ``steps`` counts the characters that were looked at."""

    def __init__(self, pattern: str, flags: int, text: str) -> None:
        self.tree = _parser.parse(pattern, flags)
        self.flags = self.tree.state.flags
        self.text = text
        self.steps = 0

    def scan(self) -> None:
        """As ``finditer`` does."""
        at = 0
        while at <= len(self.text):
            end = self.match(at)
            at = at + 1 if end is None or end <= at else end

    def match(self, at: int) -> int | None:
        return next(self._sequence(list(self.tree), 0, at), None)

    def _sequence(self, items: Sequence[Any], first: int, at: int) -> Iterator[int]:
        if first == len(items):
            yield at
            return
        for end in self._item(items[first], at):
            yield from self._sequence(items, first + 1, end)

    def _item(self, item: Any, at: int) -> Iterator[int]:
        kind, what = item
        self.steps += 1
        if kind in _SINGLE:
            if self._fits(item, at):
                yield at + 1
        elif kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            yield from self._repeat(kind, what[0], what[1], list(what[2]), at)
        elif kind is op.SUBPATTERN:
            yield from self._sequence(list(what[3]), 0, at)
        elif kind is op.BRANCH:
            for each in what[1]:
                yield from self._sequence(list(each), 0, at)
        elif kind is op.ATOMIC_GROUP:
            end = next(self._sequence(list(what), 0, at), None)
            if end is not None:
                yield end
        elif kind in (op.ASSERT, op.ASSERT_NOT):
            if self._looks(what[0], list(what[1]), at) == (kind is op.ASSERT):
                yield at
        elif kind is op.AT:
            if self._stands(what, at):
                yield at
        else:
            raise ValueError(f"a pattern with {kind} cannot be counted")

    def _looks(self, way: int, items: Sequence[Any], at: int) -> bool:
        if way > 0:
            return next(self._sequence(items, 0, at), None) is not None
        least, most = _parser.SubPattern(self.tree.state, list(items)).getwidth()
        back = range(least, min(most, at) + 1)
        return any(at in self._sequence(items, 0, at - width) for width in back)

    def _repeat(self, kind: Any, least: int, most: int, body: Sequence[Any], at: int) -> Iterator[int]:
        if len(body) == 1 and body[0][0] in _SINGLE and kind is not op.MIN_REPEAT:
            end = at
            while end - at < most and self._fits(body[0], end):
                self.steps += 1
                end += 1
            ends = [end] if kind is op.POSSESSIVE_REPEAT else range(end, at + least - 1, -1)
            for each in ends:
                self.steps += 1
                if each - at >= least:
                    yield each
            return
        yield from self._again(kind, least, most, body, at, 0)

    def _again(
        self, kind: Any, least: int, most: int, body: Sequence[Any], at: int, times: int
    ) -> Iterator[int]:
        self.steps += 1
        if kind is op.MIN_REPEAT and times >= least:
            yield at
        if times < most:
            for end in self._sequence(body, 0, at):
                if end > at:
                    yield from self._again(kind, least, most, body, end, times + 1)
        if kind is not op.MIN_REPEAT and times >= least:
            yield at

    def _stands(self, what: Any, at: int) -> bool:
        if what in (op.AT_BEGINNING, op.AT_BEGINNING_STRING):
            line = what is op.AT_BEGINNING and self.flags & re.MULTILINE
            return at == 0 or bool(line and self.text[at - 1] == "\n")
        if what in (op.AT_END, op.AT_END_STRING):
            line = what is op.AT_END and self.flags & re.MULTILINE
            return at == len(self.text) or bool(line and self.text[at] == "\n")
        sides = [0 <= n < len(self.text) and re.match(r"\w", self.text[n]) is not None for n in (at - 1, at)]
        return (sides[0] != sides[1]) == (what is op.AT_BOUNDARY)

    def _fits(self, item: Any, at: int) -> bool:
        if at >= len(self.text):
            return False
        kind, what = item
        code = ord(self.text[at])
        if kind is op.ANY:
            return self.text[at] != "\n" or bool(self.flags & re.DOTALL)
        if kind is op.IN:
            negated = what[0][0] is op.NEGATE
            return any(self._is(each, code) for each in what if each[0] is not op.NEGATE) != negated
        return self._is(item, code)

    def _is(self, item: Any, code: int) -> bool:
        kind, what = item
        codes = {code}
        if self.flags & re.IGNORECASE:
            codes = {ord(each) for each in (chr(code).lower(), chr(code).upper()) if len(each) == 1}
        if kind is op.LITERAL:
            return what in codes
        if kind is op.NOT_LITERAL:
            return what not in codes
        if kind is op.RANGE:
            return any(what[0] <= each <= what[1] for each in codes)
        return re.match(_CATEGORIES[what], chr(code)) is not None


def steps(pattern: str, flags: int, text: str, *, whole: bool) -> int:
    """How much a search (``whole``: one match from the beginning) has to look at."""
    matcher = Matcher(pattern, flags, text)
    if whole:
        matcher.tree.append((op.AT, op.AT_END_STRING))
        matcher.match(0)
    else:
        matcher.scan()
    return matcher.steps


def letters(pattern: str, flags: int) -> list[str]:
    """A character for each thing that the pattern takes, and two that stand in most texts."""
    found: list[str] = []

    def collect(items: Any) -> None:
        for kind, what in items:
            if kind in (op.LITERAL, op.NOT_LITERAL):
                found.append(chr(what))
            elif kind is op.RANGE:
                found.append(chr(what[0]))
            elif kind is op.CATEGORY:
                found.append({op.CATEGORY_DIGIT: "0", op.CATEGORY_SPACE: " "}.get(what, "a"))
            else:
                for inner in _inside(kind, what):
                    collect(inner)

    collect(_parser.parse(pattern, flags))
    return list(dict.fromkeys([*found, "a", " "]))


def pumped(pattern: str, flags: int) -> Iterator[tuple[str, str]]:
    """Beginnings, each with what is to follow over and over."""
    held = letters(pattern, flags)
    pumps = [*held[:9], *map("".join, itertools.product(held[:5], repeat=2))]
    return itertools.product(["", *held[:4]], dict.fromkeys(pumps))


def _inside(kind: Any, what: Any) -> list[Any]:
    if kind in (op.IN, op.ATOMIC_GROUP):
        return [what]
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        return [what[2]]
    if kind is op.SUBPATTERN:
        return [what[3]]
    if kind is op.BRANCH:
        return list(what[1])
    return [what[1]] if kind in (op.ASSERT, op.ASSERT_NOT) else []
