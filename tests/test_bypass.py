"""The bypass starts the batch whatever stands in its way, at once, and leaves its trace beside it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import chdir, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support import obstacles
from support.heavy import light
from support.limits import ENOUGH_S, OVER_S
from support.obstacles import Obstacle
from support.stage import BYPASS, Done, Stage
from support.world import WORKER, World

import drift_gate.sources.cloud_run.reader

# Loaded before any clock starts, as DESIGN.md counts.
import drift_gate.sources.git.checkout
import drift_gate.sources.ledger  # noqa: F401 - see above
from drift_gate.errors import DriftUnknownError
from drift_gate.policy.verdict import Outcome
from drift_gate.presentation import render
from drift_gate.runtime import background
from drift_gate.settings.file import Settings, load
from drift_gate.wiring import enforcement
from shared.utils.deployment_checker import Verdict, require_current_worker


@pytest.fixture
def stage(world: World) -> Iterator[Stage]:
    stage = Stage(world)
    yield stage
    stage.close()


@pytest.fixture
def soon(stage: Stage) -> None:
    """The deadline soon ends what hangs; nothing has to happen within it."""
    stage.deadline = f"{OVER_S:g}s"


def started(done: Done, stage: Stage, *, service: str = WORKER) -> str:
    """The batch ran to its end; returns the WARNING that says what was overridden.

    The one before it names actor, reason and service.
    """
    assert (done.code, stage.predictions()) == (0, 5), done.err
    assert "not enforced (break-glass)" in done.out
    first, second = [line for line in done.talk.splitlines() if line.startswith("WARNING drift gate bypass")]
    expected = (
        f"bypassed for {service} by ops@example.com via --skip-drift-check; reason: tip-off in ten minutes"
    )
    assert expected in first
    assert f"bypass of {service} by ops@example.com; overridden: " in second
    return second


def judged(obstacle: Obstacle, warning: str) -> None:
    """The WARNING says what was overridden: what the check found, or why there was no check."""
    overridden = warning.partition("overridden: ")[2]
    if obstacle.code == 1:
        assert "too-many-commits-behind (4 relevant commits behind, more than 3 allowed)" in overridden
    elif obstacle.code == 3:
        assert overridden.startswith("unknown-drift (")
    elif f"no answer within {enforcement.LOAD_SECONDS:g} s" not in overridden:  # as on a busy machine
        assert overridden.startswith("unknown-drift (DriftConfigError: ")
        assert [word for word in obstacle.words if word not in overridden] == []


@obstacles.each(own_process=False, heavy=obstacles.ALIKE)
def test_an_obstacle_is_overridden(obstacle: Obstacle, stage: Stage) -> None:
    obstacle.prepare(stage)
    done = stage.start(*BYPASS)
    judged(obstacle, started(done, stage, service=WORKER if obstacle.code != 2 else "(the batch's service)"))


@obstacles.each(own_process=True, heavy=obstacles.ALIKE)
def test_an_obstacle_to_loading_is_too(obstacle: Obstacle, stage: Stage) -> None:
    obstacle.prepare(stage)
    done = obstacle.apart(stage)("prediction-coordinator", *stage.start_args(*BYPASS))
    judged(obstacle, started(done, stage))


def test_without_an_obstacle_there_is_nothing_to_override_and_the_warning_comes_all_the_same(
    stage: Stage,
) -> None:
    assert started(stage.start(*BYPASS), stage).endswith("overridden: nothing")


def loaded(stage: Stage) -> Settings:
    stage.write_config()
    return load(stage.folder, stage.environ)


def required(settings: Settings | None) -> Verdict:
    """The gate's own part under a bypass, in this process: the verdict that its trace tells."""
    told: list[Verdict] = []
    verdict = require_current_worker(
        skip=True, reason="fire", actor="ann", settings=settings, later=told.append
    )
    background.finish()
    (trace,) = told
    for each in (verdict, trace):
        assert (each.enforced, each.not_enforced_because) == (False, "break-glass")
        assert each.break_glass is not None
        assert (each.break_glass.actor, each.break_glass.reason) == ("ann", "fire")
    return trace


