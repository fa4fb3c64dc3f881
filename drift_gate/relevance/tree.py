"""The files of one commit, as every rule of this folder is given them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from drift_gate.facts import Entry

LINK = "120000"
SUBMODULE = "160000"


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of one commit by path, and the text of each (None: there is none to be had)."""

    files: Mapping[str, Entry]
    text: Callable[[str], str | None]

    @property
    def modules(self) -> frozenset[str]:
        """The submodules: a commit of another repository, of which no file is known."""
        return frozenset(path for path, entry in self.files.items() if entry.mode == SUBMODULE)
