"""What a deploy is made with: whoever builds images, moves the traffic and looks at what answers.

The steps of this room know these Protocols alone; ``wiring/deliveries.py`` names the real ones:

- ``builders/``: ``local.py`` (buildah, docker), ``cloud_build.py``, ``image.py`` (built by something else)
- ``release/cloud_run.py``: services, worker pools and jobs through google-cloud-run's own clients

For each method: ``within`` is the deadline of the whole call, passed in; what takes longer ends as
``SourceError`` (``timeout``, retryable). An outside system that could not be asked is a ``SourceError`` with
its cause, as everywhere; nobody retries but ``runtime.deadline.retrying``. A process may be killed in any
call and the same call made again by another process: each method says what that comes to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from drift_gate.runtime.deadline import Deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """The files of ``commit`` in ``folder``, byte by byte as git holds them, and nothing else.

    No ``.git``, nothing of a work tree, no filter (a file of Git LFS is its pointer), of a submodule an empty
    folder. It is the builder's to read; a Dockerfile and a context are paths below it. ``committed_at`` (UTC)
    is the committer time, for builders that want one time for all files.
    """

    folder: Path
    commit: str
    committed_at: datetime


class Builder(Protocol):
    """Makes the image of a commit, with the label ``org.opencontainers.image.revision`` = the commit.

    A real one is made with keywords: ``image``, the repository of images without tag or digest
    (``us-west2-docker.pkg.dev/p/images/worker``); ``dockerfile`` and ``context``, paths inside the export;
    ``build_contexts`` as the key of that name; ``say``, which takes each line that the tool prints; and what
    it alone needs (clients, ``environ``). A builder that pushes as it builds does all of it in ``build``.
    """

    def build(self, export: Export, within: Deadline) -> str:
        """Build, and return the name by which ``push`` finds the result: an image id, a build's id, …

        Nothing that serves changes by it. Made again it builds again, or finds the result; either is right.
        Raises ``BuildError`` where the image cannot be built: the tool's own last lines are in it.
        """
        ...

    def push(self, built: str, within: Deadline) -> str:
        """Push what ``build`` named, tagged with the full commit id; ``IMAGE@sha256:…``, by digest.

        The digest is the registry's answer, never one that was computed here. Made again it pushes the same.
        Raises ``BuildError`` where the registry refuses it.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Who serves, as the platform says that it really is, and not as it was asked to be.

    ``shares``: percent above 0 by short revision name, an entry that follows the latest one resolved. Of a
    job, whose next run uses its template: the image of the template (``IMAGE@sha256:…``), 100. Empty: nothing
    serves. ``tags``: the short revision name by tag. ``etag`` changes whenever anything of the workload does.
    ``settled``: no change is under way. ``failure``: the platform's own sentence where the last change failed
    for good, else None.
    """

    shares: Mapping[str, int]
    etag: str
    settled: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A new revision that is ready and gets no traffic; ``url``: its own tag URL, None where it has none.

    Of a worker pool there is no URL. Of a job, ``revision`` is the image and nothing was changed: its
    template is replaced by ``Release.move``.
    """

    revision: str
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A revision that is kept: ``commit`` as its own label has it (None: none), ``ready``: it may serve."""

    name: str
    commit: str | None
    image: str
    created_at: datetime
    ready: bool


class Release(Protocol):
    """Changes what one workload runs. Each change is conditional: nobody else's is ever overwritten."""

    def read(self, within: Deadline) -> Split:
        """Who serves now. Raises ``SourceError`` (``not-found``: there is no such workload)."""
        ...

    def revisions(self, within: Deadline) -> Sequence[Revision]:
        """The revisions that are kept, the newest first; of a job none. Raises ``SourceError``."""
        ...

    def candidate(self, image: str, commit: str, tag: str, within: Deadline) -> Candidate:
        """A revision of ``image`` (by digest) beside what serves, reachable under ``tag``, once it is ready.

        In one conditional update (a workload that changed meanwhile is read again, inside ``within``): the
        template gets the image and the label ``commit-sha`` = ``commit``; whatever else in it named a commit,
        a label or a variable of ``commit_env``, names this one; every other field stays. What follows the
        latest revision is pinned by name to what really serves, so that no traffic moves; ``tag``, cut where
        the platform has no room for it, is taken from whatever revision had it. Made again: a revision of
        this image and commit that has the tag is the candidate, and nothing is changed. Raises
        ``CandidateError`` where the platform says that the revision does not start, with its own message and
        the link to its log.
        """
        ...

    def move(self, shares: Mapping[str, int], etag: str, within: Deadline) -> None:
        """Ask for ``shares`` (percent by revision, 100 in all), unless the workload changed since ``etag``.

        Tags stay. 100 for the newest revision, which is ready, is written as "the latest": whoever deploys in
        another way later shall not find the traffic pinned. Where all goes to one revision, the workload's
        own labels that name a commit name its. Returns when the platform has accepted; ``read`` says when it
        has landed. Of a job: ``shares`` is {its candidate's ``revision``: 100}, and the template is replaced;
        only one that the same object's ``candidate`` named. Raises ``SplitChangedError`` where ``etag`` is
        not the one of now, and changes nothing then; and where the platform took another change at the same
        moment, after the fact. An answer that was lost is a ``SourceError``: the caller reads again.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at a candidate, as the gate judges it against the commit that it was built from.

    ``healthy``: it answered, and what it is made of is the commit's. ``proven``: its own fingerprint said so,
    not a label alone. ``why``: what stands against it, as one sentence; "" where nothing does. ``retryable``:
    another look may find it better (it did not answer), and not so where its files are wrong.
    """

    healthy: bool
    proven: bool = False
    why: str = ""
    retryable: bool = False


class Probe(Protocol):
    """Looks at a revision: its files, its marks, its required variables and pins."""

    def look(self, candidate: Candidate, commit: str, within: Deadline) -> Look:
        """What there is to say now. Never raises ``SourceError``: no answer is a look that is not healthy."""
        ...
