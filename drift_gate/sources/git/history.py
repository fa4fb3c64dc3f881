"""What is asked of a repository that is open already, each question in a fixed number of git processes."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from drift_gate.errors import SourceError
from drift_gate.facts import Commit, Entry, Patch, Unknown
from drift_gate.sources.git import partial
from drift_gate.sources.git.blobs import blobs_of
from drift_gate.sources.git.fixed import DIFF_OPTIONS, LOG_OPTIONS
from drift_gate.sources.git.log import (
    between,
    commits_of,
    nonsense,
    path_of,
    seconds_of,
)
from drift_gate.sources.git.patches import (
    DIFFERENCE_OPTIONS,
    PATCH_LIMIT,
    PATCH_OPTIONS,
    READABLE_OPTIONS,
    SUMMARY_OPTIONS,
    patches_of,
)
from drift_gate.sources.git.process import Git
from drift_gate.sources.git.recalled import Recalled

COMMIT_ID = re.compile(r"[0-9a-f]{7,64}")
#: What is checked out, as git and our settings name it.
HEAD = "HEAD"
#: What `git cat-file --batch-check` says of a name: the type of its object, or that there is none.
_TYPES = frozenset({"commit", "tree", "blob", "tag"})
_NO_TYPES = frozenset({"missing", "ambiguous"})

#: Bytes that the list of files of one question may take: a million paths of a few hundred bytes.
LISTING_LIMIT = 512 << 20

#: Of the time that is left, what comparing patches may take: without an answer more commits count.
PATCHES_SHARE = 0.3

#: Commits without a parent, the last of a walk, that are looked at: the first of the history comes late.
MOST_ROOTS = 50

#: The mode that git tells for a path that one side of a difference does not have.
NO_MODE = "000000"
#: The mode of a submodule, whose content is a commit of another repository.
GITLINK = "160000"


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHistory:
    """The history of one repository: ``facts.History`` without the target.

    ``git`` runs there. ``shallow`` says that the history is cut, ``id_length`` how many digits a full
    object id has (40, or 64 in a SHA-256 repository). ``known`` are commits that were seen in it, by their
    ids and as ``HEAD``, ``recalled`` is what earlier checks know.
    """

    git: Git
    shallow: bool
    id_length: int
    known: Mapping[str, str] = field(default_factory=dict)
    recalled: Recalled = field(default_factory=Recalled)

    def resolve(self, ids: Collection[str]) -> Mapping[str, str | Unknown]:
        """As ``facts.History.resolve``; at most two processes.

        A ref whose name looks like an id never counts, and neither does a tag object's own id.
        """
        fitting = {each: [each] for each in ids if self._is_full(each)}
        fitting |= self._expand([each for each in ids if self._is_short(each)])
        commits = self._commits({oid for oids in fitting.values() for oid in oids})
        return {each: self._only([o for o in fitting.get(each, []) if o in commits], each) for each in ids}

    def files(self, commits: Collection[str]) -> Mapping[str, Mapping[str, Entry]]:
        """As ``facts.History.files``; two processes: the trees, then their files."""
        trees = self._trees(commits)
        wanted = list(dict.fromkeys(trees.values()))
        by_tree = dict(zip(wanted, self._listings(wanted), strict=True))
        return {commit: by_tree[trees[commit]] for commit in commits}

    def walk(self, tips: Sequence[str]) -> Iterator[Commit]:
        """As ``facts.History.walk``; nothing for tips that are recalled.

        Else one ``git log``, for more than two tips one ``git merge-base`` too.
        """
        tips = list(dict.fromkeys(tips))
        self._require_full(tips)
        if len(tips) < 2:
            return
        if self.shallow:
            raise SourceError.of(self._cut())
        key = (self.git.git_dir or self.git.cwd, *tips)
        walked = self.recalled.walks.get(key)
        yield from self.recalled.keeping(key, self._log(tips)) if walked is None else walked

    def _log(self, tips: Sequence[str]) -> Iterator[Commit]:
        # Nobody who wrote a commit could know the mark, so no path and no subject can pass for one.
        mark = secrets.token_hex(16)
        form = f"--format=tformat:{mark}%H%x00%P%x00%ct%x00%an%x00%s{mark}"
        args = ("log", *LOG_OPTIONS, form, "--end-of-options", *self._revisions(tips), "--")
        roots: list[str] = []
        with self.git.stream(*args) as chunks:
            yield from commits_of(between(chunks, mark.encode()), roots)
        self._require_unshared(roots[-MOST_ROOTS:], tips)

    def line(self, tip: str, most: int) -> Sequence[str]:
        """As ``facts.History.line``; one process."""
        self._require_full([tip])
        if self.shallow:
            raise SourceError.of(self._cut())
        args = ("rev-list", "--first-parent", f"--max-count={most}", "--end-of-options", tip, "--")
        commits = self.git.run(*args).decode("ascii", "replace").split()
        if commits[:1] != [tip] or len(commits) > most or not all(map(self._is_full, commits)):
            raise nonsense("rev-list")
        return commits

    def landings(self, tip: str) -> Iterator[int]:
        """As ``facts.History.landings``; one process."""
        self._require_full([tip])
        if self.shallow:
            raise SourceError.of(self._cut())
        args = ("log", "--first-parent", "--no-show-signature", "--no-color", "--format=tformat:%ct")
        with self.git.stream(*args, "--end-of-options", tip, "--") as chunks:
            yield from (seconds_of(line) for line in between(chunks, b"\n") if line)

    def patches(self, commits: Collection[str]) -> Mapping[str, Patch]:
        """As ``facts.History.patches``; one process."""
        stdin = self._listed(commits)
        if not stdin:
            return {}
        mark = secrets.token_hex(16)
        form = f"--format=tformat:{mark}%H{mark}"
        # Away from the work tree, whose `.gitattributes` may take a text for none: a mirror has no such file.
        git = replace(self.git.within(PATCHES_SHARE), cwd=self.git.git_dir or self.git.cwd)
        with git.stream("log", form, *PATCH_OPTIONS, stdin=stdin) as chunks:
            return dict(patches_of(between(chunks, mark.encode(), PATCH_LIMIT + 1)))

    def difference(self, old: str, new: str, paths: Collection[str], *, summary: bool, limit: int) -> bytes:
        """As ``facts.History.difference``; one process, which ends at the limit."""
        self._require_full([old, new])
        form = SUMMARY_OPTIONS if summary else READABLE_OPTIONS
        only = [f":(top,literal){path}" for path in paths]
        args = ("diff-tree", *DIFFERENCE_OPTIONS, *form, "--end-of-options", old, new, "--", *only)
        told = b""
        with self.git.stream(*args) as chunks:
            for chunk in chunks:
                told += chunk
                if len(told) >= limit:
                    break
        return told[:limit]

    def changed_blobs(self, commits: Collection[str]) -> frozenset[str]:
        """The ids of the contents before and after each commit, as far as it changes them; two processes."""
        self._require_full(commits)
        names = [f"{commit}{parent}^{{tree}}" for commit in commits for parent in ("^", "")]
        trees = [oid if kind == "tree" else self._empty_tree for oid, kind in self._batch_check(names)]
        pairs = list(zip(trees[::2], trees[1::2], strict=True))
        listings = self._differences([pair for old, new in pairs for pair in ((old, new), (new, old))])
        entries = [entry for listing in listings for entry in listing.values()]
        return frozenset(entry.blob for entry in entries if entry.mode not in (NO_MODE, GITLINK))

    def contents(self, blobs: Collection[str]) -> Mapping[str, bytes]:
        """As ``facts.History.contents``; one process. Absent is what is not in this repository."""
        stdin = self._listed(blobs)
        if not stdin:
            return {}
        with self.git.stream("cat-file", "--batch", stdin=stdin) as chunks:
            return blobs_of(chunks)

    def follows(self, old: str, new: str) -> bool:
        """Whether ``new`` descends from ``old``; no where git cannot tell, as that is gone. One process."""
        if not self._is_full(old):
            return False
        try:
            self.git.run("merge-base", "--is-ancestor", "--end-of-options", old, new)
        except SourceError:
            return False
        return True

    def missing(self, objects: Collection[str]) -> list[str]:
        """Those of ``objects`` (full ids) that are not in this repository; one process."""
        self._require_full(objects, "object")
        answers = self._batch_check(list(dict.fromkeys(objects)))
        return [oid for oid, kind in answers if kind == "missing"]

    def commit_of(self, name: str) -> str | None:
        """The commit that ``name`` (an object id or ``HEAD``) is or points to; None where there is none."""
        if name in self.known:
            return self.known[name]
        [(oid, kind)] = self._batch_check([f"{name}^{{commit}}"])
        return oid if kind == "commit" else None

    def object_at(self, ref: str) -> str | None:
        """The id that ``ref`` (a full name) points to; None where there is no such ref."""
        [(oid, kind)] = self._batch_check([ref])
        return None if kind == "missing" else oid

    def _require_unshared(self, roots: Collection[str], tips: Sequence[str]) -> None:
        """Refuse a walk that went down to a first commit which every tip reaches.

        Git walks by date, and ends five commits after the last that is wanted: behind more of them, dated
        before the first of all, it lists what both sides have. A commit-graph makes it walk by generation.
        """
        both = set(roots)
        for tip in reversed(tips):
            if both:
                answer = self.git.run("merge-base", "--all", "--end-of-options", tip, *roots, accept=(0, 1))
                both &= self._ids(answer, "merge-base")
        if both:
            raise SourceError(
                f"commits are dated before the first, {min(both)[:12]}, and git lists what both sides have: "
                "run `git commit-graph write --reachable`",
                "history-unavailable",
            )

    def _is_full(self, text: str) -> bool:
        return len(text) == self.id_length and COMMIT_ID.fullmatch(text) is not None

    def _is_short(self, text: str) -> bool:
        return len(text) < self.id_length and COMMIT_ID.fullmatch(text) is not None

    def _require_full(self, oids: Iterable[str], kind: str = "commit") -> None:
        for oid in oids:
            if not self._is_full(oid):
                raise ValueError(f"not a full {kind} id: {oid!r}")

    def _listed(self, objects: Collection[str]) -> bytes:
        """``objects`` (full ids), each once, as git reads them."""
        self._require_full(objects, "object")
        return "".join(f"{oid}\n" for oid in dict.fromkeys(objects)).encode()

    def _expand(self, shorts: Sequence[str]) -> dict[str, list[str]]:
        """The ids of all objects, commits or not, that begin with each short id."""
        if not shorts:
            return {}
        answer = self.git.run("rev-parse", *(f"--disambiguate={short}" for short in shorts))
        oids = sorted(self._ids(answer, "rev-parse"))
        return {short: [oid for oid in oids if oid.startswith(short)] for short in shorts}

    def _ids(self, answer: bytes, command: str) -> set[str]:
        """The full ids, a line each, that ``command`` answered."""
        oids = set(answer.decode("ascii", "replace").split())
        if not all(map(self._is_full, oids)):
            raise nonsense(command)
        return oids

    def _only(self, commits: Sequence[str], asked: str) -> str | Unknown:
        """The one commit that was ``asked`` for, or why there is not just one."""
        if len(commits) == 1:
            return commits[0]
        if commits:
            some = ", ".join(commit[:12] for commit in commits[:3])
            return Unknown(cause="ambiguous-commit", message=f"{asked} fits {len(commits)} commits: {some}")
        return self._absent(asked)

    def _absent(self, asked: str) -> Unknown:
        if self.shallow:
            return self._cut(f"commit {asked} is not in this shallow clone, whose history is cut")
        return Unknown(cause="commit-not-in-history", message=f"the repository has no commit {asked}")

    def _cut(
        self, what: str = "the repository is a shallow clone: a count over it would be wrong"
    ) -> Unknown:
        return Unknown(cause="shallow-history", message=f"{what}; run `git fetch --unshallow`")

    def _commits(self, oids: Collection[str]) -> set[str]:
        """Those of ``oids`` that exist and are commits, also where git ends at the first that does not."""
        known = set(oids) & set(self.known.values())
        asked = set(oids) - known
        try:
            answers = self._batch_check(sorted(asked))
        except SourceError as error:
            found = partial.there(self.git, asked, commits=True)
            if error.cause != "history-unavailable" or len(found) == len(asked):
                raise
            answers = self._batch_check(sorted(found))
        return {oid for oid, kind in answers if kind == "commit"} | known

    def _trees(self, commits: Collection[str]) -> dict[str, str]:
        """The tree of each commit. Raises ``SourceError`` where one is not there, or the commit itself."""
        self._require_full(commits)
        asked = list(dict.fromkeys(commits))
        answers = self._batch_check([f"{commit}^{{tree}}" for commit in asked])
        for commit, (_, kind) in zip(asked, answers, strict=True):
            if kind != "tree" and self._commits([commit]):  # newer gits end at it by themselves
                raise SourceError(f"the repository lacks the files of {commit[:12]}", "history-unavailable")
            if kind != "tree":
                raise SourceError.of(self._absent(commit))
        return {commit: oid for commit, (oid, _) in zip(asked, answers, strict=True)}

    def _batch_check(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """For each name its object id and type; what does not exist has the type ``missing``."""
        if not names:
            return []
        stdin = "".join(f"{name}\n" for name in names).encode()
        answer = self.git.run(
            "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=stdin, limit=LISTING_LIMIT
        )
        lines = [line.rpartition(" ") for line in answer.decode("utf-8", "replace").split("\n")[:-1]]
        if len(lines) != len(names) or not all(self._is_told(oid, kind) for oid, _, kind in lines):
            raise nonsense("cat-file")
        return [(oid, kind) for oid, _, kind in lines]

    def _is_told(self, oid: str, kind: str) -> bool:
        return kind in _NO_TYPES or (kind in _TYPES and self._is_full(oid))

    @property
    def _empty_tree(self) -> str:
        """Git knows the empty tree by its id, also where it is not stored."""
        if self.id_length == 40:
            return "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
        return "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"

    def _listings(self, trees: Sequence[str]) -> list[dict[str, Entry]]:
        """Every file of each tree, by path.

        The first is listed whole (against the empty tree), each of the others by what differs from it:
        the trees of one history have most files in common, and these are then held once.
        """
        if not trees:
            return []
        first = trees[0]
        pairs = [(self._empty_tree, first), *((first, tree) for tree in trees[1:])]
        whole, *changes = self._differences(pairs)
        return [whole, *(_changed(whole, each) for each in changes)]

    def _differences(self, pairs: Sequence[tuple[str, str]]) -> list[dict[str, Entry]]:
        """For each pair of trees what the second has where they differ."""
        # The last question has an empty answer: an answer that was cut off has lost at least that.
        nothing = self._empty_tree
        asked = [f"{old} {new}".encode() for old, new in (*pairs, (nothing, nothing))]
        args = ("diff-tree", "--stdin", "-r", "--raw", "--no-abbrev", *DIFF_OPTIONS)
        answer = self.git.run(*args, stdin=b"".join(pair + b"\n" for pair in asked), limit=LISTING_LIMIT)
        return _raw_listings(answer, asked)[:-1]

    def _revisions(self, tips: Sequence[str]) -> list[str]:
        """What is reachable from some of ``tips``, but not from all, in git's words."""
        if len(tips) == 2:
            return [f"{tips[0]}...{tips[1]}"]
        # Exit status 1 says that they have no ancestor in common.
        answer = self.git.run("merge-base", "--octopus", "--all", *tips, accept=(0, 1))
        return [*tips, *(f"^{base}" for base in sorted(self._ids(answer, "merge-base")))]


