"""What there is in a project and region: names, and what the newest deploy of each workload says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from drift_gate.facts import Kind, LiveRevision
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.cloud_run import messages as said
from drift_gate.sources.cloud_run.clients import Clients, ask
from drift_gate.sources.cloud_run.containers import Containers
from drift_gate.sources.cloud_run.errors import Asked
from drift_gate.sources.cloud_run.kinds import WAYS
from drift_gate.sources.cloud_run.reader import ENV_KEYS, LABEL_KEYS


def inventory(*, project: str, region: str, deadline: Deadline, clients: Clients) -> tuple[str, ...]:
    """The names of all services of a project and region, in order. Raises ``SourceError``."""
    messages = _listed("service", project, region, deadline, clients)
    return tuple(sorted(said.short(message.name) for message in messages))


def workloads(
    kind: Kind, *, project: str, region: str, deadline: Deadline, clients: Clients
) -> dict[str, LiveRevision]:
    """Each workload of ``kind`` by name, with what its template says: image, start, evidence.

    That is what its newest deploy wrote, whatever gets the traffic. Raises ``SourceError``.
    """
    read = Containers(
        project=project,
        named=None,
        label_keys=LABEL_KEYS,
        env_keys=ENV_KEYS,
        tag_pattern=None,
        kept_env=(),
        kept_labels=(),
    ).read
    found = {}
    for message in _listed(kind, project, region, deadline, clients):
        template = message.template
        inside = template.template if kind == "job" else template
        found[said.short(message.name)] = read(None, template.labels, inside.containers)[0]
    return dict(sorted(found.items()))


def _listed(kind: Kind, project: str, region: str, deadline: Deadline, clients: Clients) -> list[Any]:
    way = WAYS[kind]
    permission = way.permission.replace(".get", ".list")
    asked = Asked(f"the {way.noun}s of {project}/{region}", permission, project, region)
    google = clients.connect(deadline, asked)

    def every(*, timeout: float, retry: None) -> list[Any]:
        messages: Iterable[Any] = way.list(google, f"projects/{project}/locations/{region}")(
            timeout=timeout, retry=retry
        )
        return list(messages)

    return ask(every, deadline, replace(asked, principal=google.principal))
