"""The methods of the Cloud Run Admin API that the loopback one serves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import grpc
from google.cloud import run_v2
from google.longrunning import operations_pb2

from drift_gate.testing.cloud_run.deployed import Kind


class Method(NamedTuple):
    """One method: its gRPC service, how a request is read, how an answer is written, and what it names.

    ``resource`` takes the resource name out of a request. ``items`` is the field of a List answer that holds
    its items ("" for what is no List), ``folder`` that of the resource names, ``kind`` the one that an Update
    changes (None: it changes nothing).
    """

    service: str
    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]
    resource: Callable[[Any], str]
    folder: str
    items: str = ""
    answer: Any = None
    kind: Kind | None = None


def _get(service: str, request: Any, answer: Any, folder: str) -> Method:
    return Method(service, request.deserialize, answer.serialize, lambda asked: str(asked.name), folder)


def _list(service: str, request: Any, answer: Any, folder: str, items: str) -> Method:
    return Method(
        service,
        request.deserialize,
        answer.serialize,
        lambda asked: str(asked.parent),
        folder,
        items,
        answer,
    )


def _update(service: str, request: Any, field: str, folder: str, kind: Kind) -> Method:
    def named(asked: Any) -> str:
        return str(getattr(asked, field).name)

    write = operations_pb2.Operation.SerializeToString
    return Method(service, request.deserialize, write, named, folder, kind=kind)


def _operation(request: Any) -> Method:
    write = operations_pb2.Operation.SerializeToString
    return Method(OPERATIONS, request.FromString, write, lambda asked: str(asked.name), "operations")


OPERATIONS = "google.longrunning.Operations"
_CLOUD_RUN = "google.cloud.run.v2"
SERVICES, REVISIONS, WORKER_POOLS, JOBS = (
    f"{_CLOUD_RUN}.{group}" for group in ("Services", "Revisions", "WorkerPools", "Jobs")
)

#: Each method of the API that is served here.
METHODS: dict[str, Method] = {
    "GetService": _get(SERVICES, run_v2.GetServiceRequest, run_v2.Service, "services"),
    "ListServices": _list(
        SERVICES, run_v2.ListServicesRequest, run_v2.ListServicesResponse, "services", "services"
    ),
    "UpdateService": _update(SERVICES, run_v2.UpdateServiceRequest, "service", "services", "service"),
    "GetRevision": _get(REVISIONS, run_v2.GetRevisionRequest, run_v2.Revision, "revisions"),
    "ListRevisions": _list(
        REVISIONS, run_v2.ListRevisionsRequest, run_v2.ListRevisionsResponse, "revisions", "revisions"
    ),
    "GetWorkerPool": _get(WORKER_POOLS, run_v2.GetWorkerPoolRequest, run_v2.WorkerPool, "workerPools"),
    "ListWorkerPools": _list(
        WORKER_POOLS,
        run_v2.ListWorkerPoolsRequest,
        run_v2.ListWorkerPoolsResponse,
        "workerPools",
        "worker_pools",
    ),
    "UpdateWorkerPool": _update(
        WORKER_POOLS, run_v2.UpdateWorkerPoolRequest, "worker_pool", "workerPools", "worker-pool"
    ),
    "GetJob": _get(JOBS, run_v2.GetJobRequest, run_v2.Job, "jobs"),
    "ListJobs": _list(JOBS, run_v2.ListJobsRequest, run_v2.ListJobsResponse, "jobs", "jobs"),
    "UpdateJob": _update(JOBS, run_v2.UpdateJobRequest, "job", "jobs", "job"),
    "GetOperation": _operation(operations_pb2.GetOperationRequest),
    "WaitOperation": _operation(operations_pb2.WaitOperationRequest),
}


def handlers(
    handler: Callable[[str], grpc.RpcMethodHandler[Any, bytes]],
) -> Iterable[grpc.GenericRpcHandler]:
    """What gRPC serves: for each of ``METHODS`` what ``handler`` makes for its name."""
    for group in sorted({method.service for method in METHODS.values()}):
        yield grpc.method_handlers_generic_handler(
            group, {name: handler(name) for name, method in METHODS.items() if method.service == group}
        )


def within(parent: str, resource: str, context: grpc.ServicerContext) -> None:
    """Abort what is not of ``parent``: one without a location has no server, a foreign one nothing in it."""
    parts = resource.split("/")
    if len(parts) < 4 or parts[0] != "projects" or parts[2] != "locations":
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "Operation is not implemented, or supported.")
    if "/".join(parts[:4]) != parent:
        context.abort(grpc.StatusCode.NOT_FOUND, f"Resource '{resource}' was not found.")
