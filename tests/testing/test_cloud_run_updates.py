"""Updates by the real clients: what the live API refuses is refused here, and what it does is done."""

from __future__ import annotations

import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.api_core.future.polling import _OperationNotComplete
from google.api_core.retry import Retry, if_exception_type
from google.cloud import run_v2
from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from google.cloud.run_v2.services.worker_pools.transports import WorkerPoolsGrpcTransport
from google.protobuf.field_mask_pb2 import FieldMask
from support.limits import ENOUGH_S

from drift_gate.testing.cloud_run import FakeCloudRun, Program

A, B = "a" * 40, "b" * 40
LATEST = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
#: Asked again at once: Google's own pauses begin at a second.
SOON = Retry(if_exception_type(_OperationNotComplete), initial=0.01, maximum=0.05)
BY_NAME = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
#: A server that answers with the name of its revision.
SERVER = """
import os, http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ["K_REVISION"].encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
PROGRAMS = {
    "serves": Program([sys.executable, "-S", "-c", SERVER]),
    "crashes": Program(["false"]),
    "pulls": Program(["sleep", "600"], listens=False),
}


@pytest.fixture
def cloud() -> Iterator[FakeCloudRun]:
    with FakeCloudRun(project="p", region="r", programs=PROGRAMS.get) as cloud:
        yield cloud


def channel(cloud: FakeCloudRun) -> grpc.Channel:
    return grpc.insecure_channel(cloud.host, options=[("grpc.enable_http_proxy", 0)])


@pytest.fixture
def google(cloud: FakeCloudRun) -> run_v2.ServicesClient:
    return run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel(cloud)))


def get(google: run_v2.ServicesClient) -> run_v2.Service:
    return google.get_service(name="projects/p/locations/r/services/w", timeout=ENOUGH_S, retry=None)


def update(google: run_v2.ServicesClient, service: run_v2.Service, *paths: str) -> Any:
    """The operation of an update of these fields, of all without any."""
    request = run_v2.UpdateServiceRequest(service=service, update_mask=FieldMask(paths=paths))
    return google.update_service(request, timeout=ENOUGH_S, retry=None)


def traffic(**shares: int) -> list[run_v2.TrafficTarget]:
    return [
        run_v2.TrafficTarget(type_=BY_NAME, revision=name.replace("_", "-"), percent=percent)
        for name, percent in shares.items()
    ]


def split(service: run_v2.Service) -> dict[str, int]:
    return {each.revision: each.percent for each in service.traffic_statuses if each.percent}


def test_another_template_makes_a_revision_which_the_traffic_follows(
    cloud: FakeCloudRun, google: run_v2.ServicesClient
) -> None:
    cloud.deploy("w", commit=A)
    service = get(google)
    service.template.labels = {"commit-sha": B}
    operation = update(google, service)
    assert operation.metadata.generation == 2
    landed = operation.result(timeout=ENOUGH_S, polling=SOON)
    assert (landed.generation, landed.observed_generation, landed.reconciling) == (2, 2, False)
    assert landed.latest_ready_revision.endswith("/w-00002")
    assert dict(cloud.revisions["w-00002"].labels) == {"commit-sha": B}
    assert landed.etag != service.etag


def test_traffic_alone_makes_no_revision(cloud: FakeCloudRun, google: run_v2.ServicesClient) -> None:
    cloud.deploy("w", commit=A)
    cloud.deploy("w", commit=B)
    service = run_v2.Service(name=get(google).name, traffic=traffic(w_00001=90, w_00002=10))
    landed = update(google, service, "traffic").result(timeout=ENOUGH_S, polling=SOON)
    assert split(landed) == {"w-00001": 90, "w-00002": 10}
    assert len(cloud.revisions) == 2
    assert dict(landed.template.labels) == {"commit-sha": B}


def test_an_old_etag_is_refused_in_the_words_of_the_platform(
    cloud: FakeCloudRun, google: run_v2.ServicesClient
) -> None:
    cloud.deploy("w", commit=A)
    old = get(google)
    cloud.deploy("w", commit=B)
    old.traffic = traffic(w_00001=100)
    with pytest.raises(exceptions.Aborted, match=r"Conflict for resource 'w': version .* was specified but"):
        update(google, old, "traffic")
    assert split(get(google)) == {"": 100}
    cloud.updates.heeds_etags = False
    assert split(update(google, old, "traffic").result(timeout=ENOUGH_S, polling=SOON)) == {"w-00001": 100}


def _tag(tag: str) -> Callable[[run_v2.Service], None]:
    def change(service: run_v2.Service) -> None:
        service.traffic = [*service.traffic, run_v2.TrafficTarget(type_=LATEST, tag=tag)]

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_tag("t" * 46), "Combined traffic tag and service name cannot exceed 46 characters"),
        (_tag("No"), "is no tag"),
        (lambda service: setattr(service, "traffic", traffic(w_00001=99)), "sum up to 100"),
        (lambda service: setattr(service, "traffic", traffic(w_00007=100)), "'w-00007' does not exist"),
        (lambda service: service.template.labels.update({"commit-sha": "c" * 64}), "at most 63"),
        (lambda service: setattr(service.template, "revision", "x-1"), "has to start with 'w-'"),
        (lambda service: setattr(service.template, "revision", "w-" + "1" * 62), "longer than 63"),
        (lambda service: setattr(service.template, "containers", []), "at least one container"),
    ],
)
def test_what_makes_no_sense_is_refused(
    cloud: FakeCloudRun,
    google: run_v2.ServicesClient,
    change: Callable[[run_v2.Service], None],
    sentence: str,
) -> None:
    cloud.deploy("w", commit=A)
    before = get(google)
    asked = run_v2.Service(before)
    change(asked)
    with pytest.raises(exceptions.InvalidArgument, match=sentence):
        update(google, asked)
    assert get(google) == before


@pytest.mark.parametrize("path", ["nothing", "template.nothing"])
def test_a_mask_of_no_field_is_refused(cloud: FakeCloudRun, google: run_v2.ServicesClient, path: str) -> None:
    cloud.deploy("w")
    with pytest.raises(exceptions.InvalidArgument, match="there is no field 'nothing'"):
        update(google, get(google), path)


def test_a_revision_of_one_name_has_one_configuration(
    cloud: FakeCloudRun, google: run_v2.ServicesClient
) -> None:
    """And the same once more is no update at all, so that it may be repeated."""
    cloud.deploy("w", commit=A)
    service = get(google)
    service.template.revision, service.template.labels = "w-bbb", {"commit-sha": B}
    update(google, service, "template").result(timeout=ENOUGH_S, polling=SOON)
    again = get(google)
    assert update(google, again).done()
    assert get(google).generation == again.generation
    again.template.labels = {"commit-sha": A}
    with pytest.raises(exceptions.AlreadyExists, match="Revision named 'w-bbb' with different configuration"):
        update(google, again)


def test_what_is_under_way_is_seen_as_such(cloud: FakeCloudRun, google: run_v2.ServicesClient) -> None:
    cloud.deploy("w", commit=A)
    cloud.updates.may_land.clear()
    service = get(google)
    service.template.labels = {"commit-sha": B}
    operation = update(google, service)
    seen = get(google)
    assert not operation.done()
    assert (seen.reconciling, seen.generation, seen.observed_generation) == (True, 2, 1)
    assert seen.latest_created_revision.endswith("w-00002")
    assert seen.latest_ready_revision.endswith("w-00001")
    cloud.updates.may_land.set()
    assert operation.result(timeout=ENOUGH_S, polling=SOON).latest_ready_revision.endswith("w-00002")


def candidate(google: run_v2.ServicesClient, image: str) -> run_v2.Service:
    """An update that adds a revision without traffic under a tag."""
    service = get(google)
    service.template.revision = f"w-{image}"
    service.template.containers[0].image = image
    tagged = run_v2.TrafficTarget(type_=BY_NAME, revision=f"w-{image}", tag="new")
    service.traffic = [*traffic(w_00001=100), tagged]
    return service


def test_a_candidate_that_does_not_start_fails_and_what_served_goes_on(
    cloud: FakeCloudRun, google: run_v2.ServicesClient
) -> None:
    """Its tag stays in what is asked for, and no traffic lands before it is taken out."""
    cloud.deploy("w")
    cloud.deploy("w")
    with pytest.raises(exceptions.FailedPrecondition, match=r"'w-crashes' is not ready\. The user-provided"):
        update(google, candidate(google, "crashes")).result(timeout=ENOUGH_S, polling=SOON)
    failed = get(google)
    assert split(failed) == {"": 100}
    moved = run_v2.Service(name=failed.name, traffic=[*traffic(w_00002=100), failed.traffic[-1]])
    with pytest.raises(exceptions.FailedPrecondition):
        update(google, moved, "traffic").result(timeout=ENOUGH_S, polling=SOON)
    moved.traffic = traffic(w_00001=100)
    assert split(update(google, moved, "traffic").result(timeout=ENOUGH_S, polling=SOON)) == {"w-00001": 100}


def asked(url: str) -> str:
    with urllib.request.urlopen(url, timeout=ENOUGH_S) as answer:  # noqa: S310 - of this machine
        return str(answer.read().decode())


@pytest.mark.heavy
def test_the_traffic_leads_to_started_processes(cloud: FakeCloudRun, google: run_v2.ServicesClient) -> None:
    """A tag's address to its revision alone, the service's by percent; what nothing leads to has ended."""
    cloud.deploy("w", image="serves")
    landed = update(google, candidate(google, "serves")).result(timeout=ENOUGH_S, polling=SOON)
    [tagged] = [each for each in landed.traffic_statuses if each.tag]
    assert asked(tagged.uri) == "w-serves"
    assert asked(landed.uri) == "w-00001"
    landed.traffic = traffic(w_00001=90, w_serves=10)
    both = update(google, landed, "traffic").result(timeout=ENOUGH_S, polling=SOON)
    assert Counter(asked(both.uri) for _ in range(100)) == {"w-00001": 90, "w-serves": 10}
    cloud.pin("w", "w-serves")
    assert asked(both.uri) == "w-serves"
    assert cloud.instances.address("w-00001") is None
    cloud.pin("w", "w-00001")
    assert asked(both.uri) == "w-00001"


def test_a_worker_pool_is_split_and_its_process_takes_no_requests(cloud: FakeCloudRun) -> None:
    cloud.deploy("pool", kind="worker-pool", image="pulls", commit=A)
    google = run_v2.WorkerPoolsClient(transport=WorkerPoolsGrpcTransport(channel=channel(cloud)))
    pool = google.get_worker_pool(name=f"{cloud.parent}/workerPools/pool", timeout=ENOUGH_S)
    pool.template.labels = {"commit-sha": B}
    pool.template.revision = "pool-b"
    pool.instance_splits = [run_v2.InstanceSplit(type_=2, revision="pool-00001", percent=100)]
    request = run_v2.UpdateWorkerPoolRequest(worker_pool=pool)
    operation: Any = google.update_worker_pool(request, timeout=ENOUGH_S)
    landed = operation.result(timeout=ENOUGH_S, polling=SOON)
    assert [each.revision for each in landed.instance_split_statuses] == ["pool-00001"]
    assert landed.latest_ready_revision.endswith("/pool-b")


def test_a_job_gets_another_template(cloud: FakeCloudRun) -> None:
    cloud.deploy("job", kind="job", commit=A)
    google = run_v2.JobsClient(transport=JobsGrpcTransport(channel=channel(cloud)))
    job = google.get_job(name=f"{cloud.parent}/jobs/job", timeout=ENOUGH_S)
    stale = run_v2.Job(job)
    job.template.template.containers[0].image = "i@sha256:" + "1" * 64
    operation: Any = google.update_job(job=job, timeout=ENOUGH_S)
    landed = operation.result(timeout=ENOUGH_S, polling=SOON)
    assert (landed.generation, landed.observed_generation, landed.reconciling) == (2, 2, False)
    assert landed.template.template.containers[0].image.startswith("i@sha256:1")
    with pytest.raises(exceptions.Aborted):
        google.update_job(job=stale, timeout=ENOUGH_S)
