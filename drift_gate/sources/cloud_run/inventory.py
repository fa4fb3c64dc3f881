"""The names of all services of a project and region."""

from __future__ import annotations

from dataclasses import replace

from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.cloud_run import messages as said
from drift_gate.sources.cloud_run.clients import Clients, ask
from drift_gate.sources.cloud_run.errors import Asked
from drift_gate.sources.cloud_run.kinds import WAYS


def inventory(*, project: str, region: str, deadline: Deadline, clients: Clients) -> tuple[str, ...]:
    """The names of all services of a project and region, in order. Raises ``SourceError``."""
    asked = Asked(f"the services of {project}/{region}", "run.services.list", project, region)
    google = clients.connect(deadline, asked)
    way = WAYS["service"]

    def names(*, timeout: float, retry: None) -> list[str]:
        listed = way.list(google, f"projects/{project}/locations/{region}")(timeout=timeout, retry=retry)
        return [said.short(message.name) for message in listed]

    return tuple(sorted(ask(names, deadline, replace(asked, principal=google.principal))))
