"""Where an image's Python starts: the files that its entry point and command run, and the import roots."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field

from shared.deployment.relevance.dockerfile import Image
from shared.deployment.relevance.dockerfile_stage import joined
from shared.deployment.relevance.shell_words import commands
from shared.deployment.relevance.start_programs import PROGRAMS, WRAPPERS, Program, option, positionals

_SHELLS = frozenset({"sh", "bash", "ash", "dash"})
_PYTHON = re.compile(r"(python|pypy)(\d+(\.\d+)?)?")
#: Options of the interpreter that take the next word.
_PYTHON_VALUES = frozenset({"-W", "-X", "--check-hash-based-pycs"})
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
#: A script that starts a script that starts a script; more is a loop.
_DEPTH = 5


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A file where Python starts: its absolute path in the image, which is a key of the image's layout.

    ``module`` is its dotted name where it is imported by one, None where it is run as a script.
    ``because`` is the command, for people.
    """

    path: str
    module: str | None
    because: str


@dataclass(frozen=True, slots=True)
class EntryPoints:
    """All entry points, and the folders of the image where absolute imports are sought, in their order.

    ``unresolved`` says why there may be others, or None. With it, the image's ``.py`` files cannot be
    narrowed down to what the entry points import.
    """

    entries: tuple[EntryPoint, ...]
    roots: tuple[str, ...]
    unresolved: str | None


def found(image: Image, read: Callable[[str], str | None]) -> EntryPoints:
    """Find the entry points of an image. ``read`` gives the text of a repository file, or None.

    Shell scripts that the image starts are read for the commands that they run.
    """
    if image.start is None:
        return EntryPoints((), (), "the Dockerfile has neither CMD nor ENTRYPOINT")
    search = _Search(image, read, image.start.workdir, dict(image.start.environment))
    words = image.start.entrypoint + image.start.command
    search.command(words, 0)
    if not search.entries and not search.doubts:
        search.doubts.append(f"nothing in {' '.join(words)!r} is known to start Python")
    roots = dict.fromkeys([*search.roots, *search.python_path()])
    entries: dict[str, EntryPoint] = {}
    for entry in search.entries:
        entries.setdefault(entry.path, entry)  # the first reason of each stays
    return EntryPoints(tuple(entries.values()), tuple(roots), next(iter(search.doubts), None))


