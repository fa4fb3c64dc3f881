"""What is asked of Cloud Run in an update, and what its messages say of the traffic. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.cloud import run_v2

from drift_gate.errors import CandidateError
from drift_gate.sources.cloud_run import messages as said
from drift_gate.sources.cloud_run.states import Entry

#: The label that a deploy writes, as Cloud Build and Google's own action do.
LABEL = "commit-sha"
#: Letters of a label's value; the id of a commit in a repository of SHA-256 has one more.
LABEL_LIMIT = 63
#: Letters of a tag and its service's name together:
#: https://cloud.google.com/run/docs/rollouts-rollbacks-traffic-migration#tags
TAG_LIMIT = 46

_LATEST, _BY_NAME = 1, 2  # of traffic targets and of instance splits alike


def stamp(commit: str) -> str:
    """``commit`` as a label holds it: short of a letter it still names one commit."""
    return commit[:LABEL_LIMIT]


def shares(message: Any) -> dict[str, int]:
    """Percent above 0 by short revision name; "" for what follows the latest while there is none ready."""
    found: dict[str, int] = {}
    for entry in said.entries(message):
        if entry.percent:
            name = _named(message, entry)
            found[name] = found.get(name, 0) + entry.percent
    return found


def tags(message: Any) -> dict[str, str]:
    """The short revision name by tag, as it really is."""
    return {entry.tag: _named(message, entry) for entry in said.entries(message) if entry.tag}


def tag_url(message: Any, revision: str) -> str | None:
    """The address at which ``revision`` alone answers."""
    for entry in said.entries(message):
        if entry.tag and entry.url and _named(message, entry) == revision:
            return entry.url
    return None


def settled(message: Any) -> bool:
    """Whether no change is under way. After one that failed, the observed generation stays that of before."""
    if message.reconciling or said.unsettled(message):
        return False
    return said.failure(message) is not None or message.observed_generation == message.generation


def failure(message: Any) -> str | None:
    """The platform's sentence where what was asked for last will not come; None where it has come.

    A revision that never got ready leaves its mark on the workload for as long as it is the newest, whatever
    happens to the traffic since: that is no failure of what was asked for.
    """
    if not settled(message) or _asked(message) == _served(message):
        return None
    return said.failure(message)


def image(job: run_v2.Job, named: str | None) -> str:
    """The image that the next run of ``job`` uses."""
    return str(chosen(job.template.template.containers, named).image)


def chosen(containers: Sequence[run_v2.Container], named: str | None) -> run_v2.Container:
    """The container that a deploy gives its image: the ``named`` one, else that which takes the requests."""
    found = next((each for each in containers if each.name == named), None) if named else None
    found = found or (said.serving(containers) if named is None or len(containers) == 1 else None)
    if found is None:
        there = ", ".join(each.name or "one without a name" for each in containers)
        raise CandidateError(f"there is no container {named}, which `container` names (there: {there})")
    return found


def with_image(
    template: Any, named: str | None, image: str, commit: str, labels: Iterable[str], variables: Iterable[str]
) -> Any:
    """``template`` with ``image`` in its container, and ``commit`` in whatever names one.

    Those are ``LABEL``, and of ``labels`` and ``variables`` those that it has: left alone, they would go on
    naming the commit of before.
    """
    changed = type(template)(template)
    inner = changed.template if isinstance(changed, run_v2.ExecutionTemplate) else changed
    container = chosen(inner.containers, named)
    container.image = image
    changed.labels.update(
        {key: stamp(commit) for key in (LABEL, *labels) if key == LABEL or key in changed.labels}
    )
    for variable in container.env:
        if variable.name in variables and variable.value:
            variable.value = commit
    return changed


def revision_name(service: str, template: Any, commit: str, attempt: int) -> str:
    """The name of the revision that ``template`` makes: the same for the same, so that a repeat makes none.

    At most 62 letters for a name of 49, the longest that a service may have; the limit is 63.
    """
    nameless = type(template)(template)
    nameless.revision = ""
    raw = type(nameless).pb(nameless).SerializeToString(deterministic=True)
    digest = hashlib.sha256(raw + str(attempt).encode()).hexdigest()
    return f"{service}-{commit[:7]}-{digest[:4]}"


def traffic(
    message: Any, shares: Mapping[str, int], tags: Mapping[str, str], latest: str = ""
) -> dict[str, Any]:
    """The field of ``message`` that says who is to serve, with its value.

    ``latest`` is the revision whose share is to follow the latest one, "" for none.
    """
    if isinstance(message, run_v2.WorkerPool):
        target: Any = run_v2.InstanceSplit
        field, tags = "instance_splits", {}
    else:
        target, field = run_v2.TrafficTarget, "traffic"
    entries = [
        target(type_=_LATEST, percent=percent)
        if name in ("", latest)
        else target(type_=_BY_NAME, revision=name, percent=percent)
        for name, percent in shares.items()
    ]
    entries += [target(type_=_BY_NAME, revision=name, tag=tag) for tag, name in tags.items() if name]
    return {field: entries}


def _named(message: Any, entry: Entry) -> str:
    return entry.revision or (said.short(message.latest_ready_revision) if entry.latest else "")


def _asked(message: Any) -> set[tuple[str, str, int]]:
    """What is asked for: revision, tag and percent of each entry; the latest one is the newest."""
    entries = getattr(message, "traffic", None) or getattr(message, "instance_splits", None) or ()
    newest = said.short(getattr(message, "latest_created_revision", ""))
    found = {
        (said.short(each.revision) or newest, getattr(each, "tag", ""), each.percent) for each in entries
    }
    return found or {(newest, "", 100)}


def _served(message: Any) -> set[tuple[str, str, int]]:
    return {(_named(message, each), each.tag, each.percent) for each in said.entries(message)}
