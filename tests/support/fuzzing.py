"""What all fuzzing shares: how many cases, and a small history of which everything is known."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import HealthCheck, settings

from drift_gate.facts import Commit, Entry, Patch, Target, Unknown
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.checkout import Checkout
from drift_gate.testing import HistoryBuilder

#: How many cases each test runs: 60 in `make test`, 1,000 in `make test-heavy`, 10,000 in `make fuzz`.
CASES = int(os.environ.get("FUZZ_CASES", 1000 if settings().max_examples >= 100 else 60))
#: Cases differ from run to run: what one run does not find another may, and hypothesis prints how to repeat.
FUZZ = settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
#: When everything is judged.
NOW = datetime(2026, 2, 5, 12, tzinfo=UTC)
#: Full-length ids that no repository here has.
STRANGER, OTHER_STRANGER = "c0ffee" + "0" * 34, "d0d0" * 16


@dataclass(frozen=True)
class Line:
    """A line of commits: ``behind`` lacks five relevant ones of ``target``; ``same`` has the same files."""

    path: Path
    behind: str
    same: str
    target: str

    @classmethod
    def built(cls, path: Path) -> Line:
        history = HistoryBuilder(path)
        history.commit({"worker/app.py": "V = 0\n", "docs/notes.md": "a\n"}, subject="base")
        behind = history.commit({"worker/model.py": "M = 0\n"}, subject="live")
        for number in range(1, 6):
            files = {"worker/app.py": f"V = {number}\n", f"worker/part{number}.py": f"P = {number}\n"}
            same = history.commit(files, subject=f"change {number}")
        target = history.commit({"docs/notes.md": "b\n"}, subject="notes")
        return cls(path, behind, same, target)

    @property
    def current(self) -> frozenset[str]:
        """The commits whose relevant files are those of the target."""
        return frozenset({self.same, self.target})

    def checkout(self) -> Checkout:
        """Its history as one check has it."""
        return Checkout(
            path=self.path,
            target_ref="main",
            deadline=Deadline(1e6),  # it serves thousands of cases
            environ={"PATH": os.environ["PATH"], "HOME": str(self.path)},
            now=lambda: NOW,
            stale_target_limit=0,
        )


@dataclass
class CachedLive:
    """A real ``facts.History`` that is asked each question once, however many checks ask it again."""

    history: Checkout
    _ids: dict[str, str | Unknown] = field(default_factory=dict)
    _files: dict[str, Mapping[str, Entry]] = field(default_factory=dict)
    _walks: dict[tuple[str, ...], list[Commit]] = field(default_factory=dict)
    _contents: dict[str, bytes | None] = field(default_factory=dict)

    def target(self) -> Target:
        return self.history.target()

    def resolve(self, ids: Collection[str]) -> Mapping[str, str | Unknown]:
        if new := set(ids) - self._ids.keys():
            self._ids |= self.history.resolve(new)
        return {each: self._ids[each] for each in ids}

    def files(self, commits: Collection[str]) -> Mapping[str, Mapping[str, Entry]]:
        if new := set(commits) - self._files.keys():
            self._files |= self.history.files(new)
        return {each: self._files[each] for each in commits}

    def walk(self, tips: Sequence[str]) -> Iterator[Commit]:
        if tuple(tips) not in self._walks:
            self._walks[tuple(tips)] = list(self.history.walk(tips))
        yield from self._walks[tuple(tips)]

    def line(self, tip: str, most: int) -> Sequence[str]:
        return self.history.line(tip, most)

    def landings(self, tip: str) -> Iterator[int]:
        return self.history.landings(tip)

    def patches(self, commits: Collection[str]) -> Mapping[str, Patch]:
        return self.history.patches(commits)

    def difference(self, old: str, new: str, paths: Collection[str], *, summary: bool, limit: int) -> bytes:
        return self.history.difference(old, new, paths, summary=summary, limit=limit)

    def contents(self, blobs: Collection[str]) -> Mapping[str, bytes]:
        if new := set(blobs) - self._contents.keys():
            self._contents |= dict.fromkeys(new) | dict(self.history.contents(new))
        return {blob: held for blob in blobs if (held := self._contents[blob]) is not None}
