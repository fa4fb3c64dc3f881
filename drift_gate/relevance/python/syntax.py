"""What a ``.py`` file says, apart from how it is written: comments, white space and line breaks aside."""

from __future__ import annotations

import ast
import hashlib
import re
import threading
import warnings

#: Larger files are tables somebody generated; parsing takes about 1 s and 100 MB for each of these.
LARGEST_PARSED = 2_000_000

#: A block of PEP 723, and comments that a type checker or a compiler of the file obeys.
_METADATA = re.compile(rb"# /// [A-Za-z0-9-]+[ \t]*$")
_DIRECTIVE = re.compile(rb"#[ \t]*(?:type|cython|distutils|nuitka-project)\b[-\w]*[ \t]*:.*")

#: ``catch_warnings`` changes the whole process: our own threads must not restore each other's filters.
_QUIET = threading.Lock()


def parsed(source: bytes | str) -> ast.Module | None:
    """The syntax tree of ``source``, of bytes in the encoding that they declare (PEP 263).

    None where there is none: an error in the syntax (or a syntax newer than this Python), a null byte,
    an encoding nobody knows, nesting deeper than the parser goes, or more than ``LARGEST_PARSED`` bytes.
    Nothing of the file is run, and what the compiler would warn of is nobody's business here.
    """
    if len(source) > LARGEST_PARSED:
        return None
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def meaning(source: bytes) -> str:
    """What a ``.py`` file says, as a digest: equal for two versions that mean the same to Python.

    Comments, white space, line breaks, kinds of quotes and redundant brackets are no difference, nor are
    line numbers; any other text in a string is one, also in a docstring: a program can read it. So are the
    comments that a program obeys: the first line where it says who runs the file, what an installer (PEP
    723), a type checker or a compiler is told. A file that cannot be parsed means its own bytes.
    """
    written = _written_out(source)
    if written is None:
        kind, text = b"bytes ", source
    else:
        kind, text = b"tree ", b"\n".join([written.encode(), *_obeyed(source)])
    return hashlib.sha256(kind + text).hexdigest()


def _obeyed(source: bytes) -> list[bytes]:
    """The comments that are no remarks, in their order."""
    lines = source.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    scripted = any(_METADATA.match(line) for line in lines)
    comments = [line for line in lines if scripted and line.startswith(b"#")]
    if lines[0].startswith(b"#!"):
        comments.insert(0, lines[0])
    return comments + [match[0].rstrip() for line in lines if (match := _DIRECTIVE.search(line))]


def same_syntax(old: bytes, new: bytes) -> bool:
    """Whether two versions of a ``.py`` file mean the same; see ``meaning``."""
    return old == new or meaning(old) == meaning(new)


def _written_out(source: bytes) -> str | None:
    """The tree as text without positions; None where there is none, or where it cannot be written out."""
    tree = parsed(source)
    try:
        return None if tree is None else ast.dump(tree)
    except (ValueError, RecursionError):  # an integer of thousands of digits; a very deep expression
        return None
