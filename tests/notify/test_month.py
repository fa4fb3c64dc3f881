"""A month of a team: the journal's incidents, the messages and the figures are those that the script implies.

Real processes look, at a virtual time each; real git, SQLite, HTTP and gRPC. One process, two side by side,
one that is killed again and again, and a channel that is down half the time: nothing is lost or told twice.
"""

from __future__ import annotations

import faulthandler
import json
import math
import os
import random
import re
import signal
import sqlite3
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from notify import month
from notify.month import Expected, Team, look_at
from notify.test_slack import TOKEN, Workspace
from support.forkserver import Forked, forkserver

from drift_gate.journal.messages import is_reminder
from drift_gate.journal.records import Incident
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.settings.file import load
from drift_gate.testing import FakeCloudRun, HistoryBuilder
from drift_gate.wiring import checks, monitors, plans
from drift_gate.wiring.notifications import Notifications

LOOKS, KILLS = 216, 50
#: The command line at a virtual time, the first argument; nothing else of the process is the test's.
AT = """
import sys
from datetime import datetime
from drift_gate.wiring import checks, plans
now = datetime.fromisoformat(sys.argv.pop(1))
checks.utc_now = plans.utc_now = lambda: now
from drift_gate.commands.main import main
sys.exit(main())
"""
NOTIFY = """
[notify]
remind = ["24h"]
[notify.slack]
channel = "C1"
api = "{slack}/api"
[notify.webhook]
url = "{hook}"
"""


class Hook:
    """Whoever gets the webhook's messages; while it is ``down`` it takes none.

    ``arrived`` is called when one has arrived that is not answered yet.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.down = False
        self.arrived: Callable[[], object] = bool
        hook = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if not hook.down:
                    hook.messages.append(told)
                    hook.arrived()
                self.send_response(503 if hook.down else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self._server.server_port}/drift"

    def __enter__(self) -> Hook:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Month:
    """A month under way: the team, who looks, and who is told; ``looks`` are the numbers of its looks."""

    def __init__(
        self,
        folder: Path,
        looks: Sequence[int],
        chapters: Sequence[month.Chapter],
        cloud: FakeCloudRun,
        workspace: Workspace,
        hook: Hook,
    ) -> None:
        self.folder = folder / "repo"
        self.looks = looks
        self.workspace, self.hook = workspace, hook
        self.chapters = chapters
        self.expected = list(month.oracle(self.chapters, looks))
        self.team = Team(HistoryBuilder(self.folder), cloud)
        channels = NOTIFY.format(slack=workspace.url, hook=hook.url)
        (self.folder / "drift.toml").write_text(month.settings(channels))
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "USER": "monitor",
            "CLOUD_RUN_EMULATOR_HOST": cloud.host,
            "DRIFT_SLACK_TOKEN": TOKEN,
            "DRIFT_WEBHOOK_SECRET": "a-shared-secret",
        }

    def live(self, look: Callable[[int], object]) -> None:
        """All of it: before each look what the script says until then, then ``look``."""
        todo = month.events(self.chapters)
        for number in range(self.looks[-1] + 1):
            for act in todo.get(number, ()):
                act(self.team)
            if number in self.looks:
                # What hangs ends the run, as it does in each test; a month is many looks long.
                faulthandler.dump_traceback_later(300, exit=True)
                look(number)

    def begin(self, at: datetime, *args: str) -> Forked:
        """The command line at that time, under way."""
        command = [at.isoformat(), *args]
        with open(os.devnull, "rb") as nothing, open(self.folder.parent / "log", "ab") as log:
            return forkserver().fork(
                AT,
                command,
                cwd=self.folder,
                env=self.environ,
                stdin=nothing,
                stdout=log,
                stderr=log,
            )

    def monitors(self, number: int, many: int = 1) -> None:
        """So many monitors look side by side."""
        under_way = [self.begin(look_at(number), "monitor", "--once") for _ in range(many)]
        for each in under_way:
            assert each.wait(240) in (0, 1, 3), (self.folder.parent / "log").read_text()[-2000:]

    def figures(self) -> dict[str, Any]:
        """What ``stats`` says at the month's end."""
        command = [look_at(self.looks[-1] + 1).isoformat(), "stats", "--since", "30d", "--format", "json"]
        done = forkserver().run(AT, command, cwd=self.folder, env=self.environ)
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    @property
    def journal(self) -> SqliteJournal:
        """What they keep."""
        return SqliteJournal(self.folder / "journal.sqlite")

    @property
    def opened(self) -> list[Expected]:
        """The incidents that people have to hear of."""
        return [each for each in self.expected if each.opened]

    def notes(self) -> list[tuple[str, str, str, str]]:
        """Subject, key, channel and state of all that was told or claimed."""
        with closing(sqlite3.connect(self.folder / "journal.sqlite")) as connection:
            return connection.execute("SELECT subject, key, channel, state FROM notifications").fetchall()


