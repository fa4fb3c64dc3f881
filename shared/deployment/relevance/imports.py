"""What one ``.py`` file imports, read from its syntax tree without running it.

The facts depend on the content alone, so they can be remembered by blob id; which files the names mean
is ``closure``'s business.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from shared.deployment.relevance.literals import texts_of
from shared.deployment.relevance.spelling import PACKAGE, UNKNOWN, spelled
from shared.deployment.relevance.syntax import parsed

#: In ``ImportFacts.bound``: any name may be bound here.
ANY = "*"


class Import(NamedTuple):
    """One import: ``from <level dots><module> import <names>``; no names for ``import <module>``.

    ``optional``: where it fails, the program may go on (inside ``try … except ImportError`` or wider,
    ``suppress(ImportError)``, ``if __name__ == "__main__"``), or it was only guessed.
    """

    module: str
    level: int = 0
    names: tuple[str, ...] = ()
    optional: bool = False


class Scan(NamedTuple):
    """``pkgutil`` lists a package: all of its modules, with ``deep`` those of its sub-packages too.

    ``module`` is ``*`` where the text does not tell which package.
    """

    module: str
    level: int
    deep: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFacts:
    """What a file imports, as far as its text tells.

    ``typing_only`` stands in blocks that only a type checker reads. ``computed`` are module names that
    are put together while the program runs, with ``*`` for each unknown part (and ``*.py`` for a file
    that is loaded by its path). ``literals`` are the strings of the file that such a name may mean;
    they are kept only where something asks for them. ``lazy``: a module ``__getattr__`` may import what
    they name. ``all_computed``: ``__all__`` is the result of a call. ``edits_path``: ``sys.path`` is
    touched. ``bound`` are the names of the module's own level, ``ANY`` among them where more are
    possible. ``syntax_error``: there is no syntax tree (see ``syntax.parsed``); what is known was then
    guessed from lines that look like imports.
    """

    imports: tuple[Import, ...] = ()
    typing_only: tuple[Import, ...] = ()
    computed: tuple[str, ...] = ()
    scans: tuple[Scan, ...] = ()
    literals: tuple[str, ...] = ()
    lazy: bool = False
    all_computed: bool = False
    edits_path: bool = False
    bound: frozenset[str] = frozenset()
    syntax_error: bool = False


def facts_of(source: bytes) -> ImportFacts:
    """The imports of a file. Never raises: what cannot be parsed is guessed at, and said to be."""
    tree = parsed(source)
    if tree is None:
        return _guessed(source)
    reading = _Reading()
    try:
        reading.statements(tree)
        if _UNUSUAL.search(source):
            reading.expressions(tree)
    except RecursionError:  # an expression that the parser could nest and we cannot
        return _guessed(source)
    return reading.facts()


#: Without one of these words in the file every import is a statement, and a look at the statements will do.
_UNUSUAL = re.compile(
    rb"import_module|__import__|import_string|resolve_name|run_module|run_path|spec_from_file_location"
    rb"|SourceFileLoader|iter_modules|walk_packages|__getattr__|__all__|sys\.path|addsitedir|corn\b"
)
#: Calls whose first argument is a module's name.
_BY_NAME = frozenset({"import_module", "__import__", "import_string", "resolve_name", "run_module"})
#: Of these the last part of the name may be an attribute.
_BY_NAME_OF_MEMBER = frozenset({"import_string", "resolve_name"})
#: Calls that load a file, and where its path stands among their arguments.
_BY_PATH = {"spec_from_file_location": 1, "SourceFileLoader": 1, "run_path": 0}
_LISTING = {"iter_modules": False, "walk_packages": True}
_CALLS = _BY_NAME | _BY_PATH.keys() | _LISTING.keys()
#: Whose ``__path__`` or ``__file__`` is listed (nobody's: the package's own).
_OWNER = re.compile(r"(?:\b([\w.]+)\.)?__(path|file)__")
_OWN_FOLDER = re.compile(
    r"(?:(?!dirname|parent|join)[^/+])*(?:dirname|\.parent)(?:(?!dirname|parent|join)[^/+])*"
)
#: Any of these around an import means that it may fail.
_FORGIVING = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_MODULE = re.compile(r"\.*[^\W\d]\w*(?:\.[^\W\d]\w*)*(?::[\w.]+)?")
_APPLICATION = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):[^\W\d][\w.]*")
#: Longer texts are no module's name and no file's.
_LONGEST = 255


class _Where(NamedTuple):
    """What holds for the statements of a block."""

    typing_only: bool = False
    optional: bool = False
    top: bool = True


class _Reading:
    """One file being read."""

    def __init__(self) -> None:
        self._imports: dict[Import, None] = {}
        self._typing_only: dict[Import, None] = {}
        self._computed: dict[str, None] = {}
        self._scans: dict[Scan, None] = {}
        self._literals: dict[str, None] = {}
        self._bound: set[str] = set()
        #: What a local name may stand for: modules, or members of them.
        self._alias: dict[str, dict[tuple[str, int], None]] = {}
        self._called: set[int] = set()
        self._has_all = self._all_computed = self._lazy = self._edits_path = False

    def facts(self) -> ImportFacts:
        wanted = self._computed or self._lazy or self._has_all or self._edits_path
        return ImportFacts(
            imports=tuple(self._imports),
            typing_only=tuple(self._typing_only),
            computed=tuple(self._computed),
            scans=tuple(self._scans),
            literals=tuple(self._literals) if wanted else (),
            lazy=self._lazy,
            all_computed=self._all_computed,
            edits_path=self._edits_path,
            bound=frozenset(self._bound),
        )

    def statements(self, tree: ast.Module) -> None:
        """All import statements, in the order in which they stand, and the names of the module's level."""
        blocks: list[tuple[Iterable[ast.stmt], _Where]] = [(tree.body, _Where())]
        while blocks:
            body, where = blocks.pop()
            inner: list[tuple[Iterable[ast.stmt], _Where]] = []
            for statement in body:
                if isinstance(statement, (ast.Import, ast.ImportFrom)):
                    self._import(statement, where)
                else:
                    inner.extend(_blocks(statement, where))
                if where.top and not where.typing_only:
                    self._bind(statement)
            blocks.extend(reversed(inner))

    def _import(self, statement: ast.Import | ast.ImportFrom, where: _Where) -> None:
        found = self._typing_only if where.typing_only else self._imports
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
        self._alias.setdefault(name, {})[module, level] = None

    def _bind(self, statement: ast.stmt) -> None:
        self._bound.update(_bound_by(statement))
        if "__getattr__" in self._bound:
            self._lazy = True
            self._bound.add(ANY)

    def expressions(self, tree: ast.Module) -> None:
        """What is imported by calls, and the literals that such calls may mean."""
        nodes: list[ast.AST] = [tree]
        while nodes:
            node = nodes.pop()
            if isinstance(node, ast.Call):
                self._call(node)
            elif isinstance(node, (ast.Attribute, ast.Name)):
                self._reference(node)
            elif isinstance(node, ast.Constant):
                self._literal(node.value)
            elif isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
                self._assignment(node)
            nodes.extend(reversed(list(ast.iter_child_nodes(node))))

    def _call(self, call: ast.Call) -> None:
        name = self._name_of(call.func)
        if name in _BY_NAME:
            self._called.add(id(call.func))
            self._by_name(call, name)
        elif name in _BY_PATH:
            self._computed["*.py"] = None
        elif name in _LISTING:
            self._listing(call, _LISTING[name])
        elif name == "addsitedir":
            self._edits_path = True

    def _by_name(self, call: ast.Call, caller: str) -> None:
        """``import_module`` and its relatives: one import where the name is known, else a computed one."""
        argument = _argument(call, 0, "name")
        name = UNKNOWN if argument is None else spelled(argument)
        level = 0
        names: tuple[str, ...] = ()
        if caller == "__import__":
            level, names = _import_arguments(call)
        elif name.startswith("."):
            name = _anchored(name, _argument(call, 1, "package"))
        if UNKNOWN in name:
            self._computed[name] = None
            return
        module = name.lstrip(".")
        optional = caller in _BY_NAME_OF_MEMBER
        target = module.partition(":")[0]
        self._imports[Import(target, level + len(name) - len(module), names, optional)] = None
        if optional:
            self._imports[Import(target.rpartition(".")[0], optional=True)] = None
        if caller == "run_module":
            self._imports[Import(f"{target}.__main__", optional=True)] = None

    def _listing(self, call: ast.Call, deep: bool) -> None:
        """``pkgutil``'s lists: of this package, of one that the file imported, or of nobody knows which."""
        path = _argument(call, 0, "path")
        text = "" if path is None else ast.unparse(path)
        owner = _OWNER.search(text)
        head, dot, rest = (owner[1] or "").partition(".") if owner else ("", "", "")
        if head in self._alias:
            for module, level in self._alias[head]:
                self._scans[Scan(module + dot + rest, level, deep)] = None
        elif owner and not head and (owner[2] == "path" or _OWN_FOLDER.fullmatch(text)):
            self._scans[Scan("", 1, deep)] = None
        else:
            self._scans[Scan(UNKNOWN, 0, deep)] = None

    def _reference(self, node: ast.Attribute | ast.Name) -> None:
        """``import_module`` handed on as a value imports who knows what; so does an edited ``sys.path``."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            self._edits_path |= (node.value.id, node.attr) == ("sys", "path")
        if id(node) not in self._called and self._name_of(node) in {"import_module", "__import__"}:
            self._computed[UNKNOWN] = None

    def _literal(self, value: object) -> None:
        if not isinstance(value, str) or len(value) > _LONGEST:
            return
        if _MODULE.fullmatch(value) or "/" in value or value.endswith((".py", "..")):
            self._literals[value] = None
        if application := _APPLICATION.fullmatch(value):
            self._imports[Import(application[1], optional=True)] = None

    def _assignment(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> None:
        if "__all__" in _names(node.targets if isinstance(node, ast.Assign) else [node.target]):
            self._has_all = True
            computing = (ast.Call, ast.ListComp, ast.GeneratorExp, ast.SetComp)
            self._all_computed |= any(isinstance(part, computing) for part in ast.walk(node))

    def _name_of(self, function: ast.expr) -> str:
        """The last part of a called name, an alias of an import undone; empty for anything else."""
        if isinstance(function, ast.Attribute):
            return function.attr
        if isinstance(function, ast.Name):
            meant = [module.rpartition(".")[2] for module, _ in self._alias.get(function.id, ())]
            return next((name for name in meant if name in _CALLS), function.id)
        return ""


def _blocks(statement: ast.stmt, where: _Where) -> Iterator[tuple[Iterable[ast.stmt], _Where]]:
    """The blocks inside of a statement, each with what holds there."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.body, where._replace(top=False)
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
    typing = where._replace(typing_only=True)
    test = statement.test
    negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) and _for_typing(test.operand)
    main = where._replace(optional=where.optional or _asks_for_main(test))
    yield statement.body, typing if _for_typing(test) else main
    yield statement.orelse, typing if negated else where


