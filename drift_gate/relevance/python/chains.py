"""What an import closure says: values, and the way back from each file to where the program starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Missing:
    """A module that the closure needs: the repository has it at ``path``, the image does not have it there.

    ``chain`` leads from the file that imports it back to the entry point.
    """

    module: str
    path: str
    chain: tuple[str, ...]


class Chains(Mapping[str, tuple[str, ...]]):
    """Each reached path with the way from it back to its entry point: ``(path, importer, …, entry)``.

    Only the importer of each path is held, so that long chains cost nothing until one is asked for.
    """

    def __init__(self, importers: Mapping[str, str | None]) -> None:
        self._importers = importers

    def __getitem__(self, path: str) -> tuple[str, ...]:
        chain = [path]
        importer = self._importers[path]
        while importer is not None:  # what names a module and is none itself ends the way too
            chain.append(importer)
            importer = self._importers.get(importer)
        return tuple(chain)

    def __iter__(self) -> Iterator[str]:
        return iter(self._importers)

    def __len__(self) -> int:
        return len(self._importers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """The import closure of an image. Paths are paths of the repository.

    ``reached``: each imported file with its shortest chain. ``computed``: reached files that import by a
    name of which nothing is known; then every ``.py`` of the image is relevant. ``doubts``: reached files
    with what else may import anything in them (``exec``, an unpickling). ``typing_only``: what only
    ``TYPE_CHECKING`` blocks of reached files name. ``incomplete``: what the repository has and the image
    lacks. ``strays``: modules that no root leads to, each with the files of the image whose path ends
    like its name; they are reached. ``unresolved``: modules that the repository has, of which the image
    has no trace, or that a build step (as the ``path``) may put where nobody sees it. ``used_roots``: the
    image folders in which an absolute import was found. ``syntax_errors``: reached files that could not
    be parsed. ``unfound``: entry points that the image does not have; where none is found, ``reached`` is
    empty.
    """

    reached: Mapping[str, tuple[str, ...]]
    computed: tuple[str, ...]
    doubts: tuple[tuple[str, str], ...]
    typing_only: tuple[str, ...]
    incomplete: tuple[Missing, ...]
    strays: Mapping[str, tuple[str, ...]]
    unresolved: tuple[Missing, ...]
    used_roots: frozenset[str]
    syntax_errors: tuple[str, ...]
    unfound: tuple[str, ...]
