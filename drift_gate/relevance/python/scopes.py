"""Which expressions a name of a ``.py`` file may stand for, scope by scope."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from drift_gate.relevance.python.import_statements import names_in
from drift_gate.relevance.python.tree_walk import inside

#: A value that is no text: what a class or a function is bound to.
_NO_TEXT = ast.Constant(None)
#: Methods that put their arguments into a collection.
_ADDS = frozenset({"append", "extend", "insert", "add", "update", "setdefault", "appendleft"})
_FUNCTIONS = frozenset({ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda})


class Scope:
    """The names that one function, or the module, binds; None among the values: anything at all."""

    def __init__(self, parent: Scope | None = None) -> None:
        self.parent = parent
        self.names: dict[str, list[ast.expr | None]] = {}

    def bind(self, name: str, value: ast.expr | None) -> None:
        """Note one more value that ``name`` may have here."""
        self.names.setdefault(name, []).append(value)

    def holder(self, name: str) -> Scope | None:
        """The nearest scope that binds ``name``, outwards from here; None: nobody does."""
        scope: Scope | None = self
        while scope is not None and name not in scope.names:
            scope = scope.parent
        return scope


class Scopes:
    """The scopes of a whole tree, which is read when somebody first asks.

    A class and a comprehension share the scope around them: a name has rather too many values than too
    few.
    """

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._is_read = False
        self._of: dict[int, Scope] = {}
        #: What is put into a collection of that name, in whichever scope.
        self._added: dict[str, list[ast.expr | None]] = {}

    def _read(self) -> None:
        self._is_read = True
        binders = self._binders()
        blocks: list[tuple[Any, Scope]] = [(self._tree, Scope())]
        while blocks:
            block, scope = blocks.pop()
            nodes = inside(block)
            while nodes:
                node = nodes.pop()
                kind = node.__class__
                if kind is ast.Name:
                    self._of[id(node)] = scope
                elif kind in _FUNCTIONS:
                    blocks.append((node, self._function(node, scope)))
                else:
                    if kind in binders:
                        binders[kind](node, scope)
                    nodes += inside(node)

    def holder(self, name: ast.Name) -> Scope | None:
        """The scope whose ``name`` is meant where it stands; None: one that is not in this file."""
        if not self._is_read:
            self._read()
        scope = self._of.get(id(name))
        return scope.holder(name.id) if scope else None

    def values(self, name: str, holder: Scope) -> list[ast.expr | None]:
        """Every value that ``name`` of that scope may have; None among them: anything at all."""
        return [*holder.names[name], *self._added.get(name, ())]

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: Scope) -> Scope:
        if not isinstance(node, ast.Lambda):
            scope.bind(node.name, _NO_TEXT)
        inner = Scope(scope)
        listed = node.args
        for each in (*listed.posonlyargs, *listed.args, *listed.kwonlyargs, listed.vararg, listed.kwarg):
            if each is not None:
                inner.bind(each.arg, None)
        return inner

    def _binders(self) -> Mapping[type, Callable[[Any, Scope], None]]:
        """By the class of a node what notes the names that it binds."""
        return {
            ast.Assign: lambda node, scope: self._targets(node.targets, node.value, scope),
            ast.AnnAssign: lambda node, scope: self._targets([node.target], node.value or _NO_TEXT, scope),
            ast.NamedExpr: lambda node, scope: self._targets([node.target], node.value, scope),
            ast.AugAssign: self._grow,
            ast.For: self._loop,
            ast.AsyncFor: self._loop,
            ast.comprehension: self._loop,
            ast.ClassDef: lambda node, scope: scope.bind(node.name, _NO_TEXT),
            ast.Call: self._add,
            ast.Global: self._share,
            ast.Nonlocal: self._share,
            **dict.fromkeys(_TO_ANYTHING, _bind_to_anything),
        }

    def _grow(self, node: ast.AugAssign, scope: Scope) -> None:
        grows = isinstance(node.value, (ast.List, ast.Tuple, ast.Set, ast.Dict))
        self._targets([node.target], node.value if grows else None, scope)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.comprehension, scope: Scope) -> None:
        self._targets([node.target], element_of(node.iter), scope)

    def _share(self, node: ast.Global | ast.Nonlocal, scope: Scope) -> None:
        for name in node.names:  # set from elsewhere: whatever a function does may come to stand there
            scope.bind(name, None)
            self._added.setdefault(name, []).append(None)

    def _targets(self, targets: Iterable[ast.expr], value: ast.expr | None, scope: Scope) -> None:
        """Taking a value apart binds all of it to each name."""
        for target in targets:
            if isinstance(target, ast.Subscript):
                self._into(target.value, [value])
            elif isinstance(target, ast.Attribute):
                continue
            elif isinstance(target, ast.Name):
                scope.bind(target.id, value)
            else:
                taken = element_of(value)
                for name in names_in([target]):
                    scope.bind(name, taken)

    def _add(self, call: ast.Call, _: Scope) -> None:
        if isinstance(call.func, ast.Attribute) and call.func.attr in _ADDS:
            self._into(call.func.value, [*call.args, *(keyword.value for keyword in call.keywords)])

    def _into(self, collection: ast.expr, values: Iterable[ast.expr | None]) -> None:
        if isinstance(collection, ast.Name):
            self._added.setdefault(collection.id, []).extend(values)


def element_of(collection: ast.expr | None) -> ast.expr | None:
    """What stands for any element of ``collection``."""
    return None if collection is None else ast.Subscript(collection, ast.Constant(0), ast.Load())


_TO_ANYTHING = (
    ast.Import,
    ast.ImportFrom,
    ast.withitem,
    ast.ExceptHandler,
    ast.MatchAs,
    ast.MatchStar,
    ast.MatchMapping,
)


def _bind_to_anything(node: ast.AST, scope: Scope) -> None:
    for name in _bound_to_anything(node):
        scope.bind(name, None)


def _bound_to_anything(node: ast.AST) -> Iterable[str]:
    """The names that a node binds to something whose text is not known here."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(each.asname or each.name).partition(".")[0] for each in node.names]
    if isinstance(node, ast.withitem) and node.optional_vars is not None:
        return names_in([node.optional_vars])
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
        return [node.name]
    return [node.rest] if isinstance(node, ast.MatchMapping) and node.rest else []
