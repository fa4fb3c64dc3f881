"""Bad input and faults through the real command lines: each has its own error, exit code and cause."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support import obstacles
from support.heavy import light
from support.limits import OVER_S
from support.obstacles import Obstacle
from support.processes import deaf, left_running
from support.stage import Done, Stage
from support.world import WORKER, World

NUMBERS = ("commits_behind", "commits_ahead", "commits_neutral", "content_differs", "drift_age_s")


@pytest.fixture
def stage(world: World) -> Iterator[Stage]:
    stage = Stage(world)
    yield stage
    stage.close()


def verdict(done: Done) -> dict[str, Any]:
    """The only verdict of a check with ``--format json``."""
    (found,) = json.loads(done.out)["services"]
    return dict(found)


def judge(obstacle: Obstacle, check: Done) -> None:
    """The check says what the row of the table says, on the stream where it belongs."""
    assert check.code == obstacle.code
    if obstacle.code == 2:
        assert check.out == ""
        assert len(check.talk.splitlines()) == 1
        told = check.talk
    else:
        found = verdict(check)
        report, told = found["report"], " ".join(reason["message"] for reason in found["reasons"])
        unknown = report["unknown"] or {}
        assert (found["decision"], unknown.get("cause")) == ("deny", obstacle.cause)
        assert obstacle.cause is None or {report[name] for name in NUMBERS} == {None}
    assert [word for word in obstacle.words if word not in told] == []
    assert len(told) < 2000


def judge_start(obstacle: Obstacle, start: Done, stage: Stage) -> None:
    """The coordinator refuses with the same words and the same code, and made nothing."""
    assert (start.code, start.out) == (obstacle.code, "")
    assert [word for word in obstacle.words if word not in start.talk] == []
    assert not stage.state.exists()


def test_without_an_obstacle_the_batch_starts(stage: Stage) -> None:
    """What the table proves is the obstacle's doing."""
    assert stage.check().code == 0
    assert stage.start().code == 0
    assert stage.state.exists()


@obstacles.each(own_process=False, heavy=obstacles.ALIKE)
def test_an_obstacle_has_its_exit_code_its_cause_and_its_words(obstacle: Obstacle, stage: Stage) -> None:
    obstacle.prepare(stage)
    judge(obstacle, obstacles.heard(obstacle, stage, lambda: stage.check("--format", "json")))
    judge_start(obstacle, obstacles.heard(obstacle, stage, stage.start), stage)


@obstacles.each(own_process=True, heavy=obstacles.ALIKE)
def test_an_obstacle_to_loading_has_them_too(obstacle: Obstacle, stage: Stage) -> None:
    obstacle.prepare(stage)
    judge(obstacle, obstacle.apart(stage)("deployment-drift", "check", "--format", "json"))
    judge_start(obstacle, obstacle.apart(stage)("prediction-coordinator", *stage.start_args()), stage)


@pytest.mark.parametrize(("name", "near"), [("prediction-workr", "prediction-worker"), ("worker", None)])
def test_an_unknown_service_is_named_with_its_near_misses(stage: Stage, name: str, near: str | None) -> None:
    done = stage.check(name)
    assert (done.code, done.out) == (2, "")
    hint = f"; did you mean {near}?" if near else ""
    assert f"no service '{name}'{hint} (declared: {WORKER})" in done.err


