"""The monitor over a real repository and a loopback Cloud Run: what it keeps, prints and ends with."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from commands.test_cli import COMMAND, environment, run
from support.limits import ENOUGH_S
from support.processes import deaf
from support.telemetry import counted, listen, more
from support.web import Reply, Web
from support.world import WORKER, World

from drift_gate.errors import DeploymentDriftError, DriftConfigError, JournalError
from drift_gate.journal.looks import Seen
from drift_gate.journal.sqlite import SqliteJournal
from drift_gate.runtime.schedule import Schedule
from drift_gate.wiring import monitors
from shared.utils.deployment_checker import require_current_worker

STORE = '[journal]\nstore = "journal.sqlite"\n[monitor]\nname = "nightly"\n'
SECOND = '[services.second]\npaths = ["/shared/"]\n'

LOS_ANGELES = ZoneInfo("America/Los_Angeles")


def once(world: World) -> subprocess.CompletedProcess[str]:
    """``deployment-drift monitor --once``."""
    return run(world, "monitor", "--once")


def journal(world: World) -> SqliteJournal:
    """What the monitor keeps its looks in."""
    return SqliteJournal(world.folder / "journal.sqlite")


def test_looks_follow_a_drift_from_its_beginning_to_its_end(world: World) -> None:
    """Exit codes as those of ``check``; each change of an incident is printed once."""
    world.toml = STORE + world.toml
    world.cloud.deploy(WORKER, commit=world.first)
    fine = once(world)
    assert (fine.returncode, fine.stdout.count("\n")) == (0, 1)
    assert fine.stdout.endswith(" UTC: looked at 1 service, 1 allow\n")
    for _ in range(4):
        last = world.change()
    stale, again = once(world), once(world)
    assert (stale.returncode, again.returncode) == (1, 1)
    assert f"{WORKER}: incident {WORKER}#1 opened, warning, since" in stale.stdout
    assert again.stdout.count("\n") == 1
    world.cloud.deploy(WORKER, commit=last)
    cured = once(world)
    assert cured.returncode == 0
    assert f"{WORKER}: incident {WORKER}#1 resolved after " in cured.stdout

    looks = journal(world).looks()
    assert [(each.scope, each.whole) for each in looks] == [("nightly", True)] * 4
    assert {each.door for each in journal(world).entries()} == {"monitor"}


def test_a_look_that_reads_fewer_than_are_declared_is_not_whole(world: World) -> None:
    """It is kept as such, and says which service is missing and why."""
    world.toml = STORE + world.toml + SECOND
    world.cloud.deploy(WORKER, commit=world.first)
    missed = once(world)
    assert missed.returncode == 3
    assert "looked at only 1 of 2 services, 1 allow, 1 deny" in missed.stdout
    assert "second: not read: not-found: " in missed.stdout
    (look,) = journal(world).looks()
    assert (look.declared, look.read, look.whole) == ((WORKER, "second"), (WORKER,), False)


def test_a_monitor_without_a_journal_is_a_mistake(world: World) -> None:
    """Nothing would remember what it saw."""
    with pytest.raises(DriftConfigError, match="a monitor keeps what it sees"):
        monitors.look(world.settings())


def test_a_journal_that_cannot_be_written_is_said_by_the_exit_code(world: World) -> None:
    """And what was seen stands in the log, whole."""
    world.toml = STORE.replace("journal.sqlite", "drift.toml/journal.sqlite") + world.toml
    world.cloud.deploy(WORKER, commit=world.first)
    lost = once(world)
    assert (lost.returncode, lost.stdout) == (3, "")
    assert '"event": "drift_decision"' in lost.stderr
    assert "cannot be used" in lost.stderr


def test_each_notifier_is_told_after_each_look(world: World) -> None:
    """With the changes that the look made, also where there are none."""
    told: list[list[str]] = []

    class Listener:
        def tell(self, seen: Seen) -> None:
            told.append([each.transition.key for each in seen.changes])

    world.toml = STORE + world.toml
    world.cloud.deploy(WORKER, commit=world.first)
    monitors.look(world.settings(), [Listener()])
    for _ in range(4):
        world.change()
    monitors.look(world.settings(), [Listener(), Listener()])
    assert told == [[], ["held", "opened"], ["held", "opened"]]


class Over(BaseException):
    """The test has seen enough."""


class Clock:
    """A clock that goes on while somebody sleeps, until ``ends``."""

    def __init__(self, now: datetime, ends: datetime) -> None:
        self.now = now
        self.ends = ends
        self.naps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += timedelta(seconds=seconds)
        if self.now > self.ends:
            raise Over


class TestWatch:
    """A process that looks again and again, on a clock of its own."""

    begin = datetime(2026, 3, 7, 20, 30, tzinfo=LOS_ANGELES).astimezone(UTC)
    schedule = Schedule(timedelta(hours=2), timedelta(hours=8), timedelta(hours=20), LOS_ANGELES)

    def watched(self, look: Callable[[Clock], object], days: float = 2.0) -> Clock:
        clock = Clock(self.begin, self.begin + timedelta(days=days))
        with pytest.raises(Over):
            monitors.watch(self.schedule, lambda: look(clock), clock=lambda: clock.now, sleep=clock.sleep)
        return clock

    def test_it_looks_when_clocks_show_it_also_after_they_changed(self) -> None:
        """From the evening before the short day on: seven looks a day, the first one at eight."""
        seen: list[str] = []
        clock = self.watched(lambda clock: seen.append(f"{clock.now.astimezone(LOS_ANGELES):%d %H:%M}"))
        assert len(seen) == 14
        assert (seen[0], seen[6], seen[7]) == ("08 08:00", "08 20:00", "09 08:00")
        assert max(clock.naps) <= monitors.NAP_S

    def test_a_look_that_fails_does_not_end_it(self, caplog: pytest.LogCaptureFixture) -> None:
        """Ours are told in a sentence, others with their trace."""
        errors = iter([JournalError("the journal is locked"), ValueError("a bug"), None])

        def look(clock: Clock) -> None:
            if error := next(errors, None):
                raise error

        self.watched(look, days=0.7)
        failed = [each for each in caplog.records if each.levelno == logging.ERROR]
        assert [each.getMessage() for each in failed] == [
            "the look failed: the journal is locked",
            "the look failed: a bug",
        ]
        assert [bool(each.exc_info) for each in failed] == [False, True]

    def test_one_look_at_a_time_and_none_made_up_for(self) -> None:
        """A look that takes five hours leaves out what came due meanwhile."""
        seen: list[str] = []

        def look(clock: Clock) -> None:
            seen.append(f"{clock.now.astimezone(LOS_ANGELES):%H:%M}")
            clock.now += timedelta(hours=5)

        self.watched(look, days=1)
        assert seen == ["08:00", "14:00", "20:00"]

    def test_a_clock_that_jumps_ahead_is_noticed(self) -> None:
        """After a machine was suspended over the time that it was due, it looks at once."""
        seen: list[str] = []
        clock = Clock(self.begin, self.begin + timedelta(days=1))

        def sleep(seconds: float) -> None:
            clock.sleep(seconds)
            if clock.naps == [monitors.NAP_S]:
                clock.now += timedelta(hours=13)  # half past nine in the evening to half past ten

        def look() -> None:
            seen.append(f"{clock.now.astimezone(LOS_ANGELES):%H:%M}")

        with pytest.raises(Over):
            monitors.watch(self.schedule, look, clock=lambda: clock.now, sleep=sleep)
        assert seen[:2] == ["10:31", "12:00"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--every", "2h", "--time-zone", "Mars/Olympus"), "--time-zone: no time zone 'Mars/Olympus'"),
        (("--every", "2h", "--between", "20:00-08:00"), "the hours of a day end after they begin"),
        (("--every", "2h", "--between", "8-20"), "'8' is no time of day"),
        (("--every", "2d"), "give 1m to 24h"),
        (("--once", "--between", "08:00-20:00"), "--once looks now"),
        ((), "one of the arguments --once --every is required"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_a_usage_error(
    world: World, given: tuple[str, ...], words: str
) -> None:
    """Told at once, and not at the first look."""
    said = run(world, "monitor", *given)
    assert (said.returncode, said.stdout) == (2, "")
    assert words in said.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.heavy)])
def test_a_signal_ends_the_process_at_once(world: World, number: signal.Signals) -> None:
    """While it waits for the next look, a day ahead at most, and however it was started."""
    world.toml = STORE + world.toml
    monitor = subprocess.Popen(
        deaf([*COMMAND, "monitor", "--every", "24h"]),
        cwd=world.folder,
        env=environment(world),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert monitor.stderr
        assert "the next look is at " in monitor.stderr.readline()
        monitor.send_signal(number)
        assert monitor.wait(ENOUGH_S) == (130 if number == signal.SIGINT else -signal.SIGTERM)
    finally:
        monitor.kill()
        monitor.communicate()


class TestHeartbeat:
    """Whoever listens learns of each look, and of one that failed."""

    def signs(self, world: World, web: Web) -> list[str]:
        """What was asked for by one look."""
        world.environ = {"DRIFT_HEARTBEAT_URL": f"{web.url}/s3cret"}
        web.replies = {f"/s3cret{word}": Reply() for word in ("", "/start", "/fail")}
        asked = len(web.seen)
        with suppress(JournalError):
            monitors.look(world.settings())
        return [path.removeprefix("/s3cret") for path, _ in web.seen[asked:]]

    def test_one_that_is_whole_and_ones_that_are_not(self, world: World) -> None:
        """Not whole is a service that was not read, and a journal that cannot be written."""
        world.toml = STORE + world.toml
        world.cloud.deploy(WORKER, commit=world.first)
        with Web() as web:
            assert self.signs(world, web) == ["/start", ""]
            world.cloud.services.clear()
            assert self.signs(world, web) == ["/start", "/fail"]
            world.toml = world.toml.replace("journal.sqlite", "drift.toml/journal.sqlite")
            assert self.signs(world, web) == ["/start", "/fail"]

    def test_the_metrics_say_the_same(self, world: World) -> None:
        listen()
        world.toml = STORE + world.toml
        world.cloud.deploy(WORKER, commit=world.first)
        before = counted("driftgate.monitor.looks")
        looked = monitors.look(world.settings()).look
        last = counted("driftgate.monitor.last_look")["nightly",]
        assert last >= looked.at.timestamp()
        world.cloud.services.clear()
        monitors.look(world.settings())
        assert more("driftgate.monitor.looks", before) == {("nightly", True): 1, ("nightly", False): 1}
        assert counted("driftgate.monitor.last_look")["nightly",] == last

    @pytest.mark.parametrize(
        "url", ["hc-ping.com/s3cret", "http://hc-ping.com/s3cret", "https://s3cret@[", "s3cret"]
    )
    def test_an_address_that_is_none_is_told_without_it(self, world: World, url: str) -> None:
        """From the file and from the environment."""
        world.toml = f'[monitor]\nheartbeat_url = "{url}"\n' + world.toml
        with pytest.raises(
            DriftConfigError, match=r"\[monitor\] heartbeat_url: must be an https:// addr"
        ) as told:
            world.settings()
        assert "s3cret" not in str(told.value)
        world.environ = {"DRIFT_HEARTBEAT_URL": url}
        with pytest.raises(
            DriftConfigError, match="environment DRIFT_HEARTBEAT_URL: must be an https:"
        ) as told:
            world.settings()
        assert "s3cret" not in str(told.value)


@pytest.mark.heavy
def test_a_look_from_elsewhere_is_seen_here(world: World, firestore_emulator: str) -> None:
    """A journal in Firestore: a monitor that has no file in common with whoever asks for the past."""
    world.toml = f'[journal]\nstore = "firestore://p-{uuid4().hex[:12]}"\n' + world.toml
    ask = partial(run, world, FIRESTORE_EMULATOR_HOST=firestore_emulator)
    world.cloud.deploy(WORKER, commit=world.first)
    for _ in range(4):
        world.change()
    looked = ask("monitor", "--once")
    assert looked.returncode == 1, looked.stderr
    assert "found" in looked.stdout
    told = json.loads(ask("history", "--format", "json").stdout)
    assert [each["door"] for each in told["decisions"]] == ["monitor"]
    assert [each["id"] for each in told["incidents"]] == [f"{WORKER}#1"]
    marked = ask("history", "mark", f"{WORKER}#1", "false-alarm", "--reason", "a vendored file")
    assert marked.returncode == 0, marked.stderr
    assert "nothing changed" in ask("history", "rebuild").stdout


def test_a_check_that_ends_before_its_verdict_is_kept_waits_for_that(
    world: World, firestore_emulator: str
) -> None:
    """Google's library loads while the verdict is told already; what it takes too long for is in the log."""
    world.toml = f'[journal]\nstore = "firestore://p-{uuid4().hex[:12]}"\n' + world.toml
    ask = partial(run, world, FIRESTORE_EMULATOR_HOST=firestore_emulator)
    world.cloud.deploy(WORKER, commit=world.first)
    checked = ask("check")
    assert checked.returncode == 0
    told = json.loads(ask("history", "--format", "json").stdout)
    kept = [each["door"] for each in told["decisions"]]
    assert kept == ["check"] or '"event": "drift_decision"' in checked.stderr


