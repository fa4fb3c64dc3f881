"""The words of a command and the variables of a file, in shell and in YAML, as far as text tells.

Nothing here is run or expanded as a shell would: what a variable of the same file holds is put in its place,
and every other stays as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

#: ``NAME=value``, ``export NAME=value``, ``NAME ?= value``, ``NAME: value``, on a line of its own.
_SET = re.compile(
    r"^[ \t]*(?:-[ \t]+)?(?:export[ \t]+|readonly[ \t]+|local[ \t]+)?['\"]?([A-Za-z_]\w*)['\"]?"
    r"[ \t]*(?:[?:]?=|:[ \t])[ \t]*(['\"]?)([^'\"#\n]*?)\2[ \t]*(?:#.*)?$",
    re.MULTILINE,
)
#: ``$NAME``, ``${NAME}``, ``${NAME:-default}``, ``$(NAME)``, ``${{ env.NAME }}``.
_USED = re.compile(
    r"\$\{\{[ \t]*(?:env|vars|inputs)\.(\w+)[ \t]*\}\}|\$\{(\w+)(?::?-([^}]*))?\}|\$\((\w+)\)|\$(\w+)"
)
#: What is opened and never closed ends with the text, so that nothing is looked at twice.
_WORD = re.compile(r"(?:\$\{\{[^}]*\}?\}?|\$\([^)\n]*\)?|\"(?:\\.|[^\"\\])*\"?|'[^']*'?|[^\s\"'])+")
_QUOTED = re.compile(r"\"((?:\\.|[^\"\\])*)\"?|'([^']*)'?")
#: What ends a command of a shell.
_END = re.compile(r"\n|&&|\|\||[;|]")
#: A list in YAML that holds the words of a command; the entry of one; and a key with its scalar.
_ARGS = re.compile(r"^([ \t]*(?:-[ \t]+)?)args:[ \t]*(\[|(?:#.*)?$)", re.MULTILINE)
_ENTRY = re.compile(r"[ \t]*-[ \t]+(.*)")
_LISTED = re.compile(r"(?:\"[^\"]*\"?|'[^']*'?|[^,\s\"'])+")
_REMARK = re.compile(r"(?<=[ \t])#.*")
_KEY = re.compile(r"^[ \t]*(?:-[ \t]+)?([A-Za-z_][\w-]*):[ \t]+(\S.*?)[ \t\r]*$", re.MULTILINE)
#: Another folder that the commands of a file run in, written as it is called.
_MOVED = re.compile(r"(?:\b(?:cd|pushd)|\b(?:working-directory|dir):)[ \t]+['\"]?(?:\./)?[A-Za-z_]")
#: How often a variable may hold another one.
_DEPTH = 4


def variables(text: str) -> dict[str, str]:
    """What the variables of a file hold, the first value of each; without those that hold several words."""
    found: dict[str, str] = {}
    for match in _SET.finditer(text):
        if match[3] and not re.search(r"\s", match[3]):
            found.setdefault(match[1], match[3])
    return found


def filled(text: str, known: Mapping[str, str]) -> str:
    """``text`` with what is ``known`` of its variables in their places, else the defaults that it names."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2] or match[4] or match[5]
        told = known.get(name) or match[3] or match[0]
        return match[0] if name in told else told

    for _ in range(_DEPTH):
        text = _USED.sub(value, text)
    return text


def moves(text: str) -> bool:
    """Whether commands in ``text`` run in another folder: which one ``.`` is, nobody can say."""
    return _MOVED.search(text) is not None


def settled(text: str | None) -> str | None:
    """``text``, or None where it holds a variable or nothing at all."""
    return text if text and "$" not in text and "<" not in text else None


def line_of(text: str, offset: int) -> int:
    """The line, from 1, at ``offset``."""
    return text.count("\n", 0, offset) + 1


def of_command(text: str, start: int) -> list[str]:
    """The words of the shell's command that begins at ``start``, to the end of its last line.

    A line goes on after a backslash, and where the next one begins with an option, as folded YAML has it.
    """
    end = start
    while match := _END.search(text, end):
        behind = text[end : match.start()].rstrip()
        if match[0] != "\n" or not (
            behind.endswith("\\") or re.match(r"[ \t]*--?[a-z]", text[match.end() : match.end() + 99])
        ):
            break
        end = match.end()
    stop = match.start() if match else len(text)
    words = _WORD.findall(re.sub(r"\\\r?\n", " ", text[start:stop]))
    return [_bare(word) if "(" in word else _bare(word.rstrip(")`")) for word in words]


@dataclass(frozen=True, slots=True)
class Listed:
    """The words of an ``args`` list in YAML, where it begins, the step around it; ``flow``: it is ``[…]``."""

    words: tuple[str, ...]
    start: int
    step: str
    flow: bool


def lists(text: str) -> Iterator[Listed]:
    """Every ``args`` list of a file in YAML, flow or block style."""
    for match in _ARGS.finditer(text):
        column = len(match[1].expandtabs())
        flow = match[2] == "["
        if flow:
            closing = text.find("]", match.end())
            inside = text[match.end() : closing if closing >= 0 else len(text)]
            words = _LISTED.findall(inside)
        else:
            words = list(_entries(text[match.end() :], column))
        yield Listed(tuple(map(_bare, words)), match.start(2), step_around(text, match.start(), column), flow)


def _entries(text: str, column: int) -> Iterator[str]:
    """The entries of a block list, which ends with the first line that is none or is indented less."""
    for line in text.split("\n")[1:]:
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        entry = _ENTRY.match(line)
        if entry is None or len(line) - len(line.lstrip()) < column:
            return
        yield _REMARK.sub("", entry[1])


def step_around(text: str, offset: int, column: int) -> str:
    """The entry of a YAML list, a step say, that the line at ``offset`` is part of, by its keys' ``column``.

    Without one, the rest of the text.
    """
    lines = text.split("\n")
    at = text.count("\n", 0, offset)

    def begins(line: str) -> bool:
        return line.lstrip().startswith("- ") and len(line) - len(line.lstrip()) < column

    first = next((number for number in range(at, -1, -1) if begins(lines[number])), at)
    indent = len(lines[first]) - len(lines[first].lstrip())
    rest = range(first + 1, len(lines))
    ends = (n for n in rest if lines[n].strip() and len(lines[n]) - len(lines[n].lstrip()) <= indent)
    return "\n".join(lines[first : next(ends, len(lines))])


def keys(step: str) -> dict[str, str]:
    """The scalar keys of a step, its inner tables' too; the first of each name."""
    found: dict[str, str] = {}
    for match in _KEY.finditer(step):
        found.setdefault(match[1], _bare(_REMARK.sub("", match[2])))
    return found


def _bare(word: str) -> str:
    return _QUOTED.sub(lambda match: match[1] if match[1] is not None else match[2], word).strip()


def options(words: Sequence[str], switches: frozenset[str]) -> tuple[list[str], dict[str, str]]:
    """The plain words and the options of a command; an option that is none of ``switches`` has a value."""
    plain: list[str] = []
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            plain.append(word)
        elif equals:
            found[name] = value
        elif name in switches or name.startswith("--no-"):
            found[name] = ""
        else:
            found[name] = next(rest, "")
    return plain, found