class TestWhatIsNoCommit:
    """`--output=pwned` would make git write a file."""

    CARRIERS = ("a label", "a variable", "an image tag", "a ledger", "a target", "a short label too")

    @pytest.fixture
    def overheard(self, stage: Stage, tmp_path: Path) -> Path:
        """Everything that git is given, by its arguments or on its stdin."""
        spy, log = tmp_path / "spy" / "git", tmp_path / "overheard"
        spy.parent.mkdir()
        real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
        spy.write_text(f'#!/bin/sh\necho "$@" >>{log}\ntee -a {log} | {real} "$@"\n')
        spy.chmod(0o755)
        stage.environ["PATH"] = f"{spy.parent}:{stage.environ['PATH']}"
        return log

    def carry(self, stage: Stage, carrier: str) -> None:
        odd = "--output=pwned"
        match carrier:
            case "a label":
                stage.deploy(label=odd)
            case "a short label too":
                stage.deploy(label="-opwned")
            case "a variable":
                stage.cloud.deploy(WORKER, image="worker:latest", env={"GIT_SHA": odd})
            case "an image tag":
                stage.deploy(image=f"worker:{odd}")
            case "a target":
                stage.environ["DRIFT_TARGET_REF"] = odd
            case "a ledger":
                stage.environ["DRIFT_LIVE"] = "ledger"
                entry = {"service": WORKER, "commit": odd, "recorded_at": "2026-02-05T10:00:00Z"}
                ledger = stage.folder / ".drift" / "ledger.jsonl"
                ledger.parent.mkdir()
                ledger.write_text(json.dumps(entry) + "\n")

    @pytest.mark.parametrize("carrier", CARRIERS)
    def test_never_reaches_git(self, stage: Stage, overheard: Path, tmp_path: Path, carrier: str) -> None:
        self.carry(stage, carrier)
        assert stage.check("--verbose").code == 3
        assert stage.start().code == 3
        heard = overheard.read_text() if overheard.exists() else ""
        assert ("rev-parse" in heard) is (carrier != "a target")  # the spy was at work, or had nothing to do
        assert "pwned" not in heard
        assert [path for path in tmp_path.rglob("*") if "pwned" in path.name] == []


class TestTextsThatBite:
    def test_json_holds_every_path_as_utf_8(self, stage: Stage) -> None:
        """Other bytes read `\\xNN`; line breaks and quotes are the JSON's own matter."""
        obstacles.hostile_texts(stage)
        found = verdict(stage.check("--format", "json"))["report"]["undeployed"]
        names = {each["path"].removeprefix("predictions/worker/") for each in found[0]["paths"]}
        assert names == {
            "new\nline.py",
            "quo\"te'.py",
            "köln ⛹.py",
            "latin-\\xe9.py",
            "--output=pwned",
            "\x1b[31mred",
        }
        assert [each["subject"] for each in found] == [
            "-n --output=pwned",
            "\u202eright to left",
            "\x1b[2J\x07wiped",
            "caf\\xe9",
        ]

    @pytest.mark.parametrize("form", ["table", "markdown"])
    def test_people_see_them_on_one_line_each(self, stage: Stage, form: str) -> None:
        """No line break, no control character and no change of direction comes through."""
        obstacles.hostile_texts(stage)
        done = stage.check("--verbose", "--format", form)
        assert done.code == 1
        assert "\u202e" not in done.out
        assert "caf" in done.out
        assert "\nline.py" not in done.out


@pytest.mark.heavy
def test_memory_and_output_do_not_grow_with_a_message(stage: Stage) -> None:
    """Four messages of ten megabytes each cost our process no more than four of a word each."""
    obstacles.drift(stage)
    short = self_measured(stage)
    obstacles.long_message(stage)
    endless = self_measured(stage)
    assert endless.peak_kb - short.peak_kb < 8_000
    assert len(endless.out) < 20_000


class Measured(NamedTuple):
    """The output of a check, and the most memory that its process (without git's) ever held."""

    out: str
    peak_kb: int


def self_measured(stage: Stage) -> Measured:
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux tells the peak of one process")
    peak = "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    done = stage.load("deployment-drift", "check", "--verbose", "--format", "json", after=peak)
    assert done.code == 1
    return Measured(done.out, int(done.err.splitlines()[-1]))


def entry(commit: str, service: str = WORKER, when: str = "2026-02-05T10:00:00Z") -> bytes:
    return json.dumps({"service": service, "commit": commit, "recorded_at": when}).encode() + b"\n"


