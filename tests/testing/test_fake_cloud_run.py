"""The fake answers as the live API does, so that a test that passes against it proves something."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import run_v2
from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport
from google.cloud.run_v2.services.revisions.transports import RevisionsGrpcTransport
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from google.cloud.run_v2.services.worker_pools.transports import WorkerPoolsGrpcTransport
from support.limits import ENOUGH_S, OVER_S

from drift_gate.testing.cloud_run import CREATED_AT, FakeCloudRun

A, B = "a" * 40, "b" * 40
LATEST = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST


@pytest.fixture
def cloud() -> Iterator[FakeCloudRun]:
    with FakeCloudRun(project="p", region="r") as cloud:
        yield cloud


def channel(cloud: FakeCloudRun) -> grpc.Channel:
    return grpc.insecure_channel(cloud.host, options=[("grpc.enable_http_proxy", 0)])


def services(cloud: FakeCloudRun) -> run_v2.ServicesClient:
    return run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel(cloud)))


def revisions(cloud: FakeCloudRun) -> run_v2.RevisionsClient:
    return run_v2.RevisionsClient(transport=RevisionsGrpcTransport(channel=channel(cloud)))


def get(
    cloud: FakeCloudRun, name: str = "projects/p/locations/r/services/w", seconds: float = ENOUGH_S
) -> run_v2.Service:
    return services(cloud).get_service(name=name, timeout=seconds, retry=None)


def split(service: run_v2.Service) -> dict[str, int]:
    """Percent by revision as the entries name it; "" for the one that follows the latest."""
    return {status.revision: status.percent for status in service.traffic_statuses}


class TestDeploys:
    def test_latest_names_no_revision_and_ready_has_its_full_name(self, cloud: FakeCloudRun) -> None:
        assert cloud.deploy("w", commit=A) == "w-00001"
        service = get(cloud)
        assert [(status.type_, status.revision) for status in service.traffic_statuses] == [(LATEST, "")]
        assert service.latest_ready_revision == "projects/p/locations/r/services/w/revisions/w-00001"
        assert service.latest_created_revision == service.latest_ready_revision
        assert service.observed_generation == service.generation == 1

    def test_a_commit_is_stamped_on_service_revision_and_image(self, cloud: FakeCloudRun) -> None:
        name = cloud.deploy("w", commit=A, env={"MODE": "x"})
        revision = revisions(cloud).get_revision(name=f"{get(cloud).name}/revisions/{name}", timeout=ENOUGH_S)
        assert dict(revision.labels) == dict(get(cloud).labels) == {"commit-sha": A}
        assert revision.containers[0].image.endswith(f"/w:{A}")
        assert [(env.name, env.value) for env in revision.containers[0].env] == [("MODE", "x")]
        assert (revision.service, revision.create_time.timestamp()) == ("w", CREATED_AT.timestamp())

    def test_a_failed_deploy_leaves_the_old_revision_serving(self, cloud: FakeCloudRun) -> None:
        cloud.deploy("w", commit=A)
        cloud.deploy("w", commit=B, ready=False)
        service = get(cloud)
        assert service.latest_ready_revision.endswith("w-00001")
        assert service.latest_created_revision.endswith("w-00002")
        assert service.terminal_condition.state == run_v2.Condition.State.CONDITION_FAILED
        assert "Logs URL: https://console.cloud.google.com/" in service.terminal_condition.message

    def test_without_traffic_what_serves_is_pinned_for_all_later_deploys(self, cloud: FakeCloudRun) -> None:
        cloud.deploy("w", commit=A)
        cloud.deploy("w", commit=B, traffic=False)
        cloud.deploy("w", commit=B)
        assert split(get(cloud)) == {"w-00001": 100}
        cloud.set_traffic("w", "latest")
        assert split(get(cloud)) == {"": 100}

    def test_without_traffic_a_split_is_summed_by_revision(self, cloud: FakeCloudRun) -> None:
        cloud.deploy("w")
        cloud.deploy("w")
        cloud.set_traffic("w", {"w-00001": 30, "w-00002": 10, "latest": 60}, tags={"t": "w-00001"})
        cloud.deploy("w", traffic=False)
        assert split(get(cloud)) == {"w-00001": 30, "w-00002": 70}

    def test_a_first_deploy_cannot_do_without_traffic(self, cloud: FakeCloudRun) -> None:
        with pytest.raises(ValueError, match="no ready revision"):
            cloud.deploy("w", traffic=False)

    def test_tags_are_entries_of_their_own(self, cloud: FakeCloudRun) -> None:
        cloud.deploy("w")
        cloud.set_traffic("w", "latest", tags={"canary": "w-00001"})
        tag = get(cloud).traffic_statuses[1]
        assert (tag.revision, tag.percent, tag.tag, tag.uri) == (
            "w-00001",
            0,
            "canary",
            "https://canary---w.example",
        )

    def test_worker_pools_and_jobs(self, cloud: FakeCloudRun) -> None:
        cloud.deploy("pool", kind="worker-pool", commit=A)
        cloud.pin("pool", "pool-00001", kind="worker-pool")
        for _ in range(2):
            cloud.deploy("job", kind="job", commit=B)
        pools = run_v2.WorkerPoolsClient(transport=WorkerPoolsGrpcTransport(channel=channel(cloud)))
        jobs = run_v2.JobsClient(transport=JobsGrpcTransport(channel=channel(cloud)))
        pool = pools.get_worker_pool(name=f"{cloud.parent}/workerPools/pool", timeout=ENOUGH_S)
        job = next(iter(jobs.list_jobs(parent=cloud.parent, timeout=ENOUGH_S)))
        assert [status.revision for status in pool.instance_split_statuses] == ["pool-00001"]
        assert [found.name for found in pools.list_worker_pools(parent=cloud.parent, timeout=ENOUGH_S)] == [
            pool.name
        ]
        assert (job.generation, dict(job.template.labels)) == (2, {"commit-sha": B})
        name = f"{pool.name}/revisions/pool-00001"
        assert revisions(cloud).get_revision(name=name, timeout=ENOUGH_S).name == name


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "projects/other/locations/r/services/w",
            "projects/p/locations/other/services/w",
            "projects/p/locations/r/services/other",
            "projects/p/locations/r/jobs/w",
            "projects/p/locations/r/services/x/services/w",
        ],
    )
    def test_what_is_not_there_is_not_found(self, cloud: FakeCloudRun, name: str) -> None:
        cloud.deploy("w")
        with pytest.raises(exceptions.NotFound):
            get(cloud, name)

    @pytest.mark.parametrize("owner", ["services/other", "workerPools/w"])
    def test_a_revision_is_found_below_its_own_workload_only(self, cloud: FakeCloudRun, owner: str) -> None:
        cloud.deploy("w")
        with pytest.raises(exceptions.NotFound):
            revisions(cloud).get_revision(name=f"{cloud.parent}/{owner}/revisions/w-00001", timeout=ENOUGH_S)

    def test_a_name_without_a_location_is_not_implemented(self, cloud: FakeCloudRun) -> None:
        with pytest.raises(exceptions.MethodNotImplemented):
            get(cloud, "services/w")

    def test_lists_come_in_pages(self, cloud: FakeCloudRun) -> None:
        for name in ("a", "b", "c"):
            cloud.deploy(name)
        cloud.page_size = 2
        pages = list(services(cloud).list_services(parent=cloud.parent, timeout=ENOUGH_S).pages)
        assert [[service.name[-1] for service in page.services] for page in pages] == [["a", "b"], ["c"]]

    def test_revisions_are_listed_by_service_or_for_all(self, cloud: FakeCloudRun) -> None:
        for name in ("a", "a", "b"):
            cloud.deploy(name)
        for service, expected in {"a": 2, "b": 1, "-": 3}.items():
            parent = f"{cloud.parent}/services/{service}"
            assert len(list(revisions(cloud).list_revisions(parent=parent, timeout=ENOUGH_S))) == expected


class TestFaults:
    def test_a_status_for_so_many_calls(self, cloud: FakeCloudRun) -> None:
        cloud.deploy("w")
        cloud.fault("GetService", code="RESOURCE_EXHAUSTED", message="read requests per minute", times=2)
        for _ in range(2):
            with pytest.raises(exceptions.ResourceExhausted, match="read requests per minute"):
                get(cloud)
        assert get(cloud).name

    def test_faults_are_met_in_their_order_and_healed_together(self, cloud: FakeCloudRun) -> None:
        cloud.deploy("w")
        cloud.fault("GetService", code=grpc.StatusCode.ABORTED, times=1)
        cloud.fault("*", code=grpc.StatusCode.UNAVAILABLE)
        with pytest.raises(exceptions.Aborted):
            get(cloud)
        with pytest.raises(exceptions.ServiceUnavailable, match="told to answer UNAVAILABLE"):
            get(cloud)
        cloud.heal()
        assert get(cloud).name

    @pytest.mark.parametrize("resource", ["w", "projects/p/locations/r/services/w"])
    def test_a_fault_of_one_resource(self, cloud: FakeCloudRun, resource: str) -> None:
        cloud.deploy("w")
        cloud.deploy("x")
        cloud.fault("GetService", code="PERMISSION_DENIED", resource=resource)
        with pytest.raises(exceptions.PermissionDenied):
            get(cloud)
        assert get(cloud, f"{cloud.parent}/services/x").name

    def test_a_delay_is_kept(self, cloud: FakeCloudRun) -> None:
        cloud.deploy("w")
        cloud.fault("GetService", delay=3600, times=1)
        with pytest.raises(exceptions.DeadlineExceeded):
            get(cloud, seconds=OVER_S)
        cloud.fault("GetService", delay=0.01)
        assert get(cloud).name

    def test_garbage_cannot_be_read(self, cloud: FakeCloudRun) -> None:
        cloud.deploy("w")
        cloud.fault("GetService", garbage=True)
        with pytest.raises(exceptions.InternalServerError, match="deserializing"):
            get(cloud)

    def test_a_method_that_does_not_exist_is_refused(self, cloud: FakeCloudRun) -> None:
        with pytest.raises(ValueError, match="GetRevision"):
            cloud.fault("GetServices")

    def test_something_happens_before_the_next_call_only(self, cloud: FakeCloudRun) -> None:
        cloud.before("GetService", lambda: cloud.deploy("w"))
        assert get(cloud).generation == 1
        assert get(cloud).generation == 1

    def test_calls_are_kept_with_what_the_client_sent(self, cloud: FakeCloudRun) -> None:
        cloud.deploy("w")
        get(cloud, seconds=ENOUGH_S)
        revisions(cloud).get_revision(name=f"{cloud.parent}/services/w/revisions/w-00001", retry=None)
        first, second = cloud.calls
        assert (first.method, first.resource) == ("GetService", "projects/p/locations/r/services/w")
        assert first.routing == "location=r"
        assert first.timeout is not None
        assert 0 < first.timeout < ENOUGH_S + 0.1  # gRPC rounds it up
        assert (second.method, second.timeout) == ("GetRevision", None)

    def test_the_end_comes_at_once_even_while_calls_hang(self) -> None:
        with FakeCloudRun() as cloud:
            cloud.deploy("w")
            cloud.fault("*", hang=True, times=1)
            cloud.fault("*", delay=3600)
            client = services(cloud)
            stub: Any = client.transport.get_service
            request = run_v2.GetServiceRequest(name=f"{cloud.parent}/services/w")
            waiting = [stub.future(request, timeout=3600) for _ in range(2)]
            while len(cloud.calls) < 2:
                time.sleep(0.01)
        assert all(call.exception(timeout=ENOUGH_S) is not None for call in waiting)