class TestTheBatchWaitsForNothing:
    """Proven by what was waited for: the API answers only after the batch has begun."""

    def test_the_verdict_comes_when_the_check_is_over(self, stage: Stage) -> None:
        obstacles.drift(stage)
        begun, told = threading.Event(), list[Verdict]()
        stage.cloud.before("GetService", lambda: begun.wait(60) and None)
        first = require_current_worker(skip=True, settings=loaded(stage), later=told.append)
        assert (first.report.unknown and first.report.unknown.message) == "the check runs alongside the start"
        shown = "\n".join(
            render.drawn(render.table(Outcome.of([first], datetime.now(UTC), 0), loaded(stage)))
        )
        assert f"{WORKER}  not judged yet\n" in shown
        assert "not known yet: the check runs alongside the start\n" in shown
        assert not any(word in shown for word in ("DENY", "deny", "critical", "timeout", "What to do"))
        assert told == []
        begun.set()
        background.finish()
        assert [reason.code for reason in told[0].reasons if reason.decision == "deny"] == [
            "too-many-commits-behind"
        ]

    def test_the_batch_takes_up_what_was_overridden(self, stage: Stage) -> None:
        """Five predictions are there before Cloud Run has said a word; the record tells the drift."""
        obstacles.drift(stage)
        stage.write_config()
        predicted: list[int] = []

        def answer() -> None:
            while not predicted:
                with suppress(sqlite3.OperationalError):  # not there yet
                    predicted.extend(filter(lambda number: number == 5, [stage.predictions()]))

        stage.cloud.before("GetService", answer)
        done = stage.start(*BYPASS)
        assert "too-many-commits-behind" in started(done, stage)
        assert predicted == [5]
        with closing(sqlite3.connect(stage.state)) as rows:
            ((stamp, reasons, glass),) = rows.execute("SELECT stamp, reasons, break_glass FROM batches")
        assert json.loads(stamp)["live_commits"] == [stage.world.first]
        assert "too-many-commits-behind" in reasons
        assert "too-many-commits-behind" in json.loads(glass)["overrode"]

    @pytest.mark.heavy
    def test_a_program_that_ends_waits_for_its_trace(self, stage: Stage) -> None:
        obstacles.drift(stage)
        code = (
            "import logging; logging.basicConfig()\n"
            "from shared.utils.deployment_checker import require_current_worker\n"
            "require_current_worker(skip=True); print('begun')"
        )
        stage.write_config()
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=stage.folder,
            env=stage.variables(),
            capture_output=True,
            text=True,
            check=True,
            timeout=90,
        )
        assert done.stdout == "begun\n"
        assert "overridden: too-many-commits-behind" in done.stderr


