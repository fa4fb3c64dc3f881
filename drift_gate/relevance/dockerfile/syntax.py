"""A Dockerfile's text as instructions, and its words: comments, continuations, here-documents, variables.

The rules are those of the Dockerfile reference (docs.docker.com/reference/dockerfile).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache

_DIRECTIVE = re.compile(r"#\s*(syntax|escape|check)\s*=\s*(.+?)\s*", re.IGNORECASE)
_NAMES = frozenset(
    [
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ]
)
#: The others' ``<<EOF`` is plain text.
_WITH_DOCUMENTS = frozenset({"ADD", "COPY", "RUN"})
#: A here-document stands as a word of its own; ``"<<EOF"`` in quotes and ``<<<`` are none.
_DOCUMENT = re.compile(
    r"""(?<!\S)\d*<<(?P<tabs>-?)[ \t]*(?P<name>(?:"[^"]*"|'[^']*'|[^\s<>"'|;&])+)"""
    r"""|\\.|"(?:\\.|[^"\\])*"|'[^']*'"""
)
_VARIABLE = (
    r"\$(?P<name>[A-Za-z_]\w*)"
    r"|\$\{(?P<braced>[A-Za-z_]\w*)(?:(?P<rule>:?[-+?]|##?|%%?|//?)(?P<word>(?:[^{}]|\$\{[^{}]*\})*))?\}"
    r"|(?P<odd>\$\{)"
)

#: Characters of a word with its variables filled in: Linux takes no longer argument (MAX_ARG_STRLEN).
LONGEST_WORD = 131_072


class DockerfileError(ValueError):
    """A Dockerfile that docker would refuse; the text says the line and what is wrong there."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its name in capitals, the ``--flags`` before its arguments, and the arguments.

    ``text`` is what stands behind the flags, on one line. ``json`` holds the strings of the JSON form,
    None for the shell form. ``documents`` are the names of its here-documents, ``bodies`` what they hold.
    """

    name: str
    flags: tuple[str, ...]
    text: str
    json: tuple[str, ...] | None
    documents: tuple[str, ...]
    line: int
    escape: str
    bodies: tuple[str, ...] = ()

    def words(self) -> tuple[str, ...]:
        """The arguments one by one, quotes and variables still in place; here-documents are none of them."""
        if self.json is not None:
            return self.json
        text = _DOCUMENT.sub(lambda found: " " if found["name"] else found[0], self.text)
        return tuple(split(text if self.documents else self.text, self.escape))

    def options(self, name: str) -> tuple[str, ...]:
        """The values of a flag that may be repeated; a flag without a value counts as ``true``."""
        pairs = (flag.partition("=") for flag in self.flags)
        return tuple(value if equals else "true" for key, equals, value in pairs if key == f"--{name}")


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions of a Dockerfile in their order. Raises ``DockerfileError``."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    escape = _escape(lines)
    position = 0
    while position < len(lines):
        start = position
        position, logical = _logical(lines, position, escape)
        if logical:
            instruction = _instruction(logical, start + 1, escape)
            position, bodies = _bodies(lines, position, instruction)
            yield replace(instruction, bodies=tuple(bodies))


def split(text: str, escape: str) -> list[str]:
    """Words between white space, quotes and escapes kept: ``a "b c"`` is two."""
    mark = re.escape(escape)
    word = rf"""(?:{mark}.|"(?:{mark}.|[^"{mark}])*"|'[^']*'|[^\s"']|["'])+"""
    return re.findall(word, text, re.DOTALL)


def expand(word: str, variables: Mapping[str, str | None], escape: str = "\\") -> tuple[str, frozenset[str]]:
    """A word without its quotes and with its variables' values, and the variables nobody can tell.

    A variable with the value None is set to something unknown; one that is absent is not set, and
    ``${NAME:-default}`` then counts. Raises ``DockerfileError`` for a quote without an end, and for a word
    over ``LONGEST_WORD``: variables that double one another grow without a bound.
    """
    unknown: set[str] = set()
    return _expanded(word, variables, escape, unknown, quoted=False), frozenset(unknown)


def _escape(lines: list[str]) -> str:
    """The escape character: a directive above everything else may name the backtick."""
    for line in lines:
        directive = _DIRECTIVE.fullmatch(line.strip())
        if directive is None:
            break
        if directive[1].lower() == "escape":
            return directive[2]
    return "\\"


def _logical(lines: list[str], position: int, escape: str) -> tuple[int, str]:
    """Join the lines of one instruction: the index behind them, and the text ("" when there is none).

    Comments and empty lines inside a continuation are dropped and do not end it. An escape that is
    itself escaped continues nothing.
    """
    mark = re.escape(escape)
    joined: list[str] = []
    while position < len(lines):
        line = lines[position]
        position += 1
        if line.lstrip().startswith("#") or not line.strip():
            if not joined:
                break
            continue
        kept = re.sub(rf"(?<!{mark}){mark}[ \t]*$", "", line)
        joined.append(kept)
        if kept == line:
            break
    return position, "".join(joined).strip()


