"""Who reaches a commit, and when it landed on the target: pure, over a stream of commits.

The stream comes children first (``--topo-order``), so what is known of a commit is handed on to its
parents and forgotten: memory follows the number of branches open at once, not the commits seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from drift_gate.facts import Commit, Earlier

#: By so many seconds a committer's clock may be ahead of ours; a machine that keeps time stays far below.
CLOCK_TOLERANCE_S = 300


class Landing(NamedTuple):
    """A commit on the target's first-parent line: how deep below the target, and its committer time."""

    depth: int
    at: int


class Reach(NamedTuple):
    """Who reaches a commit.

    ``by_target``: the target commit does. ``by_live``: bit ``i`` is set where the live commit ``i``
    does. ``landed``: the deepest commit of the target's first-parent line from which it is reachable,
    that is when it became part of the target (an author date may be weeks older); None where only a
    live commit reaches it. ``lacked``: how many of the earlier commits of the target, the oldest first,
    do not reach it.
    """

    by_target: bool
    by_live: int
    landed: Landing | None
    lacked: int = 0

    def joined(self, other: Reach) -> Reach:
        """What two ways to the same commit come to."""
        return Reach(
            self.by_target or other.by_target,
            self.by_live | other.by_live,
            max(self.landed, other.landed, key=_depth),
            min(self.lacked, other.lacked),
        )


def _depth(landing: Landing | None) -> int:
    return -1 if landing is None else landing.depth


def trace(
    commits: Iterable[Commit], target: str, lives: Sequence[str], earlier: Sequence[str] = ()
) -> Iterator[tuple[Commit, Reach]]:
    """Each commit of the stream with who reaches it; ``lives[i]`` is bit ``i`` of ``by_live``.

    ``earlier`` are former commits of the target, each an ancestor of the next. One that is not in the stream
    is an ancestor of all that is: it reaches none of it.
    """
    nobody = Reach(False, 0, None, len(earlier))
    tips = [(target, nobody._replace(by_target=True))]
    tips += [(live, nobody._replace(by_live=1 << bit)) for bit, live in enumerate(lives)]
    tips += [(former, nobody._replace(lacked=place)) for place, former in enumerate(earlier)]
    frontier: dict[str, Reach] = {}
    for tip, reach in tips:
        frontier[tip] = frontier.get(tip, nobody).joined(reach)
    line, depth = target, 0
    for commit in commits:
        reach = frontier.pop(commit.sha, nobody)
        if commit.sha == line:
            reach = Reach(reach.by_target, reach.by_live, Landing(depth, commit.committed_at), reach.lacked)
            line, depth = (commit.parents[0] if commit.parents else ""), depth + 1
        for parent in commit.parents:
            known = frontier.get(parent)
            frontier[parent] = reach if known is None else known.joined(reach)
        yield commit, reach


def last_without(earlier: Sequence[Earlier], now: datetime) -> tuple[int | None, ...]:
    """Until when the target is known to have been without a commit, by how many of ``earlier`` ``lacked`` it.

    In seconds since 1970; None where that is not known. What is said to be later than ``now`` is not.
    """
    known: list[int | None] = [None]
    for state in earlier:
        last = known[-1]
        at = int(state.at.timestamp()) if state.at is not None and state.at <= now else None
        known.append(last if at is None or (last is not None and last > at) else at)
    return tuple(known)


def times_below(depths: Collection[int], line: Iterable[int], latest: float) -> dict[int, int]:
    """For each depth the next time further down the ``line`` that is no later than ``latest``.

    ``line`` are the committer times of the target's first-parent line, newest first; it is read no
    further than it has to be. A depth below which no such time comes is left out.
    """
    waiting, found = set(depths), {}
    for depth, at in enumerate(line):
        if at <= latest:
            passed = {each for each in waiting if each < depth}
            found.update(dict.fromkeys(passed, at))
            waiting -= passed
        if not waiting:
            break
    return found
