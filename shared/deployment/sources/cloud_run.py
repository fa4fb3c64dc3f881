"""What serves one Cloud Run service, worker pool or job now, through Google's own clients.

Two reads in sequence: the workload, then each revision that gets traffic, side by side. The traffic
comes from the statuses, not from the specification and never from ``latest_ready_revision`` alone: a
pinned workload goes on serving an old revision through any number of successful deploys.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from google.cloud import run_v2

from shared.deployment.calling import Deadline, gather
from shared.deployment.errors import SourceError
from shared.deployment.facts import Carrier, Evidence, Kind, Live, LiveRevision, Unknown
from shared.deployment.sources.cloud_run_clients import Call, Clients, Connected, ask
from shared.deployment.sources.cloud_run_errors import FOREIGN, Asked, translate
from shared.deployment.sources.cloud_run_states import Entry, Newest, Workload, findings, shares, tagged
from shared.deployment.sources.texts import plain

#: Labels that carry a commit: Cloud Build's and GitHub's deploy action write the first, people the
#: others. ``firebase-functions-hash`` has 40 hex digits, too, and is no commit.
LABEL_KEYS = ("commit-sha", "commit_sha", "git-sha", "git-commit")
#: Environment variables that carry a commit; they outlive deploys even more easily than labels.
ENV_KEYS = ("BUILD_COMMIT", "GIT_SHA", "COMMIT_SHA", "GIT_COMMIT")

#: Seconds after which a rollout counts as stalled: Cloud Run's own start-up probes give up after minutes.
ROLLOUT_TIMEOUT_S = 1800.0
#: Seconds that reading a newest revision without traffic may take: it only says what is to come.
NEWEST_S = 1.0
#: Longest value that is kept whole. No commit id is longer; a variable may hold kilobytes of anything.
VALUE_LIMIT = 1000
#: Seconds before the end of the deadline at which the reading ends, so that what it learned by then
#: still reaches a caller that waits no longer than the deadline.
HANDOVER_S = 0.1
#: Seconds that the search for similar names may take: the true answer is known by then.
NEAR_NAMES_S = 1.0

#: The states of a condition on its way to another one.
_UNSETTLED = (run_v2.Condition.State.CONDITION_PENDING, run_v2.Condition.State.CONDITION_RECONCILING)
#: The number of "follows the latest ready revision" in both enums (traffic, instance splits).
_LATEST = int(run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST)


@dataclass(frozen=True, slots=True)
class _Way:
    """How one kind of workload is read: the word for it, its folder, permission and calls."""

    noun: str
    folder: str
    permission: str
    get: Callable[[Connected, str], Call[Any]]
    list: Callable[[Connected, str], Call[Iterable[Any]]]


_WAYS: dict[Kind, _Way] = {
    "service": _Way(
        "service",
        "services",
        "run.services.get",
        lambda google, name: partial(google.services.get_service, name=name),
        lambda google, parent: partial(google.services.list_services, parent=parent),
    ),
    "worker-pool": _Way(
        "worker pool",
        "workerPools",
        "run.workerpools.get",
        lambda google, name: partial(google.worker_pools.get_worker_pool, name=name),
        lambda google, parent: partial(google.worker_pools.list_worker_pools, parent=parent),
    ),
    "job": _Way(
        "job",
        "jobs",
        "run.jobs.get",
        lambda google, name: partial(google.jobs.get_job, name=name),
        lambda google, parent: partial(google.jobs.list_jobs, parent=parent),
    ),
}


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Read:
    """A revision as it was read, and the link to its log ("" for none)."""

    revision: LiveRevision
    log_uri: str


class CloudRun:
    """A ``facts.LiveSource`` for one workload.

    ``service`` is the workload's name whatever its ``kind``. ``deadline`` is the check's: every call
    gets what is left of it. ``clients`` may be shared by the sources of many workloads. ``label_keys``
    and ``env_keys`` are what may carry a commit, strongest first. ``kept_env`` and ``kept_labels`` name the
    variables and labels whose values are told, no others are. ``rollout_timeout`` is in seconds;
    ``now`` (UTC) tells how old a rollout is.
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
        kept_env: Collection[str] = (),
        kept_labels: Collection[str] = (),
        rollout_timeout: float = ROLLOUT_TIMEOUT_S,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._service = service
        self._kind: Kind = kind
        self._project = project
        self._region = region
        self._deadline = deadline
        self._clients = clients
        self._label_keys = label_keys
        self._env_keys = env_keys
        self._kept_env = kept_env
        self._kept_labels = kept_labels
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
        return self._read_again(google, live, within) if _lost_revision(live) else live

    def _read_again(self, google: Connected, first: Live, within: Deadline) -> Live:
        """Follow a workload that moved on between the two reads, and whose old revision was deleted."""
        try:
            return self._of_workload(google, self._message(google, within), within)
        except SourceError:
            return first  # it says `not-found` for the revision, and what is known of the others

    def _message(self, google: Connected, within: Deadline) -> Any:
        """The workload as Google describes it, under the name that was asked for."""
        way = _WAYS[self._kind]
        asked = self._asked(google)
        try:
            message = ask(way.get(google, f"{self._parent}/{way.folder}/{self._service}"), within, asked)
        except SourceError as error:
            if error.cause != "not-found":
                raise
            sentence = f"{error.message}{self._near_names(google, within)}"
            raise SourceError(sentence, error.cause, error.retryable) from error
        _same_name(message, self._service, asked)
        return message

    def _near_names(self, google: Connected, within: Deadline) -> str:
        """A half-sentence about names like the one that does not exist; empty when nobody can say."""
        way = _WAYS[self._kind]
        left = within.remaining()
        patience = within.sooner(left - min(NEAR_NAMES_S, left / 2))

        def names(*, timeout: float, retry: None) -> list[str]:
            listed = way.list(google, self._parent)(timeout=timeout, retry=retry)
            return [_short(message.name) for message in listed]

        found = gather({"names": lambda: ask(names, patience, self._asked(google))}, patience)["names"]
        if isinstance(found, SourceError):
            return ""
        near = difflib.get_close_matches(self._service, found, n=3)
        if near:
            return f"; did you mean {' or '.join(near)}?"
        return f"; there {_count(len(found), way.noun)}, none of a similar name"

    # The facts

    def _of_workload(self, google: Connected, message: Any, within: Deadline) -> Live:
        workload = self._workload(message)
        serving = shares(workload)
        extra = "" if workload.rollout == "settled" else workload.created
        read = self._read_all(google, serving, extra, within)
        newest = self._newest(message, workload, read)
        return Live(
            kind=self._kind,
            project=self._project,
            region=self._region,
            revisions=_revisions(serving, read, _tag_urls(workload)),
            tagged=tagged(workload, serving),
            service_claims=self._claims(message.labels, "service-label"),
            findings=findings(workload, serving, newest),
            coming=newest.revision if workload.rollout == "in-progress" and workload.follows else None,
            # A worker pool has none.
            url=_bounded(getattr(message, "uri", "")) or None,
        )

    def _workload(self, message: Any) -> Workload:
        return Workload(
            name=self._service,
            kind=self._kind,
            project=self._project,
            region=self._region,
            entries=tuple(_entries(message)),
            # A job has neither of them.
            ready=_short(getattr(message, "latest_ready_revision", "")),
            created=_short(getattr(message, "latest_created_revision", "")),
            changing=_changing(message),
            failure=_failure(message),
            follows=_follows(message),
        )

    def _read_all(
        self, google: Connected, serving: Iterable[str], extra: str, within: Deadline
    ) -> dict[str, _Read | SourceError]:
        """The revisions that serve and the ``extra`` one ("" for none), side by side.

        The extra one is worth little time: what decides has to be compared within the same deadline.
        """
        jobs = {name: partial(self._revision, google, name, within) for name in serving}
        if extra:
            left = within.remaining()
            patience = within.sooner(left - min(NEWEST_S, left / 4))
            jobs.setdefault(extra, partial(self._revision, google, extra, patience))
        return gather(jobs, within)

    def _newest(self, message: Any, workload: Workload, read: Mapping[str, _Read | SourceError]) -> Newest:
        """What a rollout that is not over, or failed, brings; that it cannot be read harms no verdict."""
        if workload.rollout == "settled":
            return Newest()
        since = _since(message)
        answer = read.get(workload.created)
        found: LiveRevision | None = None
        log_uri = ""
        if workload.created in ("", workload.ready):
            # No revision was made yet: what is to come stands in the template alone.
            found = self._of_template(message)
        elif isinstance(answer, _Read):
            found, log_uri = answer.revision, answer.log_uri
            # A condition keeps its time when one rollout overtakes another that was not over yet.
            since = max(since, found.created_at) if since and found.created_at else since
        return self._aged(since, Newest(revision=found, log_uri=log_uri))

    def _aged(self, since: datetime | None, newest: Newest) -> Newest:
        age = None if since is None else (self._now() - since).total_seconds()
        return replace(newest, under_way_s=age, timeout_s=self._rollout_timeout)

    def _of_template(self, message: Any) -> LiveRevision | None:
        template = message.template
        return self._facts(None, template.labels, template.containers) if template.containers else None

    def _revision(self, google: Connected, name: str, within: Deadline) -> _Read:
        """One revision; its percent is not its own and is filled in by whoever knows it."""
        way = _WAYS[self._kind]
        full = f"{self._parent}/{way.folder}/{self._service}/revisions/{name}"
        asked = replace(self._asked(google), what=f"the revision {name}", permission="run.revisions.get")
        message = ask(partial(google.revisions.get_revision, name=full), within, asked)
        _same_name(message, name, asked)
        try:
            created = _moment(message)
        except FOREIGN as error:
            raise translate(error, asked) from error
        facts = self._facts(name, message.labels, message.containers)
        return _Read(replace(facts, created_at=created), message.log_uri)

    def _of_job(self, message: run_v2.Job) -> Live:
        """A job has no revisions: its template is what the next run uses."""
        template = message.template
        return Live(
            kind=self._kind,
            project=self._project,
            region=self._region,
            revisions=(self._facts(None, template.labels, template.template.containers),),
            service_claims=self._claims(message.labels, "service-label"),
            findings=findings(
                self._workload(message),
                {self._service: 100},
                self._aged(_since(message), Newest()),
            ),
        )

    def _facts(
        self, revision: str | None, labels: Any, containers: Sequence[run_v2.Container]
    ) -> LiveRevision:
        container = _serving(containers)
        image = _bounded(container.image) if container else ""
        evidence = (
            *self._claims(labels, "revision-label"),
            *_image_tag(image),
            *(_variables(container, self._env_keys) if container else ()),
        )
        return LiveRevision(
            revision=revision,
            percent=100,
            evidence=evidence,
            image=image or None,
            env_names=frozenset(_set_names(container)) if container else frozenset(),
            env=_values(container, self._kept_env) if container else {},
            labels={name: _bounded(labels[name]) for name in self._kept_labels if name in labels},
        )

    def _claims(self, labels: Any, carrier: Carrier) -> tuple[Evidence, ...]:
        return tuple(
            Evidence(carrier=carrier, key=key, value=_bounded(labels[key]))
            for key in self._label_keys
            if key in labels
        )

    # The names

    @property
    def _parent(self) -> str:
        return f"projects/{self._project}/locations/{self._region}"

    def _asked(self, google: Connected | None = None) -> Asked:
        way = _WAYS[self._kind]
        what = f"the {way.noun} {self._service}"
        who = google.principal if google else None
        return Asked(what, way.permission, self._project, self._region, who)


