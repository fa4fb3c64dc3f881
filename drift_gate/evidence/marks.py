"""Which commit a revision was built from: claims, weighed in the order of their strength. Pure.

No claim is thrown away: the strongest that names a commit decides, and each one that contradicts it
becomes a finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from drift_gate.facts import Carrier, Evidence, Finding, LiveRevision, Unknown

#: Strongest first, as ``facts.Carrier`` lists them. A revision label that agrees with the image tag needs
#: no place of its own: the label decides either way, and a tag that disagrees is a conflict.
STRENGTH: tuple[Carrier, ...] = get_args(Carrier)
#: Carriers written anew by each deploy that does its job; if two of them disagree, one of them lies.
_STRONG: frozenset[Carrier] = frozenset({"image-label", "revision-label", "image-tag"})
#: Carriers that outlive deploys or that nobody checks: where they disagree, the others are believed.
_WEAK: dict[Carrier, str] = {"env": "the variable", "health": "the worker's own answer under"}
#: An id from one of these is meant as a commit even if no repository has it. An image label may be
#: inherited from the base image and name a commit of somebody else's repository.
_BINDING: frozenset[Carrier] = frozenset(STRENGTH) - {"image-label"}
#: Characters of a value that a message shows; a variable may hold kilobytes of anything.
_SHOWN = 100
#: A shorter run of decimal digits may be a date or a build number: only the history can tell.
_FULL_LENGTH = 40
#: What docker/metadata-action writes before the commit in a tag.
_TAG_PREFIX = "sha-"
#: What a commit id looks like, with the mark that build scripts add for a dirty work tree.
_COMMIT_ID = re.compile(r"([0-9a-f]{7,64})([-_.+]dirty)?")


@dataclass(frozen=True, slots=True)
class Claim:
    """A piece of evidence, read: the commit id that it names (None: no commit id), and whether dirty."""

    evidence: Evidence
    id: str | None
    dirty: bool

    @property
    def is_commit(self) -> bool:
        """Whether the id is a commit's and nothing else; of few decimal digits only the history can tell."""
        return self.id is not None and (len(self.id) >= _FULL_LENGTH or not self.id.isdecimal())

    def __str__(self) -> str:
        value = self.evidence.value
        shown = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
        return f"{self.evidence.carrier} {self.evidence.key}={shown}"


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the evidence comes to: a commit of the history or the cause why not, and what contradicts.

    ``claim`` is the one that decided; None where none did.
    """

    commit: str | Unknown
    findings: tuple[Finding, ...] = ()
    claim: Claim | None = None


def is_commit_id(text: str) -> bool:
    """Whether ``text`` can be the id of a commit: 7 to 64 hex digits and nothing else."""
    match = _COMMIT_ID.fullmatch(text)
    return match is not None and match[2] is None


def read(evidence: Iterable[Evidence]) -> tuple[Claim, ...]:
    """The claims that ``evidence`` makes, strongest first; upper case and white space do not matter."""
    claims = []
    for item in evidence:
        value = item.value.strip().lower()
        match = _COMMIT_ID.fullmatch(
            value.removeprefix(_TAG_PREFIX) if item.carrier == "image-tag" else value
        )
        claims.append(Claim(item, match[1] if match else None, bool(match and match[2])))
    return tuple(sorted(claims, key=lambda claim: STRENGTH.index(claim.evidence.carrier)))


def ids(evidence: Iterable[Evidence]) -> set[str]:
    """The commit ids in ``evidence`` that the history has to resolve."""
    return {claim.id for claim in read(evidence) if claim.id}


def weigh(revision: LiveRevision, resolved: Mapping[str, str | Unknown]) -> Weighed:
    """The commit that ``revision`` was built from, as far as its evidence and the history can tell.

    ``resolved`` maps each of ``ids(revision.evidence)`` to a full commit id or the cause why not.
    An image label and a decimal number shorter than 40 digits (a date, a build number) count only if they
    resolve, else the next carrier is asked. Any other id that does not resolve is the answer: the revision
    runs a commit that this history does not have, and nothing weaker outvotes that.
    """
    if revision.unknown:
        return Weighed(revision.unknown)
    claims = [claim for claim in read(revision.evidence) if claim.id]
    commit = _decide(claims, resolved) or _nothing(revision)
    deciding = next((claim for claim in claims if resolved[str(claim.id)] == commit), None)
    findings = (*_conflicts(claims, resolved, commit), *_dirty(claims, resolved, commit))
    return Weighed(commit, findings, deciding)


def disagreeing_service_claims(
    claims: Iterable[Evidence], commits: Iterable[str], resolved: Mapping[str, str | Unknown]
) -> tuple[Finding, ...]:
    """Findings for the service's own labels that name none of the live ``commits``."""
    live = set(commits)
    named = [(claim, _named(claim, resolved)) for claim in read(claims)]
    return tuple(
        Finding(
            code="service-label-disagrees",
            message=f"the service's own label {claim.evidence.key} says {claim.evidence.value}, "
            "which is not what serves",
            data={"key": claim.evidence.key, "value": claim.evidence.value},
        )
        for claim, commit in named
        if live and commit and commit not in live
    )


