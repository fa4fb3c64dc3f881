"""Which commits of one side the other side has too, under another id: picked, or rebased. Pure.

Equal patches are no proof that the content is still there, so that a doubt counts the commit:
what was taken back again is not there, and a missing commit whose files the live side changed further by
work of its own may not be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from drift_gate.facts import Patch

#: Counted commits of one side, and paths of all of them, up to which they are compared: a hotfix branch has
#: a handful, and a patch costs git a thousand times what a line of the log does.
MOST_COMMITS, MOST_PATHS = 200, 20_000


@dataclass(slots=True)
class Sides:
    """The commits that count on either side, with the paths that count; none once they are too many."""

    missing: dict[str, frozenset[str]] = field(default_factory=dict)
    own: dict[str, frozenset[str]] = field(default_factory=dict)
    paths: int = 0
    many: bool = False

    def add(self, sha: str, paths: frozenset[str], *, own: bool) -> None:
        """Take one commit of the live side (``own``) or of the target's; not once they are too many."""
        side = self.own if own else self.missing
        side[sha] = paths
        self.paths += len(paths)
        if len(side) > MOST_COMMITS or self.paths > MOST_PATHS:
            self.many = True
            self.missing.clear()
            self.own.clear()

    @property
    def comparable(self) -> bool:
        """Whether there is something to compare on both sides."""
        return bool(self.missing and self.own)


def picked(sides: Sides, patches: Mapping[str, Patch]) -> frozenset[str]:
    """The commits of both sides whose change the other side has as well, by a commit of its own.

    ``patches`` are those that could be told; a commit without one is compared with nothing.
    """
    here, there = _standing(sides.missing, patches), _standing(sides.own, patches)
    own = {sha for sha in sides.own if sha in patches and here[patches[sha].change] > 0}
    further = frozenset[str]().union(*(paths for sha, paths in sides.own.items() if sha not in own))
    missing = {
        sha
        for sha, paths in sides.missing.items()
        if sha in patches and there[patches[sha].change] > 0 and further.isdisjoint(paths)
    }
    return frozenset(own | missing)


def _standing(commits: Iterable[str], patches: Mapping[str, Patch]) -> Counter[bytes]:
    """How often each change was made on one side and not taken back there."""
    counts: Counter[bytes] = Counter()
    for sha in commits:
        if patch := patches.get(sha):
            counts[patch.change] += 1
            counts[patch.reverse] -= 1
    return counts
