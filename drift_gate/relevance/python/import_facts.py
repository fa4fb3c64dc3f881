"""What is known of the imports of one ``.py`` file, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

#: In ``ImportFacts.bound``: any name may be bound here.
ANY = "*"
#: A text that may be a module's name, with an attribute behind a colon.
MODULE_NAME = re.compile(r"\.*[^\W\d]\w*(?:\.[^\W\d]\w*)*(?::[\w.]+)?")


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
    are put together while the program runs, with ``*`` for each unknown part; ``files`` are paths of files
    that are loaded by their path, written in the same way. ``doubts``: what may import anything at all,
    as people write it (``exec``). ``named`` are texts that may name a module, an attribute of one
    (``a.b.c``, ``a.b:c``) or a ``.py`` file; ``handed`` are names of modules that a loader gets, which
    loads what lies below a package too, dots before them meaning the package of the file. ``literals`` are
    the strings of the file that a computed name may mean beside; they are kept only where something asks
    for them. ``lazy``: a module ``__getattr__`` may import what they name. ``all_computed``: ``__all__`` is
    the result of a call. ``edits_path``: ``sys.path`` is touched; ``anywhere``: it gets a folder
    that only the running program knows. ``bound`` are the names of the module's
    own level, ``ANY`` among them where more are possible. ``syntax_error``: a part of the file has no
    syntax tree (see ``syntax_pieces``); what is known of that was guessed from its lines. ``program``:
    its first line has Python run it. ``reads_source``: it asks for the text of modules, comments and all.
    """

    imports: tuple[Import, ...] = ()
    typing_only: tuple[Import, ...] = ()
    computed: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    handed: tuple[str, ...] = ()
    scans: tuple[Scan, ...] = ()
    literals: tuple[str, ...] = ()
    lazy: bool = False
    all_computed: bool = False
    edits_path: bool = False
    anywhere: bool = False
    bound: frozenset[str] = frozenset()
    syntax_error: bool = False
    program: bool = False
    reads_source: bool = False

    @property
    def leaves_open(self) -> bool:
        """Whether it may import what its statements do not name."""
        return any((self.computed, self.files, self.doubts, self.scans, self.edits_path, self.syntax_error))

    @property
    def names(self) -> tuple[str, ...]:
        """What its statements name that is or may be a module, without the dots before it."""
        pairs = ((each.module, ("", *each.names)) for each in self.imports)
        return tuple(f"{module}.{name}".strip(".") for module, names in pairs for name in names)

    def beside(self, guess: ImportFacts) -> ImportFacts:
        """These facts with a guess at the rest of the file: nothing that it imports is sure to be needed."""
        both = {each.name: (getattr(self, each.name), getattr(guess, each.name)) for each in fields(self)}
        sums: dict[str, Any] = {
            name: tuple(dict.fromkeys(old + new)) if isinstance(old, tuple) else old | new
            for name, (old, new) in both.items()
        }
        imports = (each._replace(optional=True) for each in sums.pop("imports"))
        return ImportFacts(imports=tuple(dict.fromkeys(imports)), **sums)
