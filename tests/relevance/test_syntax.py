"""Two versions of a file: what is a difference, what is none, and that Python agrees."""

from __future__ import annotations

import ast
from types import CodeType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_gate.relevance.python.syntax import LARGEST_PARSED, same_syntax

BASE = b'def f(a, b=1):\n    """Words."""\n    return a + b  # sum\n'

SAME: list[tuple[str, bytes, bytes]] = [
    ("equal", BASE, BASE),
    ("a comment", BASE, BASE.replace(b"# sum", b"# the sum of both")),
    ("blank lines", BASE, b"\n\n" + BASE + b"\n\n\n"),
    ("trailing white space", b"x = 1\n", b"x = 1   \n"),
    ("line ends", b"x = 1\ny = 2\n", b"x = 1\r\ny = 2\r\n"),
    ("line breaks", b"f(a, b)\n", b"f(\n    a,\n    b,\n)\n"),
    ("indentation", b"if x:\n    y\n", b"if x:\n\ty\n"),
    ("quotes", b"x = 'a'\n", b'x = "a"\n'),
    ("an escape spelt out", b"x = '\\x41'\n", b"x = 'A'\n"),
    ("literals joined", b"x = 'ab'\n", b"x = 'a' 'b'\n"),
    ("brackets", b"x = a + b\n", b"x = (a + b)\n"),
    ("a number written differently", b"x = 1000\n", b"x = 1_000\n"),
    ("another encoding", "x = '\u00e9'\n".encode(), "# coding: latin-1\nx = '\u00e9'\n".encode("latin-1")),
    ("a byte order mark", b"x = 1\n", b"\xef\xbb\xbfx = 1\n"),
    ("a comment of types", b"x = 1\n", b"x = 1  # of type int\n"),
]

DIFFERENT: list[tuple[str, bytes, bytes]] = [
    ("a docstring", BASE, BASE.replace(b"Words", b"Word")),
    ("white space in a docstring", BASE, BASE.replace(b"Words.", b"Words. ")),
    ("white space in a literal", b"x = 'a'\n", b"x = 'a '\n"),
    ("text and bytes", b"x = 'a'\n", b"x = b'a'\n"),
    ("an integer and a float", b"x = 1\n", b"x = 1.0\n"),
    ("true and one", b"x = 1\n", b"x = True\n"),
    ("zeros of both signs", b"x = {0.0}\n", b"x = {-0.0}\n"),
    ("an annotation", b"x = 1\n", b"x: int = 1\n"),
    ("order", b"a()\nb()\n", b"b()\na()\n"),
    ("nesting", b"if x:\n    a\n    b\n", b"if x:\n    a\nb\n"),
    ("a comma that makes a tuple", b"x = (1)\n", b"x = (1,)\n"),
    ("brackets that bind", b"x = a * b + c\n", b"x = a * (b + c)\n"),
    ("what an f-string shows", b"f'{x=}'\n", b"f'{x = }'\n"),
    ("a broken side", b"x = 1\n", b"x = \n"),
    ("two broken sides", b"x = \n", b"x =  \n"),
    ("a null byte", b"x = 1\n", b"x = 1\n\0"),
    ("empty and broken", b"", b"("),
    ("too large to parse", b"x = 1\n", b"x = 1\n" + b"#\n" * LARGEST_PARSED),
    ("lone surrogates", b"x = '\\ud800'\n", b"x = '\\udfff'\n"),
    ("too deep to write out", b"x = " + b"-" * 100_000 + b"1\n", b"x =  " + b"-" * 100_000 + b"1\n"),
    ("too long a number", b"x = 0x" + b"f" * 9000 + b"\n", b"x =  0x" + b"f" * 9000 + b"\n"),
]


@pytest.mark.parametrize(("old", "new"), [row[1:] for row in SAME], ids=[row[0] for row in SAME])
def test_no_difference(old: bytes, new: bytes) -> None:
    """The way a file is written changes nothing that runs: Python compiles both to the same code."""
    assert same_syntax(old, new)
    assert _what_runs(old) == _what_runs(new)