def ledger_of(good: bytes) -> dict[str, tuple[bytes, int, str]]:
    """Odd ledgers around the good line ``good``: content, exit code, words."""
    return {
        "empty": (b"", 3, "has no record of prediction-worker; add one"),
        "only of others": (entry("a" * 40, "grader") * 3, 3, "has no record of prediction-worker"),
        "100,000 lines": (entry("a" * 40) * 99_999 + good, 0, ""),
        "a bad line before": (b"\xff\n" + good, 0, "unreadable lines passed over: 1\n"),
        "a bad line after": (good + b"\xff\n", 3, "line 2: not readable, and it may be a newer record"),
        "a torn line after": (good + good[:20], 3, "line 2: not readable"),
        "10 MB on one line": (b"x" * (10 << 20) + b"\n" + good, 0, "unreadable lines passed over: 1\n"),
        "a record inside a line that is too long": (b"x" * 65_536 + entry("a" * 40) + good, 0, "over: 1\n"),
        "10,000 bad lines": (b"x\n" * 10_000 + good, 0, "over: 1, 2, 3, 4, 5 and 9995 more\n"),
        "a commit of 60 kB": (entry("z" * 60_000), 3, "names a commit of this repository (found: ledger"),
        "a time without a zone": (entry("a" * 40, when="2026-02-05T10:00:00"), 3, "line 1 is not readable"),
        "the end of all time": (good.replace(b"2026-02-05T10:00:00Z", b"9999-12-31T23:59:59-14:00"), 0, ""),
        "the beginning of it": (good.replace(b"2026-02-05T10:00:00Z", b"0001-01-01T00:00:00+14:00"), 0, ""),
    }


LEDGERS = list(ledger_of(b""))


@pytest.mark.parametrize("name", light(LEDGERS, [name for name in LEDGERS if name != "100,000 lines"]))
def test_an_odd_ledger(stage: Stage, name: str) -> None:
    """The last good line wins; what may be a newer one makes it unknown; the words stay few."""
    content, code, words = ledger_of(entry(stage.world.first))[name]
    stage.environ["DRIFT_LIVE"] = "ledger"
    (stage.folder / ".drift").mkdir()
    (stage.folder / ".drift" / "ledger.jsonl").write_bytes(content)
    done = stage.check()
    assert done.code == code
    assert words in done.out + done.talk + "\n"
    assert len(done.out + done.talk) < 2000


def test_a_git_that_hangs_ends_with_the_deadline(stage: Stage) -> None:
    """Also the `git version` that GitPython runs while it loads; it is left to nobody."""
    git = stage.home / "git"
    git.write_text("#!/bin/sh\nexec sleep 97531\n")
    git.chmod(0o755)
    stage.environ["PATH"] = f"{stage.home}:{stage.environ['PATH']}"
    stage.deadline = f"{OVER_S:g}s"
    done = stage.spawn("deployment-drift", "check", "--format", "json")
    assert (done.code, verdict(done)["report"]["unknown"]["cause"]) == (3, "timeout")
    assert left_running("sleep 97531") == []


@pytest.mark.parametrize(
    ("program", "number", "code", "talk"),
    [
        pytest.param(
            "deployment-drift", signal.SIGINT, 130, "deployment-drift: interrupted\n", marks=pytest.mark.heavy
        ),
        pytest.param("deployment-drift", signal.SIGTERM, -signal.SIGTERM, "", marks=pytest.mark.heavy),
        pytest.param(
            "prediction-coordinator",
            signal.SIGINT,
            130,
            "prediction-coordinator: interrupted\n",
            marks=pytest.mark.heavy,
        ),
        ("prediction-coordinator", signal.SIGTERM, 128 + signal.SIGTERM, ""),
    ],
)
class TestASignal:
    """One line, while the API still hangs, and nothing made; also for one that was started deaf to it."""

    def test_ends_the_command(
        self, stage: Stage, program: str, number: signal.Signals, code: int, talk: str
    ) -> None:
        stage.deadline = "10m"
        stage.write_config()
        stage.cloud.fault("GetService", hang=True)
        args = ["check"] if program == "deployment-drift" else stage.start_args()
        process = subprocess.Popen(
            deaf(stage.argv(program, *args)),
            cwd=stage.folder,
            env=stage.variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not stage.cloud.calls and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out, err) == (code, "", talk)
        assert not stage.state.exists()