def inventory(*, project: str, region: str, deadline: Deadline, clients: Clients) -> tuple[str, ...]:
    """The names of all services of a project and region, in order. Raises ``SourceError``."""
    asked = Asked(f"the services of {project}/{region}", "run.services.list", project, region)
    google = clients.connect(deadline, asked)
    way = _WAYS["service"]

    def names(*, timeout: float, retry: None) -> list[str]:
        listed = way.list(google, f"projects/{project}/locations/{region}")(timeout=timeout, retry=retry)
        return [_short(message.name) for message in listed]

    return tuple(sorted(ask(names, deadline, replace(asked, principal=google.principal))))


# Google's messages, one question each


def _entries(message: Any) -> Iterator[Entry]:
    """The traffic as it is, of a service or a worker pool; a worker pool has no tags, a job no traffic."""
    field = "traffic_statuses" if isinstance(message, run_v2.Service) else "instance_split_statuses"
    for status in getattr(message, field, ()):
        yield Entry(
            latest=_number(status, "type_") == _LATEST,
            revision=_short(status.revision),
            percent=status.percent,
            tag=_bounded(getattr(status, "tag", "")),
            url=_bounded(getattr(status, "uri", "")),
        )


def _changing(message: Any) -> bool:
    """While this holds, the platform calls its own traffic statuses and ready revision transient."""
    state = _number(message.terminal_condition, "state")
    behind = message.observed_generation != message.generation
    return bool(message.reconciling or behind or state in _UNSETTLED)


