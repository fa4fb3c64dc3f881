"""What stands between each live commit and the target: one walk of the history for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from drift_gate.comparison import lineage
from drift_gate.comparison.tally import Pair, Tally
from drift_gate.comparison.walk import compared
from drift_gate.comparison.watch import Watch
from drift_gate.errors import SourceError
from drift_gate.facts import History, Target, Unknown
from drift_gate.relevance.lookup import Relevance
from drift_gate.relevance.union import Union

#: Paths of which it is remembered whether they count: most commits change what others have changed.
PATHS_KEPT = 1 << 14


@dataclass(frozen=True, slots=True)
class Wanted:
    """A service's live commit that is to be counted against the target."""

    service: str
    watch: Watch
    live: str
    union: Union


def count(
    history: History, relevance: Relevance, wanted: Sequence[Wanted], target: Target, now: datetime
) -> Mapping[tuple[str, str], Tally | Unknown]:
    """For each service and live commit what stands between it and the target; Unknown: it was not told."""
    keys = [(each.service, each.live) for each in wanted]
    if not wanted:
        return {}
    latest = now.timestamp() + lineage.CLOCK_TOLERANCE_S
    without = lineage.last_without(target.earlier, now)
    try:
        lives = sorted({each.live for each in wanted})
        nets = relevance.differences([(live, target.commit) for live in lives])
        pairs = [
            Pair(
                lives.index(each.live),
                lru_cache(PATHS_KEPT)(each.union.relevant),
                each.union.because,
                frozenset(filter(each.union.relevant, nets[each.live, target.commit])),
                replace(each.watch, is_module=each.union.is_module),
                latest,
                without,
            )
            for each in wanted
        ]
        return dict(zip(keys, compared(history, pairs, target, lives), strict=True))
    except SourceError as error:
        return dict.fromkeys(keys, Unknown.of(error))