@dataclass(slots=True)
class _Search:
    """What was found so far, and the folder where the commands run."""

    image: Image
    read: Callable[[str], str | None]
    folder: str
    environment: MutableMapping[str, str]
    entries: list[EntryPoint] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def command(self, words: Sequence[str], depth: int) -> None:
        """Take one command's words; one that we do not know starts no Python of the repository."""
        words = _unwrapped(words, self.environment)
        if not words:
            return
        program, arguments = posixpath.basename(words[0]), words[1:]
        if words[0].startswith("$"):
            self.doubts.append(f"starts {words[0]}, which is set at run time")
        elif program == "cd" and arguments:
            self.folder = joined(self.folder, arguments[0])
        elif program in _SHELLS or program in (".", "source"):
            self._shell(arguments, depth)
        elif _PYTHON.fullmatch(program):
            self._python(arguments)
        elif program in PROGRAMS:
            self._program(PROGRAMS[program], arguments)
        elif path := self._located(words[0]):
            self._script(path, arguments, depth)

    def _located(self, word: str) -> str | None:
        """The file of the repository that the shell would start for ``word``."""
        folders = (self.folder,) if "/" in word else (*_PATH, self.folder)
        return next((path for each in folders if (path := joined(each, word)) in self.image.layout), None)

    def python_path(self) -> list[str]:
        """The folders of PYTHONPATH; an empty one is the working folder."""
        text = self.environment.get("PYTHONPATH")
        return [joined(self.folder, each) for each in text.split(":")] if text else []

    def _shell(self, arguments: Sequence[str], depth: int) -> None:
        """``sh -c "…" name arguments``, as docker starts the shell form, or ``sh script.sh arguments``."""
        for index, word in enumerate(arguments):
            rest = arguments[index + 1 :]
            if word.startswith("-") and "c" in word and not word.startswith("--"):
                self._text(next(iter(rest), ""), rest[2:], depth)
                return
            if not word.startswith(("-", "+")):
                self._script(word, rest, depth)
                return

    def _script(self, path: str, arguments: Sequence[str], depth: int) -> None:
        """A file that is run by its name: Python by its name or first line, or a script of the shell."""
        source = self.image.layout.get(joined(self.folder, path))
        text = self.read(source) if source is not None and depth < _DEPTH else None
        if text is None:
            self.doubts.append(f"starts {path}, which cannot be read")
            return
        first = text.partition("\n")[0]
        if path.endswith(".py") or (first.startswith("#!") and "python" in first):
            self._file(path, path)
        elif path.endswith(".sh") or (first.startswith("#!") and re.search(r"\b(ba|da|a)?sh\b", first)):
            known = self._text(text, arguments, depth + 1)
            if not known:
                self.doubts.append(f"starts {path}, in which nothing is known to start Python")
        else:
            self.doubts.append(f"starts {path}, which is no Python and no shell script")

    def _text(self, text: str, arguments: Sequence[str], depth: int) -> bool:
        """All commands of a shell text; True when one of them was understood and starts something."""
        before = len(self.entries) + len(self.doubts)
        for words in commands(text, self.environment, arguments):
            self.command(words, depth)
        return len(self.entries) + len(self.doubts) > before

    def _python(self, arguments: Sequence[str]) -> None:
        """``python [options] script``, ``-m module`` or ``-c code``."""
        rest = list(arguments)
        while rest and rest[0].startswith("-"):
            flag = rest.pop(0)
            if flag in _PYTHON_VALUES:
                rest = rest[1:]
            elif flag.startswith(("-X", "-W", "--")):
                continue
            elif "m" in flag:
                name = flag.partition("m")[2] or (rest.pop(0) if rest else "")
                return self._run_module(name, rest)
            elif "c" in flag:
                self.doubts.append("runs python -c, whose text is not read")
                return None
        if not rest:
            self.doubts.append("runs python without a script")
            return None
        self._file(rest[0], f"python {rest[0]}")
        self._named(rest[1:])
        return None

    def _run_module(self, name: str, arguments: Sequence[str]) -> None:
        program = PROGRAMS.get(name.replace("_", "-"))
        if program is not None:
            self.roots.append(self.folder)
            self._program(program, arguments)
            return
        main = f"{name}.__main__"
        self._module(main if self._at(main, self.folder) else name, self.folder, f"python -m {name}")
        self._named(arguments)

    def _program(self, program: Program, arguments: Sequence[str]) -> None:
        """A server or a task runner: the application that it is told to load, and its own files."""
        arguments = [*self.environment.get(program.arguments_from, "").split(), *arguments]
        before = self.folder
        if program.changes_folder and (chosen := option(arguments, program.changes_folder)):
            self.folder = joined(self.folder, chosen)
        root = joined(self.folder, option(arguments, program.root) or ".")
        extra = (option(arguments, program.more_roots) or "").split(",")
        self.roots += [root, *(joined(self.folder, each) for each in extra if each)]
        self._application(program, arguments, root)
        self._named(arguments)
        own = joined(self.folder, program.config)
        if program.config and own in self.image.layout:
            self.entries.append(EntryPoint(own, None, f"{program.name} reads {program.config}"))
        self.folder = before

    def _application(self, program: Program, arguments: Sequence[str], root: str) -> None:
        words = positionals(arguments, program.flags)
        target = option(arguments, program.application)
        if target is None and program.positional is not None:
            target = next(iter(words[program.positional :]), None)
        target = target or self.environment.get(program.application_from)
        choices = [target] if target else program.defaults
        for each in choices:
            if target or joined(self.folder, each) in self.image.layout:
                self._load(each, root, f"{program.name} {each}")
                return self._submodule(program, each, root)
        self.doubts.append(f"starts {program.name} without an application that can be seen")
        return None

    def _submodule(self, program: Program, target: str, root: str) -> None:
        """Celery finds the application of ``-A proj`` in ``proj.celery`` too."""
        name = f"{target.partition(':')[0]}.{program.submodule}"
        if program.submodule and (path := self._at(name, root)):
            self.entries.append(EntryPoint(path, name, f"{program.name} {target}"))

    def _load(self, target: str, root: str, because: str) -> None:
        """``module:attribute``, ``module``, ``file.py`` or ``file.py:attribute``."""
        name = re.split(r"[:(]", target)[0]
        if name.endswith(".py") or "/" in name:
            self._file(name, because)
            self.roots.append(self._package_root(posixpath.dirname(joined(self.folder, name))))
        else:
            self._module(name, root, because)

    def _package_root(self, folder: str) -> str:
        """The first folder above that is no package: there, Flask and FastAPI begin to import a file."""
        while posixpath.join(folder, "__init__.py") in self.image.layout:
            folder = posixpath.dirname(folder)
        return folder

    def _module(self, name: str, root: str, because: str) -> None:
        self.roots.append(root)
        places = (self._at(name, each) for each in (root, *self.roots, *self.python_path()))
        path = next((place for place in places if place), None)
        if path is None:
            self.doubts.append(f"{because}: the image has no module {name} from the repository")
        else:
            self.entries.append(EntryPoint(path, name, because))

    def _file(self, path: str, because: str) -> None:
        """A script, or a folder with a ``__main__.py``; its own folder is the first import root."""
        absolute = joined(self.folder, path)
        if absolute not in self.image.layout:
            absolute = posixpath.join(absolute, "__main__.py")
        if absolute not in self.image.layout:
            self.doubts.append(f"{because}: the image has no {path} from the repository")
            return
        self.roots.append(posixpath.dirname(absolute))
        self.entries.append(EntryPoint(absolute, None, because))

    def _named(self, arguments: Sequence[str]) -> None:
        """Other files and modules that an argument names: ``--config prod.py``, ``-k app.workers.Own``."""
        for word in arguments:
            text = word.rpartition("=")[2].removeprefix("file:").removeprefix("python:")
            path = joined(self.folder, text)
            if text.endswith(".py") and path in self.image.layout:
                self.entries.append(EntryPoint(path, None, f"named by {word}"))
            elif "." in text and _MODULE.fullmatch(text):
                self._named_module(text, word)

    def _named_module(self, name: str, word: str) -> None:
        """The longest part of a dotted name that is a module of the image, if any."""
        parts = name.split(".")
        for length in range(len(parts), 0, -1):
            module = ".".join(parts[:length])
            for root in dict.fromkeys([*self.roots, *self.python_path()]):
                if path := self._at(module, root):
                    self.entries.append(EntryPoint(path, module, f"named by {word}"))
                    return

    def _at(self, module: str, root: str) -> str | None:
        """The file of a module below an import root, as far as it comes from the repository."""
        base = posixpath.join(root, *module.split("."))
        both = (f"{base}/__init__.py", f"{base}.py")
        return next((path for path in both if path in self.image.layout), None)


def _unwrapped(words: Sequence[str], environment: MutableMapping[str, str]) -> Sequence[str]:
    """The command without ``exec``, programs that only start another, and assignments, which are made."""
    words = list(words)
    while words:
        name = posixpath.basename(words[0])
        if re.match(r"[A-Za-z_]\w*=", words[0]):
            variable, _, value = words.pop(0).partition("=")
            environment[variable] = value
        elif name in WRAPPERS:
            words = _behind(words[1:], WRAPPERS[name])
        else:
            break
    return words


def _behind(words: Sequence[str], own: int) -> list[str]:
    """The words behind a wrapper's options and its ``own`` arguments."""
    rest = list(words)
    while rest and (own or rest[0].startswith("-")):
        own -= not rest.pop(0).startswith("-")
    return rest