def _instruction(text: str, line: int, escape: str) -> Instruction:
    name = text.split(maxsplit=1)[0]
    if name.upper() not in _NAMES:
        raise DockerfileError(f"line {line}: unknown instruction {name[:40]!r}")
    flags, rest = _flags(text[len(name) :].strip(), escape)
    strings = _strings(rest)
    inner = rest.split(maxsplit=1)[0] if name.upper() == "ONBUILD" and rest else name
    has_documents = inner.upper() in _WITH_DOCUMENTS and strings is None
    found = _DOCUMENT.finditer(rest) if has_documents else ()
    documents = tuple(_document(match) for match in found if match["name"])
    return Instruction(name.upper(), flags, rest, strings, documents, line, escape)


def _flags(text: str, escape: str) -> tuple[tuple[str, ...], str]:
    """The leading ``--flags``, without their quotes, and what follows them."""
    flags: list[str] = []
    while text.startswith("--"):
        word = split(text, escape)[0]
        text = text[len(word) :].lstrip()
        if word == "--":
            break
        flags.append(re.sub("[\"']", "", word))
    return tuple(flags), text


def _strings(text: str) -> tuple[str, ...] | None:
    """The JSON form; anything that is no list of strings is the shell form, as docker reads it."""
    if not text.startswith("["):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return tuple(value) if all(isinstance(item, str) for item in value) else None


def _bodies(lines: list[str], position: int, instruction: Instruction) -> tuple[int, list[str]]:
    """The index behind the instruction's here-documents, whose lines are no instructions, and these lines."""
    bodies: list[str] = []
    for match in _DOCUMENT.finditer(instruction.text) if instruction.documents else ():
        if not match["name"]:
            continue
        name, tabs, start = _document(match), match["tabs"], position
        while position < len(lines) and (lines[position].lstrip("\t") if tabs else lines[position]) != name:
            position += 1
        if position == len(lines):
            raise DockerfileError(f"line {instruction.line}: here-document {name[:40]!r} has no end")
        bodies.append("\n".join(lines[start:position]))
        position += 1
    return position, bodies


def _document(match: re.Match[str]) -> str:
    return re.sub("[\"']", "", match["name"])


@cache
def _pieces(escape: str, quoted: bool) -> re.Pattern[str]:
    """What a word consists of; inside double quotes only variables and three escapes are special."""
    mark = re.escape(escape)
    if quoted:
        return re.compile(rf'{mark}(?P<escaped>["${mark}])|{_VARIABLE}|(?P<plain>.)', re.DOTALL)
    quotes = rf"""'(?P<single>[^']*)'|"(?P<double>(?:{mark}.|[^"{mark}])*)"|(?P<open>["'])"""
    return re.compile(rf"{mark}(?P<escaped>.)|{quotes}|{_VARIABLE}|(?P<plain>.)", re.DOTALL)


def _expanded(
    word: str, variables: Mapping[str, str | None], escape: str, unknown: set[str], *, quoted: bool
) -> str:
    parts: list[str] = []
    size = 0
    for piece in _pieces(escape, quoted).finditer(word):
        kind = piece.lastgroup
        if not quoted and kind == "open":
            raise DockerfileError(f"a quote without an end in {word[:60]!r}")
        if not quoted and kind == "double":
            parts.append(_expanded(piece["double"], variables, escape, unknown, quoted=True))
        elif kind in ("escaped", "plain", "single"):
            parts.append(piece[kind])
        else:
            parts.append(_value(piece, variables, escape, unknown))
        size += len(parts[-1])
        if size > LONGEST_WORD:
            raise DockerfileError(f"a word of over {LONGEST_WORD:,} characters, {word[:60]!r} filled in")
    return "".join(parts)


def _value(piece: re.Match[str], variables: Mapping[str, str | None], escape: str, unknown: set[str]) -> str:
    """What a variable stands for; forms that no builder knows are left unknown."""
    name, rule = piece["name"] or piece["braced"], piece["rule"]
    if name is None or (name in variables and variables[name] is None):
        unknown.add(name or "${")
        return ""
    value = variables.get(name)
    is_set = value is not None and (value != "" or rule is None or not rule.startswith(":"))
    if rule is not None and rule[-1] == "+":
        return _expanded(piece["word"], variables, escape, unknown, quoted=False) if is_set else ""
    if not is_set and rule is not None and rule[-1] == "-":
        return _expanded(piece["word"], variables, escape, unknown, quoted=False)
    if value is None:
        unknown.add(name)
    if value and rule is not None and rule[0] in "#%/":
        return _cut(value, rule, _expanded(piece["word"], variables, escape, unknown, quoted=False))
    return value or ""


def _cut(value: str, rule: str, pattern: str) -> str:
    """``${NAME#begins}``, ``${NAME%ends}`` (doubled: the longest), ``${NAME/old/new}`` (doubled: each)."""
    places = range(len(value) + 1) if rule in ("#", "%%") else range(len(value), -1, -1)
    if rule[0] == "#":
        return next((value[place:] for place in places if fnmatchcase(value[:place], pattern)), value)
    if rule[0] == "%":
        return next((value[:place] for place in places if fnmatchcase(value[place:], pattern)), value)
    old, _, new = pattern.partition("/")
    place = 0
    while place < len(value):
        ends = (end for end in range(len(value), place, -1) if fnmatchcase(value[place:end], old))
        end = next(ends, None)
        if end is not None:
            value = value[:place] + new + value[end:]
            if rule == "/":
                break
        place += 1 if end is None else len(new)
    return value
