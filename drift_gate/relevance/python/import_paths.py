"""Which folders a file puts on ``sys.path``, as far as its text tells."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from drift_gate.relevance.python.spelling import UNKNOWN, Spelling

#: The calls that may put a folder on ``sys.path``.
ADDING = frozenset({"addsitedir", "append", "extend", "insert"})
#: What lies where the file lies, or where Python looks already.
_OWN_PLACE = re.compile(r"\b__(?:file|path)__|\b(?:get)?cwd\(|\bsys\.(?:path|prefix)\b|\bget_paths?\(")


def computed_folder(node: ast.AST, spelling: Spelling) -> bool:
    """Whether ``node`` puts a folder on ``sys.path`` that only the running program knows.

    Known is what the text spells out, and what it reaches from the place of the file itself.
    """
    return any(not _is_known(each, spelling, 5) for each in _added(node))


def _added(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions that ``node`` puts on ``sys.path``."""
    if isinstance(node, ast.Call) and node.args:
        owner = getattr(node.func, "value", None)
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name == "addsitedir":
            yield node.args[0]
        elif name in ADDING and owner is not None and _is_path(owner):
            yield node.args[-1]
    elif isinstance(node, (ast.Assign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        places = (each.value if isinstance(each, ast.Subscript) else each for each in targets)
        if any(map(_is_path, places)):
            yield node.value


def _is_path(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "path" and ast.unparse(node) == "sys.path"


def _is_known(node: ast.expr | None, spelling: Spelling, depth: int) -> bool:
    if node is None or not depth:
        return False
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return all(_is_known(each, spelling, depth) for each in node.elts)
    if isinstance(node, ast.Starred):
        return _is_known(node.value, spelling, depth)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _is_known(node.left, spelling, depth) and _is_known(node.right, spelling, depth)
    texts = spelling.texts(node)
    if all(UNKNOWN not in text for text in texts):
        return True
    return all(UNKNOWN not in text[1:] for text in texts) and _is_own(node, spelling, depth)


def _is_own(node: ast.expr, spelling: Spelling, depth: int) -> bool:
    """Whether a place is told from that of the file, or from one that Python searches already."""
    if _OWN_PLACE.search(ast.unparse(node)):
        return True
    names = [each for each in ast.walk(node) if isinstance(each, ast.Name)]
    return any(
        values and all(_is_known(value, spelling, depth - 1) for value in values)
        for values in map(spelling.values, names)
    )
