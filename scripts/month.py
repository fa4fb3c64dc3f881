"""Fills a journal with a made-up month of a fleet, for the demo of the dashboard, its pictures and its tests.

    python scripts/month.py FOLDER [--services N] [--days N]

writes FOLDER/drift.toml and the journal that it names. The month ends now, and is the same but for that.
"""

from __future__ import annotations

import argparse
import random
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from drift_gate.comparison.report import DriftReport, LiveReport  # noqa: E402 (needs the path above)
from drift_gate.comparison.tally import RelevantPath, Undeployed  # noqa: E402
from drift_gate.facts import Evidence, Kind, Target, Unknown  # noqa: E402
from drift_gate.journal.records import Entry, Look  # noqa: E402
from drift_gate.journal.sqlite import SqliteJournal  # noqa: E402
from drift_gate.policy.acknowledgements import Acknowledgement, applied  # noqa: E402
from drift_gate.policy.verdict import BreakGlass, JudgedBy, Policy, Verdict, judge  # noqa: E402

HOUR, EVERY = timedelta(hours=1), timedelta(hours=2)
PROJECT, REGION, REPOSITORY = "example-project", "us-west2", "https://github.com/example/predictions"
NAMES = (
    "prediction-worker",
    "odds-loader",
    "injury-report",
    "slate-builder",
    "feature-store",
    "results-exporter",
    "lineup-reader",
    "stats-crawler",
)
SUBJECTS = (
    "Read the injury report before the lineups",
    "Fix the average of a player's first game",
    "Leave out games of less than five minutes",
    "Weigh the last game double",
    "Ask the odds provider once a minute",
    "Close the connection after each slate",
    "Count overtime as minutes played",
    "Take the venue into account",
    "Keep the retries inside the deadline",
    "Round points to one digit",
)
AUTHORS = ("Ann Ortiz", "Bo Lindqvist", "Chidi Okafor", "Dana Weiss")


class Commit(NamedTuple):
    """A commit of the made-up history: when it landed, and what a report says of it."""

    at: datetime
    shown: Undeployed


class Course(NamedTuple):
    """What happened to one service: what landed, and when which commit (by its place) went live."""

    name: str
    kind: Kind
    commits: Sequence[Commit]
    deploys: Sequence[tuple[datetime, int]]


#: How many hours before the end what nobody has deployed landed, by service.
WAITING = {
    "prediction-worker": (13.4, 9.2, 5.1, 1.8),
    "odds-loader": (0.7,),
    "slate-builder": (31.0, 26.5, 22.0, 8.0, 3.0),
}


def course(name: str, begin: datetime, end: datetime, rng: random.Random, *, late: float) -> Course:
    """A commit every day or two; each is deployed after minutes, or, ``late`` often, a day later.

    What landed last waits, as ``WAITING`` says.
    """
    commits: list[Commit] = []
    deploys, at = [(begin, 0)], begin - 3 * HOUR
    while at < end - 60 * HOUR:
        commits.append(Commit(at, _shown(name, len(commits), at, rng)))
        at += timedelta(hours=rng.uniform(9, 50))
    deployed = len(commits)
    for hours in WAITING.get(name, ()):
        at = end - hours * HOUR
        commits.append(Commit(at, _shown(name, len(commits), at, rng)))
    for place, commit in enumerate(commits[1:deployed], 1):
        hours = rng.uniform(7, 30) if rng.random() < late else rng.uniform(0.2, 2.5)
        deploys.append((commit.at + timedelta(hours=hours), place))
    kind: Kind = "job" if name.startswith("results") else "service"
    return Course(name, kind, commits, sorted(deploys))


def _shown(name: str, number: int, at: datetime, rng: random.Random) -> Undeployed:
    folder = name.replace("-", "_")
    return Undeployed(
        sha=sha1(f"{name} {number}".encode(), usedforsecurity=False).hexdigest(),
        subject=rng.choice(SUBJECTS),
        author=rng.choice(AUTHORS),
        committed_at=at,
        paths=(
            RelevantPath(path=f"services/{folder}/main.py", because=("named by the Dockerfile",)),
            RelevantPath(path="shared/odds.py", because=(f"services/{folder}/main.py",)),
        )[: rng.choice((1, 2, 2))],
        paths_omitted=0,
    )


def report(one: Course, at: datetime) -> DriftReport:
    """What a comparison at ``at`` would have said."""
    live = max(place for when, place in one.deploys if when <= at)
    newest = bisect_right([each.at for each in one.commits], at) - 1
    missing = one.commits[live + 1 : newest + 1]
    made = next(when for when, place in one.deploys if place == live)
    age = int((at - missing[0].at).total_seconds()) if missing else 0
    commit = one.commits[live].shown.sha
    numbers: dict[str, Any] = {"commits_behind": len(missing), "commits_ahead": 0, "commits_neutral": 0}
    worker = LiveReport(
        revision=None if one.kind == "job" else f"{one.name}-{live + 1:05d}-abc",
        percent=100,
        status="behind" if missing else "identical",
        commit=commit,
        image=f"us-docker.pkg.dev/{PROJECT}/images/{one.name}:{commit}",
        created_at=made,
        evidence=(
            Evidence(carrier="revision-label", key="commit-sha", value=commit),
            Evidence(carrier="image-tag", key="tag", value=commit),
        ),
        content_differs=bool(missing),
        drift_age_s=age,
        **numbers,
    )
    return DriftReport(
        service=one.name,
        kind=one.kind,
        project=PROJECT,
        region=REGION,
        status=worker.status,
        target=Target(ref="refs/remotes/origin/main", commit=one.commits[newest].shown.sha, confirmed_at=at),
        live=(worker,),
        undeployed=tuple(each.shown for each in reversed(missing)),
        content_differs=bool(missing),
        drift_age_s=age,
        **numbers,
    )


