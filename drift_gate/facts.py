"""What was learned from outside, as immutable values, and the Protocols that bring it.

A source that could not answer raises ``SourceError`` or returns an ``Unknown``: a fact that is not
known is a value with a cause, never a zero and never an empty list.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from drift_gate.errors import Cause, DriftCheckError

Kind = Literal["service", "worker-pool", "job"]

Carrier = Literal[
    "fingerprint",
    "image-label",
    "revision-label",
    "image-tag",
    "env",
    "ledger",
    "health",
    "service-label",
]


def readable(text: str) -> str:
    r"""``text`` fit for JSON: a byte that is no UTF-8 (in Python a lone surrogate) reads ``\xNN``."""
    escaped = re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", text)
    return escaped.encode("utf-8", "backslashreplace").decode("utf-8")


def named(names: Sequence[str], most: int) -> list[str]:
    """The first ``most`` of ``names``, and as a last word how many more there are, and a digest of these."""
    rest = names[most:]
    digest = hashlib.sha256("\0".join(rest).encode("utf-8", "backslashreplace")).hexdigest()[:12]
    return [*names[:most], *([f"{len(rest):,} more ({digest})"] if rest else [])]


#: Text that may hold a path, a ref, a variable or an argument: those are bytes outside of Python.
Text = Annotated[str, AfterValidator(readable)]


class Fact(BaseModel):
    """A value that travels into the JSON: frozen, and a mapping of its fields as well.

    ``fact["field"]`` and ``fact.field`` are the same; ``keys``, ``get``, ``in`` and ``dict(fact)``
    work as they do for a dictionary.
    """

    # What has a default is always written: a schema of the JSON may promise it.
    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)

    def keys(self) -> Collection[str]:
        """The names of all fields."""
        return type(self).model_fields.keys()

    def __getitem__(self, key: str) -> Any:
        if key not in self.keys():
            raise KeyError(key)
        return getattr(self, key)

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def get(self, key: str, default: Any = None) -> Any:
        """The field ``key``, or ``default`` where there is no such field."""
        return getattr(self, key) if key in self.keys() else default


class Unknown(Fact):
    """Something that could not be determined: why, in one sentence, and whether it may heal."""

    cause: Cause
    message: Text
    retryable: bool = False

    @classmethod
    def of(cls, error: DriftCheckError) -> Unknown:
        """The value that says what ``error`` says."""
        return cls(cause=error.cause, message=error.message, retryable=error.retryable)


class Finding(Fact):
    """Something noticed on the way that the policy may want to judge; ``code`` is a reason code."""

    code: str
    message: Text
    data: dict[str, str | int | float | bool | list[str] | None] = Field(default_factory=dict)


class Evidence(Fact):
    """One claim about which commit a revision was built from: who carries it, under which key.

    ``value`` is what was found, untouched (of a tag, what ``image_tag_pattern`` takes out of it): it may be
    no commit id at all.
    """

    carrier: Carrier
    key: str
    value: str


class Tagged(Fact):
    """A revision that gets no traffic but answers at a tag URL of its own."""

    revision: str
    tag: str
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a running worker says that its own files hold.

    ``files`` maps each path, as the repository writes it, to the id that git would give the content.
    ``covers`` are the files and folders (ending in ``/``, ``""`` for everything) that were looked
    through: what they do not list is not there, unless ``ignored`` (patterns) or ``unread`` (paths, and
    folders ending in ``/``) name it; ``content.in_view`` decides that. ``digest`` sums ``files`` up.
    ``commit`` is the worker's own bare claim (None: it makes none), ``dirty`` that it was built from a
    changed work tree, ``started_at`` (UTC) when it started. ``changed`` are the files that have become
    different, have come or gone since then, ``loaded`` those that the process has loaded so far: empty also
    where the worker's fingerprint does not tell.
    """

    files: Mapping[str, str]
    covers: tuple[str, ...]
    digest: str
    commit: str | None = None
    dirty: bool = False
    started_at: datetime | None = None
    ignored: tuple[str, ...] = ()
    unread: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    loaded: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStart:
    """How a revision starts its container, as far as its image does not say: () and None where it does.

    ``python_path`` is its PYTHONPATH, with a ``$`` in it where a secret brings that.
    """

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    python_path: str | None = None
    workdir: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRevision:
    """A revision that gets traffic now.

    ``revision`` is the short name; None for a job, whose template is what the next run uses, and for
    a ledger entry. ``percent`` is its share of the traffic. ``container`` is the one of its containers that
    this is about, None where one alone counts; ``takes_requests`` says whether the platform sends it the
    requests, and ``sidecars`` are those that do not count, for people. ``evidence`` keeps every claim about
    its commit, strongest first. ``env_names`` are the names of the variables that the container gets, those
    out of secrets too, those that are empty not. ``env`` and ``labels`` hold the values of those alone that
    the caller asked for by name, and never one that a secret brings. ``url`` is its own tag URL, None where
    it has none. ``start`` is how it starts its container, None where the image alone says that.
    ``base_image`` is the one that the platform replaces by itself, None where it does not; ``origin`` is what
    a person may go by where nothing names a commit. ``content``
    is what an instance of it says of its files, None where nobody asked or nobody
    answered. ``unknown`` says why the revision could not be read; then ``evidence`` is empty and nothing
    else is known.
    """

    revision: str | None
    percent: int
    evidence: tuple[Evidence, ...] = ()
    image: str | None = None
    created_at: datetime | None = None
    unknown: Unknown | None = None
    env_names: frozenset[str] = frozenset()
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    content: Content | None = None
    container: str | None = None
    takes_requests: bool = True
    sidecars: tuple[str, ...] = ()
    start: LiveStart | None = None
    base_image: str | None = None
    origin: str = ""

    @property
    def called(self) -> str:
        """Its name for people, with the container where several count; "" where it has neither."""
        return called(self.revision, self.container)


