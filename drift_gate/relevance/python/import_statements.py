"""The import statements of one ``.py`` file, and the names of its own level."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from drift_gate.relevance.python.import_facts import ANY, Import
from drift_gate.relevance.python.tree_walk import all_of

#: Any of these around an import means that it may fail.
_FORGIVING = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})

#: The statements that most lines are; there is no block in them.
_SIMPLE = frozenset(
    {ast.Expr, ast.Assign, ast.Return, ast.AugAssign, ast.AnnAssign, ast.Raise, ast.Assert, ast.Pass}
)


class _Where(NamedTuple):
    """What holds for the statements of a block. ``checking``: the file itself sets TYPE_CHECKING."""

    checking: bool = False
    typing_only: bool = False
    optional: bool = False
    top: bool = True


class Statements:
    """Every import statement of a tree, in the order in which they stand.

    ``imports`` and ``typing_only`` are as in ``ImportFacts``, in the order in which they stand;
    ``bound`` are the names of the module's own level. ``alias``: what a local name may stand for,
    modules with their level, or members of them.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.imports: dict[Import, None] = {}
        self.typing_only: dict[Import, None] = {}
        self.bound: set[str] = set()
        self.alias: dict[str, dict[tuple[str, int], None]] = {}
        self._read(tree)

    @property
    def lazy(self) -> bool:
        """Whether the module answers for names that it does not bind."""
        return "__getattr__" in self.bound

    def _read(self, tree: ast.Module) -> None:
        blocks: list[tuple[Iterable[ast.stmt], _Where]] = [
            (tree.body, _Where(checking=any(map(_sets_checking, tree.body))))
        ]
        while blocks:
            body, where = blocks.pop()
            inner: list[tuple[Iterable[ast.stmt], _Where]] = []
            binds = where.top and not where.typing_only
            for statement in body:
                if isinstance(statement, (ast.Import, ast.ImportFrom)):
                    self._import(statement, where)
                elif statement.__class__ not in _SIMPLE:
                    inner += [block for block in _blocks(statement, where) if block[0]]
                if binds:
                    self.bound.update(_bound_by(statement))
            blocks.extend(reversed(inner))
        if self.lazy:
            self.bound.add(ANY)

    def _import(self, statement: ast.Import | ast.ImportFrom, where: _Where) -> None:
        found = self.typing_only if where.typing_only else self.imports
        if isinstance(statement, ast.Import):
            for name in statement.names:
                found[Import(name.name, optional=where.optional)] = None
                head = name.name.partition(".")[0]
                self._means(name.asname or head, name.name if name.asname else head, 0)
            return
        module, names = statement.module or "", tuple(name.name for name in statement.names)
        found[Import(module, statement.level, names, where.optional)] = None
        for name in statement.names:
            self._means(name.asname or name.name, f"{module}.{name.name}".lstrip("."), statement.level)

    def _means(self, name: str, module: str, level: int) -> None:
        self.alias.setdefault(name, {})[module, level] = None


def _blocks(statement: ast.stmt, where: _Where) -> Iterator[tuple[Iterable[ast.stmt], _Where]]:
    """The blocks inside of a statement, each with what holds there."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.body, where._replace(top=False) if where.top else where
    elif isinstance(statement, ast.If):
        yield from _branches(statement, where)
    elif isinstance(statement, (ast.Try, ast.TryStar)):
        if any(_forgives(handler.type) for handler in statement.handlers):
            where = where._replace(optional=True)
        yield statement.body, where
        for handler in statement.handlers:
            yield handler.body, where
        yield statement.orelse, where
        yield statement.finalbody, where
    elif isinstance(statement, (ast.With, ast.AsyncWith)):
        suppressed = any(_suppresses(item.context_expr) for item in statement.items)
        yield statement.body, where._replace(optional=where.optional or suppressed)
    elif isinstance(statement, (ast.For, ast.AsyncFor, ast.While)):
        yield statement.body, where
        yield statement.orelse, where
    elif isinstance(statement, ast.Match):
        for case in statement.cases:
            yield case.body, where


def _branches(statement: ast.If, where: _Where) -> Iterator[tuple[Iterable[ast.stmt], _Where]]:
    """Which branch only a type checker reads, and which only the file that was started runs."""
    body = orelse = where
    test = statement.test
    if _for_typing(test):
        body = where._replace(typing_only=not where.checking)
    elif _asks_for_main(test):
        body = where._replace(optional=True)
    elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) and _for_typing(test.operand):
        orelse = where._replace(typing_only=not where.checking)
    yield statement.body, body
    yield statement.orelse, orelse


def _for_typing(test: ast.expr) -> bool:
    """Whether ``test`` holds for a type checker only: ``TYPE_CHECKING``, alone or among others."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(map(_for_typing, test.values))
    return _last_name(test) == "TYPE_CHECKING"


def _sets_checking(statement: ast.stmt) -> bool:
    """Whether ``TYPE_CHECKING`` becomes anything but False."""
    if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is None:
        return False
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    is_off = isinstance(statement.value, ast.Constant) and not statement.value.value
    return not is_off and any(_last_name(target) == "TYPE_CHECKING" for target in targets)


def _asks_for_main(test: ast.expr) -> bool:
    if not isinstance(test, ast.Compare):
        return False
    sides = {_last_name(side) or text_of(side) for side in (test.left, *test.comparators)}
    return sides == {"__name__", "__main__"}


def _forgives(caught: ast.expr | None) -> bool:
    """Whether a handler for ``caught`` (None: for all) lets a failed import pass."""
    if isinstance(caught, ast.Tuple):
        return any(map(_forgives, caught.elts))
    return caught is None or _last_name(caught) in _FORGIVING


def _suppresses(context: ast.expr) -> bool:
    return (
        isinstance(context, ast.Call)
        and _last_name(context.func) == "suppress"
        and any(map(_forgives, context.args))
    )


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def last_word(call: ast.Call) -> str:
    """The last word of what is called; empty where that is no name."""
    return _last_name(call.func)


def text_of(node: ast.expr) -> str:
    """The text of a literal; empty for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement of the module's own level binds."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        yield from ((name.asname or name.name).partition(".")[0] for name in statement.names)
    elif isinstance(statement, ast.Assign):
        yield from names_in(statement.targets)
    elif isinstance(statement, (ast.AnnAssign, ast.For)):
        yield from names_in([statement.target])
    elif isinstance(statement, ast.With):
        yield from names_in(item.optional_vars for item in statement.items if item.optional_vars)


def names_in(targets: Iterable[ast.expr]) -> Iterator[str]:
    """Every name in ``targets``."""
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id
        else:
            yield from (name.id for name in all_of(ast.Name, target))