def _for_typing(test: ast.expr) -> bool:
    """Whether ``test`` holds for a type checker only: ``TYPE_CHECKING``, alone or among others."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(map(_for_typing, test.values))
    return _last_name(test) == "TYPE_CHECKING"


def _asks_for_main(test: ast.expr) -> bool:
    if not isinstance(test, ast.Compare):
        return False
    sides = {_last_name(side) or _text(side) for side in (test.left, *test.comparators)}
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


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement of the module's own level binds."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        yield from ((name.asname or name.name).partition(".")[0] for name in statement.names)
    elif isinstance(statement, ast.Assign):
        yield from _names(statement.targets)
    elif isinstance(statement, (ast.AnnAssign, ast.For)):
        yield from _names([statement.target])
    elif isinstance(statement, ast.With):
        yield from _names(item.optional_vars for item in statement.items if item.optional_vars)


def _names(targets: Iterable[ast.expr]) -> Iterator[str]:
    for target in targets:
        yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    """The argument of a call, by position or by name; None where it is not given."""
    if position < len(call.args):
        return call.args[position]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _import_arguments(call: ast.Call) -> tuple[int, tuple[str, ...]]:
    """``level`` and ``fromlist`` of ``__import__``; an unknown list asks for nothing more."""
    level = _argument(call, 4, "level")
    listed = _argument(call, 3, "fromlist")
    dots = level.value if isinstance(level, ast.Constant) and isinstance(level.value, int) else 0
    names = listed.elts if isinstance(listed, (ast.List, ast.Tuple)) else []
    return dots, tuple(filter(None, map(_text, names)))


def _anchored(name: str, package: ast.expr | None) -> str:
    """A relative name for ``import_module``, made absolute where its ``package`` argument is a literal."""
    anchor = "" if package is None else spelled(package)
    if UNKNOWN in anchor:
        return UNKNOWN + name.lstrip(".")
    if not anchor or anchor.startswith(PACKAGE[0]):
        return name
    rest = name.lstrip(".")
    above = anchor.split(".")[: max(1, anchor.count(".") + 2 - (len(name) - len(rest)))]
    return ".".join([*above, rest])


#: A line that looks like an import, also behind a semicolon or a colon.
_IMPORT_LINE = re.compile(
    r"(?:^|[;:])[ \t]*(?:from[ \t]*(?P<dots>\.*)[ \t]*(?P<module>[\w.]*)[ \t]+import[ \t]*"
    r"(?:\((?P<several>[^()]*)\)|(?P<names>[^#\n;()]+))|import[ \t]+(?P<plain>[^#\n;]+))",
    re.MULTILINE,
)


def _guessed(source: bytes) -> ImportFacts:
    """What a file without a syntax tree seems to import: Python 2, or a Python newer than this one."""
    text = source.decode("utf-8", "replace").replace("\\\n", " ")
    imports: dict[Import, None] = {}
    for match in _IMPORT_LINE.finditer(text):
        if match["plain"]:
            imports.update((Import(name, optional=True), None) for name in _listed(match["plain"]))
        else:
            names = tuple(_listed(match["several"] or match["names"] or ""))
            imports[Import(match["module"], len(match["dots"]), names, True)] = None
    calls = b"import_module" in source or b"__import__" in source
    literals = dict.fromkeys(filter(_MODULE.fullmatch, texts_of(source))) if calls else {}
    return ImportFacts(
        imports=tuple(imports),
        computed=(UNKNOWN,) if calls else (),
        literals=tuple(literals),
        bound=frozenset({ANY}),
        syntax_error=True,
    )


def _listed(names: str) -> Iterator[str]:
    """``a, b as c`` one by one, without what they are called here and without comments."""
    for name in re.sub(r"#[^\n]*", "", names).split(","):
        if words := name.split():
            yield words[0]
