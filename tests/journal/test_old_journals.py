"""A journal of an earlier version: its incidents keep their ids, marks and claims."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from journal.stores import SERVICE, at, entry
from support.limits import ENOUGH_S

from drift_gate.journal.firestore import Database, FirestoreJournal
from drift_gate.journal.firestore_calls import Session, answer, connected
from drift_gate.journal.records import Journal, Notification
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.runtime.deadline import Deadline

#: Both written by the version of 2026-11-30, which numbered incidents in time.
#: Of ours #1 is forgotten, #2 marked, #3 told.
OLD = Path(__file__).with_name("old")


@pytest.fixture(params=["sqlite", "firestore"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    """As the earlier version has left it."""
    if request.param == "sqlite":
        path = tmp_path / "journal.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript((OLD / "journal-1.sql").read_text(encoding="utf-8"))
        return SqliteJournal(path)
    host = request.getfixturevalue("firestore_emulator")
    database = Database(f"p{uuid4().hex[:12]}", emulator=host)
    documents = json.loads((OLD / "firestore-1.json").read_text(encoding="utf-8"))

    def work(session: Session) -> None:
        write = session.write()
        for path, fields in documents.items():
            collection, _, name = path.partition("/")
            write.set(session.place(collection, name), fields)
        session.commit(write)

    answer(connected(*database), work, Deadline(ENOUGH_S))
    return FirestoreJournal(database, busy_s=ENOUGH_S)


def told(journal: Journal) -> list[tuple[str, str | None]]:
    """The incidents of our service in time, with their marks."""
    return [(each.id[-2:], each.false_alarm) for each in journal.incidents(SERVICE)[::-1]]


def test_what_is_kept_stays(journal: Journal) -> None:
    kept = [("#2", "a vendored file"), ("#3", None)]
    assert told(journal) == kept
    journal.rebuild()
    assert told(journal) == kept
    (sent,) = journal.notifications(f"{SERVICE}#3")
    assert (sent.state, sent.key, sent.place) == ("sent", "opened", "1700.1")


def test_what_comes_late_moves_none_of_them(journal: Journal) -> None:
    journal.record([entry(-2, 1), entry(-1)])
    assert told(journal) == [("#4", None), ("#2", "a vendored file"), ("#3", None)]
    journal.record([entry(1, 1), entry(3.5, 4)])
    assert told(journal) == [("#4", None), ("#2", "a vendored file"), ("#3", None)]
    assert [each.detected_at for each in journal.incidents(SERVICE)] == [at(3.5), at(1), at(-2)]
    asked = Notification(
        subject=f"{SERVICE}#3", key="opened", channel="slack", at=at(6), by="m2", state="claimed"
    )
    assert not journal.claim(asked, at(5.9))


def test_its_numbers_go_on(journal: Journal) -> None:
    journal.record([entry(6), entry(7, 1)])
    journal.prune(at(6.5))
    journal.record([entry(8), entry(9, 1)])
    assert told(journal) == [("#4", None), ("#5", None)]


def test_where_all_was_forgotten_its_numbers_go_on(journal: Journal) -> None:
    journal.record([entry(6)])
    journal.prune(at(6.5))
    assert told(journal) == []
    journal.record([entry(7, 1)])
    assert told(journal) == [("#4", None)]
