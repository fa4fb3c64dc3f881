"""Every pattern that reads a stranger's text looks at it a bounded number of times, wherever it begins.

Twice the text must be twice the work, and not four times: counted in characters that Python's matcher has to
look at, never in seconds. The texts are made for the pattern: what it holds, over and over.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from support.heavy import light
from support.regex_steps import pumped, steps

ROOT = Path(__file__).parents[1]
#: Where texts are read that somebody else wrote: a repository's, a worker's, a registry's, git's, a caller's.
ROOMS = ("drift_gate", "predictions")
#: Characters of the shorter text, and the least work that is worth a look.
LENGTH, LITTLE = 48, 48 * 6
#: What twice the text may cost. Linear is 2, the square 4.
MOST = 2.8


class Used(NamedTuple):
    """A pattern, and whether it is held against a text from its beginning only."""

    where: str
    pattern: str
    flags: int
    whole: bool


@cache
def sources() -> Mapping[Path, str]:
    files = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
    return {file: file.read_text(encoding="utf-8") for file in files}


def modules() -> list[Path]:
    """The files that hold patterns, below the project's root."""
    return [file.relative_to(ROOT) for file, source in sources().items() if re.search(r"\bre\.\w+\(", source)]


def patterns(file: Path) -> Iterator[Used]:
    """Those with a name, and those that are written where they are used."""
    name = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
    source = sources()[ROOT / file]
    yield from named(name, source, "\n".join(sources().values()))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and (used := written(name, node)):
            yield used


@cache
def calls(text: str) -> Mapping[str, set[str]]:
    """The methods that are called of each name, or of an item of it."""
    found = defaultdict(set)
    for name, called in re.findall(r"\b(\w+)(?=(?:\[[^]]*\])?\.(\w+))", text):
        found[name].add(called)
    return found


def named(module: str, source: str, everything: str) -> Iterator[Used]:
    for key, value in vars(importlib.import_module(module)).items():
        for each in value.values() if isinstance(value, dict) else [value]:
            if isinstance(each, re.Pattern):
                told = calls(source if key.startswith("_") else everything).get(key, set())
                whole = bool(told) and told <= {"match", "fullmatch", "pattern"}
                yield Used(f"{module}.{key}", as_text(each.pattern), each.flags, whole)


def as_text(pattern: str | bytes) -> str:
    return pattern if isinstance(pattern, str) else pattern.decode("latin-1")


def written(module: str, node: ast.Call) -> Used | None:
    match node.func:
        case ast.Attribute(value=ast.Name(id="re"), attr=function) if function != "compile":
            first = node.args[0] if node.args else None
        case _:
            return None
    if not (isinstance(first, ast.Constant) and isinstance(first.value, str | bytes)):
        return None
    said = {ast.unparse(each) for each in (*node.args[1:], *(each.value for each in node.keywords))}
    flags = sum(int(flag) for flag in re.RegexFlag if f"re.{flag.name}" in said)
    return Used(f"{module}:{node.lineno}", as_text(first.value), flags, function in ("match", "fullmatch"))


@pytest.mark.heavy
@pytest.mark.parametrize("file", modules(), ids=str)
def test_twice_the_text_is_twice_the_work(file: Path) -> None:
    for used in patterns(file):
        for first, pump in pumped(used.pattern, used.flags):
            short, long = (
                steps(used.pattern, used.flags, first + pump * (size // len(pump)) + "\0", whole=used.whole)
                for size in (LENGTH, 2 * LENGTH)
            )
            assert short < LITTLE or long < MOST * short, f"{used}: {first!r}, then {pump!r} over and over"


@pytest.mark.parametrize(
    ("pattern", "whole", "size"),
    light(
        [("a*a*b", True, 48), ("[a-z]+=", False, 48), (r"(\w+:?)*x", True, 5), (r"\[.*\]", False, 48)],
        [("a*a*b", True, 48)],
    ),
)
def test_a_pattern_that_looks_again_and_again_is_found(pattern: str, whole: bool, size: int) -> None:
    """What the test above rests on."""
    short, long = (
        max(
            steps(pattern, 0, first + pump * (length // len(pump)) + "\0", whole=whole)
            for first, pump in pumped(pattern, 0)
        )
        for length in (size, 2 * size)
    )
    assert long > MOST * short
