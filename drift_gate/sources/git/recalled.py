"""What a process that serves many checks recalls of the repositories that it has read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from drift_gate.facts import Commit
from drift_gate.runtime.memory import Recent

#: Commits and their paths, together, of a walk that is recalled, and how many walks are: what a check holds
#: does not grow with the drift.
LONGEST = 10_000
_WALKS = 4


@dataclass(frozen=True, slots=True)
class Recalled:
    """What earlier checks found, or asked for; safe across threads. Each by the path of a repository.

    ``walks`` are the commits between tips: an id stands for a commit and for all that is before it, so that
    they lie there for ever. ``sought`` are the commits that were looked for last: most checks ask for the
    same as the one before.
    """

    walks: Recent[tuple[str, ...], Sequence[Commit]] = field(default_factory=lambda: Recent(_WALKS))
    sought: Recent[str, Collection[str]] = field(default_factory=Recent)

    def keeping(self, key: tuple[str, ...], walk: Iterable[Commit]) -> Iterator[Commit]:
        """The commits of ``walk`` as they come; recalled by ``key`` if all of them came."""
        kept: list[Commit] = []
        size = 0
        for commit in walk:
            size += 1 + len(commit.paths)
            kept.append(commit)
            if size > LONGEST:
                kept.clear()
            yield commit
        if size <= LONGEST:
            self.walks.put(key, kept)
