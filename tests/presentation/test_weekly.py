"""The report on a week: the same facts in each format, and what a stranger wrote as text in all of them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from journal.stores import at, bypassed, entry
from notify.test_slack import TOKEN, Workspace, strings
from notify.test_smtp import Postbox, serving
from support.limits import ENOUGH_S
from support.stage import Done, Stage
from support.world import WORKER, World

from drift_gate.commands import report
from drift_gate.journal.period import Period, week, week_before
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.policy.verdict import BreakGlass
from drift_gate.presentation import render, weekly
from drift_gate.presentation.sparkline import ASCII, UNICODE
from drift_gate.presentation.weekly import Weekly
from drift_gate.wiring import actor

HOSTILE = "</td><script>alert(1)</script> | `code` [x](http://x) \x1b[31m <!channel>"
#: From Monday, 2 February 2026: a short drift, a long one with an unknown in it, a refusal and a bypass.
COURSE = (
    entry(0),
    entry(2, 1, age_h=0.5),
    entry(3),
    entry(20, 4, age_h=1.0, door="start"),
    bypassed(21),
    entry(24, None),
    entry(26),
    entry(27, service="odds-loader"),
)


def weekly_of(folder: Path) -> Weekly:
    """The week of ``COURSE``, looked back on after it."""
    journal = SqliteJournal(folder / "journal.sqlite")
    journal.record(COURSE)
    since, until = week("2026-W06")
    return Weekly("2026-W06", Period.of(journal, since, until, services=["nobody-looks"]), at(400))


class Cells(HTMLParser):
    """The tags of a page, and the text of its cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_week(tmp_path: Path) -> None:
    told = weekly_of(tmp_path)
    assert weekly.title(told) == "Deployment drift, week 2026-W06 (2026-02-02 to 2026-02-08, UTC)"
    by_title = {each.title: each for each in weekly.sections(told)}
    incidents = by_title["Incidents, the longest first"]
    assert [row[0] for row in incidents.rows] == [f"{WORKER}#2", f"{WORKER}#1"]
    assert incidents.rows[0][3] == "stale for 7 h"
    assert by_title["Causes"].rows == (
        ("too-many-commits-behind", "1 incident"),
        ("unknown-drift", "1 incident"),
        ("behind-within-limit", "1 incident"),
    )
    assert by_title["Refused"].rows == ((WORKER, "1 time"),)
    assert by_title["Bypassed"].rows == (("bob", WORKER, "1 time", "the fix is in"),)
    unwatched = {row[0]: row[1:] for row in by_title["Not watched"].rows}
    assert set(unwatched) == {WORKER, "odds-loader", "nobody-looks"}
    assert unwatched["nobody-looks"] == ("7 d", "Mon 00:00 to Mon 00:00, 7 d")


def test_each_format_has_each_fact(tmp_path: Path) -> None:
    told = weekly_of(tmp_path)
    drawn = "\n".join(render.drawn(weekly.table(told, ASCII)))
    page = Cells(weekly.html(told))
    for section in weekly.sections(told):
        for row in section.rows:
            for cell in row:
                assert cell in page.texts or not cell
                assert render.escaped(cell) in weekly.markdown(told)
        assert section.title in drawn
        assert section.title in page.texts
    assert "█" not in drawn
    assert not page.tags & {"script", "img", "link", "a", "iframe"}
    whole = json.loads(weekly.json(told))
    assert (whole["week"], len(whole["incidents"]), whole["figures"]["incidents"]) == ("2026-W06", 2, 2)
    assert whole["causes"]["unknown-drift"] == 1
    assert whole["unwatched"]["nobody-looks"] == [["2026-02-02T00:00:00Z", "2026-02-09T00:00:00Z"]]


def test_it_fits_a_terminal(tmp_path: Path) -> None:
    drawing = weekly.table(weekly_of(tmp_path), UNICODE)
    assert max(map(len, render.drawn(drawing, width=80))) <= 80


def test_what_a_stranger_wrote_is_text(tmp_path: Path) -> None:
    """In a bypass and in a mark: no tag, no cell, no link, no escape sequence comes of it."""
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    journal.record(COURSE)
    journal.mark(f"{WORKER}#1", HOSTILE)
    glass = BreakGlass(actor=HOSTILE, reason=HOSTILE, at=at(22), until=None, via="--skip-drift-check")
    journal.record([entry(22, 4, verdict=bypassed(22).verdict.bypassed(glass))])
    since, until = week("2026-W06")
    told = Weekly("2026-W06", Period.of(journal, since, until), at(400))
    page = Cells(weekly.html(told))
    assert "script" not in page.tags
    assert any("<script>" in text for text in page.texts), "as text"
    drawn = "\n".join(render.drawn(weekly.table(told, UNICODE)))
    assert not [each for each in (weekly.html(told), weekly.markdown(told), drawn) if "\x1b" in each]
    rows = [line for line in weekly.markdown(told).splitlines() if "alert" in line]
    assert rows
    for row in rows:
        assert "<script" not in row.replace("\\<", "")
        assert "`code`" not in row.replace("\\`", "")
        assert "](" not in row.replace("\\]", "")


