"""The questions beside the verdict: why does this count, which files count, is this commit live?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate

from drift_gate.comparison import lineage
from drift_gate.comparison.report import LiveReport, worst
from drift_gate.errors import DriftConfigError, SourceError
from drift_gate.evidence import marks as evidence
from drift_gate.evidence import proof
from drift_gate.facts import Commit, History, Target, Unknown
from drift_gate.gate import Case, Plan, compare
from drift_gate.relevance.lookup import Relevance
from drift_gate.relevance.memory import Memory
from drift_gate.relevance.patterns import PathRules, path_rules
from drift_gate.relevance.rules import Rules
from drift_gate.relevance.selection import Selection
from drift_gate.relevance.union import Union
from drift_gate.runtime.spelling import near_misses

#: How many paths, and bytes, of a difference are shown.
MOST_PATHS, DIFFERENCE_LIMIT = 1_000, 1 << 20


@dataclass(frozen=True, slots=True)
class Share:
    """A live revision: its name (None: it has none), its percent, and its commit or why that is unknown."""

    revision: str | None
    percent: int
    commit: str | Unknown


@dataclass(frozen=True, slots=True)
class Known:
    """Both sides of one service and what is relevant between them."""

    case: Case
    history: History
    shares: tuple[Share, ...]
    relevance: Relevance
    union: Union

    @property
    def commits(self) -> list[str]:
        """The live commits that are known, each once."""
        return sorted({share.commit for share in self.shares if isinstance(share.commit, str)})


def sides(plan: Plan) -> Case:
    """Both sides of ``plan``. Raises ``SourceError`` where one cannot be known."""
    return Case(plan.workload, plan.live.read(), plan.repository.target())


def learn(history: History, memory: Memory, case: Case) -> Known:
    """What the repository says of both sides. Raises ``SourceError``."""
    live, rules = case.live, case.workload.rules
    marks = evidence.ids(e for each in live.revisions for e in each.evidence)
    resolved = history.resolve(marks | proof.disputed(live))
    relevance = Relevance(history, memory)
    settled = proof.settled(history, relevance, rules, case.target.commit, live, resolved)
    shares = tuple(
        Share(each.revision, each.percent, one.commit)
        for each, one in zip(live.revisions, settled.weighed, strict=True)
    )
    return Known(case, history, shares, relevance, settled.union)


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a path counts: the reasons, nearest first; without any, ``why_not`` says what keeps it out."""

    path: str
    because: tuple[str, ...]
    why_not: str = ""


def why(history: History, memory: Memory, case: Case, what: str) -> list[Answer] | None:
    """Whether and why ``what`` counts: one answer for a path, one for each path of a commit.

    None: a commit that is not between what is live and the target, so no count of the service holds it.
    Raises ``DriftConfigError`` for a path that neither end has, and ``SourceError``, also for a commit that
    the history does not know.
    """
    known = learn(history, memory, case)
    files = {path for commit in _ends(known) for path in known.relevance.files(commit)}
    if what in files:
        return [why_path(known, what)]
    if evidence.is_commit_id(what):
        return why_commit(known, what)
    raise DriftConfigError(f"no file {what!r}, neither live nor at the target{_nearest(what, files)}")


def _ends(known: Known) -> list[str]:
    return [known.case.target.commit, *known.commits]


def _nearest(path: str, files: Collection[str]) -> str:
    """The files that ``path`` may have meant: those of its name elsewhere, else those beside it."""
    folder, _, name = path.rstrip("/").rpartition("/")
    if any(each.startswith(f"{path.rstrip('/')}/") for each in files):
        return "; it is a folder: name a file in it"
    same = sorted(each for each in files if each.rpartition("/")[2] == name)
    beside = [each for each in files if each.rpartition("/")[0] == folder]
    return f"; did you mean {' or '.join(same[:3])}?" if same else near_misses(path, beside)


def why_path(known: Known, path: str) -> Answer:
    """Whether and why ``path`` counts for the service at either end."""
    union = known.union
    if union.relevant(path):
        return Answer(path, union.because(path))
    if not any(path in known.relevance.files(commit) for commit in _ends(known)):
        return Answer(path, (), "no file of that name at either end")
    ignored = PathRules(known.case.workload.rules.ignore)
    if ignored.relevant(path):
        return Answer(path, (), f"ignore: {ignored.matching(path)}")
    return Answer(path, (), _left_out(union, path))


def why_commit(known: Known, commit: str) -> list[Answer] | None:
    """For each path that ``commit`` changes whether and why it counts.

    None: the commit is not between what is live and the target, so no count of the service holds it.
    Raises ``SourceError`` for a commit that the history does not know.
    """
    sha = _resolved(known.history, commit)
    found = _between(known, [sha]).get(sha)
    return None if found is None else [why_path(known, path) for path in found.paths]