def _changed(listing: Mapping[str, Entry], changes: Mapping[str, Entry]) -> dict[str, Entry]:
    """``listing`` after ``changes``; a path that is gone has the mode of nothing there."""
    both = {**listing, **changes}
    for path, entry in changes.items():
        if entry.mode == NO_MODE:
            del both[path]
    return both


_RAW = re.compile(rb":[0-7]{6} ([0-7]{6}) (?:[0-9a-f]{40,64}) ([0-9a-f]{40,64}) [A-Z]")


def _raw_listings(answer: bytes, asked: Sequence[bytes]) -> list[dict[str, Entry]]:
    """``git diff-tree --stdin --raw -z``: a line per pair that was ``asked`` for, then for each path
    ``:MODES IDS STATUS``, NUL, the path, NUL. Only the parts at even places can hold a pair's line, so a
    path cannot pass for one.
    """
    listings: list[dict[str, Entry]] = []
    told: list[bytes] = []
    parts = answer.split(b"\0")
    for place in range(0, len(parts), 2):
        *pairs, line = parts[place].split(b"\n")
        told += pairs
        listings.extend({} for _ in pairs)
        if line:
            entry = _RAW.fullmatch(line)
            if not entry or not listings or place + 2 >= len(parts):
                raise nonsense("diff-tree")
            listings[-1][path_of(parts[place + 1])] = Entry(entry[1].decode(), entry[2].decode())
    if told != list(asked):
        raise nonsense("diff-tree")
    return listings
