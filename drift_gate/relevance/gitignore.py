"""gitignore's patterns as git itself reads them (gitignore(5), and wildmatch where that is silent)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from drift_gate.relevance.wildcards import ALL, FOLDERS, STAR, Matcher, matcher

_LITERAL = re.compile(r"[^*?\[\\]*")
_TOKEN = re.compile(r"(?P<stars>\*+)|(?P<one>\?)|(?P<set>\[)|\\(?P<quoted>.)|(?P<plain>[^\\])", re.DOTALL)
_NAMED_SET = re.compile(r"\[:([^\]]*):\]")
#: Git's own, which know ASCII alone.
_SETS = {
    "alnum": "[0-9A-Za-z]",
    "alpha": "[A-Za-z]",
    "blank": r"[ \t]",
    "cntrl": r"[\x00-\x1f\x7f]",
    "digit": "[0-9]",
    "graph": "[!-~]",
    "lower": "[a-z]",
    "print": "[ -~]",
    "punct": r"[!-/:-@\[-`{-~]",
    "space": r"[ \t-\r]",
    "upper": "[A-Z]",
    "xdigit": "[0-9A-Fa-f]",
}
_BYTES = "".join(map(chr, range(256)))


def without_spaces_behind(text: str) -> str | None:
    """``text`` without the spaces at its end that no backslash quotes; None: a backslash ends it that
    quotes nothing.
    """
    bare = text.rstrip(" ")
    if (len(bare) - len(bare.rstrip("\\"))) % 2 == 0:
        return bare
    return text[: len(bare) + 1] if len(text) > len(bare) else None


class GitIgnore:
    """A list of patterns. The last one that matches decides, ``!`` takes back, nothing below a folder.

    Raises ``ValueError`` for a line that git would skip without a word, because it can never match.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        read = enumerate(map(_pattern, lines))
        self._patterns = [(number, pattern) for number, pattern in read if pattern is not None]
        self._patterns.reverse()
        #: For a folder the pattern that took it, or one above it, as a whole.
        self._folders: dict[str, int | None] = {"": None}

    def matches(self, path: str, *, is_folder: bool = False) -> bool:
        """Whether ``path``, from the root and without a slash at either end, is matched."""
        decides = self.deciding(path, is_folder=is_folder)
        return decides is not None and decides >= 0

    def deciding(self, path: str, *, is_folder: bool = False) -> int | None:
        """The line that decides on ``path``: its number, ``~number`` where it takes back; None: none does."""
        above = self._taken(path.rpartition("/")[0])
        return above if above is not None else self._last(path, is_folder=is_folder)

    def leading(self, folder: str) -> int | None:
        """The last line that may match something inside of ``folder``, of which nothing is known.

        None: there is none, or a later one takes the folder back.
        """
        decides = self.deciding(folder, is_folder=True)
        back = ~decides if decides is not None and decides < 0 else -1
        last = next((number for number, each in self._patterns if each.leads_into(folder)), None)
        return last if last is not None and last > back else None

    def _taken(self, folder: str) -> int | None:
        if folder not in self._folders:
            taken = None
            for end in (*(found.start() for found in re.finditer("/", folder)), len(folder)):
                each = folder[:end]
                if each not in self._folders:
                    self._folders[each] = taken if taken is not None else self._as_a_whole(each)
                taken = self._folders[each]
        return self._folders[folder]

    def _as_a_whole(self, folder: str) -> int | None:
        decides = self._last(folder, is_folder=True)
        return None if decides is None or decides < 0 else decides

    def _last(self, path: str, *, is_folder: bool) -> int | None:
        whole = _as_bytes(path)
        name = whole.rpartition("/")[2]
        for number, pattern in self._patterns:
            if (is_folder or not pattern.folders_only) and pattern.matches(
                name if pattern.by_name else whole
            ):
                return ~number if pattern.takes_back else number
        return None


@dataclass(frozen=True, slots=True)
class _Pattern:
    takes_back: bool
    folders_only: bool
    by_name: bool
    matches: Matcher
    parts: tuple[str, ...]

    def leads_into(self, folder: str) -> bool:
        """Whether something inside of ``folder`` may match; a mere name may stand anywhere."""
        if self.takes_back or self.by_name:
            return not self.takes_back
        names = folder.split("/")
        deep = next((n for n, part in enumerate(self.parts[: len(names)]) if "**" in part), None)
        if deep is None and len(self.parts) <= len(names):
            return False
        fixed = len(names) if deep is None else deep
        pairs = zip(self.parts[:fixed], names, strict=False)
        return all(_may_match(part, name) for part, name in pairs)


