"""What is relevant at each end: asks the history in two batches, and remembers what it once found out.

A commit's tree never changes, so nothing that is remembered here is ever out of date; a check that
meets known commits parses nothing and lists nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from drift_gate.errors import SourceError
from drift_gate.facts import Entry, History
from drift_gate.relevance import selection
from drift_gate.relevance.by_blob import ByBlob
from drift_gate.relevance.loaded_list import with_loaded
from drift_gate.relevance.python.config_names import ENDINGS, SCRIPTS, names_of
from drift_gate.relevance.python.import_facts import ImportFacts
from drift_gate.relevance.python.imports import facts_of
from drift_gate.relevance.python.literals import literals_of, words_of
from drift_gate.relevance.python.syntax import meaning
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import LINK, SUBMODULE, Files, Selection, Tree
from drift_gate.runtime.memory import Recent

V = TypeVar("V")

Listing = Mapping[str, Entry]

#: Trees are large and few: both ends of a few services. Selections are smaller.
_LISTINGS, _SELECTIONS = 16, 256
#: A file whose content is not to be had (over 5 MB, say) may import anything.
_UNREADABLE = ImportFacts(computed=("*",), syntax_error=True)


class Memory:
    """What one process knows of trees and contents. One per process serves every check."""

    def __init__(self) -> None:
        self.listings: Recent[str, Listing] = Recent(_LISTINGS)
        self.selections: Recent[tuple[Rules, str], Selection] = Recent(_SELECTIONS)
        self.facts = ByBlob(facts_of)
        self.names = ByBlob(names_of)
        self.literals = ByBlob(literals_of)
        self.words = ByBlob(words_of)
        self.meanings = ByBlob(meaning)


class Relevance:
    """The trees and selections of one check of one history."""

    def __init__(self, history: History, memory: Memory) -> None:
        self._history = history
        self._memory = memory
        self._listings: dict[str, Listing] = {}
        self._selections: dict[tuple[Rules, str], Selection] = {}
        self._contents: dict[str, bytes] = {}
        self._absent: set[str] = set()

    def prepare(self, wanted: Collection[tuple[Rules, str]]) -> None:
        """Find out what each of ``wanted`` (rules, commit) selects. Raises ``SourceError``."""
        self._list({commit for _, commit in wanted})
        todo = []
        for rules, commit in dict.fromkeys(wanted):
            known = self._memory.selections.get((rules, commit))
            if known is not None:
                self._selections[rules, commit] = known
            elif rules.by_patterns_alone:
                self._fetch(self._blob(commit, path) for path in self._deciding(rules, commit))
                self._keep(rules, commit, selection.by_patterns(rules, self._tree(commit)))
            else:
                todo.append((rules, commit))
        self._select(todo)

    def of(self, rules: Rules, commit: str) -> Selection:
        """What ``rules`` select at ``commit``, after ``prepare``."""
        return self._selections[rules, commit]

    def files(self, commit: str) -> Listing:
        """The files of ``commit``, after ``prepare``."""
        return self._listings[commit]

    def differences(self, pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], frozenset[str]]:
        """For each pair of commits the paths whose content differs in more than the way it is written."""
        raw = {pair: _differing(self._listings[pair[0]], self._listings[pair[1]]) for pair in pairs}
        scripts = {
            (pair, path)
            for pair, paths in raw.items()
            for path in paths
            if path.endswith(".py") and self._alike(pair, path) and not self._verbatim(pair)
        }
        blobs = {self._listings[commit][path].blob for pair, path in scripts for commit in pair}
        # What cannot be read differs in more than the way it is written, for all that is known.
        try:
            self._fetch(blob for blob in blobs if blob not in self._memory.meanings)
        except SourceError as error:
            if error.cause != "history-unavailable":
                raise
        same = {(pair, path) for pair, path in scripts if self._means_the_same(pair, path)}
        return {
            pair: frozenset(path for path in paths if (pair, path) not in same) for pair, paths in raw.items()
        }

    def _list(self, commits: Iterable[str]) -> None:
        for commit in commits:
            known = self._memory.listings.get(commit)
            if known is not None:
                self._listings[commit] = known
        unknown = sorted(set(commits) - self._listings.keys())
        if unknown:
            for commit, listing in self._history.files(unknown).items():
                self._memory.listings.put(commit, listing)
                self._listings[commit] = listing

    def _select(self, todo: Collection[tuple[Rules, str]]) -> None:
        """The computed selections: first the texts that decide on the files, then all of their sources."""
        if not todo:
            return
        texts = {self._blob(commit, path) for rules, commit in todo for path in self._deciding(rules, commit)}
        self._fetch(texts)
        images = {(rules, commit): selection.image_of(rules, self._tree(commit)) for rules, commit in todo}
        sources = {
            self._blob(commit, path) for (_, commit), image in images.items() for path in image.sources
        }
        configs = {
            self._blob(commit, path)
            for (_, commit), image in images.items()
            for path in image.configs.values()
        }
        unknown = {blob for blob in sources if blob not in self._memory.facts}
        self._fetch(
            unknown
            | {blob for blob in configs if blob not in self._memory.names and blob not in self._memory.facts}
        )
        for (rules, commit), image in images.items():
            self._keep(rules, commit, self._selected(rules, commit, image))

    def _selected(self, rules: Rules, commit: str, image: Files) -> Selection:
        return selection.select(
            rules,
            image,
            self._listings[commit],
            lambda path: self._facts(commit, path),
            lambda path: self._remembered(self._texts(path), commit, path, frozenset()),
        )

    def _texts(self, path: str) -> ByBlob[frozenset[str]]:
        return self._memory.literals if path.endswith(".py") else self._memory.words

    def _facts(self, commit: str, path: str) -> ImportFacts:
        if path.endswith((*ENDINGS, *SCRIPTS)):
            return self._remembered(self._memory.names, commit, path, ImportFacts())
        return self._remembered(self._memory.facts, commit, path, _UNREADABLE)

    def _remembered(self, memory: ByBlob[V], commit: str, path: str, unreadable: V) -> V:
        blob = self._blob(commit, path)
        if blob not in memory and blob not in self._contents:
            self._fetch([blob])
        if blob not in memory and blob not in self._contents:
            return unreadable
        return memory.of(blob, lambda: self._contents[blob])

    def _deciding(self, rules: Rules, commit: str) -> set[str]:
        return selection.deciding(rules, self._listings[commit])

    def _tree(self, commit: str) -> Tree:
        listing = self._listings[commit]

        def text(path: str) -> str | None:
            if path not in listing:
                return None
            blob = listing[path].blob
            self._fetch([blob])  # nothing to do, but for a script that the image starts
            content = self._contents.get(blob)
            return None if content is None else content.decode("utf-8", "surrogateescape")

        return Tree(listing, text)

    def _blob(self, commit: str, path: str) -> str:
        return self._listings[commit][path].blob

    def _fetch(self, blobs: Iterable[str]) -> None:
        missing = sorted(set(blobs) - self._contents.keys() - self._absent)
        if missing:
            self._contents |= self._history.contents(missing)
            self._absent |= set(missing) - self._contents.keys()

    def _keep(self, rules: Rules, commit: str, selected: Selection) -> None:
        if rules.loaded is not None and rules.loaded[0] in self._listings[commit]:
            blob = self._blob(commit, rules.loaded[0])
            self._fetch([blob])
            selected = with_loaded(rules, selected, self._listings[commit], self._contents.get(blob))
        self._memory.selections.put((rules, commit), selected)
        self._selections[rules, commit] = selected

    def _alike(self, pair: tuple[str, str], path: str) -> bool:
        """Whether both ends have the path as a file of the same mode, so that only its content differs."""
        modes = [self._listings[commit][path].mode for commit in pair if path in self._listings[commit]]
        return len(modes) == 2 and modes[0] == modes[1] and modes[0] not in (LINK, SUBMODULE)

    def _verbatim(self, pair: tuple[str, str]) -> bool:
        """Whether a worker of either end reads the text of its modules, so that every comment counts."""
        return any(each.verbatim for (_, commit), each in self._selections.items() if commit in pair)

    def _means_the_same(self, pair: tuple[str, str], path: str) -> bool:
        blobs = [self._blob(commit, path) for commit in pair]
        if any(blob not in self._memory.meanings and blob not in self._contents for blob in blobs):
            return False
        old, new = (self._memory.meanings.of(blob, self._content(blob)) for blob in blobs)
        return old == new

    def _content(self, blob: str) -> Callable[[], bytes]:
        return lambda: self._contents[blob]


def _differing(old: Listing, new: Listing) -> frozenset[str]:
    if old is new:
        return frozenset()
    return frozenset(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
