"""What is asked of a repository that is open already, each question in a fixed number of git processes."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.deployment.errors import SourceError
from shared.deployment.facts import Commit, Entry, Unknown
from shared.deployment.git_process import Git
from shared.deployment.sources.blobs import blobs_of

COMMIT_ID = re.compile(r"[0-9a-f]{7,64}")
_FULL_ID = re.compile(rb"[0-9a-f]{40}|[0-9a-f]{64}")
#: What `git cat-file --batch-check` says of a name: the type of its object, or that there is none.
_TYPES = frozenset({"commit", "tree", "blob", "tag"})
_NO_TYPES = frozenset({"missing", "ambiguous"})

#: Bytes of everything that a commit says of itself (ids, time, author, subject), after which the rest is
#: cut while it is read: subjects of megabytes exist. Paths are never cut.
HEADER_LIMIT = 64 << 10
#: Characters of an author and of a subject that are kept.
AUTHOR_LIMIT, SUBJECT_LIMIT = 200, 500
#: Bytes that the list of files of one question may take: a million paths of a few hundred bytes.
LISTING_LIMIT = 512 << 20

#: Lists each path as it is and says which commits it stands for, whatever the user's settings prefer.
#: ``-O/dev/null`` cancels an order file, which git would insist on reading.
DIFF_OPTIONS = ("-z", "--no-renames", "--no-relative", "--ignore-submodules=none", "-O/dev/null")
LOG_OPTIONS = (
    "-c",
    "--name-only",
    "--topo-order",
    *DIFF_OPTIONS,
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-decorate",
    "--no-notes",
    "--no-mailmap",
    "--no-show-signature",
    "--encoding=UTF-8",
)
#: The mode that git tells for a path that one side of a difference does not have.
NO_MODE = "000000"
#: The last second that a datetime holds (end of 9999, UTC).
LAST_SECOND = 253_402_300_799


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHistory:
    """The history of one repository: ``facts.History`` without the target.

    ``git`` runs there. ``shallow`` says that the history is cut, ``id_length`` how many digits a full
    object id has (40, or 64 in a SHA-256 repository).
    """

    git: Git
    shallow: bool
    id_length: int

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
        """As ``facts.History.walk``; one ``git log``, for more than two tips one ``git merge-base`` too."""
        tips = list(dict.fromkeys(tips))
        self._require_full(tips)
        if len(tips) < 2:
            return
        if self.shallow:
            raise SourceError.of(self._cut())
        # Nobody who wrote a commit could know the mark, so no path and no subject can pass for one.
        mark = secrets.token_hex(16)
        form = f"--format=tformat:{mark}%H%x00%P%x00%ct%x00%an%x00%s{mark}"
        args = ("log", *LOG_OPTIONS, form, "--end-of-options", *self._revisions(tips), "--")
        with self.git.stream(*args) as chunks:
            yield from _commits(between(chunks, mark.encode()))

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
            yield from (_seconds(line) for line in between(chunks, b"\n") if line)

    def contents(self, blobs: Collection[str]) -> Mapping[str, bytes]:
        """As ``facts.History.contents``; one process. Absent is what is not in this repository."""
        stdin = self._listed(blobs)
        if not stdin:
            return {}
        with self.git.stream("cat-file", "--batch", stdin=stdin) as chunks:
            return blobs_of(chunks)

    def missing(self, objects: Collection[str]) -> list[str]:
        """Those of ``objects`` (full ids) that are not in this repository; one process."""
        self._require_full(objects, "object")
        answers = self._batch_check(list(dict.fromkeys(objects)))
        return [oid for oid, kind in answers if kind == "missing"]

    def commit_of(self, name: str) -> str | None:
        """The commit that ``name`` (an object id or ``HEAD``) is or points to; None where there is none."""
        [(oid, kind)] = self._batch_check([f"{name}^{{commit}}"])
        return oid if kind == "commit" else None

    def object_at(self, ref: str) -> str | None:
        """The id that ``ref`` (a full name) points to; None where there is no such ref."""
        [(oid, kind)] = self._batch_check([ref])
        return None if kind == "missing" else oid

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
        """Those of ``oids`` that exist and are commits."""
        return {oid for oid, kind in self._batch_check(sorted(oids)) if kind == "commit"}

    def _trees(self, commits: Collection[str]) -> dict[str, str]:
        """The tree of each commit. Raises ``SourceError`` where one is not there."""
        self._require_full(commits)
        asked = list(dict.fromkeys(commits))
        answers = self._batch_check([f"{commit}^{{tree}}" for commit in asked])
        for commit, (_, kind) in zip(asked, answers, strict=True):
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
        first, nothing = trees[0], self._empty_tree
        # The last question has an empty answer: an answer that was cut off has lost at least that.
        pairs = [(nothing, first), *((first, tree) for tree in trees[1:]), (nothing, nothing)]
        asked = [f"{old} {new}".encode() for old, new in pairs]
        args = ("diff-tree", "--stdin", "-r", "--raw", "--no-abbrev", *DIFF_OPTIONS)
        answer = self.git.run(*args, stdin=b"".join(pair + b"\n" for pair in asked), limit=LISTING_LIMIT)
        whole, *changes, _ = _raw_listings(answer, asked)
        return [whole, *(_changed(whole, each) for each in changes)]

    def _revisions(self, tips: Sequence[str]) -> list[str]:
        """What is reachable from some of ``tips``, but not from all, in git's words."""
        if len(tips) == 2:
            return [f"{tips[0]}...{tips[1]}"]
        # Exit status 1 says that they have no ancestor in common.
        answer = self.git.run("merge-base", "--octopus", "--all", *tips, accept=(0, 1))
        return [*tips, *(f"^{base}" for base in sorted(self._ids(answer, "merge-base")))]


