"""The methods of the Cloud Run Admin API that the loopback one serves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import grpc
from google.cloud import run_v2

#: Each method of the API that is served here: the gRPC service, the request, the answer, the field of
#: a List answer that holds its items, and the folder of the resource names.
METHODS: dict[str, tuple[str, Any, Any, str, str]] = {
    "GetService": ("Services", run_v2.GetServiceRequest, run_v2.Service, "", "services"),
    "ListServices": (
        "Services", run_v2.ListServicesRequest, run_v2.ListServicesResponse, "services", "services",
    ),
    "GetRevision": ("Revisions", run_v2.GetRevisionRequest, run_v2.Revision, "", "revisions"),
    "ListRevisions": (
        "Revisions", run_v2.ListRevisionsRequest, run_v2.ListRevisionsResponse, "revisions", "revisions",
    ),
    "GetWorkerPool": ("WorkerPools", run_v2.GetWorkerPoolRequest, run_v2.WorkerPool, "", "workerPools"),
    "ListWorkerPools": (
        "WorkerPools", run_v2.ListWorkerPoolsRequest, run_v2.ListWorkerPoolsResponse,
        "worker_pools", "workerPools",
    ),
    "GetJob": ("Jobs", run_v2.GetJobRequest, run_v2.Job, "", "jobs"),
    "ListJobs": ("Jobs", run_v2.ListJobsRequest, run_v2.ListJobsResponse, "jobs", "jobs"),
}  # fmt: skip


def handlers(
    handler: Callable[[str], grpc.RpcMethodHandler[Any, bytes]],
) -> Iterable[grpc.GenericRpcHandler]:
    """What gRPC serves: for each of ``METHODS`` what ``handler`` makes for its name."""
    for group in sorted({method[0] for method in METHODS.values()}):
        yield grpc.method_handlers_generic_handler(
            f"google.cloud.run.v2.{group}",
            {name: handler(name) for name, method in METHODS.items() if method[0] == group},
        )


def within(parent: str, resource: str, context: grpc.ServicerContext) -> None:
    """Abort what is not of ``parent``: one without a location has no server, a foreign one nothing in it."""
    parts = resource.split("/")
    if len(parts) < 4 or parts[0] != "projects" or parts[2] != "locations":
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "Operation is not implemented, or supported.")
    if "/".join(parts[:4]) != parent:
        context.abort(grpc.StatusCode.NOT_FOUND, f"Resource '{resource}' was not found.")
