"""How each kind of workload is asked for and changed, in Google's words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from drift_gate.facts import Kind
from drift_gate.sources.cloud_run.clients import Call, Connected


@dataclass(frozen=True, slots=True)
class Way:
    """How one kind of workload is read and updated: the word for it, its folder, permissions and calls.

    ``update`` takes the message and the fields of it that count; a job's update knows no such choice.
    """

    noun: str
    folder: str
    permission: str
    get: Callable[[Connected, str], Call[Any]]
    list: Callable[[Connected, str], Call[Iterable[Any]]]
    update_permission: str
    update: Callable[[Connected, Any, Sequence[str]], Call[Any]]


WAYS: dict[Kind, Way] = {
    "service": Way(
        "service",
        "services",
        "run.services.get",
        lambda google, name: partial(google.services.get_service, name=name),
        lambda google, parent: partial(google.services.list_services, parent=parent),
        "run.services.update",
        lambda google, message, fields: partial(
            google.services.update_service, service=message, update_mask=FieldMask(paths=fields)
        ),
    ),
    "worker-pool": Way(
        "worker pool",
        "workerPools",
        "run.workerpools.get",
        lambda google, name: partial(google.worker_pools.get_worker_pool, name=name),
        lambda google, parent: partial(google.worker_pools.list_worker_pools, parent=parent),
        "run.workerpools.update",
        lambda google, message, fields: partial(
            google.worker_pools.update_worker_pool, worker_pool=message, update_mask=FieldMask(paths=fields)
        ),
    ),
    "job": Way(
        "job",
        "jobs",
        "run.jobs.get",
        lambda google, name: partial(google.jobs.get_job, name=name),
        lambda google, parent: partial(google.jobs.list_jobs, parent=parent),
        "run.jobs.update",
        lambda google, message, _: partial(google.jobs.update_job, job=message),
    ),
}
