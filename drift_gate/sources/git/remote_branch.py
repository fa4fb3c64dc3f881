"""A branch of a remote, as a local repository knows it: asked for now, fetched where it is missing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from drift_gate.errors import SourceError
from drift_gate.facts import Target
from drift_gate.runtime.deadline import retrying
from drift_gate.sources.git.confirmed import KeptAnswers, Records
from drift_gate.sources.git.local_repository import Repository
from drift_gate.sources.git.process import Git
from drift_gate.sources.git.remote import ask, fetch_failed

#: Of the time that is left, what asking the remote (retries included) and fetching may take each: an
#: answer that never comes must leave time for the rest of the check.
REMOTE_SHARE, FETCH_SHARE = 0.5, 0.8


@dataclass(frozen=True, slots=True)
class RemoteBranch:
    """A branch of a remote, and how far its last answer may stand in for it."""

    repository: Repository
    remote: str
    branch: str
    address: str
    now: Callable[[], datetime]
    limit: timedelta
    kept: KeptAnswers

    def target(self) -> Target:
        """Its commit: as the remote says now, else as it last said, within the limit."""
        git = self.repository.git.within(REMOTE_SHARE)
        try:
            commit, confirmed_at = self.kept.get(
                (f"{self.repository.common_dir} {self.address}", self._theirs),
                lambda: (retrying(lambda: self._ask(git), git.deadline), self.now()),
            )
        except SourceError as error:
            if error.cause == "target-not-found":
                raise
            return self._last_confirmed(error)
        commit = self._obtain(commit)
        earlier = self._records.write(commit, confirmed_at, self.repository.history.follows)
        return Target(ref=self._ref, commit=commit, confirmed_at=confirmed_at, earlier=earlier)

    @property
    def _ref(self) -> str:
        return f"refs/remotes/{self.remote}/{self.branch}"

    @property
    def _theirs(self) -> str:
        """How the remote itself calls it; ``origin/HEAD`` is the remote's default branch."""
        return "HEAD" if self.branch == "HEAD" else f"refs/heads/{self.branch}"

    @property
    def _ours(self) -> str:
        return f"refs/drift-gate/{self.remote}/{self.branch}"

    @property
    def _records(self) -> Records:
        # The address may hold a password, so only its digest is kept. Another address is another remote.
        digest = hashlib.sha256(os.fsencode(self.address)).hexdigest()
        file = self.repository.common_dir / "drift-gate" / "confirmed.json"
        return Records(file, f"{self.remote} {self._theirs} {digest}")

    def _ask(self, git: Git) -> str:
        commit = ask(git, self.remote, self._theirs)
        if commit is None:
            raise self.repository.not_found(f"{self.remote}/{self.branch}")
        if len(commit) != self.repository.history.id_length:
            raise SourceError(
                f"{self.remote} answered {commit!r}, no commit id of this kind", "invalid-response"
            )
        return commit

    def _obtain(self, commit: str) -> str:
        """``commit``, or a newer one that the branch moved to meanwhile, in the repository after this."""
        history = self.repository.history
        if history.commit_of(commit):
            return commit
        self._require_writable(commit)
        try:
            self._fetch()
        except SourceError:
            # Another check may have fetched it and hold the ref's lock; what counts is the commit.
            if history.commit_of(commit):
                return commit
            raise
        return next((ref.oid for ref in self.repository.refs([self._ours])), commit)

    def _require_writable(self, commit: str) -> None:
        objects = self.repository.common_dir / "objects"
        if not os.access(objects, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            raise SourceError(
                f"{self.remote}/{self.branch} is at {commit[:12]}, which {self.repository.name} lacks and, "
                "being read-only, cannot fetch",
                "history-unavailable",
            )

    def _fetch(self) -> None:
        """Fetches the branch into a ref of the gate's own; no other ref, tag or file of the user's moves."""
        keep_head = [f"remote.{self.remote}.followRemoteHEAD=never"]  # newer gits move refs/remotes/*/HEAD
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-prune")
        where = ("--no-recurse-submodules", "--refmap=", "--end-of-options", self.remote)
        git = self.repository.git.within(FETCH_SHARE)
        git.run(
            "fetch", *quiet, *where, f"+{self._theirs}:{self._ours}", settings=keep_head, failure=fetch_failed
        )

    def _last_confirmed(self, error: SourceError) -> Target:
        """The last answer, where it may still serve; else ``error``, why there is no new one."""
        return self._records.stand_in(
            ref=self._ref,
            remote=self.remote,
            error=error,
            now=self.now(),
            limit=self.limit,
            holds=self.repository.history.commit_of,
        )
