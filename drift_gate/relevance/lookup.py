"""What is relevant at each end: asks the history in two batches, and remembers what it once found out.

A commit's tree never changes, so nothing that is remembered is ever out of date, in the process or on disk; a
check that meets known commits parses nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from drift_gate.errors import SourceError
from drift_gate.facts import History
from drift_gate.relevance import selection
from drift_gate.relevance.by_blob import ByBlob
from drift_gate.relevance.contents import Contents, Reader
from drift_gate.relevance.kept import KeptSelections
from drift_gate.relevance.loaded_list import with_loaded
from drift_gate.relevance.memory import Listing, Memory
from drift_gate.relevance.python.import_facts import ImportFacts
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import LINK, SUBMODULE, Selection

if TYPE_CHECKING:
    from drift_gate.relevance.narrowing import Files


class Relevance:
    """The trees and selections of one check of one history."""

    def __init__(self, history: History, memory: Memory) -> None:
        self._history = history
        self._memory = memory
        self._listings: dict[str, Listing] = {}
        self._selections: dict[tuple[Rules, str], Selection] = {}
        self._contents = Contents(history)
        self._kept = KeptSelections(memory, self._contents, self._listings)

    def prepare(self, wanted: Collection[tuple[Rules, str]]) -> None:
        """Find out what each of ``wanted`` (rules, commit) selects. Raises ``SourceError``."""
        self._list({commit for _, commit in wanted})
        todo = []
        for rules, commit in dict.fromkeys(wanted):
            known = self._memory.selections.get((rules, commit))
            if known is not None:
                self._selections[rules, commit] = known
            elif rules.by_patterns_alone:
                reader = self._reader(commit)
                self._contents.fetch(_blobs(reader, selection.deciding(rules, reader.files)))
                self._keep(rules, commit, selection.by_patterns(rules, reader.tree), reader)
            else:
                todo.append((rules, commit))
        for end, selected in self._kept.recall(todo).items():
            self._memory.selections.put(end, selected)
            self._selections[end] = selected
        if unknown := [end for end in todo if end not in self._selections]:
            self._select(unknown)

    def of(self, rules: Rules, commit: str) -> Selection:
        """What ``rules`` select at ``commit``, after ``prepare``."""
        return self._selections[rules, commit]

    def files(self, commit: str) -> Listing:
        """The files of ``commit``, after ``prepare``."""
        return self._listings[commit]

    def read_for(self, rules: Rules, commit: str) -> frozenset[str] | None:
        """The paths whose contents decided on the selection, after ``prepare``; None: nobody can say."""
        if rules.by_patterns_alone:
            return frozenset(selection.deciding(rules, self._listings[commit]))
        found = self._kept.read_for((rules, commit))
        if found is None:
            self._select([(rules, commit)])
            found = self._kept.read_for((rules, commit))
        return found

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
            self._contents.fetch(self._memory.meanings.recall(blobs))
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
        from drift_gate.relevance import narrowing  # all that reads images: most checks read none

        readers = {(rules, commit): self._reader(commit) for rules, commit in todo}
        self._contents.fetch(
            blob
            for (rules, _), reader in readers.items()
            for blob in _blobs(reader, narrowing.deciding(rules, reader.files))
        )
        images = {end: narrowing.image_of(end[0], reader.tree) for end, reader in readers.items()}
        self._contents.fetch(self._unknown(images))
        with self._memory.facts.ahead(self._sources(images)):
            for (rules, commit), image in images.items():
                reader = readers[rules, commit]
                reader.expect(image.layout.values())
                listing = self._listings[commit]
                selected = narrowing.select(rules, image, listing, reader.facts, reader.literals)
                self._keep(rules, commit, selected, reader)

    def _unknown(self, images: Mapping[tuple[Rules, str], Files]) -> set[str]:
        """The contents that have to be read to know what the files of ``images`` import."""
        asked: dict[ByBlob[ImportFacts], set[str]] = {}
        for (_, commit), image in images.items():
            for path in (*image.sources, *image.configs.values()):
                asked.setdefault(self._memory.facts_about(path), set()).add(self._blob(commit, path))
        return set().union(*(memory.recall(blobs) for memory, blobs in asked.items()))

    def _sources(self, images: Mapping[tuple[Rules, str], Files]) -> dict[str, bytes]:
        """The contents of the modules of ``images`` that are held."""
        blobs = {self._blob(commit, path) for (_, commit), image in images.items() for path in image.sources}
        return {blob: self._contents.of(blob)() for blob in sorted(blobs) if blob in self._contents}

    def _reader(self, commit: str) -> Reader:
        return Reader(self._listings[commit], self._memory, self._contents)

    def _blob(self, commit: str, path: str) -> str:
        return self._listings[commit][path].blob

    def _keep(self, rules: Rules, commit: str, selected: Selection, reader: Reader) -> None:
        if rules.loaded is not None and rules.loaded[0] in self._listings[commit]:
            content = reader.content(rules.loaded[0])
            selected = with_loaded(rules, selected, self._listings[commit], content)
        self._memory.selections.put((rules, commit), selected)
        self._selections[rules, commit] = selected
        if not rules.by_patterns_alone:
            self._kept.keep((rules, commit), selected, reader)

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
        old, new = (self._memory.meanings.of(blob, self._contents.of(blob)) for blob in blobs)
        return old == new


def _blobs(reader: Reader, paths: Iterable[str]) -> set[str]:
    return {reader.files[path].blob for path in paths}


def _differing(old: Listing, new: Listing) -> frozenset[str]:
    if old is new:
        return frozenset()
    return frozenset(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