class TestFreeze:
    """In a freeze the gate judges as ever and says so, and the monitor is quiet."""

    freeze = '[[freeze]]\nfrom = 2026-01-01\nuntil = 2126-01-01\nreason = "play-offs"\n'
    note = "a freeze is on until 2126-01-01 00:00 UTC: play-offs"

    def test_a_batch_is_refused_and_the_refusal_names_it(self, world: World) -> None:
        world.toml = self.freeze + world.toml
        world.cloud.deploy(WORKER, commit=world.first)
        assert [each.code for each in world.verdict().reasons] == ["freeze"]
        for _ in range(4):
            world.change()
        with pytest.raises(DeploymentDriftError) as refused:
            require_current_worker(settings=world.settings())
        assert f"allow   freeze: {self.note}" in str(refused.value)
        assert "too-many-commits-behind" in str(refused.value)

    def test_the_monitor_keeps_what_it_sees_and_says_nothing_of_it(self, world: World) -> None:
        """What opened meanwhile stands in the journal, with the freeze among its codes."""
        world.toml = self.freeze + STORE + world.toml
        world.cloud.deploy(WORKER, commit=world.first)
        for _ in range(4):
            world.change()
        quiet = once(world)
        assert quiet.returncode == 1
        assert quiet.stdout.splitlines()[1:] == [f"{WORKER}: {self.note}"]
        (incident,) = journal(world).incidents()
        assert (incident.state, incident.codes[-1]) == ("open", "freeze")
