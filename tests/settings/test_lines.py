"""On which line each key of a TOML file stands, held against tomllib by documents made up at random."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from drift_gate.settings.lines import KeyPath, Lines

#: Keys bare and quoted, some with what means something elsewhere in a file.
KEYS = st.sampled_from(["a", "b", "c-d", "e.f", "[g]", "h = 1", "i # j", 'k"l', "m\nn", ""])
#: What stands between two statements.
SPACES = st.sampled_from(["", "\n", "# a = [\n", "  # ''' \"\"\"\n", "\r\n"])
NOISE = st.text(st.sampled_from("ab[]{}#=,.'\"\\\n \t"), max_size=12)


def quoted(key: str) -> str:
    return key if key.replace("-", "").isalnum() else json.dumps(key)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A string in one of the four ways to write it."""
    text = draw(NOISE)
    match draw(st.integers(0, 3)):
        case 0:
            return json.dumps(text)
        case 1:
            return "'" + text.replace("'", "").replace("\n", "") + "'"
        case 2:
            escaped = text.replace("\\", "\\\\").replace('"', '\\"')
            last = draw(st.sampled_from(['"', ""]))
            return f'"""\n{escaped}{last}"""'
        case _:
            return "'''" + text.replace("'", "") + draw(st.sampled_from(["''", ""])) + "'''"


@st.composite
def values(draw: st.DrawFn, number: int) -> str:
    """A value that holds ``number``, perhaps over several lines."""
    gap = draw(st.sampled_from(["", "\n  ", " # ] }\n"]))
    match draw(st.integers(0, 4)):
        case 0:
            return str(number)
        case 1:
            return f"[{gap}{draw(texts())},{gap} {number}{gap}]"
        case 2:
            return f"{{x = {draw(texts())}, n.y = [{gap}{number}{gap}]}}"
        case 3:
            return f"[{{t = {number}}},{gap}[{draw(texts())}]]"
        case _:
            return json.dumps(f"{draw(NOISE)}<{number}>")


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Statements of which each number is of one line alone; some make no valid file."""
    pieces, number = [], 1000
    for _ in range(draw(st.integers(0, 12))):
        path = ".".join(quoted(key) for key in draw(st.lists(KEYS, min_size=1, max_size=3)))
        number += 1
        form = draw(st.sampled_from(["[%s]", "[[%s]]", "key", "key"]))
        end = draw(st.sampled_from(["\n", "\r\n", " # [[\n"]))
        pieces.append(draw(SPACES))
        pieces.append((f"{path} = {draw(values(number))}" if form == "key" else form % path) + end)
    return "".join(pieces)


def numbers(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Each number of a parsed file, with the keys that lead to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from numbers(inner, (*path, place))
    elif isinstance(value, int):
        yield path, str(value)
    elif "<1" in value:
        yield path, value.rpartition("<")[2][:-1]


@given(documents())
def test_every_key_is_found_where_its_statement_begins(text: str) -> None:
    """The statement on the line that is told holds the value, and no statement before it does."""
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines, starts = Lines(text), text.replace("\r\n", "\n").split("\n")
    for path, number in numbers(parsed):
        line = lines.of(path)
        rest = "\n".join(starts[line - 1 :])
        assert number in rest
        before = "\n".join(starts[: line - 1])
        assert number not in before
        # It is the first statement of the rest: whatever follows the value belongs to others.
        assert tomllib.loads(rest[: _end(rest, number)]), (path, line)


def _end(rest: str, number: str) -> int:
    """Where the first statement of ``rest`` ends: the first line end after which it is valid by itself."""
    at = rest.index(number)
    while True:
        at = rest.index("\n", at)
        try:
            parsed = tomllib.loads(rest[:at])
        except tomllib.TOMLDecodeError:
            at += 1
            continue
        assert len(list(numbers(parsed))) == 1
        return at


def test_what_is_not_there_is_where_it_would_be() -> None:
    """A key that is missing is told by the table that it is missed in."""
    lines = Lines("[a]\nx = 1\n\n[[b]]\n[[b]]\ny = 2\n[b.c]\nz = 3\n")
    assert lines.of(("a", "nothing")) == 1
    assert lines.of(("b", 1, "nothing")) == 5
    assert lines.of(("b", 1, "c", "z")) == 8
    assert lines.of(("nowhere",)) == 1
