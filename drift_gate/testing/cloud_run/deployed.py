"""What is deployed to a loopback Cloud Run, as plain messages, and how a test changes it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from google.cloud import run_v2

from drift_gate.testing.cloud_run.instances import Front, Instances, Programs

Kind = Literal["service", "worker-pool", "job"]

#: What the platform says about a container that does not start, with its line break and its link.
NOT_READY_MESSAGE = (
    "The user-provided container failed to start and listen on the port defined by PORT=8080.\n"
    "Logs URL: https://console.cloud.google.com/logs/viewer?project=p&resource=cloud_run_revision"
)
#: The moment at which every revision was made, unless a test says otherwise.
CREATED_AT = datetime(2026, 2, 5, 9, 0, tzinfo=UTC)

FOLDERS: dict[Kind, str] = {"service": "services", "worker-pool": "workerPools", "job": "jobs"}

State = run_v2.Condition.State


class Deployed:
    """One project and region: ``services``, ``worker_pools``, ``jobs`` and ``revisions`` by short name.

    ``programs`` knows what the images run (None: nothing does). ``lock`` is held by whatever changes or
    reads the messages, but for a test that reaches into them while no request is under way.
    """

    def __init__(self, project: str, region: str, programs: Programs | None) -> None:
        self.project = project
        self.region = region
        self.services: dict[str, run_v2.Service] = {}
        self.revisions: dict[str, run_v2.Revision] = {}
        self.worker_pools: dict[str, run_v2.WorkerPool] = {}
        self.jobs: dict[str, run_v2.Job] = {}
        self.lock = threading.RLock()
        self.instances = Instances(programs or (lambda _: None))
        self._fronts: dict[str, Front] = {}
        self._turns = 0

    @property
    def parent(self) -> str:
        """The resource name that everything here stands under."""
        return f"projects/{self.project}/locations/{self.region}"

    def deploy(
        self,
        name: str,
        *,
        kind: Kind = "service",
        commit: str | None = None,
        image: str | None = None,
        labels: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        revision: str | None = None,
        ready: bool = True,
        traffic: bool = True,
        service_labels: Mapping[str, str] | None = None,
        created_at: datetime = CREATED_AT,
    ) -> str:
        """Deploy once more, as ``gcloud run deploy`` would; return the new revision's short name.

        ``commit`` is stamped as the label ``commit-sha`` on workload and revision and as the tag of
        the image; ``image``, ``labels`` (the revision's) and ``service_labels`` replace what it would
        give each of them. ``revision`` is the short name (None: NAME-00001, NAME-00002, …).

        The split of the traffic stays as it is: a first deploy follows the latest ready revision, a
        pinned workload stays pinned. ``traffic=False`` pins what serves now, as ``--no-traffic``
        does. With ``ready=False`` the revision is made, never gets ready, and the old one goes on; the
        same comes of a program that does not start. A job has no revisions; its template is replaced and
        the name of the job is returned.
        """
        stamp = {} if commit is None else {"commit-sha": commit}
        container = self._container(name, commit, image, env or {})
        own = dict(stamp if labels is None else labels)
        theirs = dict(stamp if service_labels is None else service_labels)
        with self.lock:
            if kind == "job":
                return self._deploy_job(name, container, own, theirs)
            workload = self._workload(name, kind)
            if not traffic:
                self._pin_what_serves(name, kind)
            workload.labels = theirs
            workload.template.revision = ""
            workload.template.labels = own
            workload.template.containers = [container]
            made = self.make_revision(workload, kind, revision, created_at)
            self.settle(workload, made.name, ready and self.instances.start(made))
            self.lead(name)
        return short(made.name)

    def set_traffic(
        self,
        name: str,
        split: Mapping[str, int] | Literal["latest"],
        *,
        tags: Mapping[str, str] | None = None,
        kind: Kind = "service",
    ) -> None:
        """Split the traffic by percent; the key ``latest`` follows the latest ready revision.

        ``tags`` adds, for each tag, an entry of 0 percent for the revision that it names. Nothing
        checks the sum: a split that the live API would refuse is a state worth testing, too.
        """
        shares = {"latest": 100} if split == "latest" else dict(split)
        with self.lock:
            if kind == "worker-pool":
                self.worker_pools[name].instance_splits = [
                    run_v2.InstanceSplit(type_=_type_of(key), revision=_name_of(key), percent=percent)
                    for key, percent in shares.items()
                ]
                self.take_over(self.worker_pools[name])
                return
            self.services[name].traffic = [
                run_v2.TrafficTarget(type_=_type_of(key), revision=_name_of(key), percent=percent)
                for key, percent in shares.items()
            ] + [
                run_v2.TrafficTarget(type_=_type_of(key), revision=_name_of(key), tag=tag)
                for tag, key in (tags or {}).items()
            ]
            self.take_over(self.services[name])
            self.lead(name)

    def pin(self, name: str, revision: str, *, kind: Kind = "service") -> None:
        """Send everything to ``revision`` by name, as a rollback does; later deploys keep it so."""
        self.set_traffic(name, {revision: 100}, kind=kind)

    # How a rollout goes

    def roll_out(
        self, name: str, *, since: datetime | None = None, kind: Kind = "service", **more: Any
    ) -> str:
        """Begin a deploy that is not over: the new revision is made, what served goes on serving.

        ``since`` is the time of the condition that says so (None: it bears none); ``more`` is for
        ``deploy``. Returns the new revision's short name. ``land`` or ``fail`` ends it.
        """
        if kind == "job":
            raise ValueError("a job has no rollout: its template is what the next run uses")
        with self.lock:
            made = self.deploy(name, kind=kind, ready=False, **more)
            workload = self._workload(name, kind)
            workload.reconciling = True
            workload.observed_generation -= 1
            workload.terminal_condition = run_v2.Condition(
                type_="Ready", state=State.CONDITION_RECONCILING, last_transition_time=since
            )
            self.revisions[made].conditions = []
        return made

    def land(self, name: str, *, kind: Kind = "service") -> None:
        """End a rollout well: its revision is ready, and serves where the traffic follows the latest."""
        self._end(name, kind, ready=True)

    def fail(self, name: str, *, kind: Kind = "service") -> None:
        """End a rollout badly: its revision never gets ready, and what served goes on serving."""
        self._end(name, kind, ready=False)

    # How it is made

    def held(self, folder: str) -> dict[str, Any]:
        """The messages of one folder of resource names, by their short names."""
        held: dict[str, dict[str, Any]] = {
            "services": self.services,
            "revisions": self.revisions,
            "workerPools": self.worker_pools,
            "jobs": self.jobs,
        }
        return held[folder]

    def make_revision(
        self, workload: Any, kind: Kind, name: str | None = None, created_at: datetime = CREATED_AT
    ) -> run_v2.Revision:
        """A revision by the template of ``workload``, of the short ``name`` (None: the next number)."""
        service = short(workload.name)
        count = sum(1 for each in self.revisions.values() if each.service == service)
        made = run_v2.Revision(
            name=f"{workload.name}/revisions/{name or f'{service}-{1 + count:05d}'}",
            service=service,
            labels=dict(workload.template.labels),
            containers=list(workload.template.containers),
            create_time=created_at,
        )
        self.revisions[short(made.name)] = made
        return made

    def settle(self, workload: Any, full: str, ready: bool) -> None:
        """Nothing of ``workload`` is under way any more; ``full`` is its newest revision, ready or not."""
        workload.generation += workload.latest_created_revision != full
        workload.reconciling = False
        workload.observed_generation = workload.generation
        workload.latest_created_revision = full
        workload.terminal_condition = _condition(short(full), ready)
        if ready:
            workload.latest_ready_revision = full
        if short(full) in self.revisions:
            self.revisions[short(full)].conditions = [workload.terminal_condition]

    def ready(self, revision: run_v2.Revision) -> bool:
        """Whether ``revision`` may serve: what is not decided yet, its program decides by starting."""
        if not revision.conditions:
            revision.conditions = [_condition(short(revision.name), self.instances.start(revision))]
        return all(each.state == State.CONDITION_SUCCEEDED for each in revision.conditions)

    def land_update(self, workload: Any) -> bool:
        """Let what ``workload`` asks for become what is; whether its traffic did.

        That takes each revision that the traffic names to be ready. A newest revision that is not leaves the
        workload failed, whatever the traffic.
        """
        newest = self.revisions.get(short(getattr(workload, "latest_created_revision", "")))
        if newest is not None:
            self.settle(workload, newest.name, self.ready(newest))
        else:
            workload.reconciling = False
            workload.observed_generation = workload.generation
            workload.terminal_condition = _condition(short(workload.name), ready=True)
        named = [self.revisions[short(each.revision)] for each in asked_for(workload) if each.revision]
        if not all(map(self.ready, named)):
            return False
        self.take_over(workload)
        return True

    def take_over(self, workload: Any) -> None:
        """The traffic becomes what was asked for."""
        if isinstance(workload, run_v2.WorkerPool):
            workload.instance_split_statuses = [
                run_v2.InstanceSplitStatus(type_=each.type_, revision=each.revision, percent=each.percent)
                for each in workload.instance_splits
            ]
        elif isinstance(workload, run_v2.Service):
            workload.traffic_statuses = [
                run_v2.TrafficTargetStatus(
                    type_=each.type_,
                    revision=each.revision,
                    percent=each.percent,
                    tag=each.tag,
                    uri=self._tag_url(workload, each) if each.tag else "",
                )
                for each in workload.traffic
            ]

    def lead(self, name: str) -> None:
        """Let the processes run that anything of the service ``name`` leads to, and no others of it."""
        service = self.services.get(name)
        if service is None:
            return
        wanted = {self._leads_to(service, each) for each in service.traffic_statuses}
        for each in wanted & self.revisions.keys():
            self.instances.start(self.revisions[each])
        self.take_over_urls(service)
        others = {key for key, each in self.revisions.items() if each.service != name}
        self.instances.keep(wanted | others)
        if name not in self._fronts and any(map(self.instances.address, wanted)):
            self._fronts[name] = Front(lambda: self._pick(name))
            service.uri = self._fronts[name].url

    def take_over_urls(self, service: run_v2.Service) -> None:
        """Each tag leads to the process of its revision, which may be another one since."""
        for each in service.traffic_statuses:
            each.uri = self._tag_url(service, each) if each.tag else ""

    def end(self) -> None:
        """End all that runs."""
        for front in self._fronts.values():
            front.stop()
        self.instances.keep(())

    def _tag_url(self, service: run_v2.Service, entry: Any) -> str:
        own = self.instances.address(self._leads_to(service, entry))
        return own or f"https://{entry.tag}---{short(service.name)}.example"

    def _leads_to(self, service: run_v2.Service, entry: Any) -> str:
        return entry.revision or short(service.latest_ready_revision)

    def _pick(self, name: str) -> str | None:
        """Where the next request to the service goes: of a hundred, each share gets its percent."""
        with self.lock:
            service = self.services[name]
            shares = [(self._leads_to(service, each), each.percent) for each in service.traffic_statuses]
            self._turns += 1
            turn = self._turns * 61 % 100  # 61 has no factor in common with 100, so that each comes once
        for revision, percent in shares:
            if turn < percent:
                return self.instances.address(revision)
            turn -= percent
        return None

    def _container(
        self, name: str, commit: str | None, image: str | None, env: Mapping[str, str]
    ) -> run_v2.Container:
        tagged = f"{self.region}-docker.pkg.dev/{self.project}/images/{name}:{commit or 'latest'}"
        return run_v2.Container(
            image=tagged if image is None else image,
            env=[run_v2.EnvVar(name=key, value=value) for key, value in env.items()],
        )

    def _workload(self, name: str, kind: Kind) -> run_v2.Service | run_v2.WorkerPool:
        full = f"{self.parent}/{FOLDERS[kind]}/{name}"
        if kind == "worker-pool":
            if name not in self.worker_pools:
                self.worker_pools[name] = run_v2.WorkerPool(name=full)
                self.set_traffic(name, "latest", kind=kind)
            return self.worker_pools[name]
        if name not in self.services:
            self.services[name] = run_v2.Service(name=full)
            self.set_traffic(name, "latest")
        return self.services[name]

    def _end(self, name: str, kind: Kind, *, ready: bool) -> None:
        """All of it becomes seen in one step, since a request may come in between."""
        with self.lock:
            held: dict[str, Any] = self.worker_pools if kind == "worker-pool" else self.services
            ended = type(held[name])(held[name])
            self.settle(ended, ended.latest_created_revision, ready)
            held[name] = ended
            self.lead(name)

    def _pin_what_serves(self, name: str, kind: Kind) -> None:
        ready = short(self._workload(name, kind).latest_ready_revision)
        if not ready:
            raise ValueError(f"traffic=False: {name!r} has no ready revision to keep the traffic")
        entries: Iterable[Any] = (
            self.worker_pools[name].instance_split_statuses
            if kind == "worker-pool"
            else self.services[name].traffic_statuses
        )
        shares: dict[str, int] = {}
        for entry in entries:
            shares[entry.revision or ready] = shares.get(entry.revision or ready, 0) + entry.percent
        self.set_traffic(name, {key: share for key, share in shares.items() if share}, kind=kind)

    def _deploy_job(
        self,
        name: str,
        container: run_v2.Container,
        labels: Mapping[str, str],
        service_labels: Mapping[str, str],
    ) -> str:
        generation = self.jobs[name].generation + 1 if name in self.jobs else 1
        self.jobs[name] = run_v2.Job(
            name=f"{self.parent}/jobs/{name}",
            labels=dict(service_labels),
            generation=generation,
            observed_generation=generation,
            template=run_v2.ExecutionTemplate(
                labels=dict(labels), template=run_v2.TaskTemplate(containers=[container])
            ),
        )
        return name


def _condition(revision: str, ready: bool) -> run_v2.Condition:
    message = "" if ready else f"Revision '{revision}' is not ready. {NOT_READY_MESSAGE}"
    state = State.CONDITION_SUCCEEDED if ready else State.CONDITION_FAILED
    return run_v2.Condition(type_="Ready", state=state, message=message)


def asked_for(workload: Any) -> list[Any]:
    """The entries of the traffic as they were asked for; a job has none."""
    return list(getattr(workload, "traffic", ())) or list(getattr(workload, "instance_splits", ()))


def short(name: str) -> str:
    """The last part of a resource name."""
    return name.rsplit("/", 1)[-1]


def _type_of(key: str) -> int:
    """The allocation type; traffic targets and instance splits count theirs alike (1 latest, 2 by name)."""
    return 1 if key == "latest" else 2


def _name_of(key: str) -> str:
    return "" if key == "latest" else short(key)