def _failure(message: Any) -> str | None:
    """What the platform says about the first condition that failed; the one that sums up comes first."""
    for condition in (message.terminal_condition, *message.conditions):
        if _number(condition, "state") == run_v2.Condition.State.CONDITION_FAILED:
            return condition.message or f"the condition {condition.type_} failed"
    return None


def _since(message: Any) -> datetime | None:
    """Since when the rollout is under way; None where no condition says so.

    Only a condition that is not settled tells: the time of one that succeeded is that of the rollout
    before. The one that sums up counts, else the one that has been waiting for longest.
    """
    whole, *parts = (_unsettled_since(each) for each in (message.terminal_condition, *message.conditions))
    return whole or min(filter(None, parts), default=None)


def _unsettled_since(condition: run_v2.Condition) -> datetime | None:
    if _number(condition, "state") not in _UNSETTLED or "last_transition_time" not in condition:
        return None
    try:
        return datetime.fromtimestamp(int(condition.last_transition_time.timestamp()), tz=UTC)
    except (ValueError, OverflowError, OSError):  # out of the range of a time: as good as none
        return None


def _follows(message: Any) -> bool:
    """Whether all traffic is asked to go to the latest ready revision; asking for nothing means that."""
    field = "traffic" if isinstance(message, run_v2.Service) else "instance_splits"
    created = _short(getattr(message, "latest_created_revision", ""))
    return all(
        _number(target, "type_") == _LATEST or _short(target.revision) == created
        for target in getattr(message, field, ())
        if target.percent
    )