def nonsense(command: str) -> SourceError:
    """The error for a ``command`` of git whose answer is none to what was asked."""
    return SourceError(f"`git {command}` answered something that makes no sense", "invalid-response")


def between(chunks: Iterable[bytes], mark: bytes) -> Iterator[bytes]:
    """The pieces of a stream before, between and after each ``mark``, every second one cut if it is long.

    The pieces at odd places (a commit's header) are cut after ``HEADER_LIMIT`` bytes without ever
    being held; the others (its paths) come whole. The time is linear, however long a piece is.
    """
    hold = len(mark) - 1
    piece = _Piece(None)
    tail = b""
    for chunk in chunks:
        first, *rest = (tail + chunk).split(mark)
        for following in rest:
            piece.add(first)
            yield piece.text()
            piece = _Piece(HEADER_LIMIT if piece.limit is None else None)
            first = following
        # A mark may begin in the last bytes and end in the next chunk.
        cut = max(0, len(first) - hold)
        piece.add(first[:cut])
        tail = first[cut:]
    piece.add(tail)
    yield piece.text()


class _Piece:
    """A text in the making, cut after ``limit`` bytes; None cuts nothing."""

    __slots__ = ("_parts", "_size", "limit")

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        if self.limit is not None:
            part = part[: self.limit - self._size]
        if part:
            self._parts.append(part)
            self._size += len(part)

    def text(self) -> bytes:
        return b"".join(self._parts)


def _commits(pieces: Iterator[bytes]) -> Iterator[Commit]:
    """The commits of ``git log``: after an empty piece header and paths take turns."""
    if next(pieces, None):
        raise nonsense("log")
    for header in pieces:
        paths = next(pieces, b"")
        if not paths.startswith(b"\0") or not paths.endswith(b"\0"):  # cut off in the middle of a commit
            raise nonsense("log")
        yield _commit(header, paths)


def _commit(header: bytes, paths: bytes) -> Commit:
    """``header`` is ``%H %P %ct %an %s`` between NULs. ``paths`` is the NUL that ends the format, then,
    where there are any, a separator of one byte (a line feed, a NUL for a merge) and path, NUL, path, NUL.
    """
    fields = header.split(b"\0", 4)
    if len(fields) < 5:
        fields = _cut_fields(fields)
    sha, parents, seconds, author, subject = fields
    if not all(map(_FULL_ID.fullmatch, [sha, *parents.split()])):
        raise nonsense("log")
    return Commit(
        sha=sha.decode(),
        parents=parents.decode().split(),
        committed_at=_seconds(seconds),
        author=_shown(author, AUTHOR_LIMIT),
        subject=_shown(subject, SUBJECT_LIMIT),
        paths=[_path(path) for path in paths[2:-1].split(b"\0")] if len(paths) > 2 else [],
    )


def _cut_fields(fields: list[bytes]) -> list[bytes]:
    """The fields of a header that was cut: an author may be, the parents must not."""
    if len(fields) < 4:
        raise nonsense("log")
    return [*fields, b""]


def _seconds(text: bytes) -> int:
    """A committer time. One that no calendar holds is 0, as git takes one that it cannot read.

    Never the future: a drift may look too old then, not too young.
    """
    try:
        seconds = int(text)
    except ValueError:
        return 0
    return seconds if 0 <= seconds <= LAST_SECOND else 0


def _shown(text: bytes, limit: int) -> str:
    """Text for people, bytes that are not UTF-8 as ``\\xNN``, at most ``limit`` characters."""
    shown = text[: 4 * limit].decode("utf-8", "backslashreplace")
    return shown if len(shown) <= limit and len(text) <= 4 * limit else shown[: limit - 1] + "…"


def _path(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


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
            listings[-1][_path(parts[place + 1])] = Entry(entry[1].decode(), entry[2].decode())
    if told != list(asked):
        raise nonsense("diff-tree")
    return listings
