"""Which files beside the ``.py`` files matter: all of the image, unless only foreign code names them.

A registry that another program of the same image reads is no part of this workload. The two sides are
measured differently on purpose. What code outside the closure names has to be certain, and has to be data
by its form, since it makes a file irrelevant; what the worker's own side might name is enough to keep it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from fnmatch import fnmatchcase

from drift_gate.relevance.dockerfile.syntax import instructions
from drift_gate.relevance.own_files import GATE, tell_of_gate
from drift_gate.relevance.python.literals import pieces_of, words_of
from drift_gate.relevance.python.own_place import ANYTHING, OWN_PLACE

#: What stands for an unknown part of a name: ``*``, ``?``, ``%s``, ``{name}``, ``[0-9]``.
_HOLE = re.compile(r"[*?]+|%\(?\w*(?:[-+.)][-+0-9.]*)?[a-z]|\{[^{}]*\}|\[[^\]]*\]")

#: Of a pattern without its unknown parts: ``.h`` tells files apart, ``.`` and ``s`` do not.
_SAYS_SOMETHING = re.compile(r"\w.|.\w")

#: Forms of data that a program reads because it was told to. Anything else may be found without being
#: named: a model, an archive, a template that another extends, a source, a script, what a tool looks up.
_DATA = frozenset({".csv", ".json", ".jsonl", ".md", ".ndjson", ".rst", ".tsv", ".xml", ".yaml", ".yml"})
#: Parts of a name in those forms that a build or a model has too.
_NO_DATA = re.compile(
    r"require|constraint|lock|package|project|environment|compose|build|model|weight|checkpoint"
)
#: Further texts in which one file may name another.
_TEXTS = _DATA - {".md", ".rst"} | frozenset(
    {
        ".cfg",
        ".conf",
        ".env",
        ".htm",
        ".html",
        ".ini",
        ".j2",
        ".jinja",
        ".jinja2",
        ".properties",
        ".sql",
        ".toml",
    }
    | {".tmpl", ".tpl", ".txt"}
)
_SCRIPTS = frozenset({"", ".bash", ".sh"})
#: Instructions whose words are places, not things that the image's program is told of.
_PLACES = frozenset({"ADD", "COPY", "FROM", "LABEL", "MAINTAINER", "WORKDIR"})


def is_data(path: str, mode: str, context: str) -> bool:
    """Whether a file can be another program's data at all: by its form, its name, its mode and its place.

    ``path`` and ``context`` (the build context, "." for the root) are paths of the repository, ``mode``
    is git's. What lies at the root of either belongs to everybody.
    """
    folder, name = posixpath.split(path)
    return (
        folder not in ("", context)
        and mode == "100644"
        and _suffix(name) in _DATA
        and not _NO_DATA.search(f"{posixpath.basename(folder)}/{name}".lower())
    )


def said_by(dockerfile: str) -> frozenset[str]:
    """What a Dockerfile names for the image's program: every file, and what else ENV, RUN or CMD say.

    The folders of COPY are no names: they bring all files along, whoever reads them.
    """
    said = {word for word in words_of(dockerfile.encode("utf-8", "surrogateescape")) if _is_name(word)}
    try:
        for instruction in instructions(dockerfile):
            if instruction.name not in _PLACES:
                said |= words_of(instruction.text.encode("utf-8", "surrogateescape"))
    except ValueError:  # it cannot be read, and the whole context counts
        pass
    return frozenset(said)


def named_elsewhere(
    layout: Mapping[str, str],
    reached: Collection[str],
    literals: Callable[[str], Iterable[str]],
    data: Collection[str],
    said: Iterable[str] = (),
    own_of_gate: Collection[str] = (),
) -> dict[str, tuple[str, ...]]:
    """Those of ``data`` that only modules outside the closure name, each with these modules.

    Every other file of the image that is no ``.py`` file is relevant, also one that nobody names. Paths
    are paths of the repository. ``layout`` maps the image's absolute paths to them; ``reached`` is the
    closure (every ``.py`` of the image where a computed import could not be resolved); ``literals``
    gives what the strings of a ``.py`` file may name (``literals.literals_of``), and the words of any
    other text; where ``ANYTHING`` is among them, all of the data stays. ``data``: see
    ``is_data``. ``said``: what the image itself tells its program (``said_by``).
    ``own_of_gate``: see ``own_files``; the gate names them, whoever else does.
    """
    names = _Names({path: file for path, file in layout.items() if not file.endswith(".py")})
    files = sorted(set(layout.values()))
    named: dict[str, list[str]] = {file: [GATE] for file in sorted(own_of_gate)}
    candidates = set(data)
    for module in files if candidates else ():
        if module.endswith(".py") and module not in reached and posixpath.basename(module) != "setup.py":
            for file in names.surely_in(literals(module)) & candidates:
                named.setdefault(file, []).append(module)
    own = [file for file in files if file in reached or (file not in named and _may_name(file))]
    words, module = frozenset(_cut(said)), ""
    while named:
        if ANYTHING in words:
            return {}
        beside = [file for file in named if OWN_PLACE in words and _lies_beside(file, module)]
        beside += own_of_gate if tell_of_gate(literals(module) if module else words) else ()
        found = dict.fromkeys([*names.perhaps_in(words, named), *beside])
        for file in [each for each in found if each in named]:
            del named[file]
            own.append(file)  # now that it counts, what it names counts too
        if not own:
            break
        module = own.pop()
        words = frozenset(_names_in(module, literals))
    return {file: tuple(by) for file, by in named.items()}


def _lies_beside(file: str, module: str) -> bool:
    """Whether a module that asks where it lies may open a file by a name that is put together.

    In its own folder, or in one above: in any other it names the folder.
    """
    folder = posixpath.dirname(file)
    return module.endswith(".py") and (not folder or module.startswith(f"{folder}/"))


def _suffix(path: str) -> str:
    return posixpath.splitext(path)[1].lower()


def _is_name(word: str) -> bool:
    """Whether the last part of a path has a form that files have and folders mostly lack."""
    return "." in word.rpartition("/")[2].strip(".")


def _may_name(path: str) -> bool:
    """Whether the text of a file that is no ``.py`` is read; what a Dockerfile says, its image says."""
    return _suffix(path) in _TEXTS | _SCRIPTS and posixpath.basename(path) != "Dockerfile"


def _names_in(path: str, literals: Callable[[str], Iterable[str]]) -> Iterator[str]:
    """What a file of the worker's own side may name. Only a program goes through folders."""
    program = path.endswith(".py") or _suffix(path) in _SCRIPTS
    return (each for each in _cut(literals(path)) if program or each == ANYTHING or _is_name(each))