def _tag_urls(workload: Workload) -> dict[str, str]:
    """For each revision with a tag the address at which it alone answers."""
    return {workload.named(entry): entry.url for entry in workload.entries if entry.tag and entry.url}


def _revisions(
    serving: Mapping[str, int], read: Mapping[str, _Read | SourceError], urls: Mapping[str, str]
) -> tuple[LiveRevision, ...]:
    return tuple(
        LiveRevision(revision=name, percent=percent, unknown=Unknown.of(answer))
        if isinstance(answer := read[name], SourceError)
        else replace(answer.revision, percent=percent, url=urls.get(name))
        for name, percent in serving.items()
    )


def _serving(containers: Sequence[run_v2.Container]) -> run_v2.Container | None:
    """The container that takes the requests: the one with ports, beside which the others are sidecars."""
    return next((container for container in containers if container.ports), next(iter(containers), None))


def _image_tag(image: str) -> Iterator[Evidence]:
    """The tag of ``image``; none when it is named by digest only. A registry's port is no tag."""
    name, colon, tag = image.partition("@")[0].rpartition(":")
    if colon and "/" not in tag:
        yield Evidence(carrier="image-tag", key=name, value=tag)


def _variables(container: run_v2.Container, keys: Sequence[str]) -> Iterator[Evidence]:
    """The variables that may name a commit; a value out of a secret is not in the message at all."""
    for key in keys:
        for variable in container.env:
            if variable.name == key and variable.value:
                yield Evidence(carrier="env", key=key, value=_bounded(variable.value))


def _set_names(container: run_v2.Container) -> Iterator[str]:
    """The names of the variables that have a value, or a secret that brings it; no value leaves here."""
    for variable in container.env:
        if variable.value or "value_source" in variable:
            yield variable.name


def _values(container: run_v2.Container, names: Collection[str]) -> dict[str, str]:
    """The values of the variables ``names``; one that a secret brings is not in the message at all."""
    return {
        variable.name: _bounded(variable.value)
        for variable in container.env
        if variable.name in names and "value_source" not in variable
    }


def _moment(revision: run_v2.Revision) -> datetime | None:
    """When it was made, as a plain UTC time to the second. Raises ``ValueError`` out of range."""
    if "create_time" not in revision:
        return None
    return datetime.fromtimestamp(int(revision.create_time.timestamp()), tz=UTC)


def _lost_revision(live: Live) -> bool:
    return any(one.unknown is not None and one.unknown.cause == "not-found" for one in live.revisions)


def _same_name(message: Any, name: str, asked: Asked) -> None:
    """An empty or foreign message parses, too; nothing in it may count as a fact about ``name``."""
    if _short(message.name) != name:
        found = plain(message.name) or "nothing"
        sentence = f"Cloud Run's answer about {asked.place} makes no sense: it describes {found}"
        raise SourceError(sentence, "invalid-response", False)


def _number(message: Any, field: str) -> int:
    """The enum ``field`` as its number: a value that Google adds one day is no reason for a warning."""
    return int(getattr(type(message).pb(message), field))


def _short(name: str) -> str:
    """The last part of a resource name: Google mixes short and full names."""
    return name.rsplit("/", 1)[-1]


def _bounded(text: str) -> str:
    """``text``, or the beginning of one that is too long to mean anything here."""
    return text if len(text) <= VALUE_LIMIT else text[: VALUE_LIMIT - 1] + "…"


def _count(number: int, noun: str) -> str:
    return f"is 1 {noun}" if number == 1 else f"are {number} {noun}s"