@pytest.mark.usefixtures("soon")
class TestTheGatesPart:
    """Whatever hangs, there is a trace."""

    @pytest.mark.parametrize("what", ["GetService", "GetRevision", "*"])
    def test_the_api_hangs(self, stage: Stage, what: str) -> None:
        stage.cloud.fault(what, hang=True)
        assert required(loaded(stage)).report.unknown is not None

    def test_the_api_hangs_and_another_process_locks_the_decisions(
        self, stage: Stage, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What waits for the lock waits beside the start, and the log has it whole."""
        stage.cloud.fault("*", hang=True)
        with locked(stage.folder / ".drift" / "journal.sqlite"):
            required(loaded(stage))
        assert [record.name for record in caplog.records] == [
            "drift_gate",
            "drift_gate",
            "drift_gate.verdict",
            "drift_gate",
            "drift_gate.verdict",
        ]
        assert json.loads(caplog.messages[-1])["verdict"]["break_glass"]["actor"] == "ann"

    def test_git_hangs(self, stage: Stage, tmp_path: Path) -> None:
        git = tmp_path / "bin" / "git"
        git.parent.mkdir()
        git.write_text("#!/bin/sh\nexec sleep 30\n")
        git.chmod(0o755)
        stage.environ["PATH"] = f"{git.parent}:{stage.environ['PATH']}"
        verdict = required(loaded(stage))
        assert verdict.report.unknown is not None
        assert verdict.report.unknown.cause == "timeout"

    def test_the_ledger_never_ends(self, stage: Stage) -> None:
        """A named pipe that nobody writes to: a file system that hangs."""
        stage.environ["DRIFT_LIVE"] = "ledger"
        (stage.folder / ".drift").mkdir()
        os.mkfifo(stage.folder / ".drift" / "ledger.jsonl")
        required(loaded(stage))

    def test_the_configuration_never_ends(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        pipe = stage.folder.parent / "pipe"
        os.mkfifo(pipe)
        monkeypatch.setenv("DRIFT_CONFIG", str(pipe))
        verdict = required(None)
        assert verdict.service == "(the batch's service)"

    def test_a_sink_hangs(self, stage: Stage) -> None:
        """The decisions store is a named pipe."""
        (stage.folder / ".drift").mkdir()
        os.mkfifo(stage.folder / ".drift" / "journal.sqlite")
        required(loaded(stage))

    def test_no_thread_can_be_started(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        """A container at its limit of threads: nothing can be checked, and the batch starts."""

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        found = loaded(stage)
        with monkeypatch.context() as limit:
            limit.setattr(threading.Thread, "start", refuse)  # the limit itself would be the tester's
            verdict = require_current_worker(skip=True, reason="fire", settings=found)
        assert [reason.code for reason in verdict.reasons] == ["unknown-drift"]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another connection holds the SQLite file, as a long transaction would."""
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


class TestItsTrace:
    def test_a_line_of_json_and_a_row_of_the_decisions(self, stage: Stage) -> None:
        obstacles.drift(stage)
        done = stage.start(*BYPASS)
        (line,) = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
        assert (line["decision"], line["enforced"], line["not_enforced_because"]) == (
            "deny",
            False,
            "break-glass",
        )
        assert line["break_glass"]["actor"] == "ops@example.com"
        assert line["break_glass"]["reason"] == "tip-off in ten minutes"
        assert "too-many-commits-behind" in line["break_glass"]["overrode"]
        with closing(sqlite3.connect(stage.folder / ".drift" / "journal.sqlite")) as rows:
            found = rows.execute(
                "SELECT decision, enforced, bypass_actor, bypass_reason FROM decisions"
            ).fetchall()
        assert found == [("deny", 0, "ops@example.com", "tip-off in ten minutes")]

    def test_who_and_why_in_odd_bytes_are_kept_as_far_as_they_can_be_read(self, stage: Stage) -> None:
        """A terminal in Latin-1, a JSON body with half a character: no reason is refused for its bytes."""
        done = stage.start(
            "--skip-drift-check", "--reason", "caf\udce9 \ud83d\n\x1b[31m", "--actor", "Zo\udceb"
        )
        assert done.code == 0
        assert "by Zo\\xeb via" in done.talk
        assert "reason: caf\\xe9 \\ud83d" in done.talk
        with closing(sqlite3.connect(stage.folder / ".drift" / "journal.sqlite")) as rows:
            found = rows.execute("SELECT bypass_actor, bypass_reason FROM decisions").fetchall()
        assert found == [("Zo\\xeb", "caf\\xe9 \\ud83d\n\x1b[31m")]

    def test_a_missing_reason_is_recorded_as_missing(self, stage: Stage) -> None:
        done = stage.start("--skip-drift-check")
        assert done.code == 0
        assert "by ann via --skip-drift-check; reason: none given" in done.talk

    def test_decisions_that_cannot_be_kept_are_warned_of(self, stage: Stage) -> None:
        """The store's folder is a file: as read-only as it gets, for root too."""
        stage.toml = stage.toml.replace(".drift/journal.sqlite", "slate/journal.sqlite")
        (stage.folder / "slate").write_text("")
        done = stage.start(*BYPASS)
        started(done, stage)
        assert "WARNING the verdict on prediction-worker is not in the journal" in done.talk

    def test_a_directory_that_cannot_be_written(self, stage: Stage, tmp_path: Path) -> None:
        """The working directory is another user's; the batch's own state lies elsewhere."""
        elsewhere = tmp_path / "elsewhere" / "state.sqlite"
        elsewhere.parent.mkdir()
        elsewhere.parent.chmod(0o777)
        stage.write_config()
        stage.toml = ""  # written already; the next run could not
        # Whoever has no rights here may have none to load the rest of Python either: load it before.
        stage.start("--state", str(tmp_path / "before.sqlite"), *BYPASS)
        with chdir(tmp_path), powerless(tmp_path):
            done = stage.start("--state", str(elsewhere), *BYPASS)
        assert done.code == 0
        assert "WARNING drift gate bypassed for prediction-worker" in done.talk
        assert "WARNING the verdict on prediction-worker is not in the journal" in done.talk


@contextmanager
def powerless(tmp_path: Path) -> Iterator[None]:
    """This process may read below ``tmp_path`` and write only where everybody may."""
    modes = [(folder, folder.stat().st_mode) for folder in (tmp_path, tmp_path / "repo")]
    # Those above are everybody's who tests now: they stay open.
    for folder in (tmp_path / "repo", tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid():
            folder.chmod(folder.stat().st_mode | 0o055)
    (tmp_path / "repo").chmod(0o555)
    if os.getuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(os.getuid())
        for folder, mode in modes:
            folder.chmod(mode)


@pytest.mark.heavy
class TestALostTerminal:
    """The talk is not the batch: nobody may be listening."""

    @pytest.mark.parametrize("stderr", light(["2>&-", "2>/dev/full", "2> >(true)"], ["2>&-"]))
    def test_starts_all_the_same(self, stage: Stage, stderr: str) -> None:
        stage.write_config()
        command = stage.argv("prediction-coordinator", *stage.start_args(*BYPASS))
        done = subprocess.run(
            ["bash", "-c", f'"$@" {stderr}', "bash", *command],
            cwd=stage.folder,
            env=stage.variables(),
            stdout=subprocess.PIPE,
            check=False,
            timeout=60,
        )
        assert (done.returncode, stage.predictions()) == (0, 5)
        assert b"not enforced (break-glass)" in done.stdout


class TestLibrariesThatDoNotLoad:
    @pytest.mark.parametrize(
        "line",
        light(
            ["import time; time.sleep(60)", "raise ImportError", "raise SystemExit(7)"],
            ["raise ImportError"],
        ),
    )
    def test_stop_no_batch(self, stage: Stage, tmp_path: Path, line: str) -> None:
        """A disk that hangs, a broken installation, a library that ends the process."""
        broken = tmp_path / "broken" / "grpc.py"
        broken.parent.mkdir()
        broken.write_text(line)
        stage.environ["PYTHONPATH"] = str(broken.parent)
        done = stage.load("prediction-coordinator", *stage.start_args(*BYPASS))
        started(done, stage)


class TestTheProcessEnds:
    """Threads that nobody waits for must not keep it, nor crash it on its way out."""

    @pytest.mark.heavy
    @pytest.mark.usefixtures("soon")
    @pytest.mark.parametrize("what", light(["the API", "the metadata server", "the remote"], ["the API"]))
    def test_while_they_hang(self, stage: Stage, what: str) -> None:
        run = stage.spawn
        if what == "the API":
            stage.cloud.fault("*", hang=True)
        elif what == "the remote":
            obstacles.remote(stage, stage.silent_port())
        else:
            run = stage.load  # the library looks for it as it is loaded
            del stage.environ["CLOUD_RUN_EMULATOR_HOST"]
            stage.environ["GCE_METADATA_HOST"] = f"127.0.0.1:{stage.silent_port()}"
        started(run("prediction-coordinator", *stage.start_args(*BYPASS)), stage)

    def test_in_the_middle_of_the_check(self, world: World) -> None:
        """The process that reads the repository is ended once the check is over, never before."""
        stage = Stage(world, deadline=f"{ENOUGH_S:g}s")
        require = "from drift_gate import require_current_worker as require; require(skip=True)"
        wait = (
            "from drift_gate.runtime import child_process\nwhile not child_process._running: time.sleep(0.01)"
        )
        stage.write_config()
        done = subprocess.run(
            [sys.executable, "-c", f"import time\n{require}\n{wait}"],
            cwd=stage.folder,
            env=stage.variables(),
            capture_output=True,
            text=True,
            check=True,
            timeout=ENOUGH_S,
        )
        assert "; overridden: nothing" in done.stderr


def moment(**ago: int) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


#: DRIFT_SKIP_CHECK, DRIFT_SKIP_CHECK_UNTIL → exit code with four commits missing, the ERROR (None: none).
SWITCHES: list[tuple[str, Callable[[], str | None], int, str | None]] = [
    ("1", lambda: moment(hours=-1), 0, None),
    ("TRUE ", lambda: moment(hours=-1), 0, None),
    ("yes", lambda: "2999-12-31", 0, "is more than a day away"),
    ("on", lambda: "9999-12-31T23:59:59-14:00", 0, "is more than a day away"),
    ("1", lambda: None, 0, "bypasses the drift gate without an end; set DRIFT_SKIP_CHECK_UNTIL"),
    ("1", lambda: "", 0, "bypasses the drift gate without an end"),
    ("1", lambda: moment(minutes=1), 1, "is past: no bypass"),
    ("1", lambda: "0001-01-01T00:00:00+14:00", 1, "is past: no bypass"),
    ("1", lambda: "tomorrow", 1, "DRIFT_SKIP_CHECK_UNTIL='tomorrow' is no ISO time: no bypass"),
    ("1", lambda: "2999-13-45", 1, "is no ISO time: no bypass"),
    ("flase", lambda: None, 1, "DRIFT_SKIP_CHECK='flase' is neither true nor false: no bypass"),
    ("2", lambda: None, 1, "is neither true nor false: no bypass"),
    ("\udcff", lambda: None, 1, "is neither true nor false: no bypass"),
    ("0", lambda: None, 1, None),
    ("false", lambda: moment(hours=-1), 1, None),
    ("", lambda: None, 1, None),
]


@pytest.mark.parametrize(("switch", "until", "code", "error"), SWITCHES)
def test_the_switch_of_the_process(
    stage: Stage, switch: str, until: Callable[[], str | None], code: int, error: str | None
) -> None:
    """What cannot be read is no bypass and an ERROR; without an end it holds and is an ERROR, too."""
    obstacles.drift(stage)
    stage.environ["DRIFT_SKIP_CHECK"] = switch
    if (end := until()) is not None:
        stage.environ["DRIFT_SKIP_CHECK_UNTIL"] = end
    done = stage.start()
    errors = [line for line in done.talk.splitlines() if line.startswith("ERROR")]
    assert done.code == code
    assert len(errors) == (error is not None)
    assert (error or "") in "".join(errors)
    assert ("WARNING drift gate bypassed for prediction-worker by ann via DRIFT_SKIP_CHECK" in done.talk) is (
        code == 0
    )


def test_the_switch_of_the_process_works_with_a_broken_configuration(stage: Stage) -> None:
    obstacles.config_bytes(b"[defaults\n")(stage)
    stage.environ |= {"DRIFT_SKIP_CHECK": "1", "DRIFT_SKIP_CHECK_UNTIL": moment(hours=-1)}
    assert stage.start().code == 0


def test_a_bypass_is_for_one_start(stage: Stage) -> None:
    """The next start is judged as ever."""
    stage.cloud.fault("GetService", code="PERMISSION_DENIED")
    assert required(loaded(stage)).decision == "deny"
    with pytest.raises(DriftUnknownError):
        require_current_worker(settings=loaded(stage))


def test_several_services_and_none_named(stage: Stage) -> None:
    """Which one the batch needs cannot be told: a wrong configuration, overridden like any other."""
    stage.toml += "[services.grader]\n"
    refused = stage.start()
    assert (refused.code, "several services are declared" in refused.talk) == (2, True)
    warning = started(stage.start(*BYPASS), stage, service="(the batch's service)")
    assert "several services are declared" in warning
