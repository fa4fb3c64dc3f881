"""Whether batches ran with a commit: the ones that were judged at their starts, held against the history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from drift_gate.errors import DriftGateError, SourceError
from drift_gate.wiring import answers
from predictions.coordinator.batches.batch import Batch

#: ``partly``: some of what was live had the commit, and some had not.
RanWith = Literal["with", "without", "partly", "unknown"]


class Held(NamedTuple):
    """What each batch ran with, by its id, and why that is not known of some of them, a sentence each."""

    by_batch: Mapping[str, RanWith]
    why: tuple[str, ...]


def ran_with(commit: str, batches: Sequence[Batch]) -> Held:
    """Which of ``batches`` ran with ``commit`` (7 to 64 hex digits), as their verdicts say what was live.

    A batch ran with it where each commit that was judged, in each of its rounds, holds it. What nobody knows
    is ``unknown``, never ``without``. Raises ``DriftConfigError``.
    """
    wanted: dict[str, set[str]] = {}
    for batch in batches:
        for service, each in judged(batch):
            if service is not None and each is not None:
                wanted.setdefault(service, set()).add(each)
    found = answers.holding(commit, wanted) if wanted else {}
    held: dict[tuple[str | None, str | None], bool] = {}
    for service, answer in found.items():
        if not isinstance(answer, SourceError):
            held |= {(service, each): holds for each, holds in answer.items()}
    told = {batch.id: _word(held.get(each) for each in judged(batch)) for batch in batches}
    return Held(told, tuple(dict.fromkeys(_reasons(found, told))))


def judged(batch: Batch) -> list[tuple[str | None, str | None]]:
    """Each commit that was judged, with its service; None in it is not known."""
    return [(stamp.service, commit) for stamp in batch.stamps for commit in stamp.live_commits or (None,)]


def _word(answers: Iterable[bool | None]) -> RanWith:
    match set(answers):
        case found if None in found:
            return "unknown"
        case found if len(found) == 2:
            return "partly"
        case found:
            return "with" if found == {True} else "without"


def _reasons(
    found: Mapping[str, Mapping[str, bool] | DriftGateError], told: Mapping[str, RanWith]
) -> Iterable[str]:
    errors = [str(answer) for answer in found.values() if isinstance(answer, DriftGateError)]
    yield from errors
    if "unknown" in told.values() and not errors:
        yield "unknown: a batch's verdict does not name each commit that was live, or git does not know one"
