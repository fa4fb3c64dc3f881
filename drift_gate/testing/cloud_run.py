"""A Cloud Run Admin API on a loopback port, for tests that want the real client libraries to talk.

``FakeCloudRun`` serves the gRPC services of ``google.cloud.run.v2`` (Services, Revisions, WorkerPools,
Jobs; Get and List) out of plain messages in memory. It answers as the live API does where that is a
trap: an entry that follows the latest revision names no revision, entries name revisions by their
short names while ``latest_ready_revision`` holds full resource names, a pinned split outlives every
later deploy, and a failed deploy leaves the old revision serving.

    with FakeCloudRun(project="my-project", region="us-west2") as cloud:
        cloud.deploy("prediction-worker", commit="1f0c…")
        monkeypatch.setenv("CLOUD_RUN_EMULATOR_HOST", cloud.host)
        ...

It holds no lock over the messages: change them while no request is under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal

import grpc
from google.cloud import run_v2

from drift_gate.testing.cloud_run_behaviour import Behaviour, Call, Fault
from drift_gate.testing.cloud_run_methods import METHODS, handlers, within

Kind = Literal["service", "worker-pool", "job"]

#: What the platform says about a container that does not start, with its line break and its link.
NOT_READY_MESSAGE = (
    "The user-provided container failed to start and listen on the port defined by PORT=8080.\n"
    "Logs URL: https://console.cloud.google.com/logs/viewer?project=p&resource=cloud_run_revision"
)
#: The moment at which every revision was made, unless a test says otherwise.
CREATED_AT = datetime(2026, 2, 5, 9, 0, tzinfo=UTC)

#: No answer of the API parses from these bytes: field 1 announces more bytes than follow.
_GARBAGE = b"\x0a\xff\xff\xff\x07garbage"

_FOLDERS: dict[Kind, str] = {"service": "services", "worker-pool": "workerPools", "job": "jobs"}


class FakeCloudRun:
    """One project and region of Cloud Run, served while the ``with`` block lasts.

    ``services``, ``worker_pools`` and ``jobs`` hold the messages by name, ``revisions`` by short
    revision name: reach into them for states that the methods here cannot make. ``page_size`` bounds
    each List answer (None: all in one). ``calls`` are the requests so far. ``port`` is where it
    listens (0: a free one).
    """

    def __init__(self, project: str = "test-project", region: str = "us-west2", port: int = 0) -> None:
        self.project = project
        self.region = region
        self.services: dict[str, run_v2.Service] = {}
        self.revisions: dict[str, run_v2.Revision] = {}
        self.worker_pools: dict[str, run_v2.WorkerPool] = {}
        self.jobs: dict[str, run_v2.Job] = {}
        self.page_size: int | None = None
        self._behaviour = Behaviour()
        self.calls = self._behaviour.calls
        # Hung calls hold a thread each, so there have to be enough of them for the others to be served.
        self._threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="fake-cloud-run")
        # A port that a test reserved for itself can be shared; a free one must be ours alone.
        shared = [("grpc.so_reuseport", int(port != 0))]
        self._server = grpc.server(self._threads, options=shared)
        self._server.add_generic_rpc_handlers(tuple(handlers(self._handler)))
        self._port = self._server.add_insecure_port(f"127.0.0.1:{port}")

    @property
    def host(self) -> str:
        """``127.0.0.1:port``: the value for ``CLOUD_RUN_EMULATOR_HOST``."""
        return f"127.0.0.1:{self._port}"

    @property
    def parent(self) -> str:
        """The resource name that everything here stands under."""
        return f"projects/{self.project}/locations/{self.region}"

    def __enter__(self) -> FakeCloudRun:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop answering at once, also what hangs; the port is dead afterwards."""
        self._behaviour.closing.set()
        self._server.stop(0.05).wait()  # told nothing, gRPC prints its surprise on the clients' stderr
        self._threads.shutdown(wait=True)

    # What is deployed

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
        does. With ``ready=False`` the revision is made, never gets ready, and the old one goes on.
        A job has no revisions; its template is replaced and the name of the job is returned.
        """
        stamp = {} if commit is None else {"commit-sha": commit}
        container = self._container(name, commit, image, env or {})
        own = dict(stamp if labels is None else labels)
        theirs = dict(stamp if service_labels is None else service_labels)
        if kind == "job":
            return self._deploy_job(name, container, own, theirs)
        workload = self._workload(name, kind)
        if not traffic:
            self._pin_what_serves(name, kind)
        short = revision or f"{name}-{1 + sum(1 for r in self.revisions.values() if r.service == name):05d}"
        full = f"{self.parent}/{_FOLDERS[kind]}/{name}/revisions/{short}"
        self.revisions[short] = run_v2.Revision(
            name=full, service=name, labels=own, containers=[container], create_time=created_at
        )
        workload.labels = theirs
        self._settle(workload, full, ready)
        return short

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
        if kind == "worker-pool":
            self.worker_pools[name].instance_splits = [
                run_v2.InstanceSplit(type_=_type_of(key), revision=_name_of(key), percent=percent)
                for key, percent in shares.items()
            ]
            self.worker_pools[name].instance_split_statuses = [
                run_v2.InstanceSplitStatus(type_=_type_of(key), revision=_name_of(key), percent=percent)
                for key, percent in shares.items()
            ]
            return
        self.services[name].traffic = [
            run_v2.TrafficTarget(type_=_type_of(key), revision=_name_of(key), percent=percent)
            for key, percent in shares.items()
        ]
        self.services[name].traffic_statuses = [
            run_v2.TrafficTargetStatus(type_=_type_of(key), revision=_name_of(key), percent=percent)
            for key, percent in shares.items()
        ] + [
            run_v2.TrafficTargetStatus(
                type_=_type_of(key), revision=_name_of(key), tag=tag, uri=f"https://{tag}---{name}.example"
            )
            for tag, key in (tags or {}).items()
        ]

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
        short = self.deploy(name, kind=kind, ready=False, **more)
        workload = self._workload(name, kind)
        workload.reconciling = True
        workload.observed_generation -= 1
        workload.terminal_condition = run_v2.Condition(
            type_="Ready", state=run_v2.Condition.State.CONDITION_RECONCILING, last_transition_time=since
        )
        return short

    def land(self, name: str, *, kind: Kind = "service") -> None:
        """End a rollout well: its revision is ready, and serves where the traffic follows the latest."""
        self._end(name, kind, ready=True)

    def fail(self, name: str, *, kind: Kind = "service") -> None:
        """End a rollout badly: its revision never gets ready, and what served goes on serving."""
        self._end(name, kind, ready=False)

    # What goes wrong

    def fault(
        self,
        method: str,
        *,
        code: grpc.StatusCode | str | None = None,
        message: str = "",
        times: int | None = None,
        delay: float = 0.0,
        hang: bool = False,
        garbage: bool = False,
        resource: str | None = None,
    ) -> None:
        """Make calls of ``method`` (``"GetService"``, …, or ``"*"``) go wrong.

        First it waits ``delay`` seconds. Then it never answers (``hang``), answers bytes that are no
        message (``garbage``), or the status ``code`` (``"UNAVAILABLE"``) with ``message``; with none
        of these the true answer. ``times`` is for how many calls (None: for ever), ``resource`` the
        short or full name that it is limited to. Of several faults that fit, the oldest counts.
        """
        if method != "*" and method not in METHODS:
            raise ValueError(f"no method {method!r} here; there are {', '.join(METHODS)}")
        status = grpc.StatusCode[code] if isinstance(code, str) else code
        self._behaviour.faults.append(Fault(method, resource, times, delay, status, message, hang, garbage))

    def heal(self) -> None:
        """Forget all faults; calls that hang already go on hanging."""
        self._behaviour.faults.clear()

    def before(self, method: str, action: Callable[[], object]) -> None:
        """Run ``action`` once, just before the next call of ``method`` is answered.

        For what happens between two reads: a deploy, a deleted revision, a moved split.
        """
        self._behaviour.actions.append((method, action))

    # How it is made

    def _container(
        self, name: str, commit: str | None, image: str | None, env: Mapping[str, str]
    ) -> run_v2.Container:
        tagged = f"{self.region}-docker.pkg.dev/{self.project}/images/{name}:{commit or 'latest'}"
        return run_v2.Container(
            image=tagged if image is None else image,
            env=[run_v2.EnvVar(name=key, value=value) for key, value in env.items()],
        )

    def _workload(self, name: str, kind: Kind) -> run_v2.Service | run_v2.WorkerPool:
        full = f"{self.parent}/{_FOLDERS[kind]}/{name}"
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
        held: dict[str, Any] = self.worker_pools if kind == "worker-pool" else self.services
        ended = type(held[name])(held[name])
        self._settle(ended, ended.latest_created_revision, ready)
        held[name] = ended

    def _settle(self, workload: run_v2.Service | run_v2.WorkerPool, full: str, ready: bool) -> None:
        workload.generation += workload.latest_created_revision != full
        workload.reconciling = False
        workload.observed_generation = workload.generation
        workload.latest_created_revision = full
        if ready:
            workload.latest_ready_revision = full
        workload.terminal_condition = run_v2.Condition(
            type_="Ready",
            state=run_v2.Condition.State.CONDITION_SUCCEEDED
            if ready
            else run_v2.Condition.State.CONDITION_FAILED,
            message="" if ready else f"Revision '{_short(full)}' is not ready. {NOT_READY_MESSAGE}",
        )

    def _pin_what_serves(self, name: str, kind: Kind) -> None:
        ready = _short(self._workload(name, kind).latest_ready_revision)
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

    # How it is served

    def _handler(self, method: str) -> grpc.RpcMethodHandler[Any, bytes]:
        _, request_type, answer_type, items, folder = METHODS[method]

        def answer(request: Any, context: grpc.ServicerContext) -> bytes:
            resource = request.parent if items else request.name
            if self._behaviour.of(Call.of(method, resource, context), context):
                return _GARBAGE
            within(self.parent, resource, context)
            if not items:
                return bytes(answer_type.serialize(self._get(folder, resource, context)))
            return bytes(answer_type.serialize(self._list(answer_type, items, folder, request)))

        return grpc.unary_unary_rpc_method_handler(answer, request_deserializer=request_type.deserialize)

    def _held(self, folder: str) -> Mapping[str, Any]:
        held: dict[str, Mapping[str, Any]] = {
            "services": self.services,
            "revisions": self.revisions,
            "workerPools": self.worker_pools,
            "jobs": self.jobs,
        }
        return held[folder]

    def _get(self, folder: str, name: str, context: grpc.ServicerContext) -> Any:
        """The message kept under ``name``.

        The kept key is compared, and for a revision its workload, not the message's own ``name``: a
        test may have put anything into that.
        """
        parts = name.split("/")
        found = self._held(folder).get(parts[-1])
        below = parts[4:-1] == [folder]
        if folder == "revisions" and found is not None:
            below = len(parts) == 8 and parts[6] == folder and parts[4:6] == self._owner(parts[-1])
        if found is None or not below:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Resource '{_short(name)}' was not found.")
        return found

    def _owner(self, revision: str) -> list[str]:
        service = self.revisions[revision].service
        return ["workerPools" if service in self.worker_pools else "services", service]

    def _list(self, answer_type: Any, items: str, folder: str, request: Any) -> Any:
        """One page; the token is the index of the first item of the next."""
        found = [
            message
            for key, message in sorted(self._held(folder).items())
            if folder != "revisions" or _short(request.parent) in ("-", self.revisions[key].service)
        ]
        first = int(request.page_token or 0)
        size = min(request.page_size or len(found), self.page_size or len(found))
        token = str(first + size) if first + size < len(found) else ""
        return answer_type(**{items: found[first : first + size], "next_page_token": token})


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _type_of(key: str) -> int:
    """The allocation type; traffic targets and instance splits count theirs alike (1 latest, 2 by name)."""
    return 1 if key == "latest" else 2


def _name_of(key: str) -> str:
    return "" if key == "latest" else _short(key)
