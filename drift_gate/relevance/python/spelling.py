"""What a string expression spells, as far as the text of its file tells."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from drift_gate.relevance.python.scopes import Scopes

#: Stands for every part that only the running program knows.
UNKNOWN = "*"
#: Stand for the module's own name and its package's; no part of a module's name looks like that.
MODULE, PACKAGE = "<module>", "<package>"
#: Stands for a name out of a package's list (``pkgutil``); the list itself says which.
LISTED = "<listed>"

Texts = frozenset[str]

_ANYTHING: Texts = frozenset({UNKNOWN})
_OWN = {"__name__": MODULE, "__package__": PACKAGE}
_KNOWN = {("__spec__", "parent"): PACKAGE, ("sys", "executable"): "python"}
_PERCENT = re.compile(r"%(?:\(\w*\))?[-+ #0-9.]*[a-zA-Z]")
_BRACES = re.compile(r"\{[^{}]*\}")
#: More combinations than these are as good as unknown.
_MOST = 1000
#: Longer texts are nobody's name and no command.
_LONGEST = 4096
_COLLECTIONS = (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp)
#: Functions that hand on what is in their arguments, and methods that hand on what is in their object.
_HAND_ON = frozenset(
    {"sorted", "list", "tuple", "set", "frozenset", "dict", "iter", "reversed", "enumerate", "zip"}
)
_HAND_OUT = frozenset({"get", "pop", "values", "items", "keys", "copy", "union"})
_PUTS_TOGETHER = frozenset({"str", "Path", "PurePath", "fspath", "abspath", "realpath", "join", "which"})
_SAME_PLACE = frozenset({"resolve", "absolute", "as_posix", "expanduser"})
_TAKES_APART = frozenset({"split", "rsplit", "partition", "rpartition"})
_LISTS_MODULES = frozenset({"iter_modules", "walk_packages"})
_LISTS_FILES = frozenset({"glob", "rglob", "iglob"})
_LIBRARIES = frozenset({"os", "pathlib", "glob", "shutil"})


class Spelling:
    """The texts of expressions of one file.

    A collection spells all texts in it, whatever is taken out of it; a name all values that it may have
    where it stands (``Scopes``).
    """

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes
        self._names: dict[tuple[int, str], Texts | None] = {}

    def texts(self, node: ast.expr | None) -> Texts:
        """Every text that ``node`` may be, with ``UNKNOWN`` for what is not known (never twice in a row).

        Empty: it is no text. None stands for anything. Raises ``RecursionError`` for an expression
        nested too deeply.
        """
        spelled = self._of(node)
        if not any(UNKNOWN + UNKNOWN in text for text in spelled):
            return spelled
        return frozenset(re.sub(r"\*+", UNKNOWN, text) for text in spelled)

    def values(self, name: ast.Name) -> list[ast.expr | None]:
        """What a name may stand for; None among them: anything; empty: it is not of this file."""
        holder = self._scopes.holder(name)
        return self._scopes.values(name.id, holder) if holder else []

    def _of(self, node: ast.expr | None) -> Texts:
        if isinstance(node, ast.Constant):
            return frozenset({node.value}) if isinstance(node.value, str) else frozenset()
        if isinstance(node, ast.Name):
            return frozenset({_OWN[node.id]}) if node.id in _OWN else self._name(node)
        if isinstance(node, ast.JoinedStr):
            return self._joined(node.values)
        if isinstance(node, (ast.FormattedValue, ast.Starred, ast.NamedExpr, ast.Await)):
            return self._of(node.value)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Subscript):
            part_of_text = isinstance(node.slice, ast.Slice) and not self._is_collection(node.value)
            return _ANYTHING if part_of_text else self._of(node.value)
        if isinstance(node, ast.BinOp):
            return self._operation(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        inside = _inside(node)
        return _ANYTHING if inside is None else self._all(inside)

    def _all(self, nodes: Iterable[ast.expr | None]) -> Texts:
        return frozenset(text for node in nodes for text in self._of(node))

    def _joined(self, parts: Iterable[ast.expr], between: str = "") -> Texts:
        """Every way to put the parts one behind another."""
        made = [""]
        for index, part in enumerate(parts):
            texts = self._of(part) or _ANYTHING
            if len(made) * len(texts) > _MOST:
                texts = _ANYTHING
            made = [before + (between if index else "") + text for before in made for text in texts]
            made = made if all(len(text) <= _LONGEST for text in made) else [UNKNOWN]
        return frozenset(made)

    def _name(self, node: ast.Name) -> Texts:
        holder = self._scopes.holder(node)
        if holder is None:
            return _ANYTHING
        key = id(holder), node.id
        if key not in self._names:
            self._names[key] = None  # a name that is made from itself can be anything
            self._names[key] = self._all(self._scopes.values(node.id, holder))
        known = self._names[key]
        return _ANYTHING if known is None else known

    def _is_collection(self, node: ast.expr | None) -> bool:
        """Whether ``node`` surely holds texts, and is none itself."""
        if isinstance(node, ast.Name):
            holder = self._scopes.holder(node)
            values = holder.names[node.id] if holder else [None]
            return all(isinstance(value, _COLLECTIONS) or _hands_on(value) for value in values)
        return isinstance(node, _COLLECTIONS) or _hands_on(node)

    def _attribute(self, node: ast.Attribute) -> Texts:
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if (owner, node.attr) in _KNOWN:
            return frozenset({_KNOWN[owner, node.attr]})
        listed = frozenset({LISTED})
        return listed if node.attr == "name" and self._of(node.value) == listed else _ANYTHING

    def _operation(self, node: ast.BinOp) -> Texts:
        if isinstance(node.op, ast.BitOr):
            return self._all([node.left, node.right])
        if isinstance(node.op, ast.Add):
            sides = [node.left, node.right]
            return self._all(sides) if any(map(self._is_collection, sides)) else self._joined(sides)
        if isinstance(node.op, ast.Div):
            return self._joined([node.left, node.right], "/")
        if isinstance(node.op, ast.Mod):
            return frozenset(_PERCENT.sub(UNKNOWN, text) for text in self._of(node.left))
        return _ANYTHING

    def _call(self, node: ast.Call) -> Texts:
        """A call that is known to hand on texts or to put them together; any other can answer anything."""
        function = node.func
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        if isinstance(function, ast.Name):
            if function.id in _HAND_ON:
                names = [keyword.arg for keyword in node.keywords if keyword.arg]
                return self._all(given) | (frozenset(names) if function.id == "dict" else frozenset())
            return self._function(function.id, node.args)
        if not isinstance(function, ast.Attribute):
            return _ANYTHING
        of_library = isinstance(function.value, ast.Name) and function.value.id in _LIBRARIES
        if of_library or function.attr in _LISTS_MODULES or _last(function.value) == "path":
            return self._function(function.attr, node.args)
        return self._method(function, node.args)

    def _function(self, name: str, arguments: list[ast.expr]) -> Texts:
        if name in _LISTS_MODULES:
            return frozenset({LISTED})
        if name in _LISTS_FILES:
            arguments = arguments[:1]
        elif name not in _PUTS_TOGETHER:
            return _ANYTHING
        return self._joined(arguments, "/") if arguments else _ANYTHING

    def _method(self, function: ast.Attribute, arguments: list[ast.expr]) -> Texts:
        name, owner = function.attr, function.value
        if name == "format":
            return frozenset(_BRACES.sub(UNKNOWN, text) for text in self._of(owner))
        if name in _TAKES_APART:
            return frozenset(piece for text in self._of(owner) for piece in _pieces(text))
        if name in _HAND_OUT and not isinstance(owner, ast.Constant):
            return self._all([owner, *arguments[1:]]) if self._is_collection(owner) else _ANYTHING
        if name == "joinpath":
            return self._joined([owner, *arguments], "/")
        if name == "join" and len(arguments) == 1 and isinstance(arguments[0], (ast.List, ast.Tuple)):
            between = self._of(owner)
            return frozenset(made for text in between for made in self._joined(arguments[0].elts, text))
        if name in _LISTS_FILES:
            return self._joined([owner, *arguments[:1]], "/*" if name == "rglob" else "/")
        if name == "with_name":
            return frozenset(f"{UNKNOWN}/{text}" for text in self._all(arguments))
        return self._of(owner) if name in _SAME_PLACE else _ANYTHING


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ""


def _hands_on(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _HAND_ON


def _inside(node: ast.expr | None) -> Iterable[ast.expr | None] | None:
    """The parts whose texts are all that ``node`` spells; None for what spells anything."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return node.elts
    if isinstance(node, ast.Dict):
        return [*filter(None, node.keys), *node.values]
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
        return [node.elt]
    if isinstance(node, ast.DictComp):
        return [node.key, node.value]
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse]
    if isinstance(node, ast.BoolOp):
        return node.values
    return [] if isinstance(node, ast.Lambda) else None


def _pieces(text: str) -> Iterable[str]:
    """What may be left of a dotted text that is taken apart: it, each beginning and each end of it."""
    if UNKNOWN in text or len(text) > 255:
        return [UNKNOWN]
    ends = [index for index, letter in enumerate(text) if letter in ".:"]
    return [text, *(text[:index] for index in ends), *(text[index + 1 :] for index in ends)]