@contextmanager
def living(folder: Path, looks: Sequence[int], idle: int = 9) -> Iterator[Month]:
    """A month that begins; ``idle`` as for its script."""
    chapters = month.script(looks[-1], idle)
    with FakeCloudRun() as cloud, Workspace() as workspace, Hook() as hook:
        yield Month(folder, looks, chapters, cloud, workspace, hook)


def assert_the_journal_is_right(lived: Month) -> None:
    """Its incidents are those of the oracle, and computing them again changes none."""
    found = lived.journal.incidents()
    assert sorted(map(as_compared, found), key=repr) == sorted(
        (
            (e.service, e.landed, e.detected, e.opened, e.resolved, e.severity, tuple(e.steps))
            for e in lived.expected
        ),
        key=repr,
    )
    assert {each.id: each for each in lived.journal.rebuild()} == {each.id: each for each in found}


def as_compared(incident: Incident) -> tuple[object, ...]:
    """What the oracle knows of one."""
    steps = tuple((step.event, utc(step.at)) for step in incident.transitions)
    times = (incident.landed_at, incident.detected_at, incident.opened_at, incident.resolved_at)
    return (incident.service, *(at and utc(at) for at in times), incident.severity, steps)


def utc(at: datetime) -> datetime:
    """The same, in a form that is written alike."""
    return at.astimezone(UTC)


def assert_each_thing_was_told_once(lived: Month, channel: str) -> None:
    """By what the journal says was sent; nothing is left in anybody's hands."""
    at = {
        (each.id, step.key): (each.service, step.event, utc(step.at))
        for each in lived.journal.incidents()
        for step in each.transitions
    }
    notes = [note for note in lived.notes() if note[2] == channel and note[:2] in at]
    assert {state for *_, state in notes} == {"sent"}
    told = Counter(at[subject, key] for subject, key, *_ in notes)
    assert told == Counter((each.service, *step) for each in lived.opened for step in each.told)


def assert_a_digest_came_each_day(lived: Month, channel: str) -> None:
    """At the first look after nine o'clock, also where all was well."""
    came = {
        subject
        for subject, key, at, state in lived.notes()
        if (key, at, state) == ("digest", channel, "sent")
    }
    assert came == {f"digest:{look_at(at) - timedelta(hours=9):%Y-%m-%d}" for at in lived.looks}


SAID = re.compile(r"^(Reminder: )?([a-z]+) (opened|grew worse|was resolved|.*has acknowledged it)", re.M)
WORDS = {"opened": "opened", "worsened": "grew worse", "resolved": "was resolved"}


def assert_slack_heard_exactly_that(lived: Month) -> None:
    """Each piece of news in one line of one message or reply, and less than three messages an incident."""
    posts = [body for method, body in lived.workspace.calls if method == "chat.postMessage"]
    lines = [found for body in posts for found in SAID.findall(body["text"])]
    assert Counter((name, word) for reminder, name, word in lines if not reminder) == Counter(
        (each.service, WORDS[event]) for each in lived.opened for event, _ in each.told
    )
    assert Counter(name for reminder, name, _ in lines if reminder) == Counter(
        {each.service: 0 for each in lived.opened}
    ) + Counter(name for each in lived.opened for name in [each.service] * each.reminders)
    about = [body for body in posts if SAID.search(body["text"])]
    assert len(about) < 3 * len(lived.opened)
    assert {body["text"] for body in posts if "channel>" in body["text"]} == set()


def assert_the_figures_are_right(lived: Month, reminders_lost: int = 0) -> None:
    """Those of ``stats`` are what the oracle's incidents come to.

    ``reminders_lost``: how many were left out, as the incident ended before they could be tried again.
    """
    told, real = lived.figures(), lived.opened
    ages = sorted(each.age.total_seconds() for each in real)
    found = [(each.detected - each.landed).total_seconds() for each in real if each.landed]
    over = [(each.resolved - each.detected).total_seconds() for each in real if each.resolved]
    notes = 2 * sum(len(each.told) + each.reminders for each in real) - reminders_lost
    until = look_at(lived.looks[-1] + 1)
    times = [until - timedelta(days=30), *map(look_at, lived.looks), until]
    gaps = [b - a for a, b in pairwise(times) if b - a > timedelta(hours=4)]
    expected = {
        "incidents": len(real),
        "quiet": len(lived.expected) - len(real),
        "incidents_a_week": len(real) * 7 / 30,
        "mean_drift_age_s": fmean(ages),
        "p90_drift_age_s": ages[math.ceil(len(ages) * 0.9) - 1],
        "mean_time_to_detect_s": fmean(found),
        "mean_time_to_resolve_s": fmean(over),
        "watched": 1 - sum(gaps, timedelta()) / timedelta(days=30),
        "notifications_an_incident": notes / len(real),
    }
    assert {name: told[name] for name in expected} == pytest.approx(expected)
    assert sum(filter(None, told["drift_hours"].values())) == pytest.approx(sum(ages) / 3600)


