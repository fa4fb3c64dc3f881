"""A ``.py`` file of which a part cannot be parsed: its other statements, and the text of that part."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from drift_gate.relevance.python.syntax import LARGEST_PARSED, parsed

#: PEP 810, Python 3.15: to the import closure a lazy import is an import.
_LAZY = re.compile(r"(?m)^([ \t]*)lazy[ \t]+(?=(?:from|import)\b)")
#: A line that begins a statement of the module's own level, or goes on with one.
_BEGINS = re.compile(r"[^\s#)\]}\"']")
_GOES_ON = re.compile(r"(?:else|elif|except|finally|case)\b")


def pieces(source: bytes) -> tuple[ast.Module, str | None]:
    """The statements of the module's level that parse, as one tree, and the text of all others.

    For a file that does not parse as a whole: it is for a newer Python than this one, or broken. None
    instead of a text: only lazy imports were in the way, and the tree says all.
    """
    text, readable = _decoded(source)
    if len(source) > LARGEST_PARSED:
        return ast.Module([], []), text
    text = _LAZY.sub(r"\1", text)
    whole = parsed(text) if readable else None
    if whole is not None:
        return whole, None
    trees = [(parsed(piece), piece) for piece in _split(text)]
    body = [statement for tree, _ in trees if tree is not None for statement in tree.body]
    return ast.Module(body, []), "".join(piece for tree, piece in trees if tree is None)


def _decoded(source: bytes) -> tuple[str, bool]:
    """The text in the encoding that it declares (PEP 263), line feeds alone; and whether it is that."""
    readable = True
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    except SyntaxError:
        encoding, readable = "utf-8", False
    try:
        text = source.decode(encoding)
    except ValueError:
        text, readable = source.decode(encoding, "replace"), False
    return text.replace("\r\n", "\n").replace("\r", "\n"), readable


def _split(text: str) -> Iterator[str]:
    """Each statement of the module's level with what belongs to it."""
    lines: list[str] = []
    decorated = False
    for line in text.replace("\\\n", " ").splitlines(keepends=True):
        if _BEGINS.match(line) and not _GOES_ON.match(line):
            if lines and not decorated:
                yield "".join(lines)
                lines = []
            decorated = line.startswith("@")
        lines.append(line)
    yield "".join(lines)