def test_a_week_without_anything(tmp_path: Path) -> None:
    since, until = week("2026-W06")
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    told = Weekly("2026-W06", Period.of(journal, since, until), at(400))
    drawn = "\n".join(render.drawn(weekly.table(told, UNICODE)))
    assert "no service is known, so nothing was watched" in drawn
    assert "No service is known." in drawn
    assert drawn.count("not known") == 4


def test_a_week_is_an_iso_week() -> None:
    since, until = week("2026-W53")
    assert (f"{since:%Y-%m-%d}", until - since) == ("2026-12-28", timedelta(days=7))
    assert week_before(at(0)) == "2026-W05"
    for text in ("2026-W54", "2027-W53", "48", "2026-48", "2026-W00"):
        with pytest.raises(ValueError, match="no week such as"):
            week(text)


class TestTheCommand:
    @pytest.fixture
    def stage(self, world: World) -> Iterator[Stage]:
        with contextlib.closing(Stage(world)) as ready:
            yield ready

    def report(self, stage: Stage, *args: str) -> Done:
        return stage.run("deployment-drift", "report", *args)

    def test_each_format_is_printed(self, stage: Stage) -> None:
        SqliteJournal(stage.folder / ".drift" / "journal.sqlite").record(COURSE)
        begins = {"table": "Deployment drift", "markdown": "# Deployment", "html": "<!DOCTYPE", "json": "{"}
        for form, begin in begins.items():
            done = self.report(stage, "--week", "2026-W06", "--format", form)
            assert (done.code, done.talk) == (0, "")
            assert done.out.startswith(begin)
            assert "too-many-commits-behind" in done.out

    def test_without_a_week_it_is_the_last_one(self, stage: Stage) -> None:
        SqliteJournal(stage.folder / ".drift" / "journal.sqlite").record(COURSE)
        done = self.report(stage)
        assert done.code == 0
        assert "so far" not in done.out.splitlines()[0]
        assert "No incident, as far as was watched." in done.out

    def test_each_channel_is_sent_it_once_whoever_sends_it(
        self, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A channel that does not take it is sent it by the next call, and no other a second time.

        Who sent it is told by their address, which git says a moment later than the name at once.
        """
        monkeypatch.setattr(actor, "ANSWER_S", ENOUGH_S)
        monkeypatch.setattr(report, "SENDER_S", ENOUGH_S)
        config = tmp_path / "gitconfig"
        config.write_text("[user]\nemail = ann@example.com\n")
        SqliteJournal(stage.folder / ".drift" / "journal.sqlite").record(COURSE)
        postbox = Postbox()
        with Workspace() as workspace, serving(postbox, tmp_path, auth_required=False) as (port, authority):
            stage.toml += (
                f'[notify.slack]\nchannel = "C1"\napi = "{workspace.url}/api"\n'
                f'[notify.email]\nhost = "127.0.0.1"\nport = {port}\n'
                'sender = "gate@example.com"\nto = "ann@example.com"\n'
            )
            stage.environ |= {
                "DRIFT_SLACK_TOKEN": TOKEN,
                "SSL_CERT_FILE": str(authority),
                "GIT_CONFIG_GLOBAL": str(config),
            }
            workspace.refuse("internal_error")
            first, second, third = (self.report(stage, "--week", "2026-W06", "--send") for _ in range(3))
        assert (first.code, second.code, third.code) == (1, 0, 0)
        assert "email: told" in first.out
        assert second.out.splitlines()[0] == "slack: told"
        again = third.out.splitlines()[0]
        assert again.startswith("slack: was told at ")
        assert again.endswith(", by ann@example.com")
        assert [each["Subject"] for each in postbox.mails] == [
            "Deployment drift, week 2026-W06 (2026-02-02 to 2026-02-08, UTC)"
        ]
        [text, page] = postbox.mails[0].iter_parts()
        assert "  bob: prediction-worker, 1 time, the fix is in" in text.get_content()
        assert "<td>stale for 7 h</td>" in page.get_content()
        [told] = workspace.messages.values()
        assert any("Bypassed:\nbob: prediction-worker" in each for each in strings(told["blocks"]))

    def test_a_week_that_is_not_over_is_sent_to_nobody(self, stage: Stage) -> None:
        SqliteJournal(stage.folder / ".drift" / "journal.sqlite").record(COURSE)
        running = f"{datetime.now(UTC):%G-W%V}"
        done = self.report(stage, "--week", running, "--send")
        assert (done.code, f"{running} is not over" in done.talk) == (2, True)

    def test_where_nothing_is_kept_or_nobody_is_named_nothing_is_sent(self, stage: Stage) -> None:
        done = self.report(stage, "--send")
        assert (done.code, "nothing is kept yet" in done.talk) == (3, True)
        SqliteJournal(stage.folder / ".drift" / "journal.sqlite").record(COURSE)
        done = self.report(stage, "--send")
        assert (done.code, "no channel is set" in done.talk) == (2, True)

    @pytest.mark.parametrize(("name", "said"), [("48", "is no week"), ("2999-W01", "has not begun")])
    def test_a_week_that_is_none(self, stage: Stage, name: str, said: str) -> None:
        done = self.report(stage, "--week", name)
        assert (done.code, done.out) == (2, "")
        assert said in done.talk

    def test_nothing_is_kept(self, stage: Stage) -> None:
        done = self.report(stage)
        assert (done.code, done.out) == (0, "")
        assert "nothing is kept yet" in done.talk
