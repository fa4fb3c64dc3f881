"""Changes what a Cloud Run service, worker pool or job runs, through Google's own clients.

Each change goes out with the etag of what was read right before. That Cloud Run's v2 refuses an old one is
promised nowhere (decision 0157), so that the generation of the answer is looked at, too: what somebody else
did in between is seen, and never taken for ours. How far a change has got is read from the workload, not
from its operation: whoever was killed has no operation to ask.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from google.api_core import exceptions as api
from google.cloud import run_v2

from drift_gate.delivery.contracts import Candidate, Revision, Split
from drift_gate.delivery.release import messages as of
from drift_gate.errors import CandidateError, SourceError, SplitChangedError
from drift_gate.facts import Kind
from drift_gate.runtime.deadline import Deadline, retrying
from drift_gate.runtime.forks import CALLS
from drift_gate.sources.cloud_run import messages as said
from drift_gate.sources.cloud_run.clients import Clients, Connected, ask
from drift_gate.sources.cloud_run.errors import FOREIGN, Asked, translate
from drift_gate.sources.cloud_run.kinds import WAYS
from drift_gate.sources.cloud_run.reader import ENV_KEYS, LABEL_KEYS

#: Seconds that one call of an update is waited for; its change goes on behind it.
CALL_S = 60.0
#: Seconds between two looks at a change that is under way: the first, and the longest.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 3.0
#: Revisions that are read at most: Cloud Run keeps so many of a service.
MOST_REVISIONS = 1000
#: Revisions of one commit and one configuration, one after another, that do not start.
MOST_ATTEMPTS = 20
#: What Cloud Run says made the last change.
CLIENT = "deployment-drift"

_ROLE = "roles/run.developer"
#: The fields of a workload that a candidate changes; a worker pool has the third, a service the second.
_FIELDS = ("template", "traffic", "instance_splits", "client")


class _NameTakenError(CandidateError):
    """There is a revision of that name, and the platform finds another configuration in it."""


class CloudRunRelease:
    """A ``contracts.Release`` of one workload.

    ``service`` is its name whatever its ``kind``; ``container`` the one that a deploy gives its image (None:
    the one that takes the requests). ``label_keys`` and ``env_keys`` are what may name a commit: whatever of
    it the template has, names the new one. ``sleep`` makes the pauses, in seconds.
    """

    def __init__(
        self,
        *,
        service: str,
        project: str,
        region: str,
        clients: Clients,
        kind: Kind = "service",
        container: str | None = None,
        label_keys: Sequence[str] = LABEL_KEYS,
        env_keys: Sequence[str] = ENV_KEYS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._service = service
        self._kind: Kind = kind
        self._project = project
        self._region = region
        self._clients = clients
        self._container = container
        self._label_keys = label_keys
        self._env_keys = env_keys
        self._sleep = sleep
        #: The commit of each image that a job's candidate named.
        self._jobs: dict[str, str] = {}

    def read(self, within: Deadline) -> Split:
        """Who serves now; see ``contracts.Release``."""
        message = self._message(within)
        if isinstance(message, run_v2.Job):
            shares = {of.image(message, self._container): 100}
        else:
            shares = of.shares(message)
            shares.pop("", None)
        return Split(
            shares=shares,
            etag=message.etag,
            settled=of.settled(message),
            tags=of.tags(message),
            failure=of.failure(message),
        )

    def revisions(self, within: Deadline) -> Sequence[Revision]:
        """The revisions that are kept, the newest first; see ``contracts.Release``."""
        if self._kind == "job":
            return ()
        asked = replace(
            self._asked(), what=f"the revisions of {self._service}", permission="run.revisions.list"
        )
        google = self._clients.connect(within, asked)
        parent = self._name

        def listed(*, timeout: float, retry: None) -> list[run_v2.Revision]:
            request = run_v2.ListRevisionsRequest(parent=parent, page_size=MOST_REVISIONS)
            pages = iter(google.revisions.list_revisions(request, timeout=timeout, retry=retry).pages)
            found: list[run_v2.Revision] = []
            while len(found) < MOST_REVISIONS and (page := next(pages, None)) is not None:
                found += page.revisions
            return found

        try:
            kept = [self._kept(each) for each in ask(listed, within, asked)]
        except ValueError as error:
            raise translate(error, asked) from error
        return sorted(kept, key=lambda each: each.created_at, reverse=True)

    def candidate(self, image: str, commit: str, tag: str, within: Deadline) -> Candidate:
        """A revision of ``image`` beside what serves; see ``contracts.Release``."""
        if self._kind == "job":
            self._jobs[image] = commit
            return Candidate(revision=image)

        room = of.TAG_LIMIT - len(self._service)
        if room < 1 and self._kind == "service":
            raise CandidateError(f"the name {self._service} is so long that Cloud Run has no room for a tag")
        tag = tag[:room]
        taken: list[str] = []

        def once() -> Candidate:
            before = self._settled(within)
            after, name = self._with_candidate(before, image, commit, tag, taken, within)
            fields = [each for each in _FIELDS if getattr(after, each, None) != getattr(before, each, None)]
            try:
                if fields:
                    self._update(after, fields, within)
            except SplitChangedError as error:
                raise SourceError(str(error), "unavailable", True) from error
            except _NameTakenError as error:
                taken.append(name)
                raise SourceError(str(error), "unavailable", True) from error
            return self._ready(self._settled(within), name, within)

        return retrying(once, within, sleep=self._sleep)

    def move(self, shares: Mapping[str, int], etag: str, within: Deadline) -> None:
        """Ask for ``shares``, unless the workload has changed since ``etag``; see ``contracts.Release``."""
        before = self._message(within)
        if before.etag != etag:
            raise SplitChangedError(
                f"{self._service} was changed by somebody else: its etag is {before.etag} now"
            )
        if isinstance(before, run_v2.Job):
            after, fields = self._with_template(before, shares), list(_FIELDS)
        else:
            after, fields = self._with_traffic(before, shares, within)
        answer = self._update(after, fields, within)
        if answer is not None and answer.generation > before.generation + 1:
            raise SplitChangedError(
                f"somebody else changed {self._service} at the same moment, and Cloud Run took both changes"
            )

    # What is asked for

    def _with_candidate(
        self, before: Any, image: str, commit: str, tag: str, taken: Sequence[str], within: Deadline
    ) -> tuple[Any, str]:
        """``before`` with a revision of ``image`` under ``tag``, and that revision's name."""
        after = type(before)(before)
        after.client = CLIENT
        after.template = of.with_image(
            before.template, self._container, image, commit, self._label_keys, self._env_keys
        )
        name = after.template.revision = self._free_name(after.template, commit, taken, within)
        serving = of.shares(before) or {"": 100}  # where nothing serves yet, nothing can be kept from it
        others = {each: revision for each, revision in of.tags(before).items() if each != tag}
        for field, value in of.traffic(before, serving, {**others, tag: name}).items():
            setattr(after, field, value)
        return after, name

    def _free_name(self, template: Any, commit: str, taken: Sequence[str], within: Deadline) -> str:
        """The name of the revision to be: one that there is none of, or that did start, or still does."""
        for attempt in range(MOST_ATTEMPTS):
            name = of.revision_name(self._service, template, commit, attempt)
            if name in taken:
                continue
            try:
                kept = self._revision(name, within)
            except SourceError as error:
                if error.cause != "not-found":
                    raise
                return name
            if said.ready_failure(kept) is None:
                return name
        raise CandidateError(
            f"{MOST_ATTEMPTS} revisions of {commit[:12]} with this configuration did not start, the last "
            f"of them {name}; see its log"
        )

    def _with_traffic(
        self, before: Any, shares: Mapping[str, int], within: Deadline
    ) -> tuple[Any, list[str]]:
        """``before`` with ``shares``, and what of it changed; its own label follows where all of it moves."""
        after = type(before)(before)
        newest = said.short(before.latest_created_revision)
        whole = shares.get(newest) == 100 and said.short(before.latest_ready_revision) == newest
        asked = of.traffic(before, shares, of.tags(before), newest if whole else "")
        for field, value in asked.items():
            setattr(after, field, value)
        own = [key for key in self._label_keys if key in before.labels]
        [sole, *others] = shares
        if not own or others:
            return after, [*asked]
        labels = self._revision(sole, within).labels
        commit = next((labels[key] for key in self._label_keys if key in labels), None)
        if commit is None:
            return after, [*asked]
        after.labels.update(dict.fromkeys(own, commit))
        return after, [*asked, "labels"]

    def _with_template(self, before: run_v2.Job, shares: Mapping[str, int]) -> run_v2.Job:
        [image] = shares
        if image not in self._jobs:
            raise CandidateError(f"{image} is no candidate of the job {self._service}")
        after = run_v2.Job(before)
        commit = self._jobs[image]
        after.client = CLIENT
        after.template = of.with_image(
            before.template, self._container, image, commit, self._label_keys, self._env_keys
        )
        own = [key for key in self._label_keys if key in before.labels]
        after.labels.update(dict.fromkeys(own, of.stamp(commit)))
        return after

    # What became of it

    def _settled(self, within: Deadline) -> Any:
        """The workload, once nothing of it is under way."""
        pause = FIRST_PAUSE_S
        while not of.settled(message := self._message(within)):
            within.require(f"the change of {self._service} that is under way")
            self._sleep(min(pause, within.remaining()))
            pause = min(pause * 1.5, LONGEST_PAUSE_S)
        return message

    def _ready(self, landed: Any, name: str, within: Deadline) -> Candidate:
        """The candidate, which is ready. Raises ``CandidateError`` where it did not get so."""
        revision = self._revision(name, within)
        failure = said.ready_failure(revision) or of.failure(landed)
        if failure is not None:
            log = (
                f" Its log: {revision.log_uri}"
                if revision.log_uri and revision.log_uri not in failure
                else ""
            )
            raise CandidateError(f"the revision {name} did not get ready: {failure}{log}")
        url = of.tag_url(landed, name)
        if isinstance(landed, run_v2.Service) and url is None:
            sentence = f"{self._service} was changed by somebody else: no tag leads to {name} any more"
            raise SourceError(sentence, "unavailable", True)
        return Candidate(revision=name, url=url)

    def _kept(self, message: run_v2.Revision) -> Revision:
        commit = next((message.labels[key] for key in self._label_keys if key in message.labels), None)
        return Revision(
            name=said.short(message.name),
            commit=commit,
            image=of.chosen(message.containers, self._container).image,
            created_at=said.moment(message) or datetime.min.replace(tzinfo=UTC),
            ready=said.is_ready(message),
        )

    # The calls

    def _message(self, within: Deadline) -> Any:
        asked = self._asked()
        google = self._clients.connect(within, asked)
        asked = replace(asked, principal=google.principal)
        message = ask(WAYS[self._kind].get(google, self._name), within, asked)
        said.same_name(message, self._service, asked)
        return message

    def _revision(self, name: str, within: Deadline) -> run_v2.Revision:
        asked = replace(self._asked(), what=f"the revision {name}", permission="run.revisions.get")
        google = self._clients.connect(within, asked)
        full = f"{self._name}/revisions/{name}"
        message: run_v2.Revision = ask(partial(google.revisions.get_revision, name=full), within, asked)
        said.same_name(message, name, asked)
        return message

    def _update(self, message: Any, fields: Sequence[str], within: Deadline) -> Any:
        """The workload as the platform has accepted it, None where it does not tell; asked for once.

        Raises ``SplitChangedError`` for an old etag, ``CandidateError`` for what will never be taken.
        """
        way = WAYS[self._kind]
        asked = replace(self._asked(), permission=way.update_permission, to="update", role=_ROLE)
        google: Connected = self._clients.connect(within, asked)
        asked = replace(asked, principal=google.principal)
        timeout = min(CALL_S, within.require(f"the update of {asked.what}"))
        try:
            with CALLS.one():
                operation = way.update(google, message, fields)(timeout=timeout, retry=None)
            return operation.metadata
        except api.Aborted as error:
            sentence = f"{self._service} was changed by somebody else: {error.message}"
            raise SplitChangedError(sentence) from error
        except api.AlreadyExists as error:
            raise _NameTakenError(error.message) from error
        except (api.InvalidArgument, api.FailedPrecondition) as error:
            sentence = f"Cloud Run does not take the update of {asked.what}: {error.message}"
            raise CandidateError(sentence) from error
        except FOREIGN as error:
            raise translate(error, asked) from error

    @property
    def _name(self) -> str:
        parent = f"projects/{self._project}/locations/{self._region}"
        return f"{parent}/{WAYS[self._kind].folder}/{self._service}"

    def _asked(self) -> Asked:
        way = WAYS[self._kind]
        return Asked(f"the {way.noun} {self._service}", way.permission, self._project, self._region)
