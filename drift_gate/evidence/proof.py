"""Holds what the live images contain against the commits that their marks name, through one history.

What the files say outweighs every mark: where they are not those of the commit that is claimed, the
revision runs whatever commit of the target's line they are those of, or nobody knows which.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from drift_gate.errors import SourceError
from drift_gate.evidence import content, marks
from drift_gate.evidence.content import LISTED, ContentDiff, some
from drift_gate.evidence.marks import Weighed
from drift_gate.facts import Content, Evidence, Finding, History, Live, LiveRevision, Unknown, named
from drift_gate.relevance.lookup import Relevance
from drift_gate.relevance.patterns import path_rules
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.union import Union

#: Commits of the target's line, newest first, that are searched for the one whose files run: an image
#: that is older than the last two hundred merges is somebody else's.
SEARCHED = 200
#: What may say that one image is named after several commits.
_OF_ONE_IMAGE = frozenset({"evidence-conflict", "weak-evidence-disagrees"})
#: How many trees of that search are held at once: a tree of 100,000 files takes tens of megabytes.
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Settled:
    """What the evidence of each live revision of one service comes to, with what counts for the service.

    ``live`` has what the files prove among its evidence, and of the service's own labels those that name
    something else than what is live; ``weighed[i]`` belongs to ``live.revisions[i]``.
    """

    live: Live
    weighed: tuple[Weighed, ...]
    union: Union

    @property
    def commits(self) -> list[str]:
        """The live commits that are known, each once."""
        return sorted({one.commit for one in self.weighed if isinstance(one.commit, str)})


def ends(live: Live, target: str, resolved: Mapping[str, str | Unknown]) -> list[str]:
    """The commits whose trees say what is relevant, as far as the marks of ``live`` name them."""
    return _ends(target, [marks.weigh(revision, resolved) for revision in live.revisions])


def settled(
    history: History,
    relevance: Relevance,
    rules: Rules,
    target: str,
    live: Live,
    resolved: Mapping[str, str | Unknown],
) -> Settled:
    """The evidence of ``live``, weighed: first its marks, then what the files say of these.

    ``resolved`` are the ids that the marks name, ``disputed(live)`` among them. ``relevance`` has prepared
    ``rules`` at ``ends(…)``, or does it now. Raises ``SourceError`` where it cannot.
    """
    ways = starts(rules, live)
    disputes = _Disputes(relevance, ways, resolved)
    live = replace(live, findings=disputes.left(live.findings))
    weighed = [marks.weigh(revision, resolved) for revision in live.revisions]
    weighed = [replace(one, findings=disputes.left(one.findings)) for one in weighed]
    union = _union(relevance, ways, _ends(target, weighed))
    if all(revision.content is None for revision in live.revisions):
        return disputes.ended(Settled(live, tuple(weighed), union))
    union = _with_loaded(relevance, union, live, _ends(target, weighed))
    proofs = ContentProofs(history, relevance, ways, target, union)
    proven = [proofs.prove(*pair) for pair in zip(live.revisions, weighed, strict=True)]
    live = replace(live, revisions=tuple(revision for revision, _ in proven))
    weighed = [one for _, one in proven]
    commits = _ends(target, weighed)
    union = _with_loaded(relevance, _union(relevance, ways, commits), live, commits)
    live = replace(live, findings=(*live.findings, *_incomplete(union)))
    return disputes.ended(Settled(live, tuple(weighed), union))


def ids(lives: Collection[Live]) -> set[str]:
    """Every commit id that the evidence of ``lives`` names."""
    claims = [revision.evidence for live in lives for revision in live.revisions]
    claims += [live.service_claims for live in lives]
    return marks.ids(claim for each in claims for claim in each).union(*map(disputed, lives))


def disputed(live: Live) -> set[str]:
    """The ids of the commits that one image is named after at once, as its registry shows."""
    return {commit for finding in live.findings for commit in _disputed(finding)}


def _disputed(finding: Finding) -> list[str]:
    """The commits that one image is named after, where ``finding`` says so; else none."""
    reason, commits = finding.data.get("reason", "marks"), finding.data.get("commits")
    one_image = finding.code in _OF_ONE_IMAGE and reason in ("marks", "two-commits")
    return commits if one_image and isinstance(commits, list) else []


@dataclass(frozen=True, slots=True)
class _Disputes:
    """Which contradictions matter to a service: one image may well be that of two commits.

    A monorepo's build takes what did not change from its cache, so that its commits share an image.
    """

    relevance: Relevance
    ways: Sequence[Rules]
    resolved: Mapping[str, str | Unknown]

    def left(self, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """``findings`` without the conflicts between commits that make no difference to the service."""
        return tuple(each for each in findings if not self._settled(_disputed(each)))

    def ended(self, settled: Settled) -> Settled:
        """``settled`` without the service's own labels that are wrong about nothing that matters to it."""
        claims = tuple(
            claim.evidence
            for claim in marks.read(settled.live.service_claims)
            if not (claim.id and any(self._settled([claim.id, commit]) for commit in settled.commits))
        )
        return replace(settled, live=replace(settled.live, service_claims=claims))

    def _settled(self, ids: Sequence[str]) -> bool:
        """Whether all of ``ids`` are known commits, and the relevant files of all of them the same."""
        known = set(self.resolved.values())
        commits = [each if each in known else self.resolved.get(each) for each in dict.fromkeys(ids)]
        named = sorted({each for each in commits if isinstance(each, str)})
        if not ids or not all(isinstance(each, str) for each in commits):
            return False
        try:
            union = _union(self.relevance, self.ways, named)
            pairs = [(named[0], each) for each in named[1:]]
            return not any(map(union.relevant, chain(*self.relevance.differences(pairs).values())))
        except SourceError:
            return False


