"""What is live: the platform's answer with what other sources of evidence add, kept while the settings allow.

Such a source is worth waiting for and never worth failing for: whatever it does not say in its share of the
time is ``evidence-unreachable``, and the check goes on with what the platform says. It reads what strangers
write, so that this holds for errors of its own as well.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

from drift_gate.errors import SourceError
from drift_gate.evidence.marks import STRENGTH
from drift_gate.facts import Carrier, EvidenceSource, Finding, Live, LiveRevision, LiveSource
from drift_gate.runtime.deadline import Deadline, gather
from drift_gate.runtime.memory import Borrowed

#: The part of what is left of the deadline that they may take: the comparison needs the rest.
SHARE = 0.5


@dataclass(frozen=True)
class WhenAsked:
    """A ``facts.LiveSource`` that is made as it is asked for the first time.

    A question of history alone has no use for the libraries of the platform, which take long to load.
    """

    make: Callable[[], LiveSource]

    @cached_property
    def _source(self) -> LiveSource:
        return self.make()

    def read(self) -> Live:
        """What serves now. Raises what the source raises."""
        return self._source.read()

    def unchanged(self, live: Live) -> bool:
        """What the source says. Raises what it raises."""
        return self._source.unchanged(live)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveWithEvidence:
    """A ``facts.LiveSource``: what ``source`` says, and what each of ``others`` (by its carrier) adds.

    They are asked side by side, each made for the time that it has. One that raises whatever it
    may, or does not answer in its share of ``deadline``, leaves a finding.
    """

    source: LiveSource
    others: Mapping[Carrier, Callable[[Deadline], EvidenceSource]]
    deadline: Deadline

    def read(self) -> Live:
        """What serves now. Raises what ``source`` raises."""
        live = self.source.read()
        within = self.deadline.sooner(self.deadline.remaining() * (1 - SHARE))
        jobs = {
            carrier: partial(_with_evidence_of, make(within), live) for carrier, make in self.others.items()
        }
        answers = gather(jobs, within)
        answered = [answer for answer in answers.values() if isinstance(answer, Live)]
        silent = [
            _unreachable(carrier, answer)
            for carrier, answer in answers.items()
            if isinstance(answer, SourceError)
        ]
        added = (finding for each in answered for finding in each.findings[len(live.findings) :])
        return replace(
            live,
            revisions=tuple(_merged(each, answered, place) for place, each in enumerate(live.revisions)),
            findings=(*live.findings, *added, *silent),
        )

    def unchanged(self, live: Live) -> bool:
        """What ``source`` says. Raises what it raises."""
        return self.source.unchanged(live)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedLive:
    """A ``facts.LiveSource``: the last answer of ``source`` while ``kept`` keeps it.

    Only a calm answer is kept: all of it read, and nothing to note about it, such as a rollout.
    """

    source: LiveSource
    key: Hashable
    kept: Borrowed[Hashable, Live]

    def read(self) -> Live:
        """What serves now, or did a moment ago. Raises what ``source`` raises."""
        return self.kept.get(self.key, self.source.read, _is_settled)

    def unchanged(self, live: Live) -> bool:
        """Always: who keeps answers means to go by them for that long."""
        return True


def _with_evidence_of(evidence_source: EvidenceSource, live: Live) -> Live:
    try:
        return evidence_source.with_evidence(live)
    except SourceError:
        raise
    except Exception as error:  # an answer that nobody foresaw must not end the check
        raise SourceError(f"{type(error).__name__}: {error}", "invalid-response") from error


def _is_settled(live: Live) -> bool:
    return not live.findings and all(each.unknown is None for each in live.revisions)


def _merged(revision: LiveRevision, answered: list[Live], place: int) -> LiveRevision:
    """``revision`` with what was added to it, by whom ever."""
    told = [each.revisions[place] for each in answered]
    added = [item for each in told for item in each.evidence if item not in revision.evidence]
    contents = [each.content for each in told if each.content is not None]
    claims = [*dict.fromkeys(added), *revision.evidence]
    return replace(
        revision,
        evidence=tuple(sorted(claims, key=lambda claim: STRENGTH.index(claim.carrier))),
        content=contents[0] if contents else revision.content,
    )


def _unreachable(carrier: Carrier, error: SourceError) -> Finding:
    return Finding(
        code="evidence-unreachable",
        message=f"no answer about the {carrier}: {error.message}",
        data={"carrier": carrier, "cause": error.cause},
    )
