"""What one process knows of trees and contents, and what it has on disk beside."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

from drift_gate.facts import Entry, History
from drift_gate.relevance import written
from drift_gate.relevance.basis import FACTS, LITERALS
from drift_gate.relevance.by_blob import ByBlob
from drift_gate.relevance.python.config_names import ENDINGS, SCRIPTS, names_of
from drift_gate.relevance.python.import_facts import ImportFacts
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import Selection
from drift_gate.runtime.memory import Disk, Nowhere, Recent

Listing = Mapping[str, Entry]

#: Trees are large and few: both ends of a few services. Selections are smaller.
_LISTINGS, _SELECTIONS = 16, 256
#: Files that settings name, such as pinned values: so many, of so many bytes at most.
_FILES, _FILE = 64, 1 << 16


class Memory:
    """What one process knows of trees and contents. One per process serves every check.

    ``disk`` keeps what is learned of the repository at hand for later processes.
    """

    def __init__(self) -> None:
        self.disk: Disk = Nowhere()
        self.listings: Recent[str, Listing] = Recent(_LISTINGS)
        self.selections: Recent[tuple[Rules, str], Selection] = Recent(_SELECTIONS)
        self._files: Recent[str, bytes] = Recent(_FILES)
        self.facts = ByBlob(_facts_of, form=written.FACTS)
        self.names = ByBlob(names_of, form=written.NAMES)
        self.literals = ByBlob(_literals_of, form=written.LITERALS)
        self.words = ByBlob(_words_of, form=written.WORDS)
        self.meanings = ByBlob(_meaning, form=written.MEANING)

    def on(self, disk: Disk) -> Memory:
        """The same memory, which also takes up what ``disk`` knows, and has it keep what is learned."""
        beside = copy.copy(self)
        beside.disk = disk
        beside.facts, beside.names = self.facts.on(disk), self.names.on(disk)
        beside.literals, beside.words = self.literals.on(disk), self.words.on(disk)
        beside.meanings = self.meanings.on(disk)
        return beside

    def contents(self, history: History, blobs: Collection[str]) -> dict[str, bytes]:
        """As ``History.contents``, for the few files that are read anew by every check; most are small."""
        known = {blob: held for blob in blobs if (held := self._files.get(blob)) is not None}
        if asked := set(blobs) - known.keys():
            for blob, content in history.contents(asked).items():
                known[blob] = content
                if len(content) <= _FILE:
                    self._files.put(blob, content)
        return known

    def facts_about(self, path: str) -> ByBlob[ImportFacts]:
        """What files like ``path`` import; what they name, where they are no sources."""
        return self.names if path.endswith((*ENDINGS, *SCRIPTS)) else self.facts

    def texts(self, path: str) -> ByBlob[frozenset[str]]:
        """What files like ``path`` say in strings or words."""
        return self.literals if path.endswith(".py") else self.words

    def asked(self, path: str, kinds: str) -> list[ByBlob[Any]]:
        """Who answers the questions ``kinds`` (see ``basis``) about files like ``path``."""
        answers: dict[str, ByBlob[Any]] = {FACTS: self.facts_about(path), LITERALS: self.texts(path)}
        return [answer for kind, answer in answers.items() if kind in kinds]


def load() -> None:
    """Load what reads images, for its side effect: time."""
    import drift_gate.relevance.narrowing
    import drift_gate.relevance.python.imports
    import drift_gate.relevance.python.literals
    import drift_gate.relevance.python.syntax  # noqa: F401


# Who reads sources is loaded with the first of them: where patterns alone decide, a check may meet none.


def _facts_of(source: bytes) -> ImportFacts:
    from drift_gate.relevance.python.imports import facts_of

    return facts_of(source)


def _literals_of(source: bytes) -> frozenset[str]:
    from drift_gate.relevance.python.literals import literals_of

    return literals_of(source)


def _words_of(content: bytes) -> frozenset[str]:
    from drift_gate.relevance.python.literals import words_of

    return words_of(content)


def _meaning(source: bytes) -> str:
    from drift_gate.relevance.python.syntax import meaning

    return meaning(source)
