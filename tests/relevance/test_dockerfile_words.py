"""A Dockerfile's instructions and words, row by row as the reference describes them."""

from __future__ import annotations

import pytest

from drift_gate.relevance.dockerfile.syntax import LONGEST_WORD, DockerfileError, expand, instructions


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("$A", "x"),
        ("${A}y", "xy"),
        ("pre$A.py", "prex.py"),
        ("${E:-d}", "d"),
        ("${E-d}", ""),
        ("${N:-d$A}", "dx"),
        ("${N:-${A}}", "x"),
        ("${N-d}", "d"),
        ("${N:-'d'}", "d"),
        ("${A:+'y'$A}", "yx"),
        ("${E:+y}", ""),
        ("${E+y}", "y"),
        ("${A:+y}", "y"),
        ("${N+y}", ""),
        ("${A?no}", "x"),
        ('"$A b"', "x b"),
        ("'$A'", "$A"),
        ("\\$A", "$A"),
        ('"\\$A"', "$A"),
        ('a"b c"d', "ab cd"),
        ('"it\'s"', "it's"),
        ('\\"q', '"q'),
        ("$1", "$1"),
        ("${P#*/}|${P##*/}|${P#x}", "b/c.tar.gz|c.tar.gz|a/b/c.tar.gz"),
        ("${P%.*}|${P%%.*}|${P%x}", "a/b/c.tar|a/b/c|a/b/c.tar.gz"),
        ("${P/a/x}|${P/[abc]/x}|${P//[abc]/$A$A}", "x/b/c.tar.gz|x/b/c.tar.gz|xx/xx/xx.txxr.gz"),
        ("${P/b}|${P/nothing/x}|${E#x}", "a//c.tar.gz|a/b/c.tar.gz|"),
    ],
)
def test_a_word_is_expanded_as_the_reference_says(word: str, text: str) -> None:
    """Environment replacement, and the quotes that go."""
    assert expand(word, {"A": "x", "E": "", "P": "a/b/c.tar.gz"}) == (text, frozenset())


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("$N", "N"),
        ("${N}", "N"),
        ("a${U}", "U"),
        ("${U#x}", "U"),
        ("${A@Q}", "${"),
        ("${A:+$N}", "N"),
        ("${N:-$U}", "U"),
    ],
)
def test_a_variable_that_nobody_can_tell_is_named(word: str, names: str) -> None:
    """Not set, set to something unknown, or a form that we do not follow."""
    assert expand(word, {"A": "x", "U": None})[1] == {names}


def test_every_instruction_has_its_line_and_flags() -> None:
    """A message names the line where a person has to look."""
    read = list(instructions('FROM a\n\nCOPY --from=b --exclude="x y" \\\n c d\nRUN <<E\nx\nE\nCMD ["e"]'))
    assert [(each.name, each.line) for each in read] == [("FROM", 1), ("COPY", 3), ("RUN", 5), ("CMD", 8)]
    assert read[1].options("exclude") == ("x y",)
    with pytest.raises(DockerfileError, match="line 2: unknown instruction"):
        list(instructions("FROM a\nFRMO b"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("X" * 50, f"line 1: unknown instruction {'X' * 40!r}"),
        (f"RUN <<{'E' * 50}", f"line 1: here-document {'E' * 40!r} has no end"),
    ],
)
def test_a_long_text_is_cut_in_a_message(text: str, said: str) -> None:
    """It is anybody's."""
    with pytest.raises(DockerfileError) as caught:
        list(instructions(text))
    assert str(caught.value) == said


def test_a_word_with_an_open_quote_is_cut_too() -> None:
    with pytest.raises(DockerfileError) as caught:
        expand('"' + "x" * 70, {})
    assert str(caught.value) == f"a quote without an end in {chr(34) + 'x' * 59!r}"


def test_variables_that_double_one_another_end_at_the_longest_word() -> None:
    """Sixty of them would fill the memory of any machine."""
    variables = {"A0": "x" * 10}

    def doubled() -> None:
        for number in range(60):
            variables[f"A{number + 1}"] = expand(f"$A{number}$A{number}", variables)[0]

    with pytest.raises(DockerfileError, match="a word of over 131,072 characters"):
        doubled()
    assert max(map(len, variables.values())) <= LONGEST_WORD
