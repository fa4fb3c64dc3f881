"""The contents of one check's files: fetched in batches, read for what is asked of them, and noted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from drift_gate.facts import Entry, History
from drift_gate.relevance.basis import FACTS, LITERALS, TEXT
from drift_gate.relevance.by_blob import ByBlob
from drift_gate.relevance.memory import Memory
from drift_gate.relevance.python.import_facts import ImportFacts
from drift_gate.relevance.python.own_place import ANYTHING
from drift_gate.relevance.tree import Tree

V = TypeVar("V")

#: A file whose content is not to be had (over 5 MB, say) may import anything.
_ANYTHINGABLE = ImportFacts(computed=("*",), syntax_error=True)


class Contents:
    """The contents that were fetched so far, by blob id."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._held: dict[str, bytes] = {}
        self._absent: set[str] = set()

    def fetch(self, blobs: Iterable[str]) -> None:
        """Fetch what was not asked for yet, in one question. Raises ``SourceError``."""
        missing = sorted(set(blobs) - self._held.keys() - self._absent)
        if missing:
            self._held |= self._history.contents(missing)
            self._absent |= set(missing) - self._held.keys()

    def __contains__(self, blob: str) -> bool:
        return blob in self._held

    def get(self, blob: str) -> bytes | None:
        """The content of ``blob``, fetched where need be; None where it is not to be had."""
        self.fetch([blob])
        return self._held.get(blob)

    def of(self, blob: str) -> Callable[[], bytes]:
        """The content of a ``blob`` that is held, for who may not need it."""
        return lambda: self._held[blob]


class Reader:
    """The files of one commit, as the rules read them; it notes what they ask.

    ``read``: each path that was read, with what for (see ``basis``). ``whole``: all of it could be read.
    """

    def __init__(self, files: Mapping[str, Entry], memory: Memory, contents: Contents) -> None:
        self.read: dict[str, str] = {}
        self.whole = True
        self.files = files
        self._memory = memory
        self._contents = contents
        self._beside: Iterable[str] = ()

    @property
    def tree(self) -> Tree:
        """The files with their texts."""
        return Tree(self.files, self.text)

    def expect(self, paths: Iterable[str]) -> None:
        """``literals`` may be asked of any of ``paths``: the first that is not known has all of them got."""
        self._beside = paths

    def content(self, path: str) -> bytes | None:
        """What ``path`` holds; None where there is no such file, or its content is not to be had."""
        if path not in self.files:
            return None
        self._note(path, TEXT)
        content = self._contents.get(self.files[path].blob)
        self.whole = self.whole and content is not None
        return content

    def text(self, path: str) -> str | None:
        """``content`` as text; a byte that is no UTF-8 is a lone surrogate."""
        content = self.content(path)
        return None if content is None else content.decode("utf-8", "surrogateescape")

    def facts(self, path: str) -> ImportFacts:
        """What ``path`` imports, or names where it is a configuration file."""
        self._note(path, FACTS)
        memory = self._memory.facts_about(path)
        unreadable = _ANYTHINGABLE if memory is self._memory.facts else ImportFacts()
        return self._remembered(memory, path, unreadable)

    def literals(self, path: str) -> frozenset[str]:
        """What the strings of a ``.py`` file name, of any other its words; ``ANYTHING`` if too large."""
        self._note(path, LITERALS)
        if self.files[path].blob not in self._memory.texts(path):
            self._get_all()
        return self._remembered(self._memory.texts(path), path, frozenset({ANYTHING}))

    def _get_all(self) -> None:
        paths, self._beside = self._beside, ()
        scripts = {self.files[path].blob for path in paths if path.endswith(".py")}
        others = {self.files[path].blob for path in paths if not path.endswith(".py")}
        self._memory.words.recall(others)
        self._contents.fetch(self._memory.literals.recall(scripts))

    def _remembered(self, memory: ByBlob[V], path: str, unreadable: V) -> V:
        blob = self.files[path].blob
        if blob not in memory and blob not in self._contents and self._contents.get(blob) is None:
            self.whole = False
            return unreadable
        return memory.of(blob, self._contents.of(blob))

    def _note(self, path: str, kind: str) -> None:
        known = self.read.get(path, "")
        if kind not in known:
            self.read[path] = known + kind