def _between(known: Known, wanted: Collection[str]) -> dict[str, Commit]:
    """Those of ``wanted`` that stand between a live commit and the target."""
    walked = known.history.walk([known.case.target.commit, *known.commits])
    return {commit.sha: commit for commit in walked if commit.sha in wanted}


def selection_at(history: History, memory: Memory, rules: Rules, commit: str) -> Selection:
    """What is relevant at ``commit``, each path with its reasons. Raises ``SourceError``."""
    relevance = Relevance(history, memory)
    relevance.prepare([(rules, commit)])
    union = Union(rules, (relevance.of(rules, commit),))
    because = {path: union.because(path) for path in sorted(relevance.files(commit)) if union.relevant(path)}
    return replace(union.ends[0], because=because)


@dataclass(frozen=True, slots=True)
class Watched:
    """By which paths one can tell, after another change, whether a service lacks something.

    ``net``: those that count and differ between two commits in more than the way they are written. ``sure``:
    those that count by the first one alone. ``counts``: those that do by the second one alone. ``read``:
    those whose contents say what counts there. ``verbatim``: at both every comment counts.
    """

    net: frozenset[str]
    sure: frozenset[str]
    counts: frozenset[str]
    read: frozenset[str]
    verbatim: bool


def watched(history: History, memory: Memory, rules: Rules, base: str, head: str) -> Watched | None:
    """By which paths changes after ``head`` can be judged against ``base``, both full ids.

    None: not by paths. Raises ``SourceError``.
    """
    relevance = Relevance(history, memory)
    relevance.prepare([(rules, base), (rules, head)])
    ends = relevance.of(rules, base), relevance.of(rules, head)
    read = relevance.read_for(rules, head)
    if read is None or ends[0].verbatim != ends[1].verbatim or any(end.nothing for end in ends):
        return None
    lists = {rules.loaded[0]} if rules.loaded else set()
    net = relevance.differences([(base, head)])[base, head]
    return Watched(
        net=frozenset(filter(Union(rules, ends).relevant, net)),
        sure=frozenset(filter(Union(rules, ends[:1]).relevant, relevance.files(base))),
        counts=frozenset(filter(Union(rules, ends[1:]).relevant, relevance.files(head))),
        read=frozenset(read | lists),
        verbatim=ends[0].verbatim,
    )


@dataclass(frozen=True, slots=True)
class Learned:
    """What was read of ``commit`` for later checks: ``relevant`` of its files count.

    ``kept``: all that was found is on disk, for other processes too.
    """

    commit: str
    relevant: int
    kept: bool


