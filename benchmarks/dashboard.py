"""The pages of a fleet of 500 services out of a year of their journal: time on the server, and size."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.measuring import Row, in_turn
from drift_gate.dashboard.routes import Dashboard
from drift_gate.journal import sqlite_schema
from drift_gate.journal.records import Entry
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.presentation.forge import Forge
from drift_gate.settings.file import load
from scripts import month

SERVICES, DAYS, ROUNDS = 500, 365, 7
NAMES = [f"service-{number:03d}" for number in range(SERVICES)]
#: Of this one somebody looks every two hours within the last month.
WATCHED = "service-007"
PAGES = ("index.html", f"services/{WATCHED}.html", "decisions.html", f"badge/{WATCHED}.svg")


def rows() -> list[Row]:
    """CPU time of an answer in a warm process, from a journal with a look a day."""
    with tempfile.TemporaryDirectory() as named:
        folder, end = Path(named), datetime.now(UTC)
        (folder / "drift.toml").write_text(month.settings(NAMES), encoding="utf-8")
        path = folder / "journal.sqlite"
        journal = SqliteJournal(path)
        journal.looks()  # makes the file
        with closing(sqlite3.connect(path)) as connection, connection:
            for entry in _entries(end):
                sqlite_schema.insert(connection, entry, copied=False)
        settings = load(environ={"DRIFT_CONFIG": str(folder / "drift.toml")})
        forges = dict.fromkeys(NAMES, Forge("github", month.REPOSITORY))
        dashboard = Dashboard(journal, settings, forges, clock=lambda: end)
        measured = in_turn({page: _cpu(partial(dashboard.answer, page)) for page in PAGES}, ROUNDS)
        return [
            replace(row, remark=f"{len(dashboard.answer(page).body) / 1000:,.0f} kB")
            for page, row in measured.items()
        ]


def _cpu(work: Callable[[], object]) -> Callable[[], float]:
    def measured() -> float:
        begun = time.process_time()
        work()
        return time.process_time() - begun

    return measured


def _entries(end: datetime) -> Iterator[Entry]:
    """Decisions alone: incidents are not what a year of rows makes slow."""
    rng = Random(7)  # noqa: S311 - a made-up year
    for name in NAMES:
        course = month.course(name, end - timedelta(days=DAYS), end, rng, late=0.2)
        at = end - timedelta(days=DAYS - 1, minutes=9)
        made = _look(course, at)
        while at < end:
            recent = end - at < timedelta(days=30)
            made = _look(course, at) if recent else made.model_copy(update={"id": f"{name} {at}", "at": at})
            yield made
            at += timedelta(hours=2 if recent and name == WATCHED else 24)


def _look(course: month.Course, at: datetime) -> Entry:
    return month.entry(course.name, at, month.verdict(month.report(course, at), at), door="monitor", by="m")
