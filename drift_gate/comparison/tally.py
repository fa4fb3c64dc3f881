"""What one live commit comes to against the target, folded from commits as they pass by. Pure.

Only what is shown is kept of them, so that memory does not grow with their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from drift_gate.comparison.lineage import Landing, Reach
from drift_gate.comparison.picks import Sides
from drift_gate.comparison.watch import NOTHING, Watch, WatchMatches
from drift_gate.facts import Commit, Fact, Finding, readable

#: How many undeployed commits a report lists, and how many relevant paths of each: what a person
#: reads before they look at the history itself. The counts are always full.
SHOWN_COMMITS, SHOWN_PATHS = 20, 20
#: A subject is one line for a person; nobody reads further.
SHOWN_SUBJECT = 200


#: What dates a drift: the landing of its oldest commit, or when the gate last saw the target without it.
DatedBy = Literal["landing", "confirmation"]


class RelevantPath(Fact):
    """A relevant path that a commit changes, and why it is relevant (outermost reason first)."""

    path: str
    because: tuple[str, ...] = ()


class Undeployed(Fact):
    """A commit that the live revision lacks and that counts."""

    sha: str
    subject: str
    author: str
    committed_at: datetime
    paths: tuple[RelevantPath, ...]
    paths_omitted: int


@dataclass(frozen=True, slots=True)
class Pair:
    """One comparison to make while the commits pass by.

    ``bit``: which live commit of the walk this is. ``relevant``: whether a path counts; ``because``:
    why. ``net``: the relevant paths that differ between the live and the target commit. ``watch``: what
    the policy wants to know of each missing commit. A landing later than ``latest`` (seconds since 1970)
    was dated by a wrong clock. ``without[n]``: until when, in the same seconds, the target is known to have
    been without a commit that ``n`` of its earlier states lacked. ``picked`` are the commits of either side
    that the other one has too, under another id.
    """

    bit: int
    relevant: Callable[[str], bool]
    because: Callable[[str], tuple[str, ...]]
    net: frozenset[str] = frozenset()
    watch: Watch = NOTHING
    latest: float = math.inf
    without: Sequence[int | None] = (None,)
    picked: frozenset[str] = frozenset()


@dataclass(slots=True)
class Tally:
    """What one comparison has come to so far.

    ``landed`` is the deepest landing of a missing commit; where a wrong clock dated it, ``below`` is the
    time of the next landing further down that a right one did (None: there is none). ``skewed`` are the
    missing commits whose landing a wrong clock dated: how many, the oldest, and when that is said to be.
    ``without`` is until when the target is known to have been without any missing commit (None: not known).
    ``unaccounted`` are the paths of the net difference that no counted commit has changed yet; one that was
    picked is not counted and accounts for nothing. ``sides`` are the counted commits, while they are few.
    """

    pair: Pair
    behind: int = 0
    ahead: int = 0
    neutral: int = 0
    picked: int = 0
    landed: Landing | None = None
    below: int | None = None
    without: int | None = None
    skewed: tuple[int, Commit, int] | None = None
    undeployed: list[Undeployed] = field(default_factory=list)
    caught: WatchMatches = field(init=False)
    unaccounted: set[str] = field(init=False)
    sides: Sides = field(default_factory=Sides)

    def __post_init__(self) -> None:
        self.caught = WatchMatches(self.pair.watch)
        self.unaccounted = set(self.pair.net)

    def add(self, commit: Commit, reach: Reach) -> None:
        """Count one commit of the walk, if it stands on one side only and changes a relevant path."""
        live_has_it = bool(reach.by_live >> self.pair.bit & 1)
        if live_has_it == reach.by_target:
            return
        paths = [path for path in commit.paths if self.pair.relevant(path)]
        if not paths:
            return
        if self.pair.net.isdisjoint(paths):
            self.neutral += reach.by_target
            return
        if commit.sha in self.pair.picked:
            self.picked += reach.by_target
            return
        if self.unaccounted:
            self.unaccounted.difference_update(paths)
        if not self.sides.many:
            self.sides.add(commit.sha, self.pair.net.intersection(paths), own=live_has_it)
        if live_has_it:
            self.ahead += 1
        else:
            self._add_missing(commit, reach, paths)

    def _add_missing(self, commit: Commit, reach: Reach, paths: Sequence[str]) -> None:
        landed, without = reach.landed, self.pair.without[reach.lacked]
        self.without = without if not self.behind else _earlier(self.without, without)
        self.behind += 1
        self.caught.look(commit, _later(self._dated(commit, landed), without), paths)
        if landed is not None and (self.landed is None or landed.depth > self.landed.depth):
            self.landed = landed
        if len(self.undeployed) < SHOWN_COMMITS:
            self.undeployed.append(_shown(commit, paths, self.pair.because))

    def _dated(self, commit: Commit, landed: Landing | None) -> int | None:
        """When ``commit`` landed; None where it never did, or where a wrong clock says when."""
        if landed is None or landed.at <= self.pair.latest:
            return None if landed is None else landed.at
        self.skewed = (self.skewed[0] if self.skewed else 0) + 1, commit, landed.at
        return None

    @property
    def misdated(self) -> int | None:
        """The depth of the landing that should date the drift, where a wrong clock dated it; else None."""
        wrong = self.landed is not None and self.landed.at > self.pair.latest
        return self.landed.depth if self.landed is not None and wrong else None

    @property
    def landed_at(self) -> int | None:
        """When the oldest missing commit landed, by the clock of whoever made that; None: nothing tells."""
        if self.landed is None or self.misdated is not None:
            return self.below
        return self.landed.at

    @property
    def since(self) -> int | None:
        """Since when commits are missing (seconds since 1970); None where nothing dates that.

        When the oldest landed; not before the target was last seen without any of them.
        """
        return _later(self.landed_at, self.without)

    @property
    def dated_by(self) -> DatedBy | None:
        """Which of the two dates decided; None where there is none."""
        if self.since is None:
            return None
        return "landing" if self.since == self.landed_at else "confirmation"

    def findings(self) -> Iterator[Finding]:
        """What was noticed on the way: by the policy's rules, and of the clocks."""
        yield from self.caught.findings()
        if self.skewed is not None:
            yield _clock_skew(*self.skewed)


