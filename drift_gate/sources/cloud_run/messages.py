"""Google's messages about Cloud Run, one question each.

A ``container`` is the message of protobuf below Google's own class (``run_v2.Container.pb``), which makes new
objects at each look and takes fifty times as long: more is asked of containers than of all else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from google.cloud import run_v2

from drift_gate.errors import SourceError
from drift_gate.evidence.image import TAG_LIMIT
from drift_gate.facts import Evidence, LiveStart
from drift_gate.sources.cloud_run.errors import Asked
from drift_gate.sources.cloud_run.states import Entry
from drift_gate.sources.one_line import one_line

#: Longest value that is kept whole. No commit id is longer; a variable may hold kilobytes of anything.
VALUE_LIMIT = 1000

#: The states of a condition on its way to another one.
_UNSETTLED = (run_v2.Condition.State.CONDITION_PENDING, run_v2.Condition.State.CONDITION_RECONCILING)
#: The number of "follows the latest ready revision" in both enums (traffic, instance splits).
_LATEST = int(run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST)


def entries(message: Any) -> Iterator[Entry]:
    """The traffic as it is, of a service or a worker pool; a worker pool has no tags, a job no traffic."""
    field = "traffic_statuses" if isinstance(message, run_v2.Service) else "instance_split_statuses"
    for status in getattr(type(message).pb(message), field, ()):
        yield Entry(
            latest=status.type_ == _LATEST,
            revision=short(status.revision),
            percent=status.percent,
            tag=bounded(getattr(status, "tag", "")),
            url=bounded(getattr(status, "uri", "")),
        )


def addresses(message: Any, tags: Sequence[str]) -> tuple[str, ...]:
    """All addresses of a service: each form of its own, and of each tag below it; nothing else has any."""
    if not isinstance(message, run_v2.Service):
        return ()
    own = [bounded(url) for url in dict.fromkeys((message.uri, *message.urls)) if url]
    parts = [url.partition("://") for url in own]
    below = (f"{scheme}://{tag}---{host}" for tag in dict.fromkeys(tags) for scheme, _, host in parts)
    return tuple(dict.fromkeys((*own, *(each.url for each in entries(message) if each.url), *below)))


def version(message: Any) -> str:
    """A mark of what serves and of what was asked to: another one as soon as either changes.

    The etag alone might do; that it follows the statuses as well is nowhere promised.
    """
    marks = [message.etag, message.generation, message.observed_generation, message.reconciling]
    marks += [short(getattr(message, f"latest_{which}_revision", "")) for which in ("ready", "created")]
    return repr((*marks, *((entry.latest, entry.revision, entry.percent) for entry in entries(message))))


def changing(message: Any) -> bool:
    """While this holds, the platform calls its own traffic statuses and ready revision transient."""
    behind = message.observed_generation != message.generation
    return bool(message.reconciling or behind or unsettled(message))


def unsettled(message: Any) -> bool:
    """Whether the condition that sums up is on its way to another one."""
    return _number(message.terminal_condition, "state") in _UNSETTLED


def failure(message: Any) -> str | None:
    """What the platform says about the first condition that failed; the one that sums up comes first."""
    for condition in (message.terminal_condition, *message.conditions):
        if _number(condition, "state") == run_v2.Condition.State.CONDITION_FAILED:
            return condition.message or f"the condition {condition.type_} failed"
    return None


def ready_failure(revision: run_v2.Revision) -> str | None:
    """Why ``revision`` will not get ready; None while it may. That it is retired is another condition."""
    state = _ready_state(revision)
    if state is None or _number(state, "state") != run_v2.Condition.State.CONDITION_FAILED:
        return None
    return state.message or f"the condition {state.type_} failed"


def is_ready(revision: run_v2.Revision) -> bool:
    """Whether ``revision`` got ready, and may serve."""
    state = _ready_state(revision)
    return state is not None and _number(state, "state") == run_v2.Condition.State.CONDITION_SUCCEEDED


def _ready_state(revision: run_v2.Revision) -> run_v2.Condition | None:
    return next((each for each in revision.conditions if each.type_ == "Ready"), None)


def since(message: Any) -> datetime | None:
    """Since when the rollout is under way; None where no condition says so.

    Only a condition that is not settled tells: the time of one that succeeded is that of the rollout
    before. The one that sums up counts, else the one that has been waiting for longest.
    """
    whole, *parts = (_unsettled_since(each) for each in (message.terminal_condition, *message.conditions))
    return whole or min(filter(None, parts), default=None)


def _unsettled_since(condition: run_v2.Condition) -> datetime | None:
    if _number(condition, "state") not in _UNSETTLED or "last_transition_time" not in condition:
        return None
    try:
        return datetime.fromtimestamp(int(condition.last_transition_time.timestamp()), tz=UTC)
    except (ValueError, OverflowError, OSError):  # out of the range of a time: as good as none
        return None


def follows(message: Any) -> bool:
    """Whether all traffic is asked to go to the latest ready revision; asking for nothing means that."""
    field = "traffic" if isinstance(message, run_v2.Service) else "instance_splits"
    created = short(getattr(message, "latest_created_revision", ""))
    return all(
        _number(target, "type_") == _LATEST or short(target.revision) == created
        for target in getattr(message, field, ())
        if target.percent
    )


def serving(containers: Sequence[run_v2.Container]) -> run_v2.Container | None:
    """The container that takes the requests: the one with ports, beside which the others are sidecars."""
    return next((container for container in containers if container.ports), next(iter(containers), None))


def image_tag(image: str, pattern: re.Pattern[str] | None = None) -> Iterator[Evidence]:
    """The tag of ``image``; none when it is named by digest only. A registry's port is no tag.

    Of a tag that ``pattern`` matches as a whole, what its group ``commit`` takes.
    """
    name, colon, tag = image.partition("@")[0].rpartition(":")
    if colon and "/" not in tag:
        match = pattern.fullmatch(tag) if pattern and len(tag) <= TAG_LIMIT else None
        yield Evidence(carrier="image-tag", key=name, value=(match and match["commit"]) or tag)


def variables(container: Any, keys: Sequence[str]) -> Iterator[Evidence]:
    """The variables that may name a commit; a value out of a secret is not in the message at all."""
    for key in keys:
        for variable in container.env:
            if variable.name == key and variable.value:
                yield Evidence(carrier="env", key=key, value=bounded(variable.value))


def set_names(container: Any) -> Iterator[str]:
    """The names of the variables that have a value, or a secret that brings it; no value leaves here."""
    for variable in container.env:
        if variable.value or variable.HasField("value_source"):
            yield variable.name


def start(container: Any) -> LiveStart | None:
    """How the revision starts it, in words and by PYTHONPATH; None where the image alone says that."""
    paths = [variable for variable in container.env if variable.name == "PYTHONPATH"]
    told = LiveStart(
        command=tuple(map(bounded, container.command)),
        args=tuple(map(bounded, container.args)),
        python_path=next(
            ("$" if each.HasField("value_source") else bounded(each.value) for each in paths), None
        ),
        workdir=bounded(container.working_dir) or None,
    )
    return None if told == LiveStart() else told


def values(container: Any, names: Collection[str]) -> dict[str, str]:
    """The values of the variables ``names``; one that a secret brings is not in the message at all."""
    return {
        variable.name: bounded(variable.value)
        for variable in container.env
        if variable.name in names and not variable.HasField("value_source")
    }


def moment(revision: run_v2.Revision) -> datetime | None:
    """When it was made, as a plain UTC time to the second. Raises ``ValueError`` out of range."""
    if "create_time" not in revision:
        return None
    return datetime.fromtimestamp(int(revision.create_time.timestamp()), tz=UTC)


def same_name(message: Any, name: str, asked: Asked) -> None:
    """An empty or foreign message parses, too; nothing in it may count as a fact about ``name``."""
    if short(message.name) != name:
        found = one_line(message.name) or "nothing"
        sentence = f"Cloud Run's answer about {asked.place} makes no sense: it describes {found}"
        raise SourceError(sentence, "invalid-response", False)


def _number(message: Any, field: str) -> int:
    """The enum ``field`` as its number: a value that Google adds one day is no reason for a warning."""
    return int(getattr(type(message).pb(message), field))


def short(name: str) -> str:
    """The last part of a resource name: Google mixes short and full names."""
    return name.rsplit("/", 1)[-1]


def bounded(text: str) -> str:
    """``text``, or the beginning of one that is too long to mean anything here."""
    return text if len(text) <= VALUE_LIMIT else text[: VALUE_LIMIT - 1] + "…"
