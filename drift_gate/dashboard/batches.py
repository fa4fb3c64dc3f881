"""The coordinator's batches, each with the verdict that it was started on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from drift_gate.dashboard.rows import CommitRef, Place, page_of
from drift_gate.facts import Fact, Text
from drift_gate.journal.records import Entry

#: How many of them a page shows.
SHOWN = 200


class Stored(Fact):
    """A batch as whoever runs it keeps it.

    ``service`` None: not known which was judged. ``mixed``: whether its results may come from more than one
    revision; None: not known. ``error`` None: nothing went wrong.
    """

    id: str
    at: datetime
    state: str
    service: Text | None
    decision: str
    enforced: bool
    not_enforced_because: str | None
    revisions: tuple[Text, ...]
    commits: tuple[str, ...]
    mixed: bool | None
    requested: int
    completed: int
    failed: int
    error: Text | None


class Wanted(Fact):
    """What is asked for: ``commit`` (the first digits of an id that ran; "": any), and how many days back."""

    commit: Annotated[str, Field(pattern=r"^([0-9a-f]{4,64})?$")] = ""
    days: int = Field(default=30, ge=1, le=3650)


class BatchRow(Fact):
    """A start of a batch: refused, or made. ``id`` None: none was made, or nobody knows which.

    ``state``: ``refused``; ``started``, where nothing more is known here; else as whoever runs it says.
    ``commits`` and ``revisions`` ran when it started. ``progress`` None: not known here.
    """

    id: Text | None
    at: datetime
    state: str
    service: Text | None
    page: str | None
    decision: str
    enforced: bool
    not_enforced_because: str | None
    codes: tuple[str, ...] = ()
    revisions: tuple[Text, ...]
    commits: tuple[CommitRef, ...]
    mixed: bool | None = None
    progress: str | None = None
    error: Text | None = None


class Batches(Fact):
    """The newest starts that are ``wanted``; ``found`` is how many there are.

    ``followed``: whether what became of them is known here.
    """

    schema_version: int = 1
    at: datetime
    wanted: Wanted
    followed: bool
    found: int
    batches: tuple[BatchRow, ...]


def batches(
    entries: Sequence[Entry],
    stored: Sequence[Stored] | None,
    places: dict[str, Place],
    wanted: Wanted,
    now: datetime,
) -> Batches:
    """The page at ``now``. ``entries``: decisions; ``stored``: batches that are kept; None: not known."""
    since = begin(wanted, now)
    known = {each.id: each for each in stored or ()}
    starts = [each for each in entries if each.door == "start"]
    rows = [_of_entry(each, known.pop(each.batch or "", None), places) for each in starts]
    rows += [_of_stored(each, places) for each in known.values() if each.at >= since]
    rows = [each for each in rows if _ran(each, wanted.commit)]
    rows.sort(key=lambda each: each.at, reverse=True)
    return Batches(
        at=now,
        wanted=wanted,
        followed=stored is not None,
        found=len(rows),
        batches=tuple(rows[:SHOWN]),
    )


def begin(wanted: Wanted, now: datetime) -> datetime:
    """From when on."""
    return now - timedelta(days=wanted.days)


def _ran(row: BatchRow, commit: str) -> bool:
    return not commit or (row.state != "refused" and any(each.id.startswith(commit) for each in row.commits))


def _refs(commits: Iterable[str], service: str | None, places: dict[str, Place]) -> tuple[CommitRef, ...]:
    place = places.get(service or "")
    return tuple(CommitRef.of(each, place.forge if place else None) for each in dict.fromkeys(commits))


def _of_entry(entry: Entry, kept: Stored | None, places: dict[str, Place]) -> BatchRow:
    verdict, live = entry.verdict, entry.verdict.report.live
    row = BatchRow(
        id=entry.batch,
        at=entry.at,
        state="refused" if verdict.refuses else "started",
        service=verdict.service,
        page=page_of(verdict.service),
        decision=verdict.decision,
        enforced=verdict.enforced,
        not_enforced_because=verdict.not_enforced_because,
        codes=tuple(dict.fromkeys(reason.code for reason in verdict.reasons)),
        revisions=tuple(dict.fromkeys(each.called for each in live if each.called)),
        commits=_refs((each.commit for each in live if each.commit), verdict.service, places),
    )
    return row.model_copy(update=_became(kept)) if kept else row


def _of_stored(kept: Stored, places: dict[str, Place]) -> BatchRow:
    row = BatchRow(
        id=kept.id,
        at=kept.at,
        state=kept.state,
        service=kept.service,
        page=page_of(kept.service) if kept.service else None,
        decision=kept.decision,
        enforced=kept.enforced,
        not_enforced_because=kept.not_enforced_because,
        revisions=kept.revisions,
        commits=_refs(kept.commits, kept.service, places),
    )
    return row.model_copy(update=_became(kept))


def _became(kept: Stored) -> dict[str, object]:
    failed = f", {kept.failed} failed" if kept.failed else ""
    return {
        "state": kept.state,
        "mixed": kept.mixed,
        "progress": f"{kept.completed} of {kept.requested}{failed}",
        "error": kept.error,
    }
