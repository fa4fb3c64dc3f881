"""``deployment-drift`` as its users meet it: output, exit codes, errors in one sentence."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.forkserver import GATE, forkserver
from support.heavy import light
from support.world import WORKER, World

from drift_gate.commands import main
from drift_gate.policy.codes import CAUSE_MEANINGS, REASONS

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", GATE]


def environment(world: World, **more: str) -> dict[str, str]:
    world.settings()  # writes drift.toml
    kept = {name: os.environ[name] for name in ("PATH", "COVERAGE_PROCESS_START") if name in os.environ}
    return {
        **kept,
        "HOME": str(world.folder),
        "PYTHONPATH": str(ROOT),
        "CLOUD_RUN_EMULATOR_HOST": world.cloud.host,
        **more,
    }


def run(world: World, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
    return forkserver().run(GATE, args, cwd=world.folder, env=environment(world, **more))


@pytest.mark.heavy
def test_json_loads_nothing_that_draws(world: World) -> None:
    """Nor what only an error needs (GitPython names a repository in one), the reader, or another journal.

    Nor what is said to people or to an SDK, where nobody is told anything.
    """
    world.cloud.deploy(WORKER, commit=world.first)
    code = (
        "import sys\nfrom drift_gate.commands.main import main\n"
        "assert main(['check', '--format', 'json']) == 0\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=world.folder,
        env=environment(world),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = done.stderr.splitlines()[-1].split()
    assert "grpc" in loaded
    assert not {"rich", "git", "drift_gate.presentation.render"} & set(loaded)
    assert not {"drift_gate.relevance.lookup", "drift_gate.relevance.selection"} & set(loaded)
    assert not {"drift_gate.journal.firestore", "drift_gate.journal.deploys"} & set(loaded)
    assert not {"drift_gate.journal.messages", "opentelemetry.metrics", "opentelemetry.trace"} & set(loaded)


def test_exit_codes_of_a_check(world: World) -> None:
    """0 allowed or warned, 1 refused for drift, 3 refused for not knowing; data on stdout alone."""
    world.cloud.deploy(WORKER, commit=world.first)
    allowed = run(world, "check")
    assert (allowed.returncode, "ALLOW" in allowed.stdout) == (0, True)
    for _ in range(4):
        world.change()
    denied = run(world, "check", "--format", "json")
    assert denied.returncode == 1
    assert json.loads(denied.stdout)["decision"] == "deny"
    (line,) = denied.stderr.splitlines()
    assert json.loads(line)["event"] == "drift_verdict"
    world.cloud.services.clear()
    unknown = run(world, "check")
    assert (unknown.returncode, "not-found" in unknown.stdout) == (3, True)


@pytest.mark.heavy
def test_piped_output_is_plain_and_a_terminals_is_not(world: World) -> None:
    """No colour and no padding in a pipe; colour on a terminal, unless NO_COLOR is set."""
    world.cloud.deploy(WORKER, commit=world.first)
    piped = run(world, "check").stdout
    assert "\x1b" not in piped
    assert all(line == line.rstrip() for line in piped.splitlines())
    assert "\x1b[" in on_terminal(world, TERM="xterm")
    plain = on_terminal(world, TERM="xterm", NO_COLOR="1")
    assert "ALLOW" in plain
    assert "\x1b[1;32m" not in plain


def on_terminal(world: World, **more: str) -> str:
    """What ``check`` prints on a terminal of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "check"],
        cwd=world.folder,
        env=environment(world, **more),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # the last writer has closed the terminal
            break
        if not chunk:
            break
        seen += chunk
    os.close(ours)
    assert process.wait(30) == 0
    assert b"drift_verdict" not in seen  # the table says it; the line is for machines
    return seen.decode()


def test_interrupted(world: World) -> None:
    """Ctrl-C ends a check at once with 130 and one line."""
    world.cloud.deploy(WORKER, commit=world.first)
    world.cloud.fault("GetService", hang=True)
    environ = environment(world)
    with forkserver().running(GATE, ["check"], cwd=world.folder, env=environ) as (process, _, talk):
        while not world.cloud.calls and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert (talk.read(), process.wait(60)) == ("deployment-drift: interrupted\n", 130)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["check", "prediction-workr"], "did you mean prediction-worker?"),
        (["record", WORKER, "--commit", "a" * 40], "has no ledger"),
        (["explain", "aheda"], "did you mean ahead"),
        (["check", "--format", "yaml"], "invalid choice"),
        ([], "COMMAND"),
    ],
)
def test_usage(world: World, args: list[str], words: str) -> None:
    """2, nothing on stdout, and a sentence that helps."""
    done = run(world, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_bypasses_are_ignored_by_a_check(world: World) -> None:
    """``check`` tells the truth, whatever the process-wide bypass says."""
    world.cloud.deploy(WORKER, commit=world.first)
    for _ in range(4):
        world.change()
    assert run(world, "check", DRIFT_SKIP_CHECK="1").returncode == 1


def test_no_configuration(tmp_path: Path) -> None:
    """One sentence that says what to write or to set."""
    (tmp_path / ".git").mkdir()
    done = forkserver().run(GATE, ["check"], cwd=tmp_path, env={"PATH": os.environ["PATH"]})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("deployment-drift: no drift.toml in ")


def test_record_and_check(world: World) -> None:
    """What was recorded is what a check of the ledger sees; a value that is no commit is refused."""
    world.toml = '[defaults]\nlive = "ledger"\ntarget_ref = "main"\n[services.prediction-worker]\n'
    assert run(world, "record", WORKER, "--commit", world.first).returncode == 0
    assert run(world, "check").returncode == 0
    refused = run(world, "record", WORKER, "--commit=--output=pwned")
    assert (refused.returncode, "is no commit id" in refused.stderr) == (2, True)


@pytest.mark.heavy
def test_record_takes_a_name(world: World) -> None:
    """A branch or HEAD stands for its full id: the ledger says the same once the name has moved on."""
    world.toml = '[defaults]\nlive = "ledger"\ntarget_ref = "main"\n[services.prediction-worker]\n'
    done = run(world, "record", WORKER, "--commit", "HEAD")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"recorded: {WORKER} runs {world.first}\n"
    world.change()
    assert run(world, "record", WORKER, "--commit", "main").returncode == 0
    assert run(world, "check").returncode == 0
    wrong = run(world, "record", WORKER, "--commit", "mian")
    assert (wrong.returncode, "'mian' is no commit id, and " in wrong.stderr) == (2, True)


@pytest.mark.parametrize("code", light([*REASONS, *CAUSE_MEANINGS], ["drift-too-old", "timeout"]))
def test_every_code_is_explained(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What it means and what to do, for each reason code and each cause."""
    assert main.main(["explain", code]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(code)
    assert "to do" in shown


def test_an_unexpected_error_is_told_and_is_no_pass(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bug of ours ends with 3, a sentence and the traceback, never with 0."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.chdir(world.folder)
    world.settings()
    monkeypatch.setattr("drift_gate.gate.check", broken)  # a bug cannot be ordered otherwise
    assert main.main(["check"]) == 3
    told = capsys.readouterr().err
    assert "unexpected error: ZeroDivisionError: a bug" in told
    assert "Traceback" in told
