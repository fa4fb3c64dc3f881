"""A month of looks by two monitors, with a channel that is down half the time: each thing is told once."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from journal.stores import at, entry, look
from notify.pretend import Notebook
from notify.test_incident_messages import lacking

from drift_gate.journal.messages import Rules, picture
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.notify.channels import Recipient, deliver

SERVICES = ("api", "jobs", "worker")
LOOKS, HOURS = 210, 24 / 7
#: No reminders: how many there are is a matter of how long each incident lasts.
RULES = Rules(remind=())


@pytest.mark.heavy
def test_each_incident_is_told_once_on_each_channel(tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 (the same month each time, no secret)
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    books = {"up": Notebook(), "half": Notebook(down=lambda _: chance.random() < 0.5)}
    missing: dict[str, tuple[str, int] | None] = dict.fromkeys(SERVICES)
    for step in range(LOOKS + 10):
        hours = step * HOURS
        for name in SERVICES:
            if step >= LOOKS:
                missing[name] = None
            elif chance.random() < 0.06:
                missing[name] = None if missing[name] else (f"{step:040x}", chance.choice((1, 4, 7)))
        entries = [
            entry(hours, verdict=lacking(lacks[0], name, lacks[1]), id=f"{name} {hours}")
            if (lacks := missing[name])
            else entry(hours, 0, name)
            for name in SERVICES
        ]
        journal.record(entries, look(hours, SERVICES))
        for by in ("m1", "m2"):
            for name, book in books.items():
                deliver(journal, picture(journal, at(hours), RULES), Recipient(name, book), RULES, by)
    found = [each for each in journal.incidents() if each.opened_at]
    expected = {(each.id, step.key) for each in found for step in each.transitions if step.event != "held"}
    assert len(found) >= 10
    rows = [row for each in found for row in journal.notifications(each.id)]
    for name, book in books.items():
        told = Counter((row.subject, row.key) for row in rows if row.channel == name and row.state == "sent")
        assert told == Counter(expected)
        assert max(Counter(each.id for each in book.sent).values()) == 1
        assert sum(each.kind == "incident" for each in book.sent) < 3 * len(found)
        assert sum(each.kind == "digest" for each in book.sent) >= LOOKS * HOURS // 24
