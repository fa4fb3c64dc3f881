"""One walk over the imports of an image, from its entry points to everything that they reach."""

from __future__ import annotations

import posixpath
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from drift_gate.relevance.python.chains import Chains, Closure, Missing
from drift_gate.relevance.python.computed_names import candidates, fits, known_ends, says_something
from drift_gate.relevance.python.config_names import SCRIPTS
from drift_gate.relevance.python.finder import PACKAGE_FILE, Completed, Finder, Found, Image, join, parent
from drift_gate.relevance.python.import_facts import ANY, MODULE_NAME, Import, ImportFacts, Scan
from drift_gate.relevance.python.spelling import MODULE, PACKAGE, UNKNOWN


class _Module:
    """A reached file under one of the names that it is imported by."""

    def __init__(self, name: str, image_path: str, path: str) -> None:
        self.name, self.image_path, self.path = name, image_path, path
        is_package = image_path.endswith(f"/{PACKAGE_FILE}")
        self.package = name if is_package else name.rpartition(".")[0]

    def absolute(self, module: str, level: int) -> str:
        """The full name of what ``from <level dots><module>`` means here; empty for nothing."""
        if not level:
            if "<" in module:
                module = module.replace(MODULE, self.name).replace(PACKAGE, self.package)
            return module.strip(".")
        parts = self.package.split(".") if self.package else []
        if level > len(parts):
            return ""
        return ".".join(filter(None, [*parts[: len(parts) - level + 1], module]))


