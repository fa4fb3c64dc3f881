"""Which files beside the ``.py`` files matter: all of the image, unless only foreign code names them.

A registry that another program of the same image reads is no part of this workload. The two sides are
measured differently on purpose. What code outside the closure names has to be certain, since it makes a
file irrelevant; what code inside the closure might name is enough to keep the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from fnmatch import fnmatchcase

#: What stands for an unknown part of a name: ``*``, ``?``, ``%s``, ``{name}``, ``[0-9]``.
_HOLE = re.compile(r"[*?]+|%\(?\w*\)?[-+0-9.]*[a-z]|\{[^{}]*\}|\[[^\]]*\]")

#: Of a pattern without its unknown parts: ``.h`` tells files apart, ``.`` and ``s`` do not.
_SAYS_SOMETHING = re.compile(r"\w.|.\w")


def named_elsewhere(
    layout: Mapping[str, str], reached: Collection[str], literals: Callable[[str], Iterable[str]]
) -> dict[str, tuple[str, ...]]:
    """The files of the image that only modules outside the closure name, each with these modules.

    Every other file of the image that is no ``.py`` file is relevant, also one that nobody names. Paths
    are paths of the repository. ``layout`` maps the image's absolute paths to them; ``reached`` is the
    closure (every ``.py`` of the image where a computed import could not be resolved); ``literals``
    gives what the strings of a ``.py`` file may name (``literals.literals_of``).
    """
    names = _Names({path: file for path, file in layout.items() if not file.endswith(".py")})
    modules = sorted({file for file in layout.values() if file.endswith(".py")})
    named: dict[str, list[str]] = {}
    for module in modules:
        if module not in reached:
            for file in names.surely_in(literals(module)):
                named.setdefault(file, []).append(module)
    for module in modules if named else ():
        if module in reached:
            for file in names.perhaps_in(literals(module), named):
                del named[file]
    return {file: tuple(by) for file, by in named.items()}


class _Names:
    """The files of an image, to be looked up by what a literal says."""

    def __init__(self, layout: Mapping[str, str]) -> None:
        #: A file by its path in the repository, with all paths that it has, each cut into its parts.
        self._paths: dict[str, list[tuple[str, ...]]] = {}
        self._by_name: dict[str, dict[str, None]] = {}
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

        By a name or its end (``odds.json``, ``.json``, ``{season}.json``, ``*.json``), or by the folder
        that holds the file where no literal names any file of that folder.
        """
        said = {_parts(literal)[-1] for literal in literals if _parts(literal)}
        holes = [_HOLE.sub("*", name) for name in said if _HOLE.search(name)]
        holes = [pattern for pattern in holes if _SAYS_SOMETHING.search(pattern.replace("*", ""))]
        folders = said - self._folders_of_named(said)
        return [
            file
            for file in wanted
            if any(_may_open(path, said, holes, folders) for path in self._paths[file])
        ]

    def _folders_of_named(self, said: Collection[str]) -> set[str]:
        """The names of the folders that hold a file which is named itself."""
        files = (file for name in said for file in self._by_name.get(name, ()))
        return {path[-2] for file in files for path in self._paths[file] if len(path) > 1}


def _may_open(
    path: tuple[str, ...], said: Collection[str], holes: Iterable[str], folders: Collection[str]
) -> bool:
    name = path[-1]
    last_dot = max(0, name.rfind("."))
    return (
        any(name[start:] in said for start in range(last_dot + 1))
        or any(fnmatchcase(name, pattern) for pattern in holes)
        or (len(path) > 1 and path[-2] in folders)
    )


def _parts(path: str) -> tuple[str, ...]:
    """The parts of a path, ``.`` and ``..`` left out."""
    return tuple(part for part in re.split(r"[/\\]", path) if part not in ("", ".", ".."))


def _ends_alike(said: tuple[str, ...], path: tuple[str, ...]) -> bool:
    length = min(len(said), len(path))
    return said[-length:] == path[-length:]
