"""The questions beside the verdict: why does this count, which files count, is this commit live?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.deployment import evidence, lineage, proving
from shared.deployment.errors import DriftConfigError, SourceError
from shared.deployment.facts import Commit, Live, Target, Unknown
from shared.deployment.gate import Plan
from shared.deployment.relevance.patterns import PathRules
from shared.deployment.relevance.selection import Selection, Union
from shared.deployment.selecting import Memory, Relevance


@dataclass(frozen=True, slots=True)
class Share:
    """A live revision: its name (None: it has none), its percent, and its commit or why that is unknown."""

    revision: str | None
    percent: int
    commit: str | Unknown


@dataclass(frozen=True, slots=True)
class Known:
    """Both sides of one service and what is relevant between them."""

    plan: Plan
    live: Live
    target: Target
    shares: tuple[Share, ...]
    relevance: Relevance
    union: Union

    @property
    def commits(self) -> list[str]:
        """The live commits that are known, each once."""
        return sorted({share.commit for share in self.shares if isinstance(share.commit, str)})


def learn(plan: Plan, memory: Memory) -> Known:
    """Ask for both sides of ``plan``. Raises ``SourceError`` where one cannot be known."""
    live, target = plan.live.read(), plan.history.target()
    marks = evidence.ids(e for each in live.revisions for e in each.evidence)
    resolved = plan.history.resolve(marks | proving.disputed(live))
    relevance = Relevance(plan.history, memory)
    settled = proving.settled(plan.history, relevance, plan.rules, target.commit, live, resolved)
    shares = tuple(
        Share(each.revision, each.percent, one.commit)
        for each, one in zip(live.revisions, settled.weighed, strict=True)
    )
    return Known(plan, settled.live, target, shares, relevance, settled.union)


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a path counts: the reasons, nearest first; without any, ``why_not`` says what keeps it out."""

    path: str
    because: tuple[str, ...]
    why_not: str = ""


def why_path(known: Known, path: str) -> Answer:
    """Whether and why ``path`` counts for the service at either end."""
    union = known.union
    if union.relevant(path):
        return Answer(path, union.because(path))
    if not any(path in known.relevance.files(commit) for commit in (known.target.commit, *known.commits)):
        return Answer(path, (), "no file of that name at either end")
    ignored = PathRules(known.plan.rules.ignore)
    if ignored.relevant(path):
        return Answer(path, (), f"ignore: {ignored.matching(path)}")
    if any(path in end.unused for end in union.ends):
        return Answer(path, (), "the image holds it, and nothing that the worker starts imports it")
    return Answer(path, (), "nothing that is declared for the service selects it")


def why_commit(known: Known, commit: str) -> list[Answer] | None:
    """For each path that ``commit`` changes whether and why it counts.

    None: the commit is not between what is live and the target, so no count of the service holds it.
    Raises ``SourceError`` for a commit that the history does not know.
    """
    sha = _resolved(known.plan, commit)
    found = _between(known, [sha]).get(sha)
    return None if found is None else [why_path(known, path) for path in found.paths]


def _between(known: Known, wanted: Collection[str]) -> dict[str, Commit]:
    """Those of ``wanted`` that stand between a live commit and the target."""
    walked = known.plan.history.walk([known.target.commit, *known.commits])
    return {commit.sha: commit for commit in walked if commit.sha in wanted}


def selection_at(plan: Plan, memory: Memory) -> tuple[str, Selection]:
    """The target commit of ``plan`` and what is relevant there, each path with its reasons."""
    commit = plan.history.target().commit
    relevance = Relevance(plan.history, memory)
    relevance.prepare([(plan.rules, commit)])
    union = Union(plan.rules, (relevance.of(plan.rules, commit),))
    because = {path: union.because(path) for path in sorted(relevance.files(commit)) if union.relevant(path)}
    return commit, replace(union.ends[0], because=because)


@dataclass(frozen=True, slots=True)
class Liveness:
    """Whether a commit is live on one revision. ``live`` None: cannot be known, ``why`` says why.

    ``missing`` are the relevant commits up to it that the revision lacks (the newest 20), ``count`` all.
    """

    share: Share
    live: bool | None
    why: str = ""
    missing: tuple[str, ...] = ()
    count: int = 0


def is_live(known: Known, commit: str) -> list[Liveness]:
    """For each live revision whether ``commit`` is part of what it runs, and if not, what is missing.

    Raises ``SourceError`` for a commit that the history does not know.
    """
    sha = _resolved(known.plan, commit)
    lives = [live for live in known.commits if live != sha]
    lacking: set[str] = set()
    missing: dict[str, list[str]] = {live: [] for live in lives}
    for each, reach in lineage.trace(known.plan.history.walk([sha, *lives]), sha, lives):
        for bit, live in enumerate(lives):
            if reach.by_target and not reach.by_live >> bit & 1:
                if each.sha == sha:
                    lacking.add(live)
                if any(map(known.union.relevant, each.paths)):
                    missing[live].append(f"{each.sha[:12]}  {each.subject}")
    return [_liveness(share, sha, lacking, missing) for share in known.shares]


def _liveness(
    share: Share, sha: str, lacking: Collection[str], missing: Mapping[str, Sequence[str]]
) -> Liveness:
    if isinstance(share.commit, Unknown):
        return Liveness(share, None, share.commit.message)
    if share.commit == sha or share.commit not in lacking:
        return Liveness(share, True)
    lines = missing[share.commit]
    return Liveness(share, False, missing=tuple(lines[:20]), count=len(lines))


def _resolved(plan: Plan, commit: str) -> str:
    text = commit.strip().lower()
    found = plan.history.resolve([text]).get(text) if evidence.is_commit_id(text) else None
    if isinstance(found, str):
        return found
    if found is None:
        raise DriftConfigError(f"{commit!r} is no commit id: give 7 to 64 hex digits")
    raise SourceError.of(found)
