"""What one ``.py`` file imports by calls, as far as its text tells."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import cached_property
from typing import Any

from drift_gate.relevance.python.call_arguments import anchored, argument, import_arguments, unpickles
from drift_gate.relevance.python.import_commands import NAMED_DOUBTS, STARTERS, commands_in, served, started
from drift_gate.relevance.python.import_facts import MODULE_NAME, Import, ImportFacts, Scan
from drift_gate.relevance.python.import_loaders import (
    folders,
    handed,
    handed_objects,
    loads,
    may_hand,
    may_set,
    named,
)
from drift_gate.relevance.python.import_paths import ADDING, computed_folder
from drift_gate.relevance.python.import_statements import Statements, last_word, names_in
from drift_gate.relevance.python.scopes import Scopes, element_of
from drift_gate.relevance.python.spelling import LISTED, UNKNOWN, Spelling, Texts
from drift_gate.relevance.python.syntax import parsed
from drift_gate.relevance.python.tree_walk import all_of, visit

#: Calls whose first argument is a module's name.
_BY_NAME = frozenset({"import_module", "__import__", "import_string", "resolve_name", "run_module"})
#: Of these the last part of the name may be an attribute.
_OF_MEMBER = frozenset({"import_string", "resolve_name"})
#: Calls that load a file, and where its path stands among their arguments.
_BY_PATH = {
    "spec_from_file_location": (1, "location"),
    "SourceFileLoader": (1, "path"),
    "from_pyfile": (0, "filename"),
    "load_source": (1, "pathname"),
    "run_path": (0, "path_name"),
}
#: Of these some may be handed on as a value.
_IMPORTING = frozenset({"import_module", "__import__"})
_BY_CODE = frozenset({"exec", "eval"})
#: They run the texts that they get; a function is none.
_TIMED = frozenset({"timeit.timeit", "timeit.repeat", "timeit.Timer"})
#: They run what a spec leads to, so that ``find_spec`` did not only ask.
_RUN_SPECS = frozenset({"exec_module", "load_module"})
#: They read a file that may hold any object, where an argument allows it.
_LOADING = frozenset({"load", "load_model"})
_LISTING = {"iter_modules": False, "walk_packages": True}
_CALLS = _BY_NAME | _BY_PATH.keys() | _LISTING.keys()
#: The last word of whatever a call or a reference has to end with to be worth a look.
_TELLING = frozenset(
    {*_CALLS, *_BY_CODE, *(each.rpartition(".")[2] for each in (*_TIMED, *NAMED_DOUBTS))}
    | {"addsitedir", "compile", "find_spec", "from_envvar", "getattr", "locate", "map", "path", *_LOADING}
)
#: What makes a list of names that the text does not tell.
_COMPUTING = (ast.Call, ast.ListComp, ast.GeneratorExp, ast.SetComp)
#: Whose ``__path__`` or ``__file__`` is listed (nobody's: the package's own).
_OWNER = re.compile(r"(?:(?<![\w.])\.?\b([\w.]+)\.)?__(path|file)__")
_OWN_FOLDER = re.compile(
    r"(?:(?!dirname|parent|join)[^/+])*(?:dirname|\.parent)(?:(?!dirname|parent|join)[^/+])*"
)
_APPLICATION = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):[^\W\d][\w.]*")
#: A program that is started by its path, and has no ending.
_PROGRAM = re.compile(r"[\w./-]*/[\w-]+")
#: Longer texts are no module's name and no file's.
_LONGEST = 255


class Calls:
    """One file being read for calls that import; ``facts`` adds them to its statements.

    Raises ``RecursionError`` for an expression that is nested too deeply.
    """

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._scopes = Scopes(tree)
        self._spelling = Spelling(self._scopes)
        self._statements = Statements(tree)
        self._alias = self._statements.alias
        self._imports = self._statements.imports
        self._computed: dict[str, None] = {}
        self._files: dict[str, None] = {}
        self._doubts: dict[str, None] = {}
        self._named: dict[str, None] = {}
        self._handed: dict[str, None] = {}
        self._scans: dict[Scan, None] = {}
        self._texts_of_all: dict[str, None] = {}
        self._called: set[int] = set()
        self._has_all = self._all_computed = self._edits_path = self._anywhere = False
        self._starts = any(each.module.partition(".")[0] in STARTERS for each in self._imports)
        #: The last words of names that are worth a look, those among them that only this file gives.
        self._telling = _TELLING | {
            name
            for name, meant in self._alias.items()
            if any(module.rpartition(".")[2] in _TELLING for module, _ in meant)
        }

    @cached_property
    def _loaders(self) -> dict[str, str]:
        """The loaders that only this file calls so."""
        return {
            name: last
            for name, meant in self._alias.items()
            for module, _ in meant
            if loads(last := module.rpartition(".")[2])
        }

    @cached_property
    def _runs_specs(self) -> bool:
        return any(each.attr in _RUN_SPECS for each in all_of(ast.Attribute, self._tree))

    def facts(self) -> ImportFacts:
        """What was found so far."""
        lazy = self._statements.lazy
        wanted = self._computed or self._files or self._scans or lazy or self._has_all or self._edits_path
        return ImportFacts(
            imports=tuple(self._imports),
            typing_only=tuple(self._statements.typing_only),
            computed=tuple(self._computed),
            files=tuple(self._files),
            doubts=tuple(self._doubts),
            named=tuple(self._named),
            handed=tuple(self._handed),
            scans=tuple(self._scans),
            literals=tuple(filter(_may_be_meant, self._texts_of_all)) if wanted else (),
            lazy=lazy,
            all_computed=self._all_computed,
            edits_path=self._edits_path,
            anywhere=self._anywhere,
            bound=frozenset(self._statements.bound),
        )

    def read(self) -> None:
        """What is imported by calls, and the literals that such calls may mean."""
        looks: dict[type, Callable[[Any], None]] = {
            ast.Name: self._see_name,
            ast.Attribute: self._see_attribute,
            ast.Constant: self._literal,
            ast.Call: self._see_call,
            **dict.fromkeys((ast.Assign, ast.AnnAssign, ast.AugAssign), self._see_assignment),
            **(dict.fromkeys((ast.List, ast.Tuple, ast.BinOp), self._command) if self._starts else {}),
        }
        visit(self._tree, looks)

    def _see_name(self, name: ast.Name) -> None:
        if name.id in self._telling:
            self._reference(name)

    def _see_attribute(self, attribute: ast.Attribute) -> None:
        if attribute.attr in self._telling:
            self._reference(attribute)

    def _see_call(self, call: ast.Call) -> None:
        word = last_word(call)
        if word in self._telling:
            self._call(call)
        if may_hand(call, self._loaders.get(word, word)):
            self._loads(call)
        if word in ADDING:
            self._anywhere |= computed_folder(call, self._spelling)
        if self._starts:
            self._command(call)

    def _see_assignment(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for each in targets:
            if not isinstance(each, ast.Name) or may_set(each.id):
                self._assignment(node)
                self._loads(node)
                self._anywhere |= computed_folder(node, self._spelling)
                break

    def _assignment(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if "__all__" in names_in(targets):
            self._has_all = True
            self._all_computed |= any(all_of(kind, node) for kind in _COMPUTING)

    def _call(self, call: ast.Call) -> None:
        name = self._name_of(call.func)
        if name in _BY_NAME:
            self._called.add(id(call.func))
            self._by_name(call, name)
        elif name == "map" and len(call.args) > 1 and self._name_of(call.args[0]) in _IMPORTING:
            self._called.add(id(call.args[0]))
            self._names(self._texts(element_of(call.args[1])))
        elif name == "getattr":
            taken = self._texts(argument(call, 1, "name"))
            self._computed.update(dict.fromkeys([UNKNOWN] if taken & _IMPORTING else ()))
            self._doubts.update(dict.fromkeys(sorted(taken & _BY_CODE)))
        elif name in _LOADING and any(map(unpickles, call.keywords)):
            self._doubts[f"{name} with pickles allowed"] = None
        elif name == "locate" and "pydoc.locate" in self._full_names(call.func):
            self._by_name(call, "resolve_name")
        elif name == "find_spec" and self._runs_specs:
            self._by_name(call, name)
        elif name in _BY_PATH:
            self._by_path(self._texts(argument(call, *_BY_PATH[name])))
        elif name in _BY_CODE and isinstance(call.func, ast.Name):
            self._called.add(id(call.func))
            self._code(self._texts(argument(call, 0, "source")), name)
        elif name == "compile" and self._full_names(call.func) <= {"compile", "builtins.compile"}:
            self._code(self._texts(argument(call, 0, "source")), name)
        elif self._full_names(call.func) & _TIMED:
            for given in (argument(call, 0, "stmt"), argument(call, 1, "setup")):
                if given is not None and not isinstance(given, ast.Lambda):
                    self._code(self._texts(given), "timeit")
        elif name == "from_envvar":
            self._doubts[name] = None
        elif name in _LISTING:
            self._listing(call, _LISTING[name])
        elif name == "addsitedir":
            self._edits_path = True

    def _by_name(self, call: ast.Call, caller: str) -> None:
        """``import_module`` and its relatives: imports where the names are known, else computed ones."""
        texts = self._texts(argument(call, 0, "name"))
        if caller == "__import__":
            self._names(texts, caller, *import_arguments(call))
            return
        package = argument(call, 1, "package")
        anchors: Texts = frozenset({""}) if package is None else self._texts(package)
        names = (anchored(text, anchor) for text in texts for anchor in anchors)
        self._names(frozenset(names), caller)

    def _texts(self, node: ast.expr | None) -> Texts:
        return self._spelling.texts(node)

    def _names(
        self, texts: Texts, caller: str = "import_module", level: int = 0, names: tuple[str, ...] = ()
    ) -> None:
        """The modules that these texts name: one is needed, of several each may be the one."""
        for text in sorted(texts):
            self._module(text, caller, level, names, optional=len(texts) > 1)

    def _module(self, name: str, caller: str, level: int, names: tuple[str, ...], optional: bool) -> None:
        if LISTED in name:  # the list itself brings what it may be
            return
        if UNKNOWN in name:
            self._computed[name.partition(UNKNOWN)[0] + UNKNOWN if caller in _OF_MEMBER else name] = None
            return
        module = name.lstrip(".")
        optional = optional or caller in _OF_MEMBER
        target = module.partition(":")[0]
        self._imports[Import(target, level + len(name) - len(module), names, optional)] = None
        if caller in _OF_MEMBER:
            self._imports[Import(target.rpartition(".")[0], optional=True)] = None
        if caller == "run_module":
            self._imports[Import(f"{target}.__main__", optional=True)] = None

    def _by_path(self, texts: Texts) -> None:
        self._files.update(dict.fromkeys(sorted(texts)))

    def _code(self, texts: Texts, caller: str) -> None:
        """What a text that is run imports; a doubt where the text is not known."""
        if not texts or any(UNKNOWN in text for text in texts):
            self._doubts[caller] = None
            return
        for tree in filter(None, (parsed(text.encode("utf-8", "replace")) for text in sorted(texts))):
            inner = Calls(tree)
            inner.read()
            for mine, found in zip(self._collected, inner._collected, strict=True):
                mine.update(found)

    @property
    def _collected(self) -> tuple[dict[Any, None], ...]:
        found = (self._imports, self._computed, self._files, self._doubts, self._named, self._handed)
        return (*found, self._scans, self._texts_of_all)

    def _loads(self, node: ast.AST) -> None:
        """What a framework is told to load."""
        called = last_word(node) if isinstance(node, ast.Call) else ""
        word = self._loaders.get(called, called)
        for text in handed(node, word, self._spelling):
            if text == ".":
                self._scans[Scan("", 1, True)] = None
            elif UNKNOWN in text:
                self._computed[text] = None
            else:
                self._handed[text] = None
        for package in handed_objects(node, word):
            self._scans.update((Scan(*each, True), None) for each in self._alias.get(package, ()))
        self._files.update(dict.fromkeys(folders(node, word, self._spelling)))

    def _command(self, node: ast.AST) -> None:
        """An interpreter that is started: the module, the file or the text that it is told to run."""
        names, is_computed = served(node, self._spelling)
        self._handed.update(dict.fromkeys(names))
        if is_computed:
            self._doubts["a server with a computed application"] = None
        for words in [] if id(node) in self._called else commands_in(node, self._spelling):
            if isinstance(node, ast.BinOp):
                self._called.add(id(node.left))
            self._started(*(started(words) or ("nothing", frozenset())))

    def _started(self, kind: str, texts: Texts) -> None:
        if UNKNOWN in texts:
            self._doubts["an interpreter with a computed command"] = None
        elif kind == "module":
            self._names(texts, "run_module")
        elif kind == "file":
            self._by_path(texts)
        elif kind == "code":
            self._code(texts, "python -c")

    def _listing(self, call: ast.Call, deep: bool) -> None:
        """``pkgutil``'s lists: of this package, of one that the file imported, or of nobody knows which."""
        path = argument(call, 0, "path")
        text = "" if path is None else ast.unparse(path)
        owner = _OWNER.search(text)
        head, dot, rest = (owner[1] or "").partition(".") if owner else ("", "", "")
        if head in self._alias:
            for module, level in self._alias[head]:
                self._scans[Scan(module + dot + rest, level, deep)] = None
        elif owner and not head and (owner[2] == "path" or _OWN_FOLDER.fullmatch(text)):
            self._scans[Scan("", 1, deep)] = None
        elif modules := self._imported_as(path):
            self._scans.update((Scan(module, 0, deep), None) for module in modules)
        else:
            self._folders(path, deep)

    def _imported_as(self, path: ast.expr | None) -> list[str]:
        """The modules whose ``__path__`` this is, where ``import_module`` gave them; empty: not known."""
        if not (isinstance(path, ast.Attribute) and isinstance(path.value, ast.Name)):
            return []
        holder = self._scopes.holder(path.value)
        given = self._scopes.values(path.value.id, holder) if holder else []
        calls = [
            each for each in given if isinstance(each, ast.Call) and self._name_of(each.func) in _BY_NAME
        ]
        texts = [text for call in calls for text in sorted(self._texts(argument(call, 0, "name")))]
        known = len(calls) == len(given) and not any(
            UNKNOWN in text or text.startswith(".") for text in texts
        )
        return texts if known else []

    def _folders(self, path: ast.expr | None, deep: bool) -> None:
        """Listed folders whose paths are known to their end; else the list is of nobody knows what."""
        for text in sorted(self._texts(path)):
            if path is None or not text.strip("*/."):
                self._scans[Scan(UNKNOWN, 0, deep)] = None
            else:
                self._files[f"{text.rstrip('/')}/*.py"] = None

    def _reference(self, node: ast.Attribute | ast.Name) -> None:
        """``import_module`` handed on as a value imports who knows what; so does an edited ``sys.path``."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            self._edits_path |= (node.value.id, node.attr) == ("sys", "path")
        name = self._name_of(node)
        if id(node) not in self._called and name in _IMPORTING:
            self._computed[UNKNOWN] = None
        if id(node) not in self._called and name in _BY_CODE and isinstance(node, ast.Name):
            self._doubts[name] = None
        for full in self._full_names(node) & NAMED_DOUBTS:
            self._doubts[full] = None

    def _literal(self, constant: ast.Constant) -> None:
        value = constant.value
        if value.__class__ is not str or len(value) > _LONGEST:
            return
        self._texts_of_all[value] = None
        if "." in value:
            for text in (value, *(value.split() if ".sh" in value else ())):
                if name := named(text):
                    self._named[name] = None
        if self._starts and "/" in value and _PROGRAM.fullmatch(program := value.split(maxsplit=1)[0]):
            self._named[program] = None
        if ":" in value and (application := _APPLICATION.fullmatch(value)):
            self._imports[Import(application[1], optional=True)] = None

    def _name_of(self, function: ast.expr) -> str:
        """The last part of a called name, an alias of an import undone; empty for anything else."""
        if isinstance(function, ast.Attribute):
            return function.attr
        if isinstance(function, ast.Name):
            meant = [module.rpartition(".")[2] for module, _ in self._alias.get(function.id, ())]
            return next((name for name in meant if name in _CALLS), function.id)
        return ""

    def _full_names(self, node: ast.expr, depth: int = 2) -> set[str]:
        """The dotted names that a reference of up to ``depth`` dots may mean, aliases of imports undone."""
        if isinstance(node, ast.Attribute) and depth:
            return {f"{owner}.{node.attr}" for owner in self._full_names(node.value, depth - 1)}
        if isinstance(node, ast.Name):
            return {module for module, level in self._alias.get(node.id, ()) if not level} or {node.id}
        return set()


def _may_be_meant(text: str) -> bool:
    """Whether a computed name or path may mean a text."""
    return bool(MODULE_NAME.fullmatch(text)) or "/" in text or text.endswith((".py", ".."))
