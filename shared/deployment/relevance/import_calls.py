"""What one ``.py`` file imports by calls, as far as its text tells."""

from __future__ import annotations

import ast
import re

from shared.deployment.relevance.import_facts import Import, ImportFacts, Scan
from shared.deployment.relevance.import_lines import MODULE_NAME
from shared.deployment.relevance.import_statements import Statements, names_in, text_of
from shared.deployment.relevance.spelling import PACKAGE, UNKNOWN, spelled

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
_APPLICATION = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):[^\W\d][\w.]*")
#: Longer texts are no module's name and no file's.
_LONGEST = 255


class Calls:
    """One file being read for calls that import; ``facts`` adds them to its statements."""

    def __init__(self, statements: Statements) -> None:
        self._alias = statements.alias
        self._lazy = statements.lazy
        self._statements = statements
        self._imports = statements.imports
        self._computed: dict[str, None] = {}
        self._scans: dict[Scan, None] = {}
        self._literals: dict[str, None] = {}
        self._called: set[int] = set()
        self._has_all = self._all_computed = self._edits_path = False

    def facts(self) -> ImportFacts:
        wanted = self._computed or self._lazy or self._has_all or self._edits_path
        return ImportFacts(
            imports=tuple(self._imports),
            typing_only=tuple(self._statements.typing_only),
            computed=tuple(self._computed),
            scans=tuple(self._scans),
            literals=tuple(self._literals) if wanted else (),
            lazy=self._lazy,
            all_computed=self._all_computed,
            edits_path=self._edits_path,
            bound=frozenset(self._statements.bound),
        )

    def read(self, tree: ast.Module) -> None:
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
        if MODULE_NAME.fullmatch(value) or "/" in value or value.endswith((".py", "..")):
            self._literals[value] = None
        if application := _APPLICATION.fullmatch(value):
            self._imports[Import(application[1], optional=True)] = None

    def _assignment(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> None:
        if "__all__" in names_in(node.targets if isinstance(node, ast.Assign) else [node.target]):
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
    return dots, tuple(filter(None, map(text_of, names)))


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