def called(revision: str | None, container: str | None) -> str:
    """What people call a container of a revision; "" where neither has a name."""
    inside = f"container {container}" if container else ""
    return f"{revision}, {inside}" if revision and inside else revision or inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What serves one workload now.

    ``revisions`` are those with traffic, once for each container that counts, and never empty (nothing that
    serves is ``no-serving-revision``). ``service_claims`` are the service's own labels: hints, no evidence,
    since they name the newest deploy while the traffic may go elsewhere. ``coming`` is what would serve
    after a rollout that is not over; empty: there is none, it would move no traffic, or nobody can say.
    ``url`` is the service's own address, None for what has none; ``addresses`` are all at which it or one
    of its tags answers, empty where nobody can say. ``version`` changes whenever what serves does, None
    where the source has no such mark. ``others`` are recent revisions without
    traffic, the newest first, of ``percent`` 0; empty also where nobody asked for them.
    """

    kind: Kind
    project: str | None
    region: str | None
    revisions: tuple[LiveRevision, ...]
    tagged: tuple[Tagged, ...] = ()
    service_claims: tuple[Evidence, ...] = ()
    findings: tuple[Finding, ...] = ()
    coming: tuple[LiveRevision, ...] = ()
    url: str | None = None
    addresses: tuple[str, ...] = ()
    others: tuple[LiveRevision, ...] = ()
    version: str | None = None


class Earlier(NamedTuple):
    """A commit that the target was at, and until when at least (None: nobody knows)."""

    commit: str
    at: datetime | None


class Target(Fact):
    """What should be live: the ref under its full name, the commit, and when that was last confirmed.

    ``confirmed_at`` is now for a local ref or an answer from the remote; earlier when the remote
    could not be asked and the last answer that the gate itself got had to serve. ``earlier`` is where the
    gate itself saw the target before, oldest first: ancestors of the commit and each of the next.
    """

    ref: Text
    commit: str
    confirmed_at: datetime
    earlier: tuple[Earlier, ...] = Field(default=(), exclude=True)
    findings: tuple[Finding, ...] = Field(default=(), exclude=True)


class Commit(NamedTuple):
    """One commit as ``git log -c --name-only`` tells it.

    A named tuple, since a drift of 100,000 commits makes 100,000 of them. ``committed_at`` is the
    committer time in seconds since 1970 (UTC). ``paths`` are those that the commit changes: against
    its parent, for a merge against all of its parents; they are text in which a byte that is not
    UTF-8 is a lone surrogate (``surrogateescape``), so that two different paths never become one.
    """

    sha: str
    parents: Sequence[str]
    committed_at: int
    author: str
    subject: str
    paths: Sequence[str]


class Patch(NamedTuple):
    """What a commit changes: ids that are equal where the same is changed, and for taking it back."""

    change: bytes
    reverse: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a tree: its mode (``120000`` is a symbolic link) and the id of its content."""

    mode: str
    blob: str


