"""Names against patterns: the same as a regular expression says, in steps that grow with the name alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_gate.relevance.dockerfile.ignore import glob, ignored
from drift_gate.relevance.gitignore import GitIgnore
from drift_gate.relevance.wildcards import ALL, FOLDERS, STAR, States, matcher

TOKENS = st.lists(st.sampled_from([STAR, FOLDERS, ALL, "a", "b", "/", "[^/]", "[ab]"]), max_size=7)
NAMES = st.text("ab/", max_size=9)


@given(tokens=TOKENS, names=st.lists(NAMES, min_size=1, max_size=8))
def test_both_ways_to_match_agree_with_the_expression(tokens: list[str], names: list[str]) -> None:
    """Whichever is chosen for a pattern decides nothing."""
    expression = re.compile("".join(tokens))
    for name in names:
        expected = expression.fullmatch(name) is not None
        assert bool(matcher(tokens)(name)) is expected
        assert States(tokens).accept(name) is expected


def counted(name: str, read: list[str]) -> Iterator[str]:
    """The characters of ``name``; each one that is taken is added to ``read``."""
    for character in name:
        read.append(character)
        yield character


@pytest.mark.parametrize("stars", [2, 7, 40])
def test_twice_the_name_is_twice_the_steps(stars: int) -> None:
    """Each character is read once, however many stars might take it."""
    states = States([token for _ in range(stars) for token in (STAR, "a")] + ["b"])
    steps = []
    for length in (1000, 2000, 4000):
        read: list[str] = []
        assert not states.accept(counted("a" * length, read))
        steps.append(len(read))
    assert steps == [1000, 2000, 4000]


@pytest.mark.parametrize("pattern", ["a*" * 30 + "b", "**/" * 20 + "a*a*a*b", "*a" * 25 + "/b"])
def test_a_pattern_of_many_stars_ends(pattern: str) -> None:
    """In each dialect; a backtracking matcher would be at it for longer than the sun shines."""
    name = "/".join(["a" * 200] * 5)
    assert not GitIgnore([pattern]).matches(name)
    assert not ignored(pattern)(name)
    assert not glob(pattern)(name)


def test_a_path_of_a_thousand_folders_is_matched() -> None:
    """No depth of recursion is in the way."""
    deep = "a/" * 3000 + "b"
    assert GitIgnore(["b"]).matches(deep)
    assert ignored("**/b")(deep)
