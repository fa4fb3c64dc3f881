"""How each kind of workload is asked for, in Google's words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from drift_gate.facts import Kind
from drift_gate.sources.cloud_run.clients import Call, Connected


@dataclass(frozen=True, slots=True)
class Way:
    """How one kind of workload is read: the word for it, its folder, permission and calls."""

    noun: str
    folder: str
    permission: str
    get: Callable[[Connected, str], Call[Any]]
    list: Callable[[Connected, str], Call[Iterable[Any]]]


WAYS: dict[Kind, Way] = {
    "service": Way(
        "service",
        "services",
        "run.services.get",
        lambda google, name: partial(google.services.get_service, name=name),
        lambda google, parent: partial(google.services.list_services, parent=parent),
    ),
    "worker-pool": Way(
        "worker pool",
        "workerPools",
        "run.workerpools.get",
        lambda google, name: partial(google.worker_pools.get_worker_pool, name=name),
        lambda google, parent: partial(google.worker_pools.list_worker_pools, parent=parent),
    ),
    "job": Way(
        "job",
        "jobs",
        "run.jobs.get",
        lambda google, name: partial(google.jobs.get_job, name=name),
        lambda google, parent: partial(google.jobs.list_jobs, parent=parent),
    ),
}