def _ends(target: str, weighed: Iterable[Weighed]) -> list[str]:
    commits = {one.commit for one in weighed if isinstance(one.commit, str)}
    return [target, *sorted(commits - {target})]


def starts(rules: Rules, live: Live) -> tuple[Rules, ...]:
    """``rules`` once for each way in which ``live`` starts its image; the next deploy keeps these, too.

    Declared entry points say it for all of them, and without a Dockerfile there is no image to start.
    """
    if rules.dockerfile is None or rules.entrypoint:
        return (rules,)
    known = (one.start for one in live.revisions if one.unknown is None)
    return tuple(replace(rules, start=start) for start in dict.fromkeys(known)) or (rules,)


def _union(relevance: Relevance, ways: Sequence[Rules], commits: Sequence[str]) -> Union:
    wanted = [(rules, commit) for commit in commits for rules in ways]
    relevance.prepare(wanted)
    return Union(ways[0], tuple(relevance.of(*each) for each in wanted))


def _with_loaded(relevance: Relevance, union: Union, live: Live, commits: Iterable[str]) -> Union:
    """``union`` with the files of ``commits`` that a live worker has loaded and that do not count by it."""
    loaded = {path for one in live.revisions if one.content for path in one.content.loaded}
    known = {path for commit in commits for path in loaded & relevance.files(commit).keys()}
    ignored = path_rules(None, union.rules.ignore)
    lacking = (path for path in known if ignored.relevant(path) and not union.relevant(path))
    return replace(union, loaded=frozenset(lacking))


def _incomplete(union: Union) -> Iterator[Finding]:
    if union.loaded:
        paths = tuple(sorted(union.loaded))
        yield Finding(
            code="closure-incomplete",
            message=f"the running worker has loaded {some(paths)}, which did not count by what is declared; "
            "it counts in this check",
            data={"loaded": named(paths, LISTED), "count": len(paths)},
        )


@dataclass(frozen=True, slots=True)
class ContentProofs:
    """The proofs of one service against one target commit; ``union`` knows the ends that the marks name."""

    history: History
    relevance: Relevance
    ways: Sequence[Rules]
    target: str
    union: Union

    def prove(self, revision: LiveRevision, weighed: Weighed) -> tuple[LiveRevision, Weighed]:
        """``revision`` with what its files prove among its evidence, and what all of it comes to now.

        ``weighed`` is what its marks come to. Without content nothing changes. Nothing is raised: a
        history that cannot be searched leaves the commit unknown.
        """
        reported = revision.content
        if reported is None or revision.unknown is not None:
            return revision, weighed
        if isinstance(weighed.commit, Unknown):
            return self._unclaimed(revision, weighed, reported, weighed.commit)
        diff = content.compare(reported, self.relevance.files(weighed.commit), self.union)
        if diff.differs:
            return self._contradicted(revision, weighed, reported, weighed.commit, diff)
        return self._confirmed(revision, weighed, reported, weighed.commit, diff)

    def _unclaimed(
        self, revision: LiveRevision, weighed: Weighed, reported: Content, why: Unknown
    ) -> tuple[LiveRevision, Weighed]:
        """No mark names a commit of this history; the files may."""
        equal = self._equal(reported)
        findings = (*weighed.findings, *_dirty(reported))
        if isinstance(equal, Unknown):
            return revision, replace(weighed, findings=findings)
        changed = content.rewritten(reported, self.relevance.files(equal), self.union)
        findings = (*findings, *_changed(changed), *_overruled(why, equal))
        return _marked(revision, reported, equal), Weighed(equal, findings)

    def _confirmed(
        self,
        revision: LiveRevision,
        weighed: Weighed,
        reported: Content,
        commit: str,
        diff: ContentDiff,
    ) -> tuple[LiveRevision, Weighed]:
        """The files are those of ``commit``, as far as the worker looked."""
        changed = content.rewritten(reported, self.relevance.files(commit), self.union)
        findings = (*weighed.findings, *_changed(changed), *_partial(reported, diff), *_dirty(reported))
        proven = replace(weighed, findings=findings)
        return (_marked(revision, reported, commit) if diff.proves else revision), proven

    def _contradicted(
        self,
        revision: LiveRevision,
        weighed: Weighed,
        reported: Content,
        claimed: str,
        diff: ContentDiff,
    ) -> tuple[LiveRevision, Weighed]:
        """The files are not those of the ``claimed`` commit: whatever names it does not count."""
        equal = self._equal(reported)
        changed = content.rewritten(reported, self.relevance.files(claimed), self.union)
        finding = _mismatch(weighed, claimed, diff, equal, changed)
        proven = Weighed(equal, (*weighed.findings, finding, *_dirty(reported)))
        return (revision if isinstance(equal, Unknown) else _marked(revision, reported, equal)), proven

    def _equal(self, reported: Content) -> str | Unknown:
        """The newest commit of the target's line whose relevant files are those that run."""
        try:
            return next(self._equals(reported), None) or Unknown(
                cause="commit-not-in-history",
                message="the files that run are those of none of the target's last "
                f"{SEARCHED} first-parent commits",
            )
        except SourceError as error:
            return Unknown.of(error)

    def _equals(self, reported: Content) -> Iterator[str]:
        line = iter(self.history.line(self.target, SEARCHED))
        while some := list(islice(line, _AT_ONCE)):
            for commit, listing in self.history.files(some).items():
                if content.compare(reported, listing, self.union).proves and self._proves(reported, commit):
                    yield commit

    def _proves(self, reported: Content, commit: str) -> bool:
        """Whether that holds by the commit's own idea of what is relevant, too."""
        own = _union(self.relevance, self.ways, [commit])
        union = replace(self.union, ends=(*self.union.ends, *own.ends))
        return content.compare(reported, self.relevance.files(commit), union).proves