class Walk:
    """One walk from the entry points over all imports, nearest first."""

    def __init__(
        self,
        image: Image,
        completed: Completed,
        roots: Sequence[str],
        extra: Sequence[str],
        facts: Callable[[str], ImportFacts],
        links: Mapping[str, Sequence[str]],
        named: Mapping[str, ImportFacts],
        anywhere: bool,
    ) -> None:
        self._image, self._completed, self._facts, self._links = image, completed, facts, links
        self._named = named
        self._roots = [*roots, *extra]
        # What the code puts on ``sys.path`` may go before anything else: each such folder counts by itself.
        self._finders = [Finder(image, roots), *(Finder(image, [folder]) for folder in extra)]
        self._wider = Finder(completed, [*roots, *extra])
        self._importers: dict[str, str | None] = {}
        self._queue: deque[_Module] = deque()
        self._queued: set[tuple[str, str]] = set()
        self._computed: dict[str, None] = {}
        self._doubts: dict[tuple[str, str], None] = {}
        self._typing: dict[str, None] = {}
        self._missing: dict[str, Missing] = {}
        self._unresolved: dict[str, Missing] = {}
        self._strays: dict[str, tuple[str, ...]] = {}
        self._used_roots: set[str] = set()
        self._loaded: dict[str, Sequence[Found]] = {}
        self._followed: set[tuple[str, tuple[str, ...], bool, bool]] = set()
        self._scripts: set[str] = set()
        self._errors: dict[str, None] = {}
        # Searched is a folder that nobody knows: a name leads to every file that could lie there.
        self._anywhere = anywhere
        #: Whether a reached file adds such a folder.
        self.anywhere = anywhere
        #: Folders that the reached files may add to ``sys.path``.
        self.added: dict[str, None] = {}

    def run(self, entries: Sequence[str]) -> Closure:
        """The closure of these entry points."""
        unfound = tuple(entry for entry in entries if not self._enter(entry))
        if self._queue:
            self._read_origins()
        while self._queue:
            module = self._queue.popleft()
            self._read(module, self._facts(module.path))
        return Closure(
            reached=Chains(self._importers),
            computed=tuple(self._computed),
            doubts=tuple(self._doubts),
            typing_only=tuple(path for path in self._typing if path not in self._importers),
            incomplete=tuple(self._missing.values()),
            strays=self._strays,
            unresolved=tuple(self._unresolved.values()),
            used_roots=frozenset(self._used_roots),
            syntax_errors=tuple(self._errors),
            unfound=unfound,
        )

    def _read_origins(self) -> None:
        """Follows what configuration files and variables name."""
        for origin, facts in self._named.items():
            at = origin if origin.startswith("/") else "/"
            named = _Module(self._name_of(at), at, self._image.layout.get(origin, origin))
            self._read_names(named, facts)
            for imported in facts.imports:
                self._follow(named, imported._replace(optional=True))
            for pattern in facts.files:
                self._load_files(named, facts, pattern)

    def _name_of(self, origin: str) -> str:
        """The name of a source that is compiled, below the first root; empty for anything else."""
        above = [join(root, "") for root in self._roots if origin.startswith(join(root, ""))]
        return origin.removeprefix(above[0]).removesuffix(".pyx").replace("/", ".") if above else ""

    def _enter(self, entry: str, importer: str | None = None) -> bool:
        """Starts at an entry point, or loads a file by its path; whether the image has it.

        A path is taken under every name that the roots give it: whether it runs as a script or is
        imported is not always known. ``python -m package`` runs ``__main__`` in it.
        """
        if not entry.startswith("/"):
            return self._enter_module(entry)
        if not self._image.is_file(entry):
            return False
        above = [join(root, "") for root in self._roots if entry.startswith(join(root, ""))]
        names = [entry.removeprefix(folder).removesuffix(".py").replace("/", ".") for folder in above]
        for name in names or ["__main__"]:
            self._reach(name.removesuffix(".__init__"), entry, importer)
            self._load(name.removesuffix(".__init__"), self._image.layout[entry])
        return True

    def _enter_module(self, entry: str) -> bool:
        main = f"{entry}.__main__"
        started = [
            found for name in (entry, main) for finder in self._finders if (found := finder.find(name))
        ]
        for found in started:
            if found.file:
                self._reach(found.name, found.file, None)
                self._load(main, self._image.layout[found.file])
        return any(found.file for found in started)

    def _reach(self, name: str, image_path: str, importer: str | None) -> None:
        path = self._image.layout[image_path]
        for reached in (path, *self._links.get(image_path, ())):
            self._importers.setdefault(reached, importer)
        if (name, image_path) not in self._queued:
            self._queued.add((name, image_path))
            self._queue.append(_Module(name, image_path, path))

    def _load(self, module: str, importer: str | None) -> Sequence[Found]:
        """Imports a module with all packages above it, as far as they are there; what was found of it.

        Who asks first is the importer: nothing is nearer to an entry point later.
        """
        if module in self._loaded or not module:
            return self._loaded.get(module, ())
        parts = module.split(".")
        found: Sequence[Found] = ()
        for count in range(len(parts)):
            name = ".".join(parts[: count + 1])
            if name not in self._loaded:
                self._loaded[name] = self._load_one(name, importer, is_there=not count or bool(found))
            found = self._loaded[name]
        return found

    def _load_one(self, name: str, importer: str | None, *, is_there: bool) -> Sequence[Found]:
        """As ``_load``, after the package above it, of which ``is_there`` tells."""
        if self._anywhere and name.partition(".")[0] not in sys.stdlib_module_names:
            for each in self._image.ending_like(name):
                self._reach(name, each.file or "", importer)
        found = [finder.find(name) for finder in self._finders] if is_there else []
        there = [each for each in found if each is not None]
        for module in there:
            if module.file:
                self._reach(name, module.file, importer)
        return there

    def _read(self, module: _Module, facts: ImportFacts) -> None:
        if facts.syntax_error:
            self._errors[module.path] = None
        self._doubts.update(((module.path, doubt), None) for doubt in facts.doubts)
        self.anywhere |= facts.anywhere
        if facts.edits_path:
            self.added.update(dict.fromkeys(self._addable(module, facts)))
        for imported in facts.imports:
            self._follow(module, imported)
        for imported in facts.typing_only:
            self._list(module, imported)
        if facts.lazy:
            self._load_literals(module, facts, "")
        self._read_computed(module, facts)
        self._read_names(module, facts)

    def _read_names(self, module: _Module, facts: ImportFacts) -> None:
        """Follows texts that name a module exactly, and all below what a loader gets."""
        for text in facts.named:
            self._name(module, text)
        for text in facts.handed:
            name = text.lstrip(".")
            target = module.absolute(name.partition(":")[0], len(text) - len(name))
            for package in self._load(target, module.path) or self._load_member(target, module.path):
                self._load_all(package, module.path, deep=True)

    def _name(self, module: _Module, text: str) -> None:
        target, _, attribute = text.partition(":")
        if text.endswith(SCRIPTS):
            self._read_script(module, text)
        elif text.endswith(".py"):
            for root in (parent(module.image_path), *self._roots):
                if self._image.is_file(path := posixpath.normpath(join(root, text))):
                    self._enter(path, module.path)
        elif "/" in text:
            self._start(module, text)
        elif self._is_module(target):
            self._load(target, module.path)
        elif not attribute:
            self._load_member(target, module.path)

    def _start(self, module: _Module, text: str) -> None:
        """Loads a file without an ending, in any folder, whose first line says that Python runs it."""
        for path in self._image.plain(f"/{posixpath.normpath(text).lstrip('./')}"):
            if self._facts(self._image.layout[path]).program:
                self._enter(path, module.path)

    def _read_script(self, module: _Module, text: str) -> None:
        """Follows what a script names that a reached file may start, wherever it lies."""
        end = f"/{posixpath.normpath(text).lstrip('./')}"
        for path in [each for each in self._image.layout if each.endswith(end) and each not in self._scripts]:
            self._scripts.add(path)
            facts = self._facts(self._image.layout[path])
            self._read_names(module, facts)
            for name in filter(MODULE_NAME.fullmatch, facts.named):  # it may go to any folder first
                for found in [] if self._is_module(name) else self._image.ending_like(name):
                    self._reach(name, found.file or "", module.path)

    def _is_module(self, name: str) -> bool:
        return any(found.file for finder in self._finders if (found := finder.find(name)))

    def _load_member(self, name: str, importer: str) -> Sequence[Found]:
        """Imports the module that binds a dotted name, or whose class does; what was found of it."""
        above, _, member = name.rpartition(".")
        for _ in range(2):
            found = [each for finder in self._finders if (each := finder.find(above))]
            if any(each.file for each in found):
                return self._load(above, importer) if self._binds(found, member) else []
            above, _, member = above.rpartition(".")
        return []

    def _read_computed(self, module: _Module, facts: ImportFacts) -> None:
        """Follows names that the program computes, and notes where one of them can be anything.

        The known part of a name takes all that fits it; what the file's literals could mean comes on top.
        """
        listed = [self._scan(module, facts, scan) for scan in facts.scans]
        known = [self._load_pattern(module, facts, pattern) for pattern in facts.computed]
        known += [self._load_files(module, facts, pattern) for pattern in facts.files]
        if not all(known + listed):
            self._computed[module.path] = None

    def _follow(self, module: _Module, imported: Import) -> None:
        target = module.absolute(imported.module, imported.level)
        asked = (target, imported.names, imported.optional, not imported.level)
        if asked in self._followed:  # many files import the same, each of them under several names
            return
        self._followed.add(asked)
        found = self._load(target, module.path)
        if not imported.level:
            self._used_roots.update(each.root for each in found)
        found = found or self._lost(module, target, imported)
        if found and not any(each.places for each in found):  # a module has no submodules
            return
        for name in imported.names:
            if name == "*":
                self._load_star(module, found)
            elif not self._load(f"{target}.{name}", module.path) and not self._binds(found, name):
                self._lost(module, f"{target}.{name}", imported, certain=bool(found))

    def _binds(self, packages: Iterable[Found], name: str) -> bool:
        """Whether a package may have ``name`` without there being a submodule of that name."""
        files = [found.file for found in packages if found.file]
        return any(not {name, ANY}.isdisjoint(self._facts(self._image.layout[file]).bound) for file in files)

    def _load_star(self, module: _Module, packages: Iterable[Found]) -> None:
        """``from package import *`` imports the submodules that ``__all__`` names."""
        for package in packages:
            if package.file:
                facts = self._facts(self._image.layout[package.file])
                for literal in facts.literals:
                    self._load(f"{package.name}.{literal}", module.path)
                if facts.all_computed:
                    self._load_all(package, module.path, deep=False)

    def _load_all(self, package: Found, importer: str, *, deep: bool) -> None:
        for place in package.places:
            for name in self._image.modules_in(place, deep=deep):
                self._load(f"{package.name}.{name}", importer)

    def _scan(self, module: _Module, facts: ImportFacts, scan: Scan) -> bool:
        """Imports what ``pkgutil`` lists; False where nobody knows of which package that is."""
        names = [module.absolute(scan.module, scan.level)]
        if scan.module == UNKNOWN:
            names = list(facts.literals)
        for package in [found for name in names for found in self._load(name, module.path)]:
            self._load_all(package, module.path, deep=scan.deep)
        return scan.module != UNKNOWN

    def _load_pattern(self, module: _Module, facts: ImportFacts, pattern: str) -> bool:
        """Imports every module that a computed name can mean; False where it can mean any."""
        self._load_literals(module, facts, pattern)
        prefix, suffix = known_ends(pattern, module.name, module.package)
        if not (prefix or suffix):
            return False
        package, _, _ = prefix.rpartition(".")
        found = self._load(package, module.path)
        places = [place for each in found for place in each.places] if package else self._roots
        for place in places:
            for name in self._image.modules_in(place, deep=True):
                full = f"{package}.{name}".lstrip(".")
                if full.startswith(prefix) and full.endswith(suffix):
                    self._load(full, module.path)
        return True

    def _load_literals(self, module: _Module, facts: ImportFacts, pattern: str) -> None:
        for literal in facts.literals:
            for candidate in candidates(literal.partition(":")[0], pattern, module.name, module.package):
                self._load(candidate, module.path)

    def _load_files(self, module: _Module, facts: ImportFacts, pattern: str) -> bool:
        """Loads the files that a path can mean, by any end of their own; False where it can mean any."""
        patterns = [pattern]
        if UNKNOWN in pattern:
            patterns += [literal for literal in facts.literals if literal.endswith(".py")]
        for path in self._image.layout:
            if path.endswith(".py") and any(fits(path, each) for each in patterns):
                self._enter(path, module.path)
        return says_something(pattern)

    def _addable(self, module: _Module, facts: ImportFacts) -> Iterator[str]:
        """Folders that a file may put on ``sys.path``: those above it, and those that literals name there."""
        folder = module.image_path
        while folder != "/":
            folder = parent(folder)
            yield folder
            for literal in facts.literals:
                place = join(folder, literal.strip("./"))
                if self._image.is_folder(place):
                    yield place

    def _list(self, module: _Module, imported: Import) -> None:
        """What a block for the type checker names; nothing of it is loaded."""
        target = module.absolute(imported.module, imported.level)
        for finder in self._finders:
            for name in (target, *(f"{target}.{name}" for name in imported.names)):
                found = finder.find(name)
                if found and found.file:
                    self._typing[self._image.layout[found.file]] = None

    def _lost(self, module: _Module, target: str, imported: Import, *, certain: bool = True) -> list[Found]:
        """An import that leads nowhere: it reaches the files of the image whose path ends like its name.

        A build may have moved them, or the roots may be others than we think. A single word that may fail
        or was guessed is too little to go by. ``certain``: a module is meant, and no other kind of name.
        """
        above = target.rpartition(".")[0]
        if not target.strip(".") or target.partition(".")[0] in sys.stdlib_module_names:
            return []
        if above in self._missing or above in self._unresolved:
            return []
        found = [] if imported.optional and "." not in target else self._image.ending_like(target)
        files = [each.file for each in found if each.file]
        for file in files:
            self._reach(target, file, module.path)
        if files:
            self._strays[target] = tuple(self._image.layout[file] for file in files)
        elif target not in self._missing and (not imported.optional or self._completed.moved_to(target)):
            self._miss(module, target, certain=certain)
        return found

    def _miss(self, module: _Module, target: str, *, certain: bool) -> None:
        """Notes a module that the repository has and the image lacks, where it should be or anywhere."""
        found = self._wider.find(target)
        path = self._completed.repository_path(found.file) if found and found.file else None
        chain = Chains(self._importers)[module.path]
        if path is not None and certain:
            self._missing[target] = Missing(target, path, chain)
        elif (above := self._completed.at_the_top(target) or self._completed.moved_to(target)) is not None:
            self._unresolved[target] = Missing(target, above, chain)
