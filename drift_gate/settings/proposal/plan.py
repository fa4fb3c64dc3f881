"""What a first ``drift.toml`` should say, why, and what it cannot."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from drift_gate.evidence import marks
from drift_gate.facts import Kind, Unknown
from drift_gate.relevance.rules import Rules
from drift_gate.settings.proposal.deploys import Deploy
from drift_gate.settings.proposal.gcloud import Told
from drift_gate.settings.proposal.matching import Match
from drift_gate.settings.proposal.repository import Counted

#: A part of a name that says what works off batches.
_WORKS = frozenset({"worker", "workers"})


@dataclass(frozen=True, slots=True)
class Service:
    """A service to declare: the workload, how, and what of the repository then counts for it."""

    match: Match
    rules: Rules
    counted: Counted

    @property
    def carrier(self) -> str:
        """The strongest claim of its newest deploy that names a commit; "" where none does."""
        live = self.match.live
        claims = marks.read(live.evidence) if live else ()
        return next((str(claim) for claim in claims if claim.id), "")

    @property
    def unstamped(self) -> tuple[Deploy, ...]:
        """The places that deploy it and name no commit."""
        return tuple(each for each in self.match.deploys if not each.stamp)

    @property
    def silent(self) -> bool:
        """Whether its next deploy would name no commit either, for all that is known."""
        return not self.carrier and (bool(self.unstamped) or not self.match.deploys)


@dataclass(frozen=True, slots=True)
class Proposal:
    """All of it. ``project`` and ``region`` are None where nobody knows; ``ref`` is what should be live.

    ``elsewhere`` are live workloads that nothing ties to the repository. ``account`` is who asks, as IAM
    writes it, None where that is not known. ``unasked`` says of each kind that was not listed why not.
    """

    project: Told | None
    region: Told | None
    ref: Told
    services: tuple[Service, ...]
    elsewhere: tuple[str, ...] = ()
    account: str | None = None
    unasked: Mapping[Kind, Unknown] = field(default_factory=dict)

    @property
    def answered(self) -> bool:
        """Whether Cloud Run listed anything."""
        return len(self.unasked) < len(get_args(Kind))

    @property
    def batch(self) -> str | None:
        """The service that plainly does the work of a batch, among several; None: it is not plain."""
        found = [each.match for each in self.services]
        named = [each.name for each in found if _WORKS & set(re.split(r"-", each.name))]
        pools = [each.name for each in found if each.kind == "worker-pool"]
        plain = named or pools
        return plain[0] if len(plain) == 1 and len(found) > 1 else None


def chosen(match: Match, ways: Sequence[Rules], counts: Sequence[Counted]) -> Service:
    """Of the ``ways`` to declare it the one that lacks least; the first of several that lack as little.

    One in which what it starts is found lacks less than one in which it is not.
    """
    best = min(
        range(len(ways)), key=lambda number: (counts[number].missing, bool(counts[number].doubt), number)
    )
    return Service(match, ways[best], counts[best])