def _cut(literals: Iterable[str]) -> Iterator[str]:
    """The literals, and what a program that cuts them may make of each."""
    for literal in literals:
        yield literal
        yield from pieces_of(literal)


class _Names:
    """The files of an image, to be looked up by what a literal says."""

    def __init__(self, layout: Mapping[str, str]) -> None:
        #: A file by its path in the repository, with all paths that it has, each cut into its parts.
        self._paths: dict[str, list[tuple[str, ...]]] = {}
        self._by_name: dict[str, dict[str, None]] = {}
        self._packages: dict[str, frozenset[str]] = {}
        for path, file in layout.items():
            known = self._paths.setdefault(file, [_parts(file)])
            known.append(_parts(path))
            for parts in known:
                self._by_name.setdefault(parts[-1], {})[file] = None

    def surely_in(self, literals: Iterable[str]) -> set[str]:
        """The files that some literal names and that no other file of the image could be."""
        found = (self._fitting(literal) for literal in literals)
        return {files[0] for files in found if len(files) == 1}

    def _fitting(self, literal: str) -> list[str]:
        """The files whose path ends with the literal, or is the end of it."""
        said = _parts(literal)
        candidates = self._by_name.get(said[-1], ()) if said else ()
        return [file for file in candidates if any(_ends_alike(said, path) for path in self._paths[file])]

    def perhaps_in(self, literals: Iterable[str], wanted: Iterable[str]) -> list[str]:
        """Those of ``wanted`` that code with these literals may open.

        By a name or its end (``odds.json``, ``.json``, ``{season}.json``, ``*.json``), or by a folder that
        holds the file: whoever names a folder may go through it. A package is a folder (``app.config``).
        """
        said = {part for literal in literals for part in _telling(_parts(literal))}
        holes = [_HOLE.sub("*", name) for name in said if _HOLE.search(name)]
        return [
            file
            for file in wanted
            if any(_may_open(path, said, holes) for path in self._places(file))
            or not said.isdisjoint(self._packages_above(file))
        ]

    def _packages_above(self, file: str) -> frozenset[str]:
        """The names that the folders above a file have as packages, wherever ``sys.path`` begins."""
        if file not in self._packages:
            names = (name for path in self._paths[file] for name in _packages(path[:-1]))
            self._packages[file] = frozenset(names)
        return self._packages[file]

    def _places(self, file: str) -> Iterator[tuple[str, ...]]:
        """The file's path in the repository, and its nearest folder in the image: ``/app`` says nothing."""
        own, *others = self._paths[file]
        yield own
        yield from (path[-2:] for path in others)


def _may_open(path: tuple[str, ...], said: Set[str], holes: Iterable[str]) -> bool:
    *folders, name = path
    last_dot = max(0, name.rfind("."))
    return (
        any(name[start:] in said for start in range(last_dot + 1))
        or any(fnmatchcase(name, pattern) for pattern in holes)
        or not said.isdisjoint(folders)
    )


def _packages(folders: Sequence[str]) -> Iterator[str]:
    """The folders above a file as names of packages, seen from each of them: ``app.config``."""
    for start in range(len(folders)):
        for end in range(start + 2, len(folders) + 1):
            yield ".".join(folders[start:end])


def _telling(parts: Sequence[str]) -> Sequence[str]:
    """The last part of a path that is not wholly unknown: of ``data/*`` and ``data/{name}`` the folder."""
    telling = [
        part for part in parts if _SAYS_SOMETHING.search(_HOLE.sub("", part)) or not _HOLE.search(part)
    ]
    return telling[-1:]


def _parts(path: str) -> tuple[str, ...]:
    """The parts of a path, ``.`` and ``..`` left out."""
    return tuple(part for part in re.split(r"[/\\]", path) if part not in ("", ".", ".."))


def _ends_alike(said: tuple[str, ...], path: tuple[str, ...]) -> bool:
    length = min(len(said), len(path))
    return said[-length:] == path[-length:]
