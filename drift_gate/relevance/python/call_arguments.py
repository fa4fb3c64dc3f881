"""The arguments of a call that imports: which is meant, and what it says."""

from __future__ import annotations

import ast

from drift_gate.relevance.python.import_statements import text_of
from drift_gate.relevance.python.spelling import PACKAGE, UNKNOWN


def argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    """The argument of a call, by position or by name; None where it is not given."""
    if position < len(call.args):
        return call.args[position]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def unpickles(keyword: ast.keyword) -> bool:
    """Whether torch, numpy or keras is told that a file may hold any object."""
    value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
    return (keyword.arg, value) in (("weights_only", False), ("allow_pickle", True), ("safe_mode", False))


def import_arguments(call: ast.Call) -> tuple[int, tuple[str, ...]]:
    """``level`` and ``fromlist`` of ``__import__``; an unknown list asks for nothing more."""
    level = argument(call, 4, "level")
    listed = argument(call, 3, "fromlist")
    dots = level.value if isinstance(level, ast.Constant) and isinstance(level.value, int) else 0
    names = listed.elts if isinstance(listed, (ast.List, ast.Tuple)) else []
    return dots, tuple(filter(None, map(text_of, names)))


def anchored(name: str, anchor: str) -> str:
    """A name for ``import_module``; a relative one made absolute where the package is known by its name."""
    if not name.startswith("."):
        return name
    if UNKNOWN in anchor:
        return UNKNOWN + name.lstrip(".")
    if not anchor or anchor.startswith(PACKAGE[0]):
        return name
    rest = name.lstrip(".")
    above = anchor.split(".")[: max(1, anchor.count(".") + 2 - (len(name) - len(rest)))]
    return ".".join([*above, rest])
