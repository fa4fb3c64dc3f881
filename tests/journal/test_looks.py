"""What a look leaves in the journal, and what the first one of a day forgets."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import pytest
from journal.stores import SERVICE, at, entry, look, verdict

from drift_gate.errors import JournalError
from drift_gate.journal.looks import Seen, keep, prune_daily
from drift_gate.journal.records import Asked
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.policy.verdict import Outcome
from drift_gate.presentation.looks import lines

ASKED = Asked(door="monitor", by="monitor-1")
DAY_S = 86_400.0


@pytest.fixture
def journal(tmp_path: Path) -> SqliteJournal:
    """An empty one."""
    return SqliteJournal(tmp_path / "journal.sqlite")


def seen(journal: SqliteJournal, hours: float, behind: int | None) -> Seen:
    """A look so many hours after Monday, eight o'clock, that finds so many commits missing."""
    outcome = Outcome.of([verdict(behind)], at(hours), 5)
    return keep(outcome, [SERVICE], "monitor", ASKED, journal)


def test_a_look_and_its_decisions_belong_together(journal: SqliteJournal) -> None:
    """The look names who was declared and read; each decision names the look and its door."""
    kept = seen(journal, 0, 0)
    assert journal.looks() == [kept.look]
    assert (kept.look.declared, kept.look.read, kept.look.whole) == ((SERVICE,), (SERVICE,), True)
    (decided,) = journal.entries()
    assert (decided.look, decided.door, decided.by) == (kept.look.id, "monitor", "monitor-1")


def test_a_service_that_was_not_read_makes_no_whole_look(journal: SqliteJournal) -> None:
    """An unknown is a look all the same, and an incident."""
    kept = seen(journal, 0, None)
    assert (kept.look.read, kept.look.whole) == ((), False)
    first, unread, held = lines(kept)
    assert first == "2026-02-02 08:00 UTC: looked at only 0 of 1 service, 1 deny"
    assert unread.startswith(f"{SERVICE}: not read: ")
    assert held.startswith(f"{SERVICE}: incident {SERVICE}#1 found, and held, critical, since ")


def test_what_changed_is_said_in_lines(journal: SqliteJournal) -> None:
    """Opened, worsened, resolved; nothing where nothing changed."""
    said = [
        list(lines(seen(journal, hours, behind)))[1:] for hours, behind in ((1, 3), (2, 9), (3, 9), (4, 0))
    ]
    start = f"{SERVICE}: incident {SERVICE}#1"
    opened, worsened, same, resolved = said
    assert opened == [
        f"{start} found, and held, warning, since 2026-02-02 08:00 UTC: behind-within-limit",
        f"{start} opened, warning, since 2026-02-02 08:00 UTC: behind-within-limit",
    ]
    assert [each.partition(",")[0] for each in worsened] == [f"{start} worsened"]
    assert same == []
    assert resolved == [f"{start} resolved after 4 h"]


def test_a_look_that_cannot_be_kept_stands_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whole, and the caller learns of it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError):
        seen(SqliteJournal(tmp_path / "file" / "journal.sqlite"), 0, 0)
    assert '"event": "drift_decision"' in caplog.messages[-1]


class TestRetention:
    """What is older than the journal keeps goes once a day."""

    def test_the_first_look_of_a_day_forgets_and_no_other(self, journal: SqliteJournal) -> None:
        journal.record([entry(hours) for hours in range(0, 96, 12)], look(0))
        first, second = look(96), look(98)
        journal.record([], first)
        prune_daily(journal, first, DAY_S)
        left = [each.at for each in journal.entries()]
        # Counted from the last decision, at 84 hours, up to the last fine look.
        assert min(left) == at(84) - timedelta(days=1) - timedelta(hours=12)
        journal.record([entry(1)])  # a late row
        journal.record([], second)
        prune_daily(journal, second, DAY_S)
        assert at(1) in [each.at for each in journal.entries()]

    def test_nothing_is_said_where_nothing_was_old(
        self, journal: SqliteJournal, caplog: pytest.LogCaptureFixture
    ) -> None:
        journal.record([entry(0), entry(24), entry(48), entry(71)], look(48))
        with caplog.at_level(logging.INFO):
            prune_daily(journal, look(48), 3 * DAY_S)
            assert caplog.messages == []
            prune_daily(journal, look(72), DAY_S / 2)
        assert caplog.messages == ["2 decisions were older than the journal keeps, and are forgotten"]

    def test_a_clock_that_jumps_a_year_forgets_nothing_that_was_kept_before(
        self, journal: SqliteJournal
    ) -> None:
        year = 365 * 24
        journal.record([entry(0, 1), entry(24), entry(48)], look(48))
        journal.record([entry(year)], look(year))
        prune_daily(journal, look(year), 2 * DAY_S)
        assert [each.at for each in journal.entries()] == [at(year), at(48), at(24), at(0)]
        assert len(journal.incidents()) == 1

    def test_a_journal_that_does_not_answer_fails_no_look(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("")
        with caplog.at_level(logging.WARNING):
            prune_daily(SqliteJournal(tmp_path / "file" / "journal.sqlite"), look(0), DAY_S)
        assert "what is old stays in the journal" in caplog.text