def _may_match(part: str, name: str) -> bool:
    """Whether the part of a pattern between two slashes matches; yes where it is none by itself."""
    try:
        return bool(matcher(_tokens(_as_bytes(part)))(_as_bytes(name)))
    except ValueError:  # cut in the middle of a set, or behind a backslash
        return True


def powerless(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Lines that take back what lies below a folder that the list matches as a whole, and that folder.

    Git does not look into it, so that such a line does nothing. Only where the line itself names the folder.
    """
    written = list(lines)
    whole = GitIgnore(written)
    for line in written:
        if not line.startswith("!") or "/" not in line.rstrip("/ "):
            continue
        fixed = _LITERAL.match(line.removeprefix("!").lstrip("/"))
        folders = fixed[0].rpartition("/")[0].split("/") if fixed else []
        ways = ("/".join(folders[: number + 1]) for number in range(len(folders)) if folders[0])
        taken = next((way for way in ways if whole.matches(way, is_folder=True)), None)
        if taken is not None:
            yield line, taken


def _pattern(line: str) -> _Pattern | None:
    """One line; None where it is blank or a comment."""
    if re.search("[\0\n\r]", line) or line.startswith("\ufeff"):
        raise ValueError(f"{line!r} is no pattern of one line: it holds a character that is not seen")
    bare = without_spaces_behind(line)
    text = line if bare is None else bare
    if not text or line.startswith("#"):
        return None
    body = text.removeprefix("!")
    if not body:
        raise ValueError(f"{line!r} is no pattern: it takes nothing back")
    named = body.removesuffix("/")
    by_name = "/" not in named
    try:
        tokens = _tokens(_as_bytes(named.removeprefix("/")))
    except ValueError as error:
        raise ValueError(f"the pattern {line!r} can never match: {error}") from error
    parts = () if by_name else tuple(named.removeprefix("/").split("/"))
    return _Pattern(text != body, named != body, by_name, matcher(tokens), parts)


def _as_bytes(text: str) -> str:
    """One character for each byte: to git ``?`` is one byte."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def _tokens(text: str) -> list[str]:
    """A pattern without its marks. Raises ``ValueError``."""
    wild = len(found[0]) if (found := _LITERAL.match(text)) else 0
    tokens = [re.escape(character) for character in text[:wild]]
    position = wild
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise ValueError("it ends with a backslash")
        position = token.end()
        if token["stars"]:
            # What stands before the first wildcard is compared beforehand, so two stars there are at a start.
            alone = token.start() == wild or text[token.start() - 1] == "/"
            repeated, position = _stars(text, position, deep=alone and len(token["stars"]) > 1)
            tokens.append(repeated)
        elif token["set"]:
            position, members = _set(text, position)
            tokens.append(members)
        else:
            tokens.append("[^/]" if token["one"] else re.escape(token["quoted"] or token["plain"]))
    return tokens


def _stars(text: str, position: int, *, deep: bool) -> tuple[str, int]:
    """What stars that end at ``position`` stand for, and the position behind them and their slash."""
    if deep and position == len(text):
        return ALL, position
    if deep and text.startswith("/", position):
        return FOLDERS, position + 1
    return (ALL if deep and text.startswith("\\/", position) else STAR), position


def _set(text: str, position: int) -> tuple[int, str]:
    """``[a-z]`` behind its bracket: the position behind it, and the expression of its characters."""
    negated = text[position : position + 1] in ("!", "^")
    members: set[str] = set()
    before, first = "", position + negated
    position = first
    while position == first or text[position : position + 1] != "]":
        position, before, more = _member(text, position, before)
        members |= more
    kept = [each for each in _BYTES if (each in members) != negated and each != "/"]
    return position + 1, f"[{''.join(map(re.escape, kept))}]" if kept else "(?!)"


def _member(text: str, position: int, before: str) -> tuple[int, str, set[str]]:
    """One part of a set: the position behind it, what a range may begin with, and its characters."""
    if position >= len(text):
        raise ValueError("a [ has no ]")
    named = _NAMED_SET.match(text, position)
    if text[position] == "-" and before and text[position + 1 : position + 2] not in ("", "]"):
        position, end = _character(text, position + 1)
        return position, "", set(_BYTES[ord(before) : ord(end) + 1])
    if named is not None:
        if named[1] not in _SETS:
            raise ValueError(f"there is no set {named[0]}")
        return named.end(), "", set(re.findall(_SETS[named[1]], _BYTES))
    position, character = _character(text, position)
    return position, character, {character}


def _character(text: str, position: int) -> tuple[int, str]:
    quoted = text[position] == "\\"
    if position + quoted >= len(text):
        raise ValueError("a [ has no ]")
    return position + quoted + 1, text[position + quoted]