#: The monitor is silent for two days in the middle of the month.
WHOLE = [number for number in range(LOOKS) if number not in range(100, 112)]


@pytest.mark.heavy
def test_a_few_days_are_told_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The month in short, in this process: its clock is the one thing that is not real."""
    with living(tmp_path, range(10), idle=2) as lived:

        def look(number: int) -> None:
            for module in (checks, plans):
                monkeypatch.setattr(module, "utc_now", lambda: look_at(number))
            settings = load(lived.folder, lived.environ)
            monitors.look(settings, [Notifications(settings)])

        lived.live(look)
        assert len(lived.opened) >= 3
        assert_the_journal_is_right(lived)
        assert_the_figures_are_right(lived)
        assert_slack_heard_exactly_that(lived)
        for channel in ("slack", "webhook"):
            assert_each_thing_was_told_once(lived, channel)
            assert_a_digest_came_each_day(lived, channel)
        assert len({each["id"] for each in lived.hook.messages}) == len(lived.hook.messages)


@pytest.mark.heavy
@pytest.mark.month
def test_a_month_of_two_monitors_with_a_channel_that_is_down_half_the_time(tmp_path: Path) -> None:
    """Down for up to twenty hours at a time: after a day what is over is no news.

    A digest or a reminder that fails until the next one is due, or until its incident is over, is left out.
    """
    chance = random.Random(11)  # noqa: S311 (the same month each time, no secret)
    down = [each for at in range(LOOKS) for each in [at % 2 == 0] * chance.randint(1, 6)]
    with living(tmp_path, WHOLE) as lived:

        def look(number: int) -> None:
            lived.hook.down = down[number]
            lived.monitors(number, many=2)

        lived.live(look)
        lived.hook.down = False
        lived.monitors(LOOKS)
        assert {each.kind for each in lived.chapters} == set(month.TROUBLES)
        assert len(lived.opened) >= 20
        assert_the_journal_is_right(lived)
        assert_slack_heard_exactly_that(lived)
        assert_a_digest_came_each_day(lived, "slack")
        for channel in ("slack", "webhook"):
            assert_each_thing_was_told_once(lived, channel)
        assert len({each["id"] for each in lived.hook.messages}) == len(lived.hook.messages)
        assert sum(each["kind"] == "incident" for each in lived.hook.messages) < 3 * len(lived.opened)


@pytest.mark.heavy
@pytest.mark.month
def test_a_month_of_a_monitor_that_is_killed_again_and_again(tmp_path: Path) -> None:
    """With SIGKILL at a random moment, until fifty were hit; it is started again and looks once more.

    A message in its hands then may have arrived: that one may come again, with the same id, and no other.
    Some do, as each second time the moment is the one after a message came.
    """
    chance = random.Random(13)  # noqa: S311 (moments, no secret)
    in_hand: Counter[str] = Counter()
    killed: list[int] = []
    with living(tmp_path, WHOLE) as lived:

        def look(number: int) -> None:
            if len(killed) < KILLS and number in WHOLE[1:-2]:
                if kill_one(lived, number, chance):
                    killed.append(number)
                in_hand.update(
                    f"{subject}/{key}"
                    for subject, key, channel, state in lived.notes()
                    if (channel, state) == ("webhook", "claimed")
                )
            lived.monitors(number)

        lived.live(look)
        assert_the_journal_is_right(lived)
        reminded = sum(is_reminder(key) and state == "sent" for _, key, _, state in lived.notes())
        lost = 2 * sum(each.reminders for each in lived.opened) - reminded
        assert 0 <= lost <= KILLS
        assert_the_figures_are_right(lived, reminders_lost=lost)
        assert len(killed) == KILLS
        for channel in ("slack", "webhook"):
            assert_each_thing_was_told_once(lived, channel)
            assert_a_digest_came_each_day(lived, channel)
        came = Counter(each["id"] for each in lived.hook.messages)
        assert all(times <= 1 + in_hand[id] for id, times in came.items())
        assert max(came.values()) > 1


def kill_one(lived: Month, number: int, chance: random.Random) -> bool:
    """Begin a look and kill it, as a message arrives or after some time; whether that came before its end."""
    monitor = lived.begin(look_at(number), "monitor", "--once")
    if number % 2:
        lived.hook.arrived = lambda: os.kill(monitor.pid, signal.SIGKILL)
        monitor.wait(240)
        lived.hook.arrived = bool
    else:
        with suppress(subprocess.TimeoutExpired):
            # As machines differ: some moments of a quick one, and some of one that is busy.
            monitor.wait(chance.uniform(0, chance.choice((0.3, 1, 3))))
        monitor.kill()
    return monitor.wait(240) == -signal.SIGKILL
