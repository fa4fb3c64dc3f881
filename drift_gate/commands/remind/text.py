"""What a reminder says: a line or two for each service, a few services. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from drift_gate.presentation.plain_text import plain

#: Services that have lines of their own, commits that are named, and characters of a subject.
_SERVICES, _COMMITS, _SUBJECT = 3, 2, 44

#: What has to happen before a deploy brings HEAD: nothing, a push, a merge.
Before = Literal["", "once pushed: ", "once merged: "]


class Missing(NamedTuple):
    """What a service lacks. ``live``: that is held against what is live, and not only against other commits.

    ``commits``: the newest as id and subject, of ``number`` at least; ``paths``: what they change.
    ``unknown``: why nobody can say; then the others are empty. ``deploy``: the line that brings it; None:
    there is none.
    """

    service: str
    live: bool
    commits: Sequence[tuple[str, str]] = ()
    number: int = 0
    paths: Sequence[str] = ()
    unknown: str | None = None
    deploy: str | None = None


def lines(missing: Sequence[Missing], before: Before) -> Iterator[str]:
    """The lines; none where nothing is missing."""
    for each in missing[:_SERVICES]:
        yield plain(f"drift: {each.service} {_what(each)}")
        if each.unknown is None:
            yield plain(f"  {before}{each.deploy or f'deployment-drift plan {each.service}'}")
    if more := [each.service for each in missing[_SERVICES:]]:
        yield plain(f"drift: the same of {', '.join(more)}: see deployment-drift plan")


def _what(missing: Missing) -> str:
    if missing.unknown is not None:
        return f"may lack something, unknown: {missing.unknown}"
    named = [f"{sha[:8]} {_short(subject)}" for sha, subject in missing.commits[:_COMMITS]]
    named = named or [f"changes of {path}" for path in missing.paths[:_COMMITS]]
    more = max(missing.number, len(named)) - len(named)
    said = ", ".join(named) + (f" and {more:,} more" if more else "")
    return f"lacks {said}" if missing.live else f"is made stale by {said}"


def _short(subject: str) -> str:
    return subject if len(subject) <= _SUBJECT else f"{subject[: _SUBJECT - 1].rstrip()}…"
