"""Where an image's Python starts: the files that its entry point and command run, and the import roots."""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from drift_gate.relevance.dockerfile.image import Image
from drift_gate.relevance.dockerfile.stage import Run, joined
from drift_gate.relevance.python import finder
from drift_gate.relevance.python.imports import facts_of
from drift_gate.relevance.start.files import (
    OF_PROCFILE,
    SUPERVISOR,
    SUPERVISOR_PARTS,
    Started,
    migrations_of,
    of_procfile,
    of_supervisor,
    of_uwsgi,
    scripts_of,
)
from drift_gate.relevance.start.points import DOTTED_NAME, EntryPoint, Search
from drift_gate.relevance.start.programs import PROGRAMS, Program, option, positionals
from drift_gate.relevance.start.projects import builders_of, hooks_of, roots_of
from drift_gate.relevance.start.shell import commands, without_defaults
from drift_gate.relevance.start.wrappers import HARMLESS, split, unwrapped

_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh", "ksh"})
_PROJECT = frozenset({"pyproject.toml", "setup.cfg", "setup.py"})
_PYTHON = re.compile(r"(python|pypy)(\d+(\.\d+)?)?")
#: Options of the interpreter that take the next word.
_PYTHON_VALUES = frozenset({"-W", "-X", "--check-hash-based-pycs"})
#: Of several letters in one word the first of these ends the options; the rest of the word is its value.
_ENDS_OPTIONS = re.compile(r"-[^cm]*([cm])(.*)", re.DOTALL)
#: A line of Python in a here-document.
_IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+[A-Za-z_.]", re.MULTILINE)
#: A script that starts a script that starts a script; more is a loop.
_DEPTH = 5


@dataclass(frozen=True, slots=True)
class EntryPoints:
    """All entry points, and the folders of the image where absolute imports are sought, in their order.

    ``unresolved`` says why there may be others, or None. With it, the image's ``.py`` files cannot be
    narrowed down to what the entry points import. ``hooks``: those that the interpreter itself runs, also
    where somebody says what else is started. ``builders``: files that are run when the image is made.
    """

    entries: tuple[EntryPoint, ...]
    roots: tuple[str, ...]
    unresolved: str | None
    hooks: tuple[str, ...] = ()
    builders: tuple[str, ...] = ()


def given(entry: str, layout: Mapping[str, str], workdir: str) -> str:
    """A declared entry point: a path in the image or in the repository becomes one in the image."""
    inside = posixpath.normpath(posixpath.join(workdir, entry))
    if inside in layout:
        return inside
    return next((at for at, path in layout.items() if path == posixpath.normpath(entry)), entry)


def found(image: Image, read: Callable[[str], str | None]) -> EntryPoints:
    """Find the entry points of an image. ``read`` gives the text of a repository file, or None.

    Shell scripts that the image starts are read for the commands that they run.
    """
    if image.start is None:
        return EntryPoints((), (), "the Dockerfile has neither CMD nor ENTRYPOINT")
    words = image.start.entrypoint + image.start.command
    search, deployed = (
        _Commands(image, read, image.start.workdir, dict(image.start.environment), defaults=defaults)
        for defaults in (True, False)
    )
    search.command(words, 0)
    deployed.command(words, 0)
    search.doubts += deployed.doubts
    if not search.entries and not search.doubts:
        search.doubts.append(f"nothing in {' '.join(words)!r} is known to start Python")
    roots = list(dict.fromkeys([*search.roots, *search.python_path(), *roots_of(image.layout, read)]))
    hooks = hooks_of(image.layout, read, roots)
    search.entries += [EntryPoint(at, None, "Python runs it before all else") for at in hooks]
    built, written = _run_by_build(image, read)
    builders = dict.fromkeys([*builders_of(image.layout, read), *built])
    entries: dict[str, EntryPoint] = {}
    for entry in search.entries:
        entries.setdefault(entry.path, entry)  # the first reason of each stays
    doubt = next(iter([*search.doubts, *written]), None)
    return EntryPoints(tuple(entries.values()), tuple(roots), doubt, tuple(hooks), tuple(builders))


