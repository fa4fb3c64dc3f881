"""Docker's patterns: what a ``.dockerignore`` keeps out of a build, and the globs of COPY.

The rules are those of docs.docker.com (build context, ".dockerignore files"), of Go's ``filepath.Match``
and, where both are silent, of moby/patternmatcher, which every builder shares. They are not gitignore's:
a pattern without a slash matches at the root of the context only.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from drift_gate.relevance.wildcards import ALL, FOLDERS, STAR, Matcher, matcher

_MEMBER = r"(?:[^\]\\-]|\\.)"
_RANGE = rf"{_MEMBER}(?:-{_MEMBER})?"
_CLASS = rf"\[(?P<negated>\^?)(?P<members>(?:{_RANGE})+)\]"
#: ``**`` takes the slash behind it along. A ``[`` that opens no class and a last ``\`` are no token.
_TOKEN = re.compile(
    rf"(?P<deep>\*\*/?)|(?P<star>\*)|(?P<one>\?)|{_CLASS}|\\(?P<quoted>.)|(?P<plain>[^\[\\])", re.DOTALL
)
#: docker hands these to its regular expressions, where ``\\d`` is a digit: such a pattern leaves nothing out.
_GO_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\[A-Za-z0-9]")
_NEVER = "(?!)"
_WILD = re.compile(r"[*?\[\]\\]")


def ignored(patterns: str) -> Callable[[str], bool]:
    """Compile the text of an ignore file: is a file, by its path from the context's root, left out?

    Raises ``ValueError`` for a pattern that docker refuses too: ``!`` alone, a ``[`` without an end.
    """
    return excluded(_lines(patterns))


def excluded(patterns: Iterable[str]) -> Callable[[str], bool]:
    """As ``ignored``, from patterns one by one: the values of ``--exclude``, say.

    A pattern that matches a folder matches all that is inside. The last pattern that matches decides,
    and ``!`` takes back. Both are judged from the top folder down, as the builders walk: an exception
    counts for a path only if something had left out that path or a folder above it.
    """
    rules = tuple(map(_rule, patterns))

    nothing = (False,) * len(rules)
    known: dict[str, tuple[bool, ...]] = {"": nothing}

    def folder(path: str) -> tuple[bool, ...]:
        if path not in known:
            above = nothing
            for end in (*(found.start() for found in re.finditer("/", path)), len(path)):
                each = path[:end]
                if each not in known:
                    known[each] = _judge(rules, each, above)[1]
                above = known[each]
        return known[path]

    return lambda path: _judge(rules, path, folder(posixpath.dirname(path)))[0]


def glob(pattern: str, *, deep: bool = False) -> Matcher:
    """Compile a pattern of ``filepath.Match``: ``*`` and ``?`` stop at ``/``, ``[^a-z]`` is a class.

    With ``deep``, ``**`` stands for any number of folders, none included, as in an ignore file; without,
    it is two stars. A whole path has to match. Raises ``ValueError`` for a pattern that is none.
    """
    if not deep:
        pattern = re.sub(r"(\\.)|\*+", lambda found: found[1] or "*", pattern, flags=re.DOTALL)
    rest = pattern.removeprefix("**")
    if deep and rest != pattern and not _WILD.search(rest) and rest[:1] not in ("", "/"):
        return matcher([ALL, *map(re.escape, rest)])  # moby: "**name" is "ends with name"
    tokens, position = [], 0
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        if token is None:
            raise ValueError(f"syntax error in pattern {pattern!r}")
        position = token.end()
        tokens.append(_expression(token, last=position == len(pattern)))
    try:
        return matcher(tokens)
    except re.error as error:  # a range that runs backwards, [z-a]
        raise ValueError(f"syntax error in pattern {pattern!r}: {error}") from error


def is_glob(path: str) -> bool:
    """Whether COPY would look for matches, not for a file of that name."""
    return re.search(r"[*?\[]", re.sub(r"\\.", "", path)) is not None


@dataclass(frozen=True, slots=True)
class _Rule:
    exception: bool
    matches: Matcher


def _lines(text: str) -> Iterator[str]:
    """The patterns of an ignore file: a comment has its ``#`` in the first column."""
    for line in text.removeprefix("\ufeff").split("\n"):
        if line.strip() and not line.startswith("#"):
            yield line.strip()


def _rule(line: str) -> _Rule:
    exception = line.startswith("!")
    pattern = line.removeprefix("!").strip()
    if not pattern:
        raise ValueError(f"illegal exclusion pattern {line!r}")
    # Go's Clean, then no leading slash. normpath alone would keep a second leading slash.
    cleaned = posixpath.normpath(re.sub("/+", "/", pattern))
    if _GO_ESCAPE.search(cleaned):
        return _Rule(exception, matcher([ALL] if exception else [_NEVER]))
    return _Rule(exception, glob(cleaned.removeprefix("/"), deep=True))


def _judge(rules: tuple[_Rule, ...], path: str, above: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
    """Whether ``path`` is left out, and which rules matched it, given those that matched its folder.

    A rule that could not change the outcome is not asked, and does not count as matched further down:
    moby's own order, which shows with an exception for a folder above the pattern that it follows.
    """
    out, matched = False, []
    for rule, inherited in zip(rules, above, strict=True):
        hit = inherited or (rule.exception == out and bool(rule.matches(path)))
        matched.append(hit)
        if hit:
            out = not rule.exception
    return out, tuple(matched)


def _expression(token: re.Match[str], *, last: bool) -> str:
    """One token as a regular expression. A class may match ``/``, as it does in Go."""
    if token["deep"]:
        return ALL if last else FOLDERS
    if token["star"]:
        return STAR
    if token["one"]:
        return "[^/]"
    if token["members"]:
        members = re.findall(_RANGE, token["members"], re.DOTALL)
        return f"[{token['negated']}{''.join(map(_members, members))}]"
    return re.escape(token["quoted"] or token["plain"])


def _members(text: str) -> str:
    """``a``, ``\\]`` or ``a-z`` inside a class."""
    ends = re.findall(_MEMBER, text, re.DOTALL)
    return "-".join(re.escape(end[-1]) for end in (ends[0], ends[-1]))
