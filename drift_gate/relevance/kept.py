"""Selections on disk: by commit, and by what they were computed from, for the commit after."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import TypeVar

from drift_gate.relevance.basis import Basis, read_basis, tree_digest
from drift_gate.relevance.by_blob import ByBlob
from drift_gate.relevance.contents import Contents, Reader
from drift_gate.relevance.memory import Listing, Memory
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import Selection
from drift_gate.relevance.written import SELECTION

V = TypeVar("V")

End = tuple[Rules, str]

#: A commit from which so many files differ that were read is looked at anew.
_MOST_CHANGED = 100


class KeptSelections:
    """What ``memory.disk`` knows of selections at the commits of ``listings``."""

    def __init__(self, memory: Memory, contents: Contents, listings: Mapping[str, Listing]) -> None:
        self._memory = memory
        self._contents = contents
        self._listings = listings
        self._trees: dict[str, str] = {}

    def recall(self, ends: Collection[End]) -> dict[End, Selection]:
        """Those of ``ends`` that are known: by their commit, or since nothing that was read says otherwise.

        Raises ``SourceError`` where the content of a file that changed cannot be got.
        """
        disk = self._memory.disk
        keys = {end: key(*end) for end in ends}
        told = disk.get("end", keys.values())
        names = {end: told[key].decode("ascii", "replace") for end, key in keys.items() if key in told}
        bases = disk.get("basis", {repr(rules) for rules, _ in keys.keys() - names.keys()})
        for rules, commit in keys.keys() - names.keys():
            basis = read_basis(bases.get(repr(rules), b""))
            if basis is not None and self._stands(basis, commit):
                names[rules, commit] = basis.selection
                disk.put("end", keys[rules, commit], basis.selection.encode())
        written = disk.get("selection", set(names.values()))
        known = {name: SELECTION.read(text) for name, text in written.items()}
        found = {end: known.get(name) for end, name in names.items()}
        return {end: selection for end, selection in found.items() if selection is not None}

    def keep(self, end: End, selection: Selection, reader: Reader) -> None:
        """Keep what was computed for ``end`` by what ``reader`` has read; nothing where that was not all."""
        if not reader.whole:
            return
        rules, commit = end
        text = SELECTION.write(selection)
        name = hashlib.sha256(text).hexdigest()
        read = {path: (reader.files[path].blob, kinds) for path, kinds in reader.read.items()}
        disk = self._memory.disk
        disk.put("selection", name, text)
        disk.put("end", key(*end), name.encode())
        disk.put("basis", repr(rules), Basis(self._tree(commit), read, name).written())

    def read_for(self, end: End) -> frozenset[str] | None:
        """The paths whose contents decided on the selection at ``end``; None: that is not known any more."""
        rules, commit = end
        basis = read_basis(self._memory.disk.get("basis", {repr(rules)}).get(repr(rules), b""))
        return frozenset(basis.read) if basis is not None and self._stands(basis, commit) else None

    def _tree(self, commit: str) -> str:
        if commit not in self._trees:
            self._trees[commit] = tree_digest(self._listings[commit])
        return self._trees[commit]

    def _stands(self, basis: Basis, commit: str) -> bool:
        """Whether all that ``basis`` was read for is the same at ``commit``."""
        files = self._listings[commit]
        changed = basis.changed(self._tree(commit), files)
        if changed is None or len(changed) > _MOST_CHANGED:
            return False
        asked = [
            (memory, old, files[path].blob)
            for path, (old, kinds) in changed.items()
            for memory in self._memory.asked(path, kinds)
        ]
        for memory, old, new in asked:
            memory.recall([old, new])
            if old not in memory:
                return False
        self._contents.fetch({new for memory, _, new in asked if new not in memory})
        return all(self._same(*each) for each in asked)

    def _same(self, memory: ByBlob[V], old: str, new: str) -> bool:
        """Whether a rule that asks ``memory`` is told the same of both blobs."""
        if new not in memory and new not in self._contents:
            return False
        return memory.of(old, self._contents.of(old)) == memory.of(new, self._contents.of(new))


def key(rules: Rules, commit: str) -> str:
    """Under which key the selection of ``rules`` at ``commit`` is found."""
    return f"{commit} {rules!r}"