def _run_by_build(image: Image, read: Callable[[str], str | None]) -> tuple[list[str], list[str]]:
    """The files of the image that a RUN or a here-document names, and what such a file leaves open."""
    places: list[str] = []
    doubts: list[str] = []
    for run in image.stage.runs:
        layout = {**image.layout, **run.layout} if run.written else run.layout
        search = _Commands(replace(image, layout=layout), read, run.workdir, dict(run.environment))
        search.build(run)
        named = {layout[entry.path] for entry in search.entries}
        places += [at for at, path in image.layout.items() if path in named]
        doubts += search.doubts
    return places, doubts


class _Commands(Search):
    """Takes commands apart, one after the other."""

    __slots__ = ()

    def build(self, run: Run) -> None:
        """What a RUN starts: its words or a text for the shell; and what its here-documents import."""
        if run.words:
            self.command(run.words, 0)
        else:
            self._text(run.text, (), 0)
        if run.text and not any(commands(run.text, {})):  # then the shell reads the documents
            for text in run.documents:
                self._text(text, (), 0)
        self.doubts.clear()  # what else a RUN does is the build's business
        for text in filter(_IMPORT.search, run.documents):
            self._document(text, written=run.written)

    def _document(self, text: str, *, written: bool) -> None:
        """Lines of Python: what they import, wherever it lies. A file of the image may leave more open."""
        facts = facts_of(text.encode("utf-8", "surrogateescape"))
        if written and facts.leaves_open:
            self.doubts.append("a here-document does not tell all that it imports")
        lies = finder.Image(self.image.layout)
        for name in facts.names:
            if name.partition(".")[0] not in sys.stdlib_module_names:
                found = (each.file for each in lies.ending_like(name) if each.file)
                self.entries += [EntryPoint(at, None, "a here-document imports it") for at in found]

    def command(self, words: Sequence[str], depth: int) -> None:
        """Take one command's words; one that we do not know may start anything."""
        if depth <= _DEPTH:
            for each in unwrapped(words, self.environment):
                self._start(each, depth)

    def _start(self, words: Sequence[str], depth: int) -> None:
        program, arguments = posixpath.basename(words[0]), words[1:]
        if words[0].startswith("$"):
            self.doubts.append(f"starts {words[0]}, which is set at run time")
        elif program == "cd" and arguments:
            self.folder = joined(self.folder, arguments[0])
        elif program == "trap":
            self._text(next(iter(arguments), ""), (), depth + 1)
        elif program == "eval":
            self._text(" ".join(arguments), (), depth + 1)
        elif program in _SHELLS or program in (".", "source"):
            self._shell(arguments, depth)
        elif _PYTHON.fullmatch(program):
            self._python(arguments)
        elif path := self.located(words[0]):
            self._script(path, arguments, depth)
        elif program not in HARMLESS:
            self._installed(words, depth)

    def _installed(self, words: Sequence[str], depth: int) -> None:
        """A program that the repository does not hold as a file."""
        program, arguments = posixpath.basename(words[0]).removesuffix(".py"), words[1:]
        if program in PROGRAMS:
            self._program(PROGRAMS[program], arguments)
        elif program == "alembic":
            self._alembic(arguments)
        elif program == "supervisord":
            self._supervisor(arguments, depth)
        elif program in OF_PROCFILE:
            self._procfile(program, arguments, depth)
        elif not self._own_program(program):
            self._unknown(words[0], arguments, depth)

    def _unknown(self, program: str, arguments: Sequence[str], depth: int) -> None:
        """What its words name is started; where they name nothing, nobody knows what is."""
        before = len(self.entries)
        if "--" in arguments:
            self.command(arguments[arguments.index("--") + 1 :], depth + 1)
        self.named(arguments)
        for word in arguments:
            if word.endswith((".sh", ".bash")) and joined(self.folder, word) in self.image.layout:
                self._script(word, (), depth + 1)
            elif DOTTED_NAME.fullmatch(name := word.partition(":")[0]) and (
                path := self.at(name, self.folder)
            ):
                self.entries.append(EntryPoint(path, name, f"named by {word}"))
                self.roots.append(self.folder)
        if len(self.entries) == before:
            self.doubts.append(f"starts {program}, of which nothing is known")

    def _own_program(self, program: str) -> bool:
        """A console script that a project of the image makes when it is installed."""
        for path, source in self.image.layout.items():
            if posixpath.basename(path) in _PROJECT:
                target = scripts_of(path, self.read(source) or "").get(program)
                if target is not None:
                    folder = posixpath.dirname(path)
                    self.roots += [folder, posixpath.join(folder, "src")]
                    self.module(target.partition(":")[0].strip(), folder, program)
                    return True
        return False

    def _alembic(self, arguments: Sequence[str]) -> None:
        given = option(arguments, ("-c", "--config")) or self.environment.get("ALEMBIC_CONFIG")
        path = joined(self.folder, given or "alembic.ini")
        text = self.read(self.image.layout[path]) if path in self.image.layout else None
        folder = None if text is None else migrations_of(text, posixpath.dirname(path))
        self.roots.append(self.folder)
        self._migrations("alembic", folder)

    def _migrations(self, program: str, folder: str | None) -> None:
        """A migration environment: its ``env.py`` runs the files of ``versions``."""
        inside = f"{joined(self.folder, folder)}/" if folder is not None else None
        names = [] if inside is None else [at for at in self.image.layout if at.startswith(inside)]
        found = [at for at in names if at.endswith(".py")]
        self.entries += [EntryPoint(at, None, f"{program} runs {folder}") for at in found]
        if not any(posixpath.basename(at) == "env.py" for at in found):
            self.doubts.append(f"starts {program}, whose migrations cannot be seen")

    def _supervisor(self, arguments: Sequence[str], depth: int) -> None:
        given = option(arguments, ("-c", "--configuration"))
        places = [joined(self.folder, each) for each in ([given] if given else SUPERVISOR)]
        parts = filter(SUPERVISOR_PARTS.fullmatch, self.image.layout)
        files = [at for at in (*places, *parts) if at in self.image.layout]
        for at in files:
            started = of_supervisor(self.read(self.image.layout[at]) or "")
            self._each(at, started, depth)
        if not files:
            self.doubts.append("starts supervisord, whose file cannot be seen")

    def _procfile(self, program: str, arguments: Sequence[str], depth: int) -> None:
        if arguments[:1] == ["run"]:
            self.command(arguments[1:], depth + 1)
            return
        folder = option(arguments, ("-d", "--app-root")) or "."
        at = joined(
            self.folder, option(arguments, ("-f", "--procfile")) or posixpath.join(folder, "Procfile")
        )
        text = self.read(self.image.layout[at]) if at in self.image.layout else None
        self._each(at, None if text is None else of_procfile(text), depth)

    def _each(self, at: str, started: Sequence[Started] | None, depth: int) -> None:
        """All commands of a file at ``at``, each in its own folder and environment."""
        if not started:
            self.doubts.append(f"reads {at}, in which no command can be seen")
        for each in started or ():
            before, own = self.folder, dict(self.environment)
            self.folder = joined(self.folder, each.folder or ".")
            self.environment.update(each.environment)
            if not self._text(each.command, (), depth + 1):
                self.doubts.append(f"reads {at}: nothing in {each.command!r} is known to start Python")
            self.folder, self.environment = before, own

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
            self.file(path, path)
        elif path.endswith(".sh") or (first.startswith("#!") and re.search(r"\b(ba|da|a)?sh\b", first)):
            known = self._text(text, arguments, depth + 1)
            if not known:
                self.doubts.append(f"starts {path}, in which nothing is known to start Python")
        else:
            self.doubts.append(f"starts {path}, which is no Python and no shell script")

    def _text(self, text: str, arguments: Sequence[str], depth: int) -> bool:
        """All commands of a shell text; True when one of them was understood and starts something."""
        before = len(self.entries) + len(self.doubts)
        text = text if self.defaults else without_defaults(text)
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
            elif ends := _ENDS_OPTIONS.match(flag):
                told = ends[2] or (rest.pop(0) if rest else "")
                return self._run_module(told, rest) if ends[1] == "m" else self._code(told)
        if not rest:
            self.doubts.append("runs python without a script")
            return None
        self.file(rest[0], f"python {rest[0]}")
        self.named(rest[1:])
        return None

    def _code(self, text: str) -> None:
        """``python -c``: what the text imports; a package on the way counts as well."""
        facts = facts_of(text.encode("utf-8", "surrogateescape"))
        if facts.leaves_open:
            self.doubts.append("runs python -c, whose text does not tell all that it imports")
        self.roots.append(self.folder)
        for name in facts.names:
            self.named_module(name, "python -c")

    def _run_module(self, name: str, arguments: Sequence[str]) -> None:
        program = PROGRAMS.get(name.replace("_", "-"))
        if program is not None:
            self.roots.append(self.folder)
            self._program(program, arguments)
            return
        main = f"{name}.__main__"
        self.module(main if self.at(main, self.folder) else name, self.folder, f"python -m {name}")
        self.named(arguments)

    def _program(self, program: Program, arguments: Sequence[str]) -> None:
        """A server or a task runner: the application that it is told to load, and its own files."""
        arguments = [*split(self.environment.get(program.arguments_from, "")), *arguments]
        if program.name == "uwsgi":
            arguments = [*arguments, *self._uwsgi_file(arguments)]
        if program.doubt:
            self.doubts.append(f"starts {program.name}, which {program.doubt}")
        before = self.folder
        if program.changes_folder and (chosen := option(arguments, program.changes_folder)):
            self.folder = joined(self.folder, chosen)
        root = joined(self.folder, option(arguments, program.root) or ".")
        extra = (option(arguments, program.more_roots) or "").split(",")
        self.roots += [root, *(joined(self.folder, each) for each in extra if each)]
        self._application(program, arguments, root)
        self.named(arguments)
        words = positionals(arguments, program.flags)
        if program.name == "flask" and words[:1] == ["db"]:
            self._migrations("flask db", option(arguments, ("-d", "--directory")) or "migrations")
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
        for module in words[(program.positional or 0) + 1 :] if program.several else ():
            self.load(module, root, f"{program.name} {module}", member=program.member)
        choices = [target] if target else program.defaults
        for each in choices:
            if target or joined(self.folder, each) in self.image.layout:
                self.load(each, root, f"{program.name} {each}", member=program.member)
                self._beside(program, each)
                return self._submodule(program, each, root)
        if program.doubt:
            return None
        self.doubts.append(f"starts {program.name} without an application that can be seen")
        return None

    def _submodule(self, program: Program, target: str, root: str) -> None:
        """Celery finds the application of ``-A proj`` in ``proj.celery`` too."""
        name = f"{target.partition(':')[0]}.{program.submodule}"
        if program.submodule and (path := self.at(name, root)):
            self.entries.append(EntryPoint(path, name, f"{program.name} {target}"))

    def _beside(self, program: Program, target: str) -> None:
        """The further files of a folder beside the application: Streamlit's pages."""
        folder = posixpath.join(posixpath.dirname(joined(self.folder, target)), program.beside, "")
        for at in self.image.layout if program.beside else ():
            if at.startswith(folder) and at.endswith(".py"):
                self.entries.append(EntryPoint(at, None, f"{program.name} runs {program.beside}"))

    def _uwsgi_file(self, arguments: Sequence[str]) -> list[str]:
        """What ``--ini file`` or ``file.ini`` adds to the command line."""
        given = option(arguments, ("--ini",)) or next(
            (each for each in arguments if each.endswith(".ini")), None
        )
        if given is None:
            return []
        at = joined(self.folder, given.partition(":")[0])
        text = self.read(self.image.layout[at]) if at in self.image.layout else None
        if text is None:
            self.doubts.append(f"starts uwsgi, whose file {given} cannot be read")
        return of_uwsgi(text or "")
