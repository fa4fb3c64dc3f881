"""What serves one Cloud Run service, worker pool or job now, through Google's own clients.

Two reads in sequence: the workload, then each revision that gets traffic, side by side. The traffic
comes from the statuses, not from the specification and never from ``latest_ready_revision`` alone: a
pinned workload goes on serving an old revision through any number of successful deploys.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from google.cloud import run_v2

from drift_gate.errors import SourceError
from drift_gate.facts import Finding, Kind, Live, LiveRevision, Unknown
from drift_gate.runtime.deadline import Deadline, gather
from drift_gate.sources.cloud_run import messages as said
from drift_gate.sources.cloud_run import origins as origins
from drift_gate.sources.cloud_run.clients import Clients, Connected, ask
from drift_gate.sources.cloud_run.containers import Containers
from drift_gate.sources.cloud_run.errors import FOREIGN, Asked, translate
from drift_gate.sources.cloud_run.kinds import WAYS
from drift_gate.sources.cloud_run.states import (
    Newest,
    Workload,
    findings,
    passing,
    rest,
    shares,
    tag_urls,
    tagged,
)

#: Labels that carry a commit: Cloud Build's and GitHub's deploy action write the first, people the
#: others. ``firebase-functions-hash`` has 40 hex digits, too, and is no commit.
LABEL_KEYS = ("commit-sha", "commit_sha", "git-sha", "git-commit")
#: Environment variables that carry a commit; they outlive deploys even more easily than labels.
ENV_KEYS = ("BUILD_COMMIT", "GIT_SHA", "COMMIT_SHA", "GIT_COMMIT")

#: Seconds after which a rollout counts as stalled: Cloud Run's own start-up probes give up after minutes.
ROLLOUT_TIMEOUT_S = 1800.0
#: Seconds that reading revisions without traffic may take: they say what is to come, or where it came from.
NEWEST_S = 1.0
#: How many of the revisions that do not serve are read when they are asked for, the newest first.
RECENT = 20
#: Seconds before the end of the deadline at which the reading ends, so that what it learned by then
#: still reaches a caller that waits no longer than the deadline.
HANDOVER_S = 0.1
#: Seconds that the search for similar names may take: the true answer is known by then.
NEAR_NAMES_S = 1.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Read:
    """A revision as it was read, by its containers that count, and the link to its log ("" for none)."""

    revisions: tuple[LiveRevision, ...]
    log_uri: str


class CloudRun:
    """A ``facts.LiveSource`` for one workload.

    ``service`` is the workload's name whatever its ``kind``. ``deadline`` is the check's: every call
    gets what is left of it. ``clients`` may be shared by the sources of many workloads. ``label_keys``,
    ``env_keys``, ``tag_pattern``, ``kept_env`` and ``kept_labels`` are as ``Containers`` has them, and
    ``container`` is its ``named``. ``rollout_timeout`` is in seconds;
    ``now`` (UTC) tells how old a rollout is. ``others`` asks for the recent revisions that do not serve, too.
    """

    def __init__(
        self,
        *,
        service: str,
        project: str,
        region: str,
        deadline: Deadline,
        clients: Clients,
        kind: Kind = "service",
        label_keys: Sequence[str] = LABEL_KEYS,
        env_keys: Sequence[str] = ENV_KEYS,
        tag_pattern: re.Pattern[str] | None = None,
        kept_env: Collection[str] = (),
        kept_labels: Collection[str] = (),
        rollout_timeout: float = ROLLOUT_TIMEOUT_S,
        now: Callable[[], datetime] = _utc_now,
        others: bool = False,
        container: str | None = None,
    ) -> None:
        self._others = others
        self._service = service
        self._kind: Kind = kind
        self._project = project
        self._region = region
        self._deadline = deadline
        self._clients = clients
        self._containers = Containers(
            project=project,
            named=container,
            label_keys=label_keys,
            env_keys=env_keys,
            tag_pattern=tag_pattern,
            kept_env=kept_env,
            kept_labels=kept_labels,
        )
        self._rollout_timeout = rollout_timeout
        self._now = now

    def read(self) -> Live:
        """What serves now.

        A revision that cannot be read is kept with its cause, beside what is known of the others.
        Raises ``SourceError`` when the workload itself cannot be read, nothing serves, or the answer
        makes no sense.
        """
        within = self._deadline.sooner(HANDOVER_S)
        google = self._clients.connect(within, self._asked())
        message = self._message(google, within)
        if self._kind == "job":
            return self._of_job(message)
        live = self._of_workload(google, message, within)
        return self._read_again(google, live, within) if passing(live) else live

    def unchanged(self, live: Live) -> bool:
        """Whether the workload is as it was when ``live`` was read. Raises ``SourceError``."""
        within = self._deadline.sooner(HANDOVER_S)
        google = self._clients.connect(within, self._asked())
        return said.version(self._message(google, within)) == live.version

    def only(self, revision: str, url: str | None) -> Live:
        """One revision as if it alone served, at its ``url`` (None: it has none). Raises ``SourceError``."""
        within = self._deadline.sooner(HANDOVER_S)
        google = self._clients.connect(within, self._asked())
        message = self._message(google, within)
        read = self._revision(google, revision, within).revisions
        return Live(
            kind=self._kind,
            project=self._project,
            region=self._region,
            revisions=tuple(replace(each, percent=100, url=url) for each in read),
            url=said.bounded(getattr(message, "uri", "")) or None,
        )

    def _read_again(self, google: Connected, first: Live, within: Deadline) -> Live:
        """Follow a workload that moved on between the two reads, or while it was read."""
        try:
            return self._of_workload(google, self._message(google, within), within)
        except SourceError:
            return first  # it says `not-found` for the revision, and what is known of the others

    def _message(self, google: Connected, within: Deadline) -> Any:
        """The workload as Google describes it, under the name that was asked for."""
        way = WAYS[self._kind]
        asked = self._asked(google)
        try:
            message = ask(way.get(google, f"{self._parent}/{way.folder}/{self._service}"), within, asked)
        except SourceError as error:
            if error.cause != "not-found":
                raise
            sentence = f"{error.message}{self._near_names(google, within)}"
            raise SourceError(sentence, error.cause, error.retryable) from error
        said.same_name(message, self._service, asked)
        return message

    def _near_names(self, google: Connected, within: Deadline) -> str:
        """A half-sentence about names like the one that does not exist; empty when nobody can say."""
        way = WAYS[self._kind]
        left = within.remaining()
        patience = within.sooner(left - min(NEAR_NAMES_S, left / 2))

        def names(*, timeout: float, retry: None) -> list[str]:
            listed = way.list(google, self._parent)(timeout=timeout, retry=retry)
            return [said.short(message.name) for message in listed]

        found = gather({"names": lambda: ask(names, patience, self._asked(google))}, patience)["names"]
        if isinstance(found, SourceError):
            return ""
        if near := difflib.get_close_matches(self._service, found, n=3):
            return f"; did you mean {' or '.join(near)}?"
        return f"; there {_count(len(found), way.noun)}, none of a similar name"

    # The facts

    def _of_workload(self, google: Connected, message: Any, within: Deadline) -> Live:
        workload = self._workload(message)
        serving = shares(workload)
        extra = "" if workload.rollout == "settled" else workload.created
        read, others, missed = self._read_all(google, serving, extra, within)
        newest = self._newest(message, workload, read)
        revisions = _revisions(serving, read, tag_urls(workload))
        claims = self._containers.claims(message.labels, "service-label")
        known = others if self._others else self._relatives(google, revisions, within)
        return Live(
            kind=self._kind,
            project=self._project,
            region=self._region,
            revisions=(*origins.with_origin(message, revisions, claims, known), *rest(workload, serving)),
            tagged=tagged(workload, serving),
            service_claims=claims,
            findings=(*findings(workload, serving, newest), *missed, *origins.floating(message, revisions)),
            coming=newest.revisions if workload.rollout == "in-progress" and workload.follows else (),
            # A worker pool has none.
            url=said.bounded(getattr(message, "uri", "")) or None,
            addresses=said.addresses(message, [entry.tag for entry in workload.entries if entry.tag]),
            others=tuple(other for other in others if other.revision not in serving),
            version=said.version(message),
        )

    def _workload(self, message: Any) -> Workload:
        return Workload(
            name=self._service,
            kind=self._kind,
            project=self._project,
            region=self._region,
            entries=tuple(said.entries(message)),
            # A job has neither of them.
            ready=said.short(getattr(message, "latest_ready_revision", "")),
            created=said.short(getattr(message, "latest_created_revision", "")),
            changing=said.changing(message),
            failure=said.failure(message),
            follows=said.follows(message),
        )

    def _read_all(
        self, google: Connected, serving: Iterable[str], extra: str, within: Deadline
    ) -> tuple[dict[str, _Read | SourceError], tuple[LiveRevision, ...], tuple[Finding, ...]]:
        """The revisions that serve, the ``extra`` one ("" for none) and the recent others, side by side.

        What does not serve is worth little time: what decides has to be compared within the same deadline.
        Each call ends at its own, so that one alone needs no thread.
        """
        patience = _briefly(within)
        jobs: dict[str, Callable[[], _Read | tuple[LiveRevision, ...]]] = {
            name: partial(self._revision, google, name, within) for name in serving
        }
        if extra:
            jobs.setdefault(extra, partial(self._revision, google, extra, patience))
        if self._others:
            jobs[""] = partial(self._recent, google, patience)
        answers = gather({}, within, here=jobs) if len(jobs) == 1 else gather(jobs, within)
        others = answers.pop("", ())
        read = {name: answer for name, answer in answers.items() if not isinstance(answer, tuple)}
        if isinstance(others, SourceError):
            return read, (), (self._unseen(others),)
        return read, others if isinstance(others, tuple) else (), ()

    def _relatives(
        self, google: Connected, revisions: Iterable[LiveRevision], within: Deadline
    ) -> tuple[LiveRevision, ...] | SourceError:
        """The recent revisions, where one that serves names no commit: one of the same image may.

        Nobody decides by them, so that this costs a call in no other case; an error is for people, too.
        """
        if not any(one.image and origins.nameless(one) for one in revisions):
            return ()
        patience = _briefly(within)
        return gather({"": partial(self._recent, google, patience)}, patience)[""]

    def _recent(self, google: Connected, within: Deadline) -> tuple[LiveRevision, ...]:
        """The recent revisions, the newest first, of one page: what came before says little about now."""
        way = WAYS[self._kind]
        parent = f"{self._parent}/{way.folder}/{self._service}"
        request = run_v2.ListRevisionsRequest(parent=parent, page_size=RECENT)
        what = f"the revisions of the {way.noun} {self._service}"
        asked = replace(self._asked(google), what=what, permission="run.revisions.list")

        def page(*, timeout: float, retry: None) -> list[run_v2.Revision]:
            pages = google.revisions.list_revisions(request=request, timeout=timeout, retry=retry).pages
            return list(next(iter(pages)).revisions)

        found = [self._read_of(message, asked) for message in ask(page, within, asked)[:RECENT]]
        oldest = datetime.min.replace(tzinfo=UTC)
        revisions = (replace(each, percent=0) for one in found for each in one.revisions)
        return tuple(sorted(revisions, key=lambda one: one.created_at or oldest, reverse=True))

    def _unseen(self, error: SourceError) -> Finding:
        """That the others could not be read: nothing can be said about what they have in common."""
        sentence = f"the recent revisions of {self._service} could not be compared: {error.message}"
        data: dict[str, str | int | float | bool | list[str] | None] = {
            "carrier": "image-label",
            "cause": error.cause,
            "revision": None,
        }
        return Finding(code="evidence-unreachable", message=sentence, data=data)

    def _newest(self, message: Any, workload: Workload, read: Mapping[str, _Read | SourceError]) -> Newest:
        """What a rollout that is not over, or failed, brings; that it cannot be read harms no verdict."""
        if workload.rollout == "settled":
            return Newest()
        since = said.since(message)
        answer = read.get(workload.created)
        found: tuple[LiveRevision, ...] = ()
        log_uri = ""
        if workload.created in ("", workload.ready):
            # No revision was made yet: what is to come stands in the template alone.
            found = self._of_template(message)
        elif isinstance(answer, _Read):
            found, log_uri = answer.revisions, answer.log_uri
            # A condition keeps its time when one rollout overtakes another that was not over yet.
            since = max(since, found[0].created_at) if since and found[0].created_at else since
        return self._aged(since, Newest(revisions=found, log_uri=log_uri))

    def _aged(self, since: datetime | None, newest: Newest) -> Newest:
        age = None if since is None else (self._now() - since).total_seconds()
        return replace(newest, under_way_s=age, timeout_s=self._rollout_timeout)

    def _of_template(self, message: Any) -> tuple[LiveRevision, ...]:
        template = message.template
        if not template.containers:
            return ()
        return self._containers.read(None, template.labels, template.containers)

    def _revision(self, google: Connected, name: str, within: Deadline) -> _Read:
        """One revision; its percent is not its own and is filled in by whoever knows it."""
        way = WAYS[self._kind]
        full = f"{self._parent}/{way.folder}/{self._service}/revisions/{name}"
        asked = replace(self._asked(google), what=f"the revision {name}", permission="run.revisions.get")
        message = ask(partial(google.revisions.get_revision, name=full), within, asked)
        said.same_name(message, name, asked)
        return self._read_of(message, asked)

    def _read_of(self, message: run_v2.Revision, asked: Asked) -> _Read:
        try:
            created = said.moment(message)
        except FOREIGN as error:
            raise translate(error, asked) from error
        read = self._containers.read(said.short(message.name), message.labels, message.containers)
        made = origins.made(message)
        told = (
            replace(each, created_at=created, origin="; ".join(filter(None, (each.origin, made))))
            for each in read
        )
        return _Read(tuple(told), message.log_uri)

    def _of_job(self, message: run_v2.Job) -> Live:
        """A job has no revisions: its template is what the next run uses."""
        template = message.template
        revisions = self._containers.read(None, template.labels, template.template.containers)
        claims = self._containers.claims(message.labels, "service-label")
        return Live(
            kind=self._kind,
            project=self._project,
            region=self._region,
            revisions=origins.with_origin(message, revisions, claims, ()),
            service_claims=claims,
            findings=findings(
                self._workload(message),
                {self._service: 100},
                self._aged(said.since(message), Newest()),
            ),
            version=said.version(message),
        )

    # The names

    @property
    def _parent(self) -> str:
        return f"projects/{self._project}/locations/{self._region}"

    def _asked(self, google: Connected | None = None) -> Asked:
        way = WAYS[self._kind]
        what = f"the {way.noun} {self._service}"
        who = google.principal if google else None
        return Asked(what, way.permission, self._project, self._region, who)


def _revisions(
    serving: Mapping[str, int], read: Mapping[str, _Read | SourceError], urls: Mapping[str, str]
) -> tuple[LiveRevision, ...]:
    return tuple(
        replace(each, percent=percent, url=urls.get(name))
        for name, percent in serving.items()
        for each in _facts(name, read[name])
    )


def _facts(name: str, answer: _Read | SourceError) -> tuple[LiveRevision, ...]:
    if isinstance(answer, SourceError):
        return (LiveRevision(revision=name, percent=0, unknown=Unknown.of(answer)),)
    return answer.revisions


def _briefly(within: Deadline) -> Deadline:
    """What is left of the time for what decides nothing."""
    left = within.remaining()
    return within.sooner(left - min(NEWEST_S, left / 4))


def _count(number: int, noun: str) -> str:
    return f"is 1 {noun}" if number == 1 else f"are {number} {noun}s"