def fold(commits: Iterable[tuple[Commit, Reach]], pairs: Sequence[Pair]) -> list[Tally]:
    """One tally per pair, from one pass over the commits."""
    tallies = [Tally(pair) for pair in pairs]
    for commit, reach in commits:
        for tally in tallies:
            tally.add(commit, reach)
    return tallies


def _later(one: int | None, other: int | None) -> int | None:
    """The later of two times; the one that is known where one is not."""
    return other if one is None else one if other is None else max(one, other)


def _earlier(one: int | None, other: int | None) -> int | None:
    """The earlier of two times; None where one is not known."""
    return None if one is None or other is None else min(one, other)


def _shown(commit: Commit, paths: Sequence[str], because: Callable[[str], tuple[str, ...]]) -> Undeployed:
    return Undeployed(
        sha=commit.sha,
        subject=commit.subject[:SHOWN_SUBJECT],
        author=commit.author[:SHOWN_SUBJECT],
        committed_at=datetime.fromtimestamp(commit.committed_at, UTC),
        paths=tuple(
            RelevantPath(path=readable(path), because=tuple(map(readable, because(path))))
            for path in paths[:SHOWN_PATHS]
        ),
        paths_omitted=max(0, len(paths) - SHOWN_PATHS),
    )


def _clock_skew(count: int, oldest: Commit, at: int) -> Finding:
    what = "1 missing commit" if count == 1 else f"{count:,} missing commits"
    when = datetime.fromtimestamp(at, UTC).isoformat()
    return Finding(
        code="clock-skew",
        message=f"{what} landed at a time that is still to come (the oldest, {oldest.sha[:12]}, at {when}): "
        "not young, and as old as the landing before",
        data={"commits": count, "commit": oldest.sha, "landed_at": when},
    )
