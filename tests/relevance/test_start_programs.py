"""Command lines of programs: which word is an option's value, and which stands for itself."""

from __future__ import annotations

import pytest

from drift_gate.relevance.start.programs import option, positionals

#: Words, the names of an option, its value.
OPTIONS: list[tuple[str, tuple[str, ...], str | None]] = [
    ("-A x", ("-A",), "x"),
    ("-Ax", ("-A",), "x"),
    ("-A=x", ("-A",), "x"),
    ("-Ax=", ("-A",), "x="),
    ("--app x", ("-A", "--app"), "x"),
    ("--app=x=y", ("--app",), "x=y"),
    ("--apple x", ("--app",), None),
    ("--apple=x", ("--app",), None),
    ("--app x --app y", ("--app",), "y"),
    ("--app=x -Ay", ("--app", "-A"), "y"),
    ("--app=x --app", ("--app",), "x"),
    ("--app", ("--app",), None),
    ("--All", ("-A",), None),
    ("x y", ("--app",), None),
    ("--app x", (), None),
]


@pytest.mark.parametrize(("words", "names", "value"), OPTIONS)
def test_the_value_of_an_option(words: str, names: tuple[str, ...], value: str | None) -> None:
    """In every way to write it; the last one wins."""
    assert option(words.split(), names) == value


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("app", "app"),
        ("--reload app", "app"),
        ("--bind x app", "app"),
        ("-b x app", "app"),
        ("-w4 app", "app"),
        ("--bind=x app", "app"),
        ("app -b", "app"),
        ("- app", "- app"),
        ("a -- -b c", "a -b c"),
        ("", ""),
    ],
)
def test_the_words_that_stand_for_themselves(words: str, left: str) -> None:
    """Neither an option nor its value; behind ``--`` all of them."""
    assert positionals(words.split(), frozenset({"--reload"})) == left.split()
