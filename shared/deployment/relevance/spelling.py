"""What a string expression spells, as far as its text tells."""

from __future__ import annotations

import ast
import re

#: Stands for every part that only the running program knows.
UNKNOWN = "*"
#: Stand for the module's own name and its package's; no part of a module's name looks like that.
MODULE, PACKAGE = "<module>", "<package>"

_OWN = {"__name__": MODULE, "__package__": PACKAGE}
_PERCENT = re.compile(r"%(?:\(\w*\))?[-+ #0-9.]*[a-zA-Z]")
_BRACES = re.compile(r"\{[^{}]*\}")


def spelled(node: ast.expr) -> str:
    """The text of a string expression, with ``UNKNOWN`` for what is not known (never twice in a row).

    Understands literals, f-strings, ``+``, ``%``, ``.format``, ``__name__``, ``__package__`` and
    ``__spec__.parent``. Raises ``RecursionError`` for an expression nested too deeply.
    """
    return re.sub(r"\*+", UNKNOWN, _spelled(node))


def _spelled(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else UNKNOWN
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_spelled, node.values))
    if isinstance(node, ast.FormattedValue):
        return _spelled(node.value)
    if isinstance(node, ast.Name):
        return _OWN.get(node.id, UNKNOWN)
    if isinstance(node, ast.Attribute):
        return PACKAGE if ast.unparse(node) == "__spec__.parent" else UNKNOWN
    if isinstance(node, ast.BinOp):
        return _operation(node)
    return _call(node) if isinstance(node, ast.Call) else UNKNOWN


def _operation(node: ast.BinOp) -> str:
    left = _spelled(node.left)
    if isinstance(node.op, ast.Add):
        return left + _spelled(node.right)
    return _PERCENT.sub(UNKNOWN, left) if isinstance(node.op, ast.Mod) else UNKNOWN


def _call(node: ast.Call) -> str:
    """``"pkg.{}".format(x)``; any other call can answer anything."""
    function = node.func
    if isinstance(function, ast.Attribute) and function.attr == "format":
        return _BRACES.sub(UNKNOWN, _spelled(function.value))
    return UNKNOWN
