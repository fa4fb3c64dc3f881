"""What a user writes in ``paths`` and ``ignore`` means what git says, or is refused with the reason."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drift_gate.relevance.gitignore import GitIgnore, powerless


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty one; the names that are asked about need not be there."""
    path = tmp_path_factory.mktemp("asked")
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    return path


def git_matches(repository: Path, lines: Sequence[str], paths: Sequence[str]) -> list[bool]:
    """For each path whether git would leave it out by these lines."""
    (repository / ".git/info/exclude").write_bytes(b"".join(line.encode() + b"\n" for line in lines))
    names = b"".join(path.encode() + b"\0" for path in paths)
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin", "-z", "-v", "-n"],
        cwd=repository,
        input=names,
        env={"PATH": os.environ["PATH"], "HOME": str(repository), "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    patterns = done.stdout.split(b"\0")[2::4]
    return [pattern != b"" and not pattern.startswith(b"!") for pattern in patterns]


def assert_as_git(repository: Path, lines: Sequence[str], paths: Sequence[str]) -> None:
    """Ours and git's answers about these paths are the same."""
    ours = GitIgnore(lines)
    answers = dict(zip(paths, git_matches(repository, lines, paths), strict=True))
    assert {path: ours.matches(path) for path in paths} == answers, lines


@pytest.mark.parametrize(
    ("lines", "paths"),
    [
        (["foo**/bar"], ["foo/bar", "foobar", "foox/bar", "foo/x/bar", "foox/y/bar", "x/foo/bar"]),
        (["x/foo**/bar"], ["x/foo/bar", "x/foobar", "x/fooy/bar", "x/foo/y/bar"]),
        (["*o**/bar"], ["foo/bar", "foo/x/bar", "fo/bar"]),
        (["[[:alpha:]]"], ["a", "1", "Z", "a/b", "é"]),
        (["x[[:digit:][:space:]]y", "[^[:upper:]]z"], ["x1y", "x y", "xay", "Az", "az"]),
        (["foo/*", "!foo/a/b"], ["foo/a/b", "foo/c"]),
        (["foo/*", "!foo/a/", "foo/a/*", "!foo/a/b"], ["foo/a/b", "foo/a/c", "foo/c"]),
        (["foo\t"], ["foo", "foo\t"]),
        (["foo  ", "bar\\ ", "a b"], ["foo", "foo ", "bar", "bar ", "a b"]),
        (["docs/", "/top/", "!docs/keep"], ["docs", "docs/a", "x/docs/a", "docs/keep", "top/a", "x/top/a"]),
        (["a/**", "!a/b"], ["a", "a/b", "a/b/c", "a/c"]),
        (["a/**/b", "**/c", "d/***/e"], ["a/b", "a/x/b", "a/x/y/b", "c", "x/c", "x/c/d", "d/e", "d/x/e"]),
        (["\\#a", "\\!b", "#c", "\\d"], ["#a", "!b", "c", "#c", "d"]),
        (["?", "[é]x"], ["a", "é", "éx", "ab"]),
        (["[a-c]1", "[]-]2", "[!a-c]3", "[a\\]]4", "[z-a]5"], ["b1", "-2", "]2", "b3", "d3", "]4", "z5"]),
        (["/", "//", "a//b", "a//"], ["a", "a/b"]),
        (["a*/b", "a/*"], ["a/b", "ax/b", "a/x/b", "ab/x/b"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_shape_that_is_read_in_more_than_one_way(
    repository: Path, lines: list[str], paths: list[str]
) -> None:
    """Each was decided otherwise once, or is easily decided otherwise."""
    assert_as_git(repository, lines, paths)


@pytest.mark.parametrize("line", ["a\\", "a/[b", "[[:none:]]", "[a-", "!", "\ufeffa", "a\nb", "a\0b", "a\r"])
def test_what_can_never_match_is_refused(line: str) -> None:
    """Git skips it without a word; whoever wrote it meant something."""
    with pytest.raises(ValueError, match="pattern"):
        GitIgnore([line])


@pytest.mark.parametrize("line", ["a\\", "a/[b", "[[:none:]]", "[a-", "!"])
def test_git_does_nothing_with_what_is_refused(repository: Path, line: str) -> None:
    """Not even for a file of that very name."""
    assert git_matches(repository, [line], [line, "a", "a/b", "b"]) == [False] * 4


_PARTS = st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            "ab",
            "*",
            "**",
            "***",
            "?",
            "[ab]",
            "[!a]",
            "[^b-c]",
            "[[:alpha:]]",
            "\\a",
            "\\*",
            "-",
            " ",
            "é",
            ".",
        ]
    ),
    min_size=1,
    max_size=3,
).map("".join)
_LINES = st.tuples(
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(_PARTS, min_size=1, max_size=4).map("/".join),
    st.sampled_from(["", "", "/", " "]),
).map("".join)
_LINES = _LINES.filter(lambda line: line.strip(" ") != "!")
_PATHS = st.lists(
    st.text("ab*-é.", min_size=1, max_size=3).filter(lambda name: name.strip(".") != ""),
    min_size=1,
    max_size=4,
).map("/".join)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(_LINES, min_size=1, max_size=4),
    paths=st.lists(_PATHS, min_size=5, max_size=25, unique=True),
)
def test_random_patterns_mean_what_git_says(repository: Path, lines: list[str], paths: list[str]) -> None:
    """Hundreds of lists of patterns over thousands of names."""
    assert_as_git(repository, lines, paths)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["/worker/", "!/worker/tests/"], [("!/worker/tests/", "worker")]),
        (["foo/*", "!foo/a/b"], [("!foo/a/b", "foo/a")]),
        (["docs/", "!/a/docs/b/**/*.md"], [("!/a/docs/b/**/*.md", "a/docs")]),
        (["/worker/*", "!/worker/tests/"], []),
        (["/worker/", "!*.md", "!/other/a", "!worker"], []),
        (["*.md", "!keep.md", "!docs/a.md"], []),
        (["!/worker/a"], []),
    ],
)
def test_what_takes_back_nothing_is_found(lines: list[str], told: list[tuple[str, str]]) -> None:
    """A line that names something below a folder which the list matches as a whole."""
    assert list(powerless(lines)) == told
