"""Which expressions a name of a ``.py`` file may stand for, scope by scope."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from drift_gate.relevance.python.import_statements import names_in

#: A value that is no text: what a class or a function is bound to.
_NO_TEXT = ast.Constant(None)
#: Methods that put their arguments into a collection.
_ADDS = frozenset({"append", "extend", "insert", "add", "update", "setdefault", "appendleft"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


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
    """The scopes of a whole tree.

    A class and a comprehension share the scope around them: a name has rather too many values than too
    few.
    """

    def __init__(self, tree: ast.Module) -> None:
        self._of: dict[int, Scope] = {}
        #: What is put into a collection of that name, in whichever scope.
        self._added: dict[str, list[ast.expr | None]] = {}
        nodes: list[tuple[ast.AST, Scope]] = [(tree, Scope())]
        while nodes:
            node, scope = nodes.pop()
            if isinstance(node, _FUNCTIONS):
                scope = self._function(node, scope)
            elif isinstance(node, ast.Name):
                self._of[id(node)] = scope
            else:
                self._bind(node, scope)
            nodes.extend((child, scope) for child in ast.iter_child_nodes(node))

    def holder(self, name: ast.Name) -> Scope | None:
        """The scope whose ``name`` is meant where it stands; None: one that is not in this file."""
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

    def _bind(self, node: ast.AST, scope: Scope) -> None:
        """What one statement or expression binds; taking a value apart binds all of it to each name."""
        if isinstance(node, ast.Assign):
            self._targets(node.targets, node.value, scope)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
            self._targets([node.target], node.value or _NO_TEXT, scope)
        elif isinstance(node, ast.AugAssign):
            grows = isinstance(node.value, (ast.List, ast.Tuple, ast.Set, ast.Dict))
            self._targets([node.target], node.value if grows else None, scope)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            self._targets([node.target], element_of(node.iter), scope)
        elif isinstance(node, ast.ClassDef):
            scope.bind(node.name, _NO_TEXT)
        elif isinstance(node, ast.Call):
            self._add(node)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            for name in node.names:  # set from elsewhere: whatever a function does may come to stand there
                scope.bind(name, None)
                self._added.setdefault(name, []).append(None)
        else:
            for name in _bound_to_anything(node):
                scope.bind(name, None)

    def _targets(self, targets: Iterable[ast.expr], value: ast.expr | None, scope: Scope) -> None:
        for target in targets:
            if isinstance(target, ast.Subscript):
                self._into(target.value, [value])
            elif isinstance(target, ast.Attribute):
                continue
            else:
                taken = value if isinstance(target, ast.Name) else element_of(value)
                for name in names_in([target]):
                    scope.bind(name, taken)

    def _add(self, call: ast.Call) -> None:
        if isinstance(call.func, ast.Attribute) and call.func.attr in _ADDS:
            self._into(call.func.value, [*call.args, *(keyword.value for keyword in call.keywords)])

    def _into(self, collection: ast.expr, values: Iterable[ast.expr | None]) -> None:
        if isinstance(collection, ast.Name):
            self._added.setdefault(collection.id, []).extend(values)


def element_of(collection: ast.expr | None) -> ast.expr | None:
    """What stands for any element of ``collection``."""
    return None if collection is None else ast.Subscript(collection, ast.Constant(0), ast.Load())


def _bound_to_anything(node: ast.AST) -> Iterable[str]:
    """The names that a node binds to something whose text is not known here."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(each.asname or each.name).partition(".")[0] for each in node.names]
    if isinstance(node, ast.withitem) and node.optional_vars is not None:
        return names_in([node.optional_vars])
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
        return [node.name]
    return [node.rest] if isinstance(node, ast.MatchMapping) and node.rest else []