def _marked(revision: LiveRevision, reported: Content, commit: str) -> LiveRevision:
    mark = Evidence(carrier="fingerprint", key=reported.digest, value=commit)
    return replace(revision, evidence=(mark, *revision.evidence))


def _mismatch(
    weighed: Weighed,
    claimed: str,
    diff: ContentDiff,
    equal: str | Unknown,
    changed: tuple[str, ...],
) -> Finding:
    what = equal.message if isinstance(equal, Unknown) else f"they are those of {equal[:12]}"
    data: dict[str, str | int | float | bool | list[str] | None] = {
        "claimed": claimed,
        "equals": None if isinstance(equal, Unknown) else equal,
        **diff.data(),
        **({"changed_since_start": named(changed, LISTED)} if changed else {}),
    }
    return Finding(
        code="content-mismatch",
        message=f"the files that run are not those of {claimed[:12]}, which {weighed.claim} says: {diff}; "
        f"{what}" + (f"; {_since_start(changed)}" if changed else ""),
        data=data,
    )


def _changed(paths: tuple[str, ...]) -> Iterator[Finding]:
    """That the files which are there now may not be those that the process read when it started."""
    if paths:
        yield Finding(
            code="content-mismatch",
            message=f"{_since_start(paths)}; what runs may be neither what they held nor what they hold",
            data={"changed_since_start": named(paths, LISTED)},
        )


def _since_start(paths: tuple[str, ...]) -> str:
    return f"changed in the instance since the worker started: {some(paths)}"


def _overruled(why: Unknown, equal: str) -> Iterator[Finding]:
    """A mark that names a commit which nobody has, while the files are those of one that all have."""
    if why.cause == "commit-not-in-history":
        yield Finding(
            code="weak-evidence-disagrees",
            message=f"{why.message}; the files that run are those of {equal[:12]}",
            data={"equals": equal},
        )


def _dirty(reported: Content) -> Iterator[Finding]:
    if reported.dirty:
        yield Finding(
            code="dirty-build",
            message="built from a work tree with uncommitted changes, says the worker itself",
            data={"commit": reported.commit},
        )


def _partial(reported: Content, diff: ContentDiff) -> Iterator[Finding]:
    """That the worker did not look at all of what it should prove: agreement is worth what was seen."""
    if diff.same and not diff.overlooked:
        return
    relevant = diff.same + len(diff.unseen)
    places = some(tuple(each or "everything" for each in reported.covers))
    not_seen = f", and not {some(diff.overlooked)}" if diff.overlooked else ""
    yield Finding(
        code="evidence-unreachable",
        message=f"the worker's fingerprint covers {diff.same:,} of {relevant:,} relevant files "
        f"({places}{not_seen}), and so does not prove the commit; correct `root`, `prefix` and `covers` "
        "where the worker takes it, or name in `build_files` or `ignore` what the image does not hold",
        data={
            "carrier": "fingerprint",
            "cause": None if diff.same else "nothing-relevant",
            "covered": diff.same,
            "relevant": relevant,
            "unseen": named(diff.overlooked, LISTED),
        },
    )
