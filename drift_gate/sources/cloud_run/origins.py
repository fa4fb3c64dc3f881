"""Where a deploy came from, for people: by whom, with which tool, from what, and what names a commit yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from google.cloud import run_v2

from drift_gate.errors import SourceError
from drift_gate.evidence import marks
from drift_gate.facts import Evidence, Finding, LiveRevision
from drift_gate.sources.cloud_run import messages as said
from drift_gate.sources.one_line import one_line

_NOUNS = {run_v2.Service: "service", run_v2.WorkerPool: "worker pool", run_v2.Job: "job"}


def source(container: run_v2.Container) -> str:
    """The archive that a deploy without an image runs, as ``gs://…#generation``; "" where there is none."""
    stored = container.source_code.cloud_storage_source
    if stored.bucket:
        generation = f"#{stored.generation}" if stored.generation else ""
        return f"it runs gs://{one_line(stored.bucket)}/{one_line(stored.object_)}{generation}"
    place = container.build_info.source_location
    return f"it was built from {one_line(place)}" if place else ""


def with_origin(
    message: Any,
    revisions: Sequence[LiveRevision],
    labels: Sequence[Evidence],
    others: Sequence[LiveRevision] | SourceError,
) -> tuple[LiveRevision, ...]:
    """``revisions`` with what people may go by, where a revision itself names no commit.

    ``labels`` are the workload's own; ``others`` are its other revisions, or why nobody knows them.
    """
    return tuple(
        replace(one, origin="; ".join((*filter(None, [one.origin]), *_marks(message, one, labels, others))))
        if nameless(one)
        else one
        for one in revisions
    )


def nameless(revision: LiveRevision) -> bool:
    """Whether it was read, and nothing about it names a commit."""
    return revision.unknown is None and not any(claim.id for claim in marks.read(revision.evidence))


def _marks(
    message: Any, one: LiveRevision, labels: Sequence[Evidence], others: Sequence[LiveRevision] | SourceError
) -> Iterator[str]:
    noun = _NOUNS[type(message)]
    for claim in marks.read(labels):
        if claim.id:
            yield f"the {noun}'s own label {claim.evidence.key} says {one_line(claim.evidence.value)}"
    if isinstance(others, SourceError):
        if one.image:
            unread = one_line(others.message)
            yield f"whether another revision of the same image names a commit is not known: {unread}"
        others = ()
    for other in others:
        claims = [claim for claim in marks.read(other.evidence) if claim.id]
        if claims and one.image and other.image == one.image:
            yield f"{other.revision} runs the same image and says {one_line(str(claims[0]))}"
            break
    if noun == "job" and message.creator:  # of the others each revision has its own
        yield f"the job was made by {one_line(message.creator)}"
    tool = " ".join(filter(None, map(one_line, (message.client, message.client_version))))
    if message.last_modifier or tool:
        by = f" by {one_line(message.last_modifier)}" if message.last_modifier else ""
        yield f"the {noun} was last changed{by}{f' with {tool}' if tool else ''}"


def made(revision: run_v2.Revision) -> str:
    """By whom and when ``revision`` was made, as far as it says so."""
    moment = said.moment(revision)
    by = f" by {one_line(revision.creator)}" if revision.creator else ""
    return f"it was made{by} at {moment:%Y-%m-%d %H:%M} UTC" if moment else f"it was made{by}" if by else ""


def floating(message: Any, revisions: Sequence[LiveRevision]) -> Iterator[Finding]:
    """That the platform replaces the base image under a revision by itself; one that is pinned stays."""
    for one in revisions:
        if one.base_image and "@" not in one.base_image and not _stays(message, one):
            yield Finding(
                code="base-image-floating",
                message=f"{one.called or 'the template'}: Cloud Run replaces its base image {one.base_image} "
                "by itself, so that what runs under the code changes without a deploy",
                data={"revision": one.revision, "base_image": one.base_image},
            )


def _stays(message: Any, revision: LiveRevision) -> bool:
    """Whether automatic updates are off: the service tells that of its last deploy alone, and of no job."""
    build = getattr(message, "build_config", None)
    if not build or not build.base_image or build.enable_automatic_updates:
        return False
    return said.short(message.latest_created_revision) == revision.revision