@pytest.mark.parametrize(("old", "new"), [row[1:] for row in DIFFERENT], ids=[row[0] for row in DIFFERENT])
def test_a_difference(old: bytes, new: bytes) -> None:
    """What a program could notice is never passed over; what cannot be parsed is equal to itself alone."""
    assert not same_syntax(old, new)
    assert not same_syntax(new, old)
    assert same_syntax(new, new)


def test_the_largest_file_that_is_parsed() -> None:
    """Up to the limit comments are no difference, a byte more and the file means its own bytes."""
    largest = b"x = 1\n".ljust(LARGEST_PARSED, b"#")
    assert same_syntax(b"x = 1\n", largest)
    assert not same_syntax(b"x = 1\n", largest + b"#")


LINES = st.sampled_from(
    [
        "x = 1",
        "x =  1",
        "y = 'a'",
        'y = "a"',
        "y = 'a '",
        "# c",
        "",
        "f(x, y)",
        "f(x,\n  y)",
        "(x)",
        "x",
        "x,",
    ]
)


@given(old=st.lists(LINES, max_size=4), new=st.lists(LINES, max_size=4))
def test_it_is_the_equality_of_syntax_trees(old: list[str], new: list[str]) -> None:
    """Whatever the texts, and the order of the two sides does not matter."""
    before, after = "\n".join(old).encode(), "\n".join(new).encode()
    trees_equal = ast.dump(ast.parse(before)) == ast.dump(ast.parse(after))
    assert same_syntax(before, after) == same_syntax(after, before) == trees_equal
    if trees_equal:
        assert _what_runs(before) == _what_runs(after)


def _what_runs(source: bytes) -> tuple[object, ...]:
    """The compiled code without its line numbers."""
    return _without_lines(compile(source, "x.py", "exec"))


def _without_lines(code: CodeType) -> tuple[object, ...]:
    constants = [
        _without_lines(each) if isinstance(each, CodeType) else (type(each), each) for each in code.co_consts
    ]
    return (code.co_code, constants, code.co_names, code.co_varnames, code.co_name, code.co_flags)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"#!/usr/bin/python3\nx = 1\n", b"#!/usr/bin/python3.12\nx = 1\n"),
        (b"x = 1\n", b"#!/bin/sh\nx = 1\n"),
        (b"# /// script\n# dependencies = []\n# ///\n", b"# /// script\n# dependencies = ['a']\n# ///\n"),
        (b"# /// script\r\n# a\r\n# ///\r\n", b"# /// script\r\n# b\r\n# ///\r\n"),
        (b"x = []  # type: list[int]\n", b"x = []  # type: list[str]\n"),
        (b"# cython: boundscheck=False\nx = 1\n", b"# cython: boundscheck=True\nx = 1\n"),
        (b"#cython:language_level=2\nx = 1\n", b"#cython:language_level=3\nx = 1\n"),
        (b"# distutils: language=c\nx = 1\n", b"x = 1\n"),
        (b"# nuitka-project: --onefile\nx = 1\n", b"# nuitka-project: --standalone\nx = 1\n"),
        (b"# nuitka-project-if: {OS} == 'x':\nx = 1\n", b"x = 1\n"),
    ],
)
def test_a_comment_that_a_program_obeys_is_content(old: bytes, new: bytes) -> None:
    """Who runs the file, what is installed for it, how it is compiled."""
    assert not same_syntax(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"x = 1\n#!/bin/sh\n", b"x = 1\n#!/bin/dash\n"),
        (b"# the type is int\nx = 1\n", b"# the type is str\nx = 1\n"),
        (b"x = 1  # ///\n", b"x = 1\n"),
        (b"# /// script\n# a\n# ///\nx = 1  # b\n", b"# /// script\n# a\n# ///\nx = 1\n"),
    ],
)
def test_a_remark_stays_no_change(old: bytes, new: bytes) -> None:
    assert same_syntax(old, new)