class LiveSource(Protocol):
    """Knows what serves one workload."""

    def read(self) -> Live:
        """What serves now. Raises ``SourceError`` when that cannot be known."""
        ...

    def unchanged(self, live: Live) -> bool:
        """Whether ``live``, as ``read`` told it, still serves. Raises ``SourceError`` where nobody knows."""
        ...


class EvidenceSource(Protocol):
    """Knows more of what the live revisions run than the platform does: their image, or their files."""

    def with_evidence(self, live: Live) -> Live:
        """``live`` with what was learned added to it.

        Never raises ``SourceError``: what it could not ask is a finding ``evidence-unreachable``, so
        that no answer is never worse than not asking.
        """
        ...


class History(Protocol):
    """One repository, for the length of one check: everything is asked inside that check's deadline.

    Every method raises ``SourceError`` (``timeout``, ``history-unavailable``, …) when git cannot
    answer; none of them starts more git processes for more commits, paths or services.
    """

    def target(self) -> Target:
        """The commit that the target ref names now."""
        ...

    def resolve(self, ids: Collection[str]) -> Mapping[str, str | Unknown]:
        """Each id, full or short, lower-case hex, as a full commit id or the cause why not.

        Causes: ``commit-not-in-history``, ``ambiguous-commit``, and ``shallow-history`` where the
        commit may well exist behind the cut.
        """
        ...

    def files(self, commits: Collection[str]) -> Mapping[str, Mapping[str, Entry]]:
        """Every file of each commit's tree, by path. Submodules are entries of mode ``160000``."""
        ...

    def walk(self, tips: Sequence[str]) -> Iterator[Commit]:
        """The commits that not every tip reaches, each before its parents, read as they are consumed.

        Raises ``shallow-history`` before the first commit where the history is cut: a count over it
        would be wrong, not just short.
        """
        ...

    def line(self, tip: str, most: int) -> Sequence[str]:
        """``tip`` and its first parents, newest first, at most ``most`` of them.

        Raises ``shallow-history`` where the history is cut: it would end too early.
        """
        ...

    def landings(self, tip: str) -> Iterator[int]:
        """The committer times of ``tip`` and its first parents, newest first, read as they are consumed.

        In seconds since 1970. Raises ``shallow-history`` where the history is cut.
        """
        ...

    def patches(self, commits: Collection[str]) -> Mapping[str, Patch]:
        """What each commit changes, wherever in its files.

        Left out is what cannot be compared: merges, commits without a change, and what is large.
        """
        ...

    def difference(self, old: str, new: str, paths: Collection[str], *, summary: bool, limit: int) -> bytes:
        """How ``paths`` differ, from the commit ``old`` to ``new``, as git shows it to people.

        A patch, or with ``summary`` a line for each path and one for all of them. At most ``limit`` bytes.
        """
        ...

    def contents(self, blobs: Collection[str]) -> Mapping[str, bytes]:
        """The content of each blob by its full id (``Entry.blob``); what a link points to for a link.

        Left out is what cannot be read: an id that neither the repository nor its remote has, one that
        is no blob (a submodule), and a blob over 5 MB, which no source file is. So an id that is not
        in the answer means "not known", never "empty".
        """
        ...
