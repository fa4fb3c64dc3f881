"""The loopback Cloud Run from the command line: the lines of docs/testing.md do what they promise."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryFile

import pytest
from support.documents import DOCS, blocks
from support.forkserver import GATE, forkserver
from support.pubsub import free_port

from drift_gate.testing import HistoryBuilder
from drift_gate.testing.cloud_run.command import main

COMMAND = "import sys; from drift_gate.testing.cloud_run.command import main; sys.exit(main())"
MODULE = ["python", "-m", "drift_gate.testing.cloud_run", "--port"]
DRIFT_TOML = """
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "main"

[journal]
store = "off"

[services.prediction-worker]
paths = ["/worker/"]
"""

Run = Callable[[list[str]], CompletedProcess[str]]


@pytest.fixture
def history(tmp_path: Path) -> HistoryBuilder:
    history = HistoryBuilder(tmp_path)
    for number, minutes in enumerate((9, 3)):
        when = datetime.now(UTC) - timedelta(minutes=minutes)
        history.commit({"worker/app.py": f"{number}\n"}, subject=f"change {number}", when=when)
    (tmp_path / "drift.toml").write_text(DRIFT_TOML)
    return history


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def run(history: HistoryBuilder, port: int) -> Iterator[Run]:
    """A line of the page, in a second terminal while the first line serves."""
    host = f"127.0.0.1:{port}"
    env = {"PATH": os.environ["PATH"], "HOME": str(history.path), "CLOUD_RUN_EMULATOR_HOST": host}

    def once(argv: list[str]) -> CompletedProcess[str]:
        if argv[:4] == MODULE:
            return forkserver().run(COMMAND, ["--port", str(port), *argv[5:]], cwd=history.path, env=env)
        assert argv[0] == "deployment-drift"
        return forkserver().run(GATE, argv[1:], cwd=history.path, env=env)

    with open(os.devnull, "rb") as nothing, TemporaryFile() as out:
        args = ["--port", str(port)]
        serving = forkserver().fork(
            COMMAND, args, cwd=history.path, env=env, stdin=nothing, stdout=out, stderr=out
        )
        try:
            while (said := once([*MODULE, "", "pin", "x", "y"]).stderr) != "there is no 'x'\n":
                assert serving.poll() is None, said
            yield once
        finally:
            serving.send_signal(15)
            assert serving.wait(60) == 0
            out.seek(0)
            assert f"export CLOUD_RUN_EMULATOR_HOST={host}".encode() in out.read()


@pytest.mark.heavy
def test_the_lines_of_the_page(history: HistoryBuilder, run: Run) -> None:
    """Each check says what its comment says: a decision, and a code where there is one."""
    _, block = blocks("sh", DOCS / "testing.md")
    checks = 0
    for line in block.splitlines()[1:]:  # the first sets the variable
        line, _, promised = line.partition("#")
        for name in ("HEAD~1", "HEAD"):
            line = line.replace(f"$(git rev-parse {name})", history.git("rev-parse", name).strip())
        done = run(shlex.split(line))
        if promised:
            decision, _, code = promised.strip().partition(": ")
            assert f"prediction-worker  {decision}" in done.stdout, done
            assert code in done.stdout
            checks += 1
        else:
            assert (done.returncode, done.stderr) == (0, "")
            assert "prediction-worker-0000" in done.stdout
    assert checks == 5


def test_kinds_variables_and_what_makes_no_sense(run: Run) -> None:
    module = [*MODULE, ""]
    job = run([*module, "deploy", "nightly", "--kind", "job", "--image", "i", "--env", "A=1", "--env", "B=2"])
    assert job.stdout == "100 %  nightly\n"
    unknown = run([*module, "land", "x"])
    assert (unknown.returncode, unknown.stdout, unknown.stderr) == (1, "", "there is no 'x'\n")
    pinned = run([*module, "deploy", "x", "--no-traffic"])
    assert pinned.returncode == 1
    assert "no ready revision to keep the traffic" in pinned.stderr


def test_nobody_serves_or_somebody_else_does(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", str(port), "pin", "a", "b"]) == 1
    assert f"first run `python -m drift_gate.testing.cloud_run --port {port}`" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", port)):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        assert main(["--port", str(port)]) == 1
    assert "is taken" in capsys.readouterr().err
    # What is started later would inherit it, and heed no SIGTERM.
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_the_example_of_revisions_that_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    _, block = blocks("python", DOCS / "testing.md")
    names: dict[str, Callable[[Path], None]] = {}
    exec(block, names)  # noqa: S102 - our own page
    names["test_a_worker_answers"](tmp_path)


@pytest.mark.parametrize("pair", ["latest", "w-00001=many"])
def test_a_share_is_a_revision_and_a_percent(pair: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--port", "1", "split", "w", pair])
    assert f"'{pair}' is no REVISION=PERCENT" in capsys.readouterr().err
