"""Asks a history what stands between live commits and the target: one walk, and what it leaves open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from drift_gate.comparison import lineage, picks
from drift_gate.comparison.tally import Pair, Tally, fold
from drift_gate.errors import SourceError
from drift_gate.facts import History, Target


def compared(history: History, pairs: Sequence[Pair], target: Target, lives: Sequence[str]) -> list[Tally]:
    """What each of ``pairs`` comes to; ``lives[i]`` is bit ``i`` of the pairs. Raises ``SourceError``.

    Where both sides have commits that count, and few, those that are the same under another id are found
    and the history is walked a second time without them.
    """
    tallies = _folded(history, pairs, target, lives)
    without = _without_picked(history, tallies)
    if without is not None:
        tallies = _folded(history, without, target, lives)
    _redate(history, tallies, target.commit)
    return tallies


def _folded(history: History, pairs: Sequence[Pair], target: Target, lives: Sequence[str]) -> list[Tally]:
    walked = history.walk([target.commit, *lives])
    earlier = [state.commit for state in target.earlier]
    return fold(lineage.trace(walked, target.commit, lives, earlier), pairs)


def _without_picked(history: History, tallies: Sequence[Tally]) -> list[Pair] | None:
    """The pairs with what was picked; None where nothing was, or where it could not be found out."""
    sides = [tally.sides for tally in tallies if tally.sides.comparable]
    commits = {sha for each in sides for sha in (*each.missing, *each.own)}
    if not commits:
        return None
    try:
        patches = history.patches(commits)
    except SourceError:  # no answer leaves every commit counted
        return None
    pairs = [replace(tally.pair, picked=picks.picked(tally.sides, patches)) for tally in tallies]
    return pairs if any(pair.picked for pair in pairs) else None


def _redate(history: History, tallies: Iterable[Tally], target: str) -> None:
    """What a wrong clock dated gets the time of the landing before it; nothing is asked where none did."""
    misdated = [(tally, tally.misdated) for tally in tallies if tally.misdated is not None]
    if misdated:
        depths, latest = {depth for _, depth in misdated}, misdated[0][0].pair.latest
        below = lineage.times_below(depths, history.landings(target), latest)
        for tally, depth in misdated:
            tally.below = below.get(depth)
