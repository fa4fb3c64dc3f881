"""A pattern that is taken for linear is linear, and one that is refused was worth refusing.

Counted in characters that Python's matcher has to look at, never in seconds.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.heavy import light
from support.regex_steps import pumped, steps

from drift_gate.comparison.watch import Watch
from drift_gate.facts import Commit
from drift_gate.runtime.pattern_shape import MOST_TEXT, more_than_linear

#: Characters of the shorter text. Short repeats, which are a factor and no more, are full by then.
LENGTH = 96
#: What twice the text may cost: a match from its beginning, and a search, which begins at every place.
MATCH, SEARCH = 2.8, 5.6
#: Characters of the shorter text where one without counted repeats is refused.
SOME = 32

SINGLE = st.sampled_from(["a", "b", "ab", "-", ".", "[ab]", "[^a]", r"\w", r"\s", r"\b", "^", "$"])
REPEAT = st.sampled_from(["*", "+", "?", "*?", "+?", "{0,3}", "{2}", "{1,}", "*+"])


def wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds(str.__add__, inner, inner),
        st.builds("(?:{}){}".format, inner, REPEAT),
        st.builds("(?:{}|{})".format, inner, inner),
        st.builds("(?>{})".format, inner),
        st.builds("(?={})".format, inner),
        st.builds("(?!{})".format, inner),
    )


PATTERNS = st.recursive(
    SINGLE | st.builds("{}{}".format, st.sampled_from("ab."), REPEAT), wider, max_leaves=8
)


@pytest.mark.heavy
@settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(PATTERNS)
def test_twice_the_text_is_twice_the_work_where_a_pattern_is_taken(pattern: str) -> None:
    try:
        assume(more_than_linear(pattern) is None)
    except re.error:  # two repeats upon each other, or one upon nothing
        assume(False)
    for first, pump in list(pumped(pattern, 0))[:30]:
        for whole, most in ((True, MATCH), (False, SEARCH)):
            short, long = (
                steps(pattern, 0, first + pump * (size // len(pump)) + "\0", whole=whole)
                for size in (LENGTH, 2 * LENGTH)
            )
            assert short < 6 * LENGTH or long < most * short, f"{first!r}, then {pump!r}"


@pytest.mark.parametrize(
    ("pattern", "size"),
    light(
        [
            ("(a+)+$", 5),
            (r"(\w+:?)*x", 5),
            ("(a|a)*x", 5),
            ("(?:a?b?)*x", 5),
            ("(a{1,3})*x", 5),
            ("(?:.*?,)*x", 5),
            (r"(?:a|\wb?)*x", 5),
            ("a*a*b", SOME),
            (r"\s*\w*\s*$", SOME),
            (r".*\s+bug", SOME),
            ("a*(?=.*x)b", SOME),
            ("(?:(?!.*x).)*y", SOME),
        ],
        [("(a+)+$", 5), ("(a|a)*x", 5), ("a*a*b", SOME), ("a*(?=.*x)b", SOME)],
    ),
)
def test_what_is_refused_looks_again_and_again(pattern: str, size: int) -> None:
    assert more_than_linear(pattern) is not None
    short, long = (
        max(
            steps(pattern, 0, first + pump * (length // len(pump)) + "\0", whole=True)
            for first, pump in pumped(pattern, 0)
        )
        for length in (size, 2 * size)
    )
    assert long > MATCH * short


@pytest.mark.parametrize(
    "pattern",
    [
        "^(fix|hotfix)",
        r"^(feat|fix)(\(.*\))?!?: ",
        r"^(?!.*\bWIP\b)fix",
        "(?i)revert|roll ?back|hot-?fix",
        "fix.*odds",
        "(fix.*crash|crash.*fix)",
        r"^(?:[A-Z]+-\d+[, ]*)+: ",
        r"\bPROJ-\d{1,6}\b",
        "(?>.*?b).*c",
        r"v\d+\.\d+\.\d+-(?P<commit>[0-9a-f]{7,40})",
        "(?:foo|far|fun)+!",
    ],
)
def test_what_people_write_is_taken(pattern: str) -> None:
    assert more_than_linear(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "cure"),
    [
        ("(a+)+", "'a+' in the place of"),
        (".*a.*", "leave out"),
        ("(?i:a+)A+", "leave out"),
        (r"(a)\1", "write that out"),
        ("a?" * 20, "fewer"),
    ],
)
def test_a_refusal_names_the_cure(pattern: str, cure: str) -> None:
    assert cure in str(more_than_linear(pattern))


def test_a_subject_is_looked_at_up_to_a_length() -> None:
    """A search may cost the square of the text, so that the text has an end."""
    watch = Watch(subjects=[("deny-subject", re.compile("fix$"))])
    commit = Commit("0" * 40, (), 0, "", "-" * (MOST_TEXT - 3) + "fix and more", ())
    assert [code for code, _, _ in watch.matches(commit, ())] == ["deny-subject"]
    assert not list(watch.matches(commit._replace(subject="-" + commit.subject), ()))