def unread(one: Course) -> DriftReport:
    """What a comparison says whose credentials have run out."""
    said = Unknown(cause="permission-denied", message="run.services.get is denied on this service")
    return DriftReport(service=one.name, kind=one.kind, status="unknown", unknown=said)


def verdict(told: DriftReport, at: datetime) -> Verdict:
    """What the built-in policy says of it."""
    policy = Policy()
    return judge(told, policy, at).model_copy(
        update={"policy": JudgedBy(file="drift.toml", hash=policy.digest)}
    )


def entries(courses: Sequence[Course], at: datetime, ends: datetime) -> Iterator[Entry]:
    """One look at all of them; the last hours hold what a morning may begin with."""
    left = ends - at
    for one in courses:
        told = report(one, at)
        if one.name == "lineup-reader" and left < 20 * HOUR:
            told = unread(one)
        if one.name == "stats-crawler" and left < 9 * HOUR:
            continue  # its monitor has stopped
        judged = verdict(told, at)
        if one.name == "slate-builder" and told.live:
            judged = applied(judged, [_acknowledged(told, ends)], at)
        yield entry(one.name, at, judged, door="monitor", by="monitor@example.com")


def _acknowledged(told: DriftReport, ends: datetime) -> Acknowledgement:
    return Acknowledgement(
        service="slate-builder",
        live_commit=told.live[0].commit or "",
        codes=("drift-too-old", "too-many-commits-behind"),
        reason="rolled back on purpose: the new slate has holes",
        until=ends + timedelta(days=2),
    )


def starts(one: Course, at: datetime) -> Iterator[Entry]:
    """The batch of one day: started, or refused; on some days it is then started past the gate."""
    batch = f"{at:%Y-%m-%d}-{at.day * 7919:08x}"
    judged = verdict(report(one, at), at)
    if not judged.refuses:
        yield entry(one.name, at, judged, door="start", by="nightly@example.com", batch=batch)
        return
    yield entry(one.name, at, judged, door="start", by="nightly@example.com")
    if at.day % 2 == 0:
        later = at + timedelta(minutes=11)
        glass = BreakGlass(
            actor="dana@example.com",
            reason="the slate locks at three, and the fix is not in the worker",
            at=later,
            until=None,
            via="--skip-drift-check",
        )
        passed = verdict(report(one, later), later).bypassed(glass)
        yield entry(one.name, later, passed, door="start", by="dana@example.com", batch=batch)


def entry(name: str, at: datetime, judged: Verdict, **asked: str) -> Entry:
    """The decision as the journal keeps it; ``asked``: where, by whom, for which batch."""
    return Entry.model_validate(
        {"id": f"{name} {at.isoformat()} {asked['door']}", "at": at, "verdict": judged, "version": "1.0"}
        | asked
    )


def fill(journal: SqliteJournal, names: Sequence[str], end: datetime, days: int) -> None:
    """The month of these services, which ends at ``end``; nobody looks on one Saturday night."""
    rng, begin = random.Random(20260205), end - timedelta(days=days)  # noqa: S311 - a made-up month
    courses = [course(name, begin, end, rng, late=0.5 if name == NAMES[0] else 0.18) for name in names]
    found = [found for one in courses[:1] for at in _days(begin, end) for found in starts(one, at)]
    journal.record([each for each in found if each.at < end])
    at = end - timedelta(days=days - 1, minutes=14)
    while at < end:
        if not 11.0 < (end - at) / timedelta(days=1) < 11.6:
            found = list(entries(courses, at, end))
            read = [each.verdict.service for each in found if each.verdict.report.status != "unknown"]
            look = Look(
                id=at.isoformat(),
                at=at,
                by="monitor",
                scope="monitor",
                declared=tuple(names),
                read=tuple(read),
            )
            journal.record(found, look)
        at += EVERY


def _days(begin: datetime, end: datetime) -> Iterator[datetime]:
    """When each day's batch is started, the last one a little more than an hour before the end."""
    at = begin + timedelta(hours=22, minutes=43)
    while at < end:
        yield at
        at += timedelta(days=1)


def settings(names: Sequence[str]) -> str:
    """The ``drift.toml`` that declares them."""
    head = (
        f'[defaults]\nproject = "{PROJECT}"\nregion = "{REGION}"\nrepository = "{REPOSITORY}"\n\n'
        '[journal]\nstore = "journal.sqlite"\n'
    )
    return head + "".join(
        f"\n[services.{name}]\n" + ('kind = "job"\n' if name.startswith("results") else "") for name in names
    )


def make(folder: Path, names: Sequence[str], days: int, end: datetime) -> None:
    """The month in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("journal.sqlite*"):
        left.unlink()
    (folder / "drift.toml").write_text(settings(names), encoding="utf-8")
    fill(SqliteJournal(folder / "journal.sqlite"), names, end, days)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--services", type=int, default=len(NAMES))
    asked.add_argument("--days", type=int, default=31)
    told = asked.parse_args()
    more = [f"service-{number:03d}" for number in range(len(NAMES), told.services)]
    make(told.folder, [*NAMES, *more][: told.services], told.days, datetime.now(UTC))
