"""The string literals of a ``.py`` file, found without parsing it: for files that need not be understood."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from drift_gate.relevance.python.own_place import places_of

#: A longer text names no file: no path component on Linux is longer.
_LONGEST_NAME = 255

#: What opens a literal. Comments are matched too, so that a quote inside of one opens nothing.
_OPENING = re.compile(r"""#[^\n]*|(?P<quote>"{3}|'{3}|"|')""")
#: What ends a literal, or is passed over inside of it.
_INSIDE = {
    quote: re.compile(rf"\\.|{quote}" + ("" if len(quote) == 3 else r"|\n"), re.DOTALL)
    for quote in ('"', "'", '"""', "'''")
}
_WORD = re.compile(r"[^\s\"'`,;:=()<>|]+")
#: What surely belongs to one name. A stranger character in a name does no harm: its end is left.
_PIECE = re.compile(r"[\w./\\-]+")
#: Prose and templates, of which a word alone is no folder.
_PROSE = re.compile(r"[\s{}%]")
_ESCAPE = re.compile(
    r"\\(?:x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})"
    r"|(?P<octal>[0-7]{1,3})|N\{(?P<name>[^{}\\]{1,90})\}|(?P<other>.))",
    re.DOTALL,
)


def texts_of(source: bytes) -> Iterator[str]:
    """Every string literal as it stands between its quotes; escapes stay, comments are passed over.

    One that nothing closes goes on to the end of its line, or of the file where it has three quotes.
    Bytes that are not UTF-8 become lone surrogates, as in the paths of a tree. Takes time in proportion
    to the length of ``source``, whatever stands in it.
    """
    text = source.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n")
    at = 0
    while opening := _OPENING.search(text, at):
        at = opening.end()
        if quote := opening["quote"]:
            start, (stop, at) = at, _closing(text, at, _INSIDE[quote])
            yield text[start:stop]


def without_comments(text: str) -> str:
    """The text of a ``.py`` file without its comments; its literals stay as they are."""
    kept: list[str] = []
    at = 0
    while opening := _OPENING.search(text, at):
        kept.append(text[at : opening.start()])
        start, at = opening.span()
        if quote := opening["quote"]:
            _, at = _closing(text, at, _INSIDE[quote])
            kept.append(text[start:at])
    return "".join([*kept, text[at:]])


def _closing(text: str, start: int, inside: re.Pattern[str]) -> tuple[int, int]:
    """Where a literal ends, and where the text goes on behind it."""
    for mark in inside.finditer(text, start):
        if mark[0][0] != "\\":
            return mark.span()
    return len(text), len(text)


def literals_of(source: bytes) -> frozenset[str]:
    """What in the literals of ``source`` may name a file or a folder.

    Each literal of one line, and of those that hold white space (a command line, a docstring) also each
    word with a dot or a slash in it; besides what ``places_of`` says. A comma behind a word says that it
    comes of a looser cut (``pieces_of``): it names no file for sure.
    """
    found = set(places_of(source))
    for text in texts_of(source):
        whole = len(text) <= _LONGEST_NAME and "\n" not in text
        if whole and text:
            found.add(text)
        if " " in text or "\n" in text:
            found.update(word for word in _WORD.findall(text) if _may_name(word))
        if not whole:
            found.update(f"{piece}," for piece in pieces_of(text) if piece not in found)
    return frozenset(found)


def _may_name(word: str) -> bool:
    return len(word) <= _LONGEST_NAME and ("." in word or "/" in word)


def words_of(source: bytes) -> frozenset[str]:
    """Every word of a text that is no ``.py`` file: what it names stands anywhere in it."""
    words = _WORD.findall(source.decode("utf-8", "surrogateescape"))
    short = {word for word in words if len(word) <= _LONGEST_NAME}
    return frozenset(short.union(*(pieces_of(word) for word in words if len(word) > _LONGEST_NAME)))


def pieces_of(text: str) -> Iterator[str]:
    """All that a literal or a word may name besides itself: wherever a program could cut it.

    ``"--config=e.json"``, ``"a.json,b.json"``, ``"^e\\.json$"``; as it stands, and with its escapes decoded.
    A single word counts where the text is no prose.
    """
    for each in (text, _ESCAPE.sub(_decoded, text)) if "\\" in text else (text,):
        single = not _PROSE.search(each.strip())
        for piece in _PIECE.findall(each):
            name = piece.rstrip(".")
            if 0 < len(name) <= _LONGEST_NAME and (single or _may_name(name) or "\\" in name):
                yield name


def _decoded(escape: re.Match[str]) -> str:
    """What an escape stands for, to Python, to JSON or to a regular expression."""
    code = escape["x"] or escape["u"] or escape["U"]
    other = escape["other"] or ""
    try:
        if escape["name"]:
            return unicodedata.lookup(escape["name"])
        if code or escape["octal"]:
            return chr(int(code, 16) if code else int(escape["octal"], 8))
    except (LookupError, ValueError):
        return " "
    if other == "\n":
        return ""
    return " " if other.isalnum() else other
