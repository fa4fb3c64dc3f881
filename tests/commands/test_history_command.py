"""``deployment-drift history`` and ``stats``: what the journal remembers, for a person and a program."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sqlite3
from collections.abc import Iterator

import pytest
from journal.stores import at, bypassed, elsewhere, entry
from support.limits import ENOUGH_S
from support.stage import TOML, Done, Stage
from support.world import WORKER, World

from drift_gate.journal.deploys import Deploy, Lock
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.journal.sqlite_deploys import SqliteDeploys

#: Long enough for what ``journal.stores`` makes.
ALL = ("--since", "36000d")
#: A drift of one day that is over, a second one that goes on, a bypass in between.
COURSE = (
    entry(0),
    entry(2, 1, age_h=1.5, door="monitor"),
    entry(20, 4, age_h=19.5, door="start", batch="2026-02-03-ab12cd34"),
    bypassed(21),
    entry(26, door="monitor"),
    entry(28, door="monitor"),
    entry(30, 5, age_h=13.0, door="monitor"),
)


@pytest.fixture
def stage(world: World) -> Iterator[Stage]:
    with contextlib.closing(Stage(world)) as ready:
        yield ready


def remember(stage: Stage) -> SqliteJournal:
    journal = SqliteJournal(stage.folder / ".drift" / "journal.sqlite")
    journal.record(COURSE)
    return journal


def keep_deploys(stage: Stage) -> list[Deploy]:
    """Those that the journal has now, the oldest first."""
    made = [
        deploy(8, state="nothing"),
        deploy(9, state="rolled-back", message="it answers 500"),
        deploy(
            10,
            kind="rollback",
            commit="",
            by="bob",
            state="done",
            message=f"{WORKER}-00001 serves: wrong odds",
            until=at(72),
        ),
        deploy(11, state="nothing"),
        deploy(12, service="odds-loader"),
    ]
    store = SqliteDeploys(stage.folder / ".drift" / "journal.sqlite", busy_s=ENOUGH_S)
    assert store.swap(store.lock(WORKER), Lock(service=WORKER, mark="a"), made)
    return made


def deploy(hours: float, **more: object) -> Deploy:
    fields = {"id": f"d{hours}", "service": WORKER, "commit": "b" * 40, "by": "ann", "asked_at": at(hours)}
    return Deploy.model_validate(fields | more)


def history(stage: Stage, *args: str) -> Done:
    return stage.run("deployment-drift", "history", *args)


class TestHistory:
    def test_what_goes_on_comes_first_then_what_is_over_then_the_decisions(self, stage: Stage) -> None:
        remember(stage)
        done = history(stage, *ALL)
        assert (done.code, done.talk) == (0, "")
        lines = done.out.splitlines()
        assert lines[0] == "2 incidents in 36000 d, 1 going on; times are in UTC"
        assert lines[2].startswith(f"{WORKER}#2  open  critical  stale for ")
        assert lines[3] == "  landed 2026-02-03 01:00, found and opened 14:00"
        assert lines[4] == "  too-many-commits-behind, drift-too-old"
        assert lines[5] == f"  runs {'a' * 12}, should run {'b' * 12}"
        assert lines[7] == f"{WORKER}#1  resolved  critical  stale for 1 d 1 h"
        assert lines[8] == (
            "  landed 2026-02-02 08:30, found and opened 10:00, worsened to critical 2026-02-03 04:00, "
            "resolved 10:00"
        )
        assert "7 decisions, the newest first" in lines
        assert f"2026-02-03 12:00  {WORKER}  allow" in lines
        assert "                  monitor, 2 times since 2026-02-03 10:00" in lines
        assert "                  start by ann, bypassed by bob: the fix is in" in lines
        assert "                  start by ann, batch 2026-02-03-ab12cd34" in lines

    def test_what_was_held_against_another_target_says_so(self, stage: Stage) -> None:
        remember(stage).record([entry(31, 0), elsewhere(32), elsewhere(33)])
        told = "check by ann, held against another target, release, 2 times since 2026-02-03 16:00"
        assert f"                  {told}" in history(stage, *ALL).out.splitlines()

    def test_one_service_and_a_time(self, stage: Stage) -> None:
        remember(stage).record([entry(1, 1, "odds-loader")])
        assert "1 incident of odds-loader" in history(stage, "odds-loader", *ALL).out, "declared no more"
        assert WORKER not in history(stage, "odds-loader", *ALL).out
        recent = history(stage, WORKER, "--since", "1d")
        assert f"{WORKER}#2" in recent.out, "it goes on"
        assert f"{WORKER}#1" not in recent.out
        assert "decision" not in recent.out
        missing = history(stage, "prediction-wroker")
        assert (missing.code, missing.out) == (2, "")
        assert f"did you mean {WORKER}?" in missing.talk

    def test_deploys_and_rollbacks_stand_between_incidents_and_decisions(self, stage: Stage) -> None:
        """What became of each, by whose word; those that had nothing to do are counted."""
        remember(stage)
        deploys = keep_deploys(stage)
        lines = history(stage, *ALL).out.splitlines()
        first = lines.index("3 deploys and rollbacks, the newest first; 2 more had nothing to do")
        assert lines.index(f"{WORKER}#1  resolved  critical  stale for 1 d 1 h") < first
        assert first < lines.index("7 decisions, the newest first")
        assert lines[first + 2 : first + 9] == [
            "2026-02-02 20:00  odds-loader        deploy has not ended",
            "                  bbbbbbbbbbbb by ann",
            f"2026-02-02 18:00  {WORKER}  rollback done",
            "                  an unknown commit by bob, meant until 2026-02-05 08:00",
            f"                  {WORKER}-00001 serves: wrong odds",
            f"2026-02-02 17:00  {WORKER}  deploy was not healthy, the traffic is back",
            "                  bbbbbbbbbbbb by ann",
        ]
        assert "odds-loader" not in history(stage, WORKER, *ALL).out
        told = json.loads(history(stage, *ALL, "--format", "json").out)
        assert told["deploys"] == [each.model_dump(mode="json") for each in reversed(deploys)]
        assert "rollback" not in history(stage, "--since", "1h").out

    def test_json_has_all_of_it(self, stage: Stage) -> None:
        kept = remember(stage)
        told = json.loads(history(stage, *ALL, "--format", "json").out)
        assert [each["id"] for each in told["incidents"]] == [f"{WORKER}#2", f"{WORKER}#1"]
        assert told["decisions"] == [each.model_dump(mode="json") for each in kept.entries()]

    def test_csv_has_a_row_for_each_thing_that_happened(self, stage: Stage) -> None:
        remember(stage).mark(f"{WORKER}#1", "=HYPERLINK(1)")
        rows = list(csv.DictReader(io.StringIO(history(stage, *ALL, "--format", "csv").out)))
        assert [row["at"] for row in rows] == sorted((row["at"] for row in rows), reverse=True)
        assert [row["event"] for row in rows if row["incident"] == f"{WORKER}#1"] == [
            "resolved",
            "worsened",
            "opened",
            "held",
        ]
        (passed,) = (row for row in rows if row["bypass_by"])
        assert (passed["event"], passed["enforced"]) == ("deny", "false")
        assert passed["bypass_reason"] == "the fix is in"
        assert {row["false_alarm"] for row in rows if row["incident"] == f"{WORKER}#1"} == {"'=HYPERLINK(1)"}


class TestMark:
    def test_a_false_alarm_counts_in_no_figure_until_it_is_taken_back(self, stage: Stage) -> None:
        remember(stage)
        done = history(stage, "mark", f"{WORKER}#1", "false-alarm", "--reason", "a vendored file")
        assert (done.code, "was a false alarm" in done.out) == (0, True)
        assert "  false alarm: a vendored file" in history(stage, *ALL).out
        assert self.counted(stage) == (1, 1)
        assert "counts as real" in history(stage, "mark", f"{WORKER}#1", "real").out
        assert self.counted(stage) == (2, 0)

    def counted(self, stage: Stage) -> tuple[int, int]:
        told = json.loads(stage.run("deployment-drift", "stats", *ALL, "--format", "json").out)
        return told["incidents"], told["false_alarms"]

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ((f"{WORKER}#7", "false-alarm", "--reason", "why"), f"did you mean {WORKER}#"),
            ((f"{WORKER}#1", "false-alarm"), "say why with --reason"),
            ((f"{WORKER}#1", "real", "--reason", "why"), "takes no --reason"),
            ((f"{WORKER}#1", "fine"), "say false-alarm or real"),
            ((f"{WORKER}#1",), "mark INCIDENT real"),
        ],
    )
    def test_a_slip_is_told(self, stage: Stage, words: tuple[str, ...], said: str) -> None:
        kept = remember(stage)
        done = history(stage, "mark", *words)
        assert (done.code, done.out) == (2, "")
        assert said in done.talk
        assert not any(each.false_alarm for each in kept.incidents())


class TestRebuild:
    def test_it_says_whether_anything_changed(self, stage: Stage) -> None:
        kept = remember(stage)
        assert history(stage, "rebuild").out.startswith("nothing changed: 2 incidents")
        with contextlib.closing(sqlite3.connect(stage.folder / ".drift" / "journal.sqlite")) as file, file:
            file.execute("DELETE FROM incidents WHERE id LIKE '%#1'")
            file.execute("UPDATE incidents SET body = replace(body, 'critical', 'info')")
        done = history(stage, "rebuild")
        assert f"{WORKER}#1: new" in done.out
        assert f"{WORKER}#2: another course" in done.out
        assert done.out.endswith("2 of 2 incidents changed\n")
        assert [each.severity for each in kept.incidents()] == ["critical", "critical"]


class TestStats:
    def test_the_figures_stand_beside_their_targets(self, stage: Stage) -> None:
        remember(stage)
        told = stage.run("deployment-drift", "stats", *ALL)
        assert told.code == 0
        lines = [line.split() for line in told.out.splitlines()]
        assert ["incidents", "a", "week", "0.000389", "0", "missed"] in lines
        assert "mean time to detect 7 h 15 min at most 2 h missed" in map(" ".join, lines)
        assert "refused              " + f"  {WORKER}, 1 time" in told.out
        assert f"bob, {WORKER}, 1 time: the fix is in" in told.out
        assert "0 % of the time, by a look every 2 h; nothing is known of the rest" in told.out

    def test_nobody_looked_is_no_target_met(self, stage: Stage) -> None:
        """Without a look there is no incident either: that is nothing to be proud of."""
        SqliteJournal(stage.folder / ".drift" / "journal.sqlite").record([entry(0)])
        told = json.loads(stage.run("deployment-drift", "stats", "--format", "json").out)
        assert (told["watched"], told["incidents"]) == (0, 0)
        assert {each["met"] for each in told["targets"].values()} == {None}
        assert set(told["drift_hours"].values()) == {None}
        assert "not known" in stage.run("deployment-drift", "stats").out

    def test_every_says_how_far_apart_looks_should_lie(self, stage: Stage) -> None:
        remember(stage)
        often, seldom = (
            json.loads(stage.run("deployment-drift", "stats", *ALL, "--every", each, "--format", "json").out)
            for each in ("1h", "24h")
        )
        assert 0 < often["watched"] < seldom["watched"]


@pytest.mark.parametrize("command", ["history", "stats"])
class TestNothingToTell:
    def test_no_file_yet(self, stage: Stage, command: str) -> None:
        done = stage.run("deployment-drift", command)
        assert (done.code, done.out) == (0, "")
        assert "nothing is kept yet" in done.talk
        assert not (stage.folder / ".drift").exists(), "a look makes no file"

    def test_switched_off(self, stage: Stage, command: str) -> None:
        stage.toml = TOML.replace(".drift/journal.sqlite", "off")
        done = stage.run("deployment-drift", command)
        assert (done.code, done.out) == (0, "")
        assert "no verdict is kept" in done.talk

    def test_unreadable(self, stage: Stage, command: str) -> None:
        (stage.folder / ".drift").mkdir()
        (stage.folder / ".drift" / "journal.sqlite").write_bytes(b"no database" * 500)
        done = stage.run("deployment-drift", command)
        assert (done.code, done.out) == (3, "")
        assert "cannot be used" in done.talk

    @pytest.mark.parametrize("since", ["0", "soon", "99999999d"])
    def test_a_time_that_is_none(self, stage: Stage, command: str, since: str) -> None:
        with pytest.raises(SystemExit) as ended:
            stage.run("deployment-drift", command, "--since", since)
        assert ended.value.code == 2


def test_what_a_stranger_wrote_is_shown_as_text(stage: Stage) -> None:
    """A reason and a name with escape sequences reach no terminal, and no CSV."""
    evil = "\x1b]0;title\x07 [red]x[/red]"
    kept = remember(stage)
    kept.record([entry(31, by=evil, batch=evil)])
    kept.mark(f"{WORKER}#1", evil)
    for form in ("table", "json", "csv"):
        out = history(stage, *ALL, "--format", form).out
        assert "[red]x[/red]" in out
        assert not {"\x1b", "\x07"} & set(out)


def test_a_table_stays_short(stage: Stage) -> None:
    """It shows the newest, and says where the others are."""
    journal = SqliteJournal(stage.folder / ".drift" / "journal.sqlite")
    journal.record([entry(hour / 4, hour // 5 % 2) for hour in range(500)])
    out = history(stage, *ALL).out
    assert "500 decisions, the newest first (all: --format csv)" in out
    assert "older ones: --format json" in out
    assert len(out.splitlines()) < 100
    assert str(at(0).year) in out