def learned_at(history: History, memory: Memory, rules: Rules, commit: str) -> Learned:
    """Find out what is relevant at ``commit`` and have it kept. Raises ``SourceError``."""
    relevant = len(selection_at(history, memory, rules, commit).because)
    return Learned(commit, relevant, memory.disk.flush())


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a run of the program has loaded of ``commit``, held against what counts there.

    ``reached`` of its ``total`` files count, ``files`` are those that were loaded. Of these ``missed`` do not
    count, each with the reason, though nobody declared it: what was found to count is incomplete.
    ``ignored`` do not count since ``ignore`` names them.
    """

    commit: str
    reached: int
    total: int
    files: tuple[str, ...]
    missed: tuple[Answer, ...]
    ignored: tuple[str, ...]


def traced_files(
    history: History, memory: Memory, rules: Rules, commit: str, paths: Collection[str]
) -> Loaded:
    """Those of ``paths``, which a run has loaded, that ``commit`` holds, and what counts there by ``rules``.

    What git does not hold is left out; for a path behind a link the link counts. Raises ``SourceError``.
    """
    relevance = Relevance(history, memory)
    relevance.prepare([(rules, commit)])
    union, listing = Union(rules, (relevance.of(rules, commit),)), relevance.files(commit)
    files = sorted({place for path in paths for place in _steps(path) if place in listing})
    ignored = path_rules(None, rules.ignore)
    uncounted = [path for path in files if not union.relevant(path)]
    return Loaded(
        commit,
        sum(map(union.relevant, listing)),
        len(listing),
        tuple(files),
        tuple(Answer(path, (), _left_out(union, path)) for path in uncounted if ignored.relevant(path)),
        tuple(path for path in uncounted if not ignored.relevant(path)),
    )


def _steps(path: str) -> Iterator[str]:
    """``path`` and all above it."""
    return accumulate(path.split("/"), "{}/{}".format)


def _left_out(union: Union, path: str) -> str:
    if any(path in end.unused for end in union.ends):
        return "the image holds it, and nothing that the worker starts imports it"
    named = dict.fromkeys(module for end in union.ends for module in end.elsewhere.get(path, ()))
    if named:
        return f"the image holds it, and only {', '.join(named)} names it"
    return "nothing that is declared for the service selects it"


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

    @property
    def means_nothing(self) -> bool:
        """Whether the revision lacks the commit, and nothing that counts up to it."""
        return self.live is False and not self.count

    @property
    def suffices(self) -> bool:
        """Whether there is nothing to wait for: it is live, or it means nothing here."""
        return bool(self.live) or self.means_nothing


def resolve(history: History, memory: Memory, commit: str) -> str:
    """The full id of ``commit``. Raises ``SourceError`` and ``DriftConfigError``, as ``is_live`` does."""
    return _resolved(history, commit)


def is_live(history: History, memory: Memory, case: Case, commit: str) -> list[Liveness]:
    """For each live revision whether ``commit`` is part of what it runs, and if not, what is missing.

    Raises ``SourceError``, also for a commit that the history does not know.
    """
    known = learn(history, memory, case)
    sha = _resolved(known.history, commit)
    lives = [live for live in known.commits if live != sha]
    lacking: set[str] = set()
    missing: dict[str, list[str]] = {live: [] for live in lives}
    for each, reach in lineage.trace(known.history.walk([sha, *lives]), sha, lives):
        for bit, live in enumerate(lives):
            if reach.by_target and not reach.by_live >> bit & 1:
                if each.sha == sha:
                    lacking.add(live)
                if any(map(known.union.relevant, each.paths)):
                    missing[live].append(f"{each.sha[:12]}  {each.subject}")
    return [_liveness(share, sha, lacking, missing) for share in known.shares]


def holding(history: History, memory: Memory, commit: str, ids: Collection[str]) -> dict[str, bool]:
    """By each of ``ids``, full or short, whether it is ``commit`` or descends from it.

    Left out is an id that the history does not know. Raises ``SourceError``, also where it does not know
    ``commit``, and ``DriftConfigError`` for one that is no commit id.
    """
    sha = _resolved(history, commit)
    known = {each: full for each, full in history.resolve(ids).items() if isinstance(full, str)}
    tips = [full for full in dict.fromkeys(known.values()) if full != sha]
    lacking: set[str] = set()
    if tips:
        for each, reach in lineage.trace(history.walk([sha, *tips]), sha, tips):
            if each.sha == sha:
                lacking.update(tip for bit, tip in enumerate(tips) if not reach.by_live >> bit & 1)
    return {each: full not in lacking for each, full in known.items()}


def _liveness(
    share: Share, sha: str, lacking: Collection[str], missing: Mapping[str, Sequence[str]]
) -> Liveness:
    if isinstance(share.commit, Unknown):
        return Liveness(share, None, share.commit.message)
    if share.commit == sha or share.commit not in lacking:
        return Liveness(share, True)
    lines = missing[share.commit]
    return Liveness(share, False, missing=tuple(lines[:20]), count=len(lines))


@dataclass(frozen=True, slots=True)
class Difference:
    """How the files that count differ from the worst ``live`` revision to the ``target``.

    ``paths`` are those that differ, ``text`` is git's: of the first ``shown`` of them, and cut in the middle
    of the last one where ``cut``.
    """

    live: LiveReport
    target: Target
    paths: tuple[str, ...]
    text: bytes = b""
    shown: int = 0
    cut: bool = False


def difference(history: History, memory: Memory, case: Case, summary: bool, now: datetime) -> Difference:
    """What is missing, as a patch or a ``summary`` of it. ``now`` is in UTC.

    Raises ``SourceError`` where the history does not answer, or where what is live is not known.
    """
    report = compare(history, memory, [case], now)[case.workload.service]
    if report.unknown:
        raise SourceError.of(report.unknown)
    live, target = worst(report), case.target
    known = learn(history, memory, case)
    pair = (str(live.commit), target.commit)
    paths = tuple(sorted(filter(known.union.relevant, known.relevance.differences([pair])[pair])))
    if not paths:
        return Difference(live, target, paths)
    asked = paths[:MOST_PATHS]
    text = history.difference(*pair, asked, summary=summary, limit=DIFFERENCE_LIMIT)
    cut = len(text) >= DIFFERENCE_LIMIT
    if cut:
        text = text[: text.rfind(b"\n") + 1]
    shown = sum(line.startswith(b"diff --git ") for line in text.split(b"\n"))
    return Difference(live, target, paths, text, len(asked) if summary and not cut else shown, cut)


def _resolved(history: History, commit: str) -> str:
    text = commit.strip().lower()
    found = history.resolve([text]).get(text) if evidence.is_commit_id(text) else None
    if isinstance(found, str):
        return found
    if found is None:
        raise DriftConfigError(f"{commit!r} is no commit id: give 7 to 64 hex digits")
    raise SourceError.of(found)
