"""What is said when: once, in one message that changes, by whoever comes first."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal.stores import SERVICE, at, bypassed, entry, look, verdict
from notify.pretend import QUIET, Notebook, keys, news, tell
from support.limits import dear

from drift_gate.comparison.tally import Undeployed
from drift_gate.facts import Target
from drift_gate.journal.messages import CLAIM_ENDS, Picture, Rules, digest_day, due, pause
from drift_gate.journal.records import Entry, Journal, Notification
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.notify.channels import Recipient
from drift_gate.policy.verdict import Reason, Verdict

ID = f"{SERVICE}#1"
MINUTE = 1 / 60


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """An empty one."""
    return SqliteJournal(tmp_path / "journal.sqlite")


def acknowledged(hours: float, behind: int = 4) -> Entry:
    """A look that finds what somebody knows of."""
    known = verdict(behind).model_copy(update={"enforced": False, "not_enforced_because": "acknowledged"})
    return entry(hours, verdict=known)


def lacking(target: str, service: str, behind: int = 1) -> Verdict:
    """A service that lacks commits of this target."""
    made = verdict(behind, service=service)
    held = Target(ref="refs/heads/main", commit=target, confirmed_at=at(0))
    return made.model_copy(update={"report": made.report.model_copy(update={"target": held})})


class TestAnIncident:
    def test_is_one_message_from_its_beginning_to_its_end(self, journal: Journal) -> None:
        book = Notebook()
        for hours, found in ((0, entry(0, 1)), (1, entry(1, 7)), (2, acknowledged(2, 7)), (3, entry(3))):
            journal.record([found], look(hours))
            tell(journal, Recipient("book", book), at(hours))
        assert news(book) == [
            f"{SERVICE} opened",
            f"{SERVICE} grew worse, to critical",
            f"{SERVICE} was acknowledged",
            f"{SERVICE} was resolved after 4 h",
        ]
        assert book.titles[0].startswith(f"Info: {SERVICE} is 1 commit behind")
        assert book.titles[-1] == f"Resolved after 4 h: {SERVICE}"
        assert [each.place for each in book.sent] == [None, "page 1", "page 1", "page 1"]
        assert [line.partition(": ")[2] for line in book.sent[-1].history] == [
            f"what {SERVICE} lacks landed",
            f"{SERVICE} opened (info)",
            f"{SERVICE} grew worse (critical)",
            f"{SERVICE} was acknowledged (critical)",
            f"{SERVICE} was resolved",
        ]

    def test_says_nothing_while_it_is_held_and_none_of_it_when_it_ends_so(self, journal: Journal) -> None:
        book = Notebook()
        journal.record([entry(0, 1, age_h=MINUTE)], look(0))
        assert tell(journal, Recipient("book", book), at(0)) == []
        journal.record([entry(0.1, 0)], look(0.1))
        assert tell(journal, Recipient("book", book), at(0.1)) == []

    def test_is_not_told_again_by_another_monitor_or_after_a_restart(self, journal: Journal) -> None:
        book = Notebook()
        journal.record([entry(0, 1)], look(0))
        for by in ("m1", "m2", "m1"):
            tell(journal, Recipient("book", book), at(0), by=by)
        assert len(book.sent) == 1

    def test_is_not_told_again_when_an_older_one_comes_late(self, journal: Journal) -> None:
        book = Notebook()
        journal.record([entry(30, 1), entry(31, 1)])
        tell(journal, Recipient("book", book), at(31))
        journal.record([entry(0, 1), entry(1), entry(29.5, 1)])
        tell(journal, Recipient("book", book), at(31))
        assert news(book) == [f"{SERVICE} opened"]

    def test_that_was_over_before_it_opened_after_all_is_told_to_be_over(self, journal: Journal) -> None:
        """A look that comes late may cut what was told in two."""
        book = Notebook()
        journal.record([entry(0, 1, age_h=MINUTE), entry(1, 1)])
        tell(journal, Recipient("book", book), at(1))
        journal.record([entry(0.1)])
        tell(journal, Recipient("book", book), at(1))
        assert news(book) == [f"{SERVICE} opened", f"{SERVICE} was resolved after 7 min", f"{SERVICE} opened"]

    def test_of_two_that_drew_the_same_picture_one_sends(self, journal: Journal) -> None:
        journal.record([entry(0, 1)], look(0))
        from drift_gate.journal.messages import picture
        from drift_gate.notify.channels import deliver

        book, seen = Notebook(), picture(journal, at(0), QUIET)
        for by in ("m1", "m2"):
            deliver(journal, seen, Recipient("book", book), QUIET, by)
        assert len(book.sent) == 1

    def test_what_happened_unseen_is_one_message(self, journal: Journal) -> None:
        book = Notebook()
        journal.record([entry(0, 1), entry(1, 7), entry(2)])
        tell(journal, Recipient("book", book), at(2))
        assert book.titles == [f"Resolved after 3 h: {SERVICE}"]
        assert keys(journal, ID) == ["opened", "resolved", "worsened"]

    def test_of_the_past_is_no_news(self, journal: Journal) -> None:
        book = Notebook()
        journal.record([entry(0, 1), entry(2)])
        assert tell(journal, Recipient("book", book), at(27)) == []

    def test_milder_than_a_channel_asks_for_is_told_once_it_is_worse(self, journal: Journal) -> None:
        book = Notebook()
        for hours, behind in ((0, 1), (1, 7)):
            journal.record([entry(hours, behind)], look(hours))
            tell(journal, Recipient("book", book, "critical"), at(hours))
        assert [each.severity for each in book.sent] == ["critical"]

    def test_waits_while_a_rollout_is_under_way(self, journal: Journal) -> None:
        from support.reports import POLICY, live, report

        from drift_gate.policy.verdict import judge

        book = Notebook()
        journal.record([entry(0, 1)], look(0))
        tell(journal, Recipient("book", book), at(0))
        told = report(live(7, age=3600), codes=("rollout-in-progress",))
        rolling = judge(told.model_copy(update={"service": SERVICE}), POLICY, at(2))
        journal.record([entry(2, verdict=rolling)], look(2))
        assert tell(journal, Recipient("book", book), at(2.5)) == []
        journal.record([entry(3, 7)], look(3))
        tell(journal, Recipient("book", book), at(3))
        assert news(book)[1:] == [f"{SERVICE} grew worse, to critical"]

    def test_is_not_kept_from_people_by_a_freeze_of_a_clock_that_is_ahead(self, journal: Journal) -> None:
        book = Notebook()
        note = Reason(code="freeze", decision="allow", message="a freeze is on")
        judged = verdict(1).model_copy(update={"reasons": (*verdict(1).reasons, note)})
        journal.record([entry(0, 1), entry(50, verdict=judged)])
        tell(journal, Recipient("book", book), at(0))
        assert len(book.sent) == 1

    def test_is_kept_from_people_in_a_freeze_and_told_when_that_is_over(self, journal: Journal) -> None:
        """What opened and grew worse meanwhile is one message then."""
        book = Notebook()
        note = Reason(code="freeze", decision="allow", message="a freeze is on")
        for hours, behind in ((0, 1), (1, 7)):
            judged = verdict(behind)
            frozen = judged.model_copy(update={"reasons": (*judged.reasons, note)})
            journal.record([entry(hours, verdict=frozen)], look(hours))
            assert tell(journal, Recipient("book", book), at(hours)) == []
        journal.record([entry(2, 7)], look(2))
        tell(journal, Recipient("book", book), at(2))
        assert len(book.sent) == 1
        assert {"opened", "worsened"} <= set(keys(journal, ID))


class TestReminders:
    def test_come_after_two_six_and_twenty_four_hours_and_then_daily(self, journal: Journal) -> None:
        book, came = Notebook(), []
        journal.record([entry(0, 1)], look(0))
        for hours in (0, 1.9, 2, 3, 5.9, 6, 7, 23, 24, 47.9, 48, 49, 72, 97):
            before = len(book.sent)
            tell(journal, Recipient("book", book), at(hours))
            came += [hours] * (len(book.sent) - before)
        assert came == [0, 2, 6, 24, 48, 72, 97]
        assert news(book)[1:] == ["Reminder"] * 6

    def test_never_come_where_none_are_asked_for(self, journal: Journal) -> None:
        book = Notebook()
        journal.record([entry(0, 1)], look(0))
        for hours in (0, 2, 99):
            tell(journal, Recipient("book", book), at(hours), Rules(digest=None, remind=()))
        assert len(book.sent) == 1

    def test_end_with_an_acknowledgement_and_begin_again_when_it_ends(self, journal: Journal) -> None:
        book, to = Notebook(), Recipient("book", Notebook())
        to = Recipient("book", book)
        for hours, found in ((0, entry(0, 4)), (1, acknowledged(1)), (30, entry(30, 4))):
            journal.record([found], look(hours))
            tell(journal, to, at(hours))
            tell(journal, to, at(hours + 0.9))
        tell(journal, to, at(32))
        assert [line.partition(",")[0] for line in news(book)] == [
            f"{SERVICE} opened",
            f"{SERVICE} was acknowledged",
            f"{SERVICE} opened again",
            "Reminder",
        ]

    def test_do_not_come_for_a_false_alarm(self, journal: Journal) -> None:
        book = Notebook()
        journal.record([entry(0, 1)], look(0))
        tell(journal, Recipient("book", book), at(0))
        journal.mark(ID, "a test")
        assert tell(journal, Recipient("book", book), at(9)) == []

    def test_mention_nobody_a_second_time(self, journal: Journal) -> None:
        book, rules = Notebook(), Rules(digest=None, owners={SERVICE: ("U012ABCDEF",)})
        journal.record([entry(0, 1)], look(0))
        for hours in (0, 2, 6):
            tell(journal, Recipient("book", book), at(hours), rules)
        assert [each.owners for each in book.sent] == [("U012ABCDEF",), (), ()]


class TestWhoIsMentioned:
    RULES = Rules(
        digest=None,
        owners={SERVICE: ("U012ABCDEF",)},
        authors={"ann": ("U0000ANN00", "U012ABCDEF"), "bob": ("bob@example.com",), "eve": ("U0000EVE00",)},
    )

    def lacking_of(self, *authors: str) -> Verdict:
        """A service that lacks a commit of each of these."""
        made = verdict(len(authors))
        missing = tuple(
            Undeployed(
                sha=f"{number:040}",
                subject="a change",
                author=name,
                committed_at=at(0),
                paths=(),
                paths_omitted=0,
            )
            for number, name in enumerate(authors)
        )
        return made.model_copy(update={"report": made.report.model_copy(update={"undeployed": missing})})

    def test_the_authors_of_what_is_missing_are_if_they_want_that_each_once(self, journal: Journal) -> None:
        book = Notebook()
        for hours, authors in ((0, ("ann", "bob", "ann", "who")), (2, ("ann", "bob", "eve"))):
            journal.record([entry(hours, verdict=self.lacking_of(*authors))], look(hours))
            tell(journal, Recipient("book", book), at(hours), self.RULES)
        assert [each.owners for each in book.sent] == [("U012ABCDEF", "U0000ANN00", "bob@example.com"), ()]

    def test_they_are_of_a_batch_that_is_refused(self, journal: Journal) -> None:
        book = Notebook()
        journal.record([entry(0, door="start", verdict=self.lacking_of("eve", "eve", "eve", "eve"))])
        tell(journal, Recipient("book", book), at(0), self.RULES)
        told = {each.kind: each.owners for each in book.sent}
        assert told["refusal"] == ("U012ABCDEF", "U0000EVE00")


class TestSeveralServices:
    def test_that_lack_the_same_commit_are_one_message(self, journal: Journal) -> None:
        book, to = Notebook(), Recipient("book", Notebook())
        to = Recipient("book", book)
        journal.record([entry(0, verdict=lacking("c" * 40, name), id=name) for name in ("a", "b")])
        tell(journal, to, at(0))
        journal.record([entry(1, verdict=lacking("c" * 40, "late"), id="late")])
        tell(journal, to, at(1))
        journal.record([entry(1.5, service="a")])
        tell(journal, to, at(1.5))
        journal.record([entry(2, service="b"), entry(2, service="late")])
        tell(journal, to, at(2))
        assert [(each.place, each.services) for each in book.sent] == [
            (None, ("a", "b")),
            ("page 1", ("a", "b", "late")),
            ("page 1", ("a", "b", "late")),
            ("page 1", ("a", "b", "late")),
        ]
        assert [each.resolved for each in book.sent] == [False, False, False, True]

    def test_that_lack_different_commits_are_not(self, journal: Journal) -> None:
        book = Notebook()
        journal.record([entry(0, verdict=lacking(name * 40, name), id=name) for name in ("c", "d")])
        tell(journal, Recipient("book", book), at(0))
        assert sorted(each.services for each in book.sent) == [("c",), ("d",)]


class TestBatches:
    def test_a_bypass_is_told_at_once_with_who_and_why(self, journal: Journal) -> None:
        book = Notebook()
        journal.record([bypassed(0)])
        tell(journal, Recipient("book", book, "critical"), at(0))
        told = next(each for each in book.sent if each.kind == "bypass")
        assert told.title.startswith("bob started a batch past the gate")
        assert ("Why", "the fix is in") in told.facts

    def test_a_refused_batch_is_told_once_however_often_it_is_tried(self, journal: Journal) -> None:
        book = Notebook()
        for step in range(12):
            hours = step / 12
            journal.record([entry(hours, 7, door="start", batch="2026-02-02-ab")])
            tell(journal, Recipient("book", book), at(hours))
        assert [each.title for each in book.sent if each.kind == "refusal"] == [
            f"Batch 2026-02-02-ab was refused: {SERVICE} is 7 commits behind bbbbbbbbbbbb"
        ]

    def test_one_of_the_day_before_is_no_news(self, journal: Journal) -> None:
        book = Notebook()
        journal.record([bypassed(0), entry(0, 7, door="start")])
        tell(journal, Recipient("book", book), at(25))
        assert {each.kind for each in book.sent} == {"incident"}


class TestTheDigest:
    RULES = Rules(digest=time(9), time_zone="America/Los_Angeles")

    def test_comes_once_a_day_and_also_when_all_is_well(self, journal: Journal) -> None:
        book = Notebook()
        for hours in range(0, 72, 4):
            journal.record([entry(hours)], look(hours))
            tell(journal, Recipient("book", book), at(hours), self.RULES)
        assert [each.id for each in book.sent] == [f"digest:2026-02-0{day}/digest" for day in (1, 2, 3, 4)]
        assert book.titles[-1] == "2026-02-04: No service drifts"

    def test_says_when_nobody_looked(self, journal: Journal) -> None:
        book = Notebook()
        tell(journal, Recipient("book", book), at(0), self.RULES)
        assert book.titles == ["2026-02-01: Nobody has looked for a day"]

    def test_counts_the_day(self, journal: Journal) -> None:
        book = Notebook()
        journal.record(
            [bypassed(0), entry(1, service="b"), entry(2, 7, "c", door="start")], look(1, ("c", "d"))
        )
        journal.record([], look(2, ("c", "d"), read=("c",)))
        tell(journal, Recipient("book", book), at(3), self.RULES)
        facts = dict(next(each for each in book.sent if each.kind == "digest").facts)
        assert facts == {
            "Open": f"c, {SERVICE}",
            "Acknowledged": "none",
            "Resolved": "none",
            "Looks": "2, of which 1 read every service",
            "Never read": "none",
            "Refused": "1",
            "Past the gate": "1",
        }

    @pytest.mark.parametrize("day", ["2026-03-07", "2026-03-08", "2026-11-01", "2026-11-02"])
    def test_is_due_at_nine_by_the_clock_on_the_wall(self, day: str) -> None:
        """Also on the two days when clocks change."""
        noon = datetime.fromisoformat(f"{day}T20:00:00Z")
        found = digest_day(self.RULES, noon)
        assert found
        assert (found.isoformat()[:16], found <= noon) == (f"{day}T09:00", True)
        assert digest_day(self.RULES, found.astimezone(UTC) - timedelta(seconds=1)) != found


class TestFailures:
    def test_one_is_tried_again_after_a_pause_that_grows(self, journal: Journal) -> None:
        book = Notebook(down=lambda _: True)
        to = Recipient("book", book)
        journal.record([entry(0, 1)], look(0))
        minutes = (0, 0.9, 1, 2.9, 3, 6.9, 7, 14.9, 15, 30.9, 31, 62.9, 63, 118)
        tried = [each for each in minutes if tell(journal, to, at(0) + timedelta(minutes=each))]
        assert tried == [0, 1, 3, 7, 15, 31, 63]
        assert pause(50) == timedelta(hours=1)
        book.down = lambda _: False
        tell(journal, to, at(3))
        assert len(book.sent) == 1
        [row] = [each for each in journal.notifications(ID) if each.key == "opened"]
        assert (row.state, row.attempts) == ("sent", 8)

    def test_of_one_channel_keeps_no_other_from_hearing(self, journal: Journal) -> None:
        shut, book = Notebook(down=lambda _: True), Notebook()
        journal.record([entry(0, 1)], look(0))
        for name, each in (("shut", shut), ("book", book)):
            tell(journal, Recipient(name, each), at(0))
        assert (len(shut.sent), len(book.sent)) == (0, 1)

    def test_whoever_died_over_a_message_is_waited_for_and_replaced(self, journal: Journal) -> None:
        journal.record([entry(0, 1)], look(0))
        row = Notification(subject=ID, key="opened", channel="book", at=at(0), by="m1", state="claimed")
        assert journal.claim(row, at(0) - CLAIM_ENDS)
        book = Notebook()
        assert tell(journal, Recipient("book", book), at(9 * MINUTE), by="m2") == []
        tell(journal, Recipient("book", book), at(11 * MINUTE), by="m2")
        assert len(book.sent) == 1


@given(
    counts=st.lists(st.integers(0, 8), min_size=1, max_size=8),
    down=st.lists(st.booleans(), min_size=1, max_size=16),
)
@settings(max_examples=dear())
def test_whatever_happens_each_transition_is_told_once(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], down: list[bool]
) -> None:
    """Two monitors take turns, the channel fails as it likes and heals: nothing is lost, nothing twice."""
    journal = SqliteJournal(tmp_path_factory.mktemp("journal") / "journal.sqlite")
    failures = iter(down)
    book = Notebook(down=lambda _: next(failures, False))
    to = Recipient("book", book)
    for hours, behind in enumerate([*counts, 0]):
        journal.record([entry(hours, behind)], look(hours))
        for by in ("m1", "m2"):
            tell(journal, to, at(hours + 0.5), by=by)
    for more in range(1, 13):
        tell(journal, to, at(len(counts) + more * 1.5))
    expected = [
        (each.id, step.key)
        for each in journal.incidents()
        if each.opened_at
        for step in each.transitions
        if step.event != "held"
    ]
    rows = [row for each in journal.incidents() for row in journal.notifications(each.id)]
    told = Counter((row.subject, row.key) for row in rows if row.state == "sent" and "+" not in row.key)
    assert told == Counter(expected)
    assert len({each.id for each in book.sent}) == len(book.sent)
    assert {each.title.split()[0] for each in book.sent[-1:]} <= {"Resolved"}
    assert due(Picture(at(30)), "book", QUIET) == []