def _decide(claims: Sequence[Claim], resolved: Mapping[str, str | Unknown]) -> str | Unknown | None:
    """The first claim that counts; an undecided short id must at least fit the commit that is found."""
    undecided: list[tuple[Claim, Unknown]] = []
    for claim in claims:
        answer = resolved[str(claim.id)]
        if isinstance(answer, Unknown):
            if _meant(claim) and answer.cause != "ambiguous-commit":
                return answer
            undecided.append((claim, answer))
            continue
        contradicted = [
            unknown
            for earlier, unknown in undecided
            if unknown.cause == "ambiguous-commit" and not answer.startswith(str(earlier.id))
        ]
        return contradicted[0] if contradicted else answer
    causes = {unknown.cause: unknown for _, unknown in reversed(undecided)}
    return causes.get("ambiguous-commit") or causes.get("shallow-history")


def _meant(claim: Claim) -> bool:
    """Whether the id is meant as a commit, whoever has it."""
    return claim.evidence.carrier in _BINDING and claim.is_commit


def _nothing(revision: LiveRevision) -> Unknown:
    seen = ", ".join(str(claim) for claim in read(revision.evidence)[:6])
    found = f"found: {seen}" if seen else "there is no label, image tag or variable to go by"
    return Unknown(
        cause="no-commit-evidence",
        message=f"nothing about the live revision names a commit of this repository ({found})"
        + (f"; {revision.origin}" if revision.origin else ""),
    )


def _named(claim: Claim, resolved: Mapping[str, str | Unknown]) -> str | None:
    """The commit that the claim stands for: resolved, or a full-length id of its own; else None."""
    if claim.id is None:
        return None
    answer = resolved[claim.id]
    if isinstance(answer, str):
        return answer
    return claim.id if len(str(claim.id)) >= _FULL_LENGTH and _meant(claim) else None


def _conflicts(
    claims: Sequence[Claim], resolved: Mapping[str, str | Unknown], commit: str | Unknown
) -> Iterable[Finding]:
    strong = [(claim, _named(claim, resolved)) for claim in claims if claim.evidence.carrier in _STRONG]
    named = {claimed for _, claimed in strong if claimed}
    if len(named) > 1:
        yield Finding(
            code="evidence-conflict",
            message="evidence disagrees: " + ", ".join(str(claim) for claim, claimed in strong if claimed),
            data={"commits": sorted(named)},
        )
    for claim in claims:
        claimed = _named(claim, resolved)
        weak = _WEAK.get(claim.evidence.carrier)
        if weak and isinstance(commit, str) and claimed not in (None, commit):
            yield Finding(
                code="weak-evidence-disagrees",
                message=f"{weak} {claim.evidence.key} says {claim.evidence.value}, "
                f"stronger evidence says {commit[:12]}",
                data={
                    "key": claim.evidence.key,
                    "value": claim.evidence.value,
                    "commits": sorted({str(claimed), commit}),
                },
            )


def _dirty(
    claims: Sequence[Claim], resolved: Mapping[str, str | Unknown], commit: str | Unknown
) -> Iterable[Finding]:
    for claim in claims:
        weak = claim.evidence.carrier in _WEAK and _named(claim, resolved) != commit
        if claim.dirty and not weak:
            yield Finding(
                code="dirty-build",
                message=f"built from a work tree with uncommitted changes, says {claim}",
                data={"key": claim.evidence.key, "value": claim.evidence.value},
            )
            return
