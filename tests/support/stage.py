"""A stage for the command lines: a world, the variables of the process, and what a run left behind."""

from __future__ import annotations

import contextlib
import io
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from unittest import mock

from support.forkserver import Forked, forkserver
from support.world import WORKER, World

from drift_gate.commands import main as gate_cli
from predictions.coordinator.commands import main as coordinator_cli

ROOT = Path(__file__).parents[2]
#: Stand in places that the gate reads, and must come out of none of them.
SECRETS = ("hunter2", "s3cr3t-t0ken")
HEADER = "game_id,game_date,player_id,player_name,team,opponent,recent_points"
DAY = "2026-02-05"
BYPASS = ("--skip-drift-check", "--reason", "tip-off in ten minutes", "--actor", "ops@example.com")
PROGRAMS = {"deployment-drift": gate_cli.main, "prediction-coordinator": coordinator_cli.main}
TOML = f"""\
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "main"
deadline = "DEADLINE"

[journal]
store = ".drift/journal.sqlite"

[services.{WORKER}]
paths = ["/predictions/worker/", "/shared/"]
"""


@dataclass(frozen=True)
class Done:
    """What a run came to."""

    code: int
    out: str
    err: str

    @property
    def talk(self) -> str:
        """What was said to people: stderr without the lines of JSON."""
        return "\n".join(line for line in self.err.splitlines() if not line.startswith("{"))


def clean(done: Done) -> Done:
    """``done``, after a look for what no output may hold: a traceback, a secret, a control character."""
    told = done.out + done.err
    assert "Traceback" not in told
    assert not [secret for secret in SECRETS if secret in told]
    assert not re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", told)
    return done


@dataclass
class Stage:
    """The worker of ``world`` is deployed and current, until an obstacle is prepared.

    ``deadline`` is the one of ``drift.toml``; ``toml`` its content; ``environ`` all variables.
    """

    world: World
    deadline: str = "60s"
    toml: str = TOML
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = self.world.folder
        self.cloud = self.world.cloud
        self.history = self.world.history
        self.held: list[socket.socket] = []
        self.home = self.folder.parent / "home"
        self.home.mkdir()
        self.slate = self.folder.parent / "slate.csv"
        rows = [f"G1,{DAY},P{number},Player {number},T1,T2,1 2 3" for number in range(5)]
        self.slate.write_text("\n".join([HEADER, *rows]) + "\n")
        self.history.git("remote", "add", "origin", f"http://bot:{SECRETS[0]}@127.0.0.1:1/repo.git")
        self.deploy(commit=self.world.first)
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "USER": "ann",
            "CLOUD_RUN_EMULATOR_HOST": self.cloud.host,
        }

    @property
    def config(self) -> Path:
        return self.folder / "drift.toml"

    @property
    def state(self) -> Path:
        """Where the batches are kept; exists from the first batch on."""
        return self.folder / ".drift" / "predictions.sqlite"

    def predictions(self) -> int:
        """How many predictions are kept."""
        with contextlib.closing(sqlite3.connect(self.state)) as state:
            return int(state.execute("SELECT count(*) FROM predictions").fetchone()[0])

    def deploy(
        self, *, commit: str | None = None, label: str | None = None, image: str | None = None
    ) -> None:
        """Deploy the worker, with a secret among its variables."""
        labels = None if label is None else {"commit-sha": label}
        image = image or (None if label is None else "images/worker:latest")
        env = {"API_TOKEN": SECRETS[1]}
        self.cloud.deploy(WORKER, commit=commit, labels=labels, image=image, env=env)

    def write_config(self) -> None:
        if self.toml:
            self.config.write_text(self.toml.replace("DEADLINE", self.deadline), encoding="utf-8")

    def check(self, *args: str) -> Done:
        """``deployment-drift check`` in this process."""
        return self.run("deployment-drift", "check", *args)

    def start(self, *args: str) -> Done:
        """``prediction-coordinator start`` in this process."""
        return self.run("prediction-coordinator", *self.start_args(*args))

    def start_args(self, *args: str) -> list[str]:
        return ["start", "--game-date", DAY, "--slate", str(self.slate), *args]

    def run(self, program: str, *args: str) -> Done:
        """The command line in this process."""
        out, err = io.StringIO(), io.StringIO()
        with self._at_home(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = PROGRAMS[program](args)
        return clean(Done(code, out.getvalue(), err.getvalue()))

    def spawn(self, program: str, *args: str) -> Done:
        """The command line as a process of its own."""
        self.write_config()
        code = self.argv(program)[2]
        done = forkserver().run(code, args, cwd=self.folder, env=self.variables())
        return clean(Done(done.returncode, done.stdout, done.stderr))

    def begin(
        self,
        program: str,
        *args: str,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes],
        stderr: IO[bytes],
        environ: Mapping[str, str] | None = None,
        before: str = "",
    ) -> Forked:
        """The same, under way, after the lines ``before``; ``environ``: variables besides the stage's own."""
        self.write_config()
        env = {**self.variables(), **(environ or {})}
        with open(os.devnull, "rb") as nothing:
            streams = {"stdin": stdin or nothing, "stdout": stdout, "stderr": stderr}
            code = self.argv(program, before=before)[2]
            return forkserver().fork(code, args, cwd=self.folder, env=env, **streams)

    def load(self, program: str, *args: str, before: str = "", after: str = "") -> Done:
        """The command line in a fresh interpreter, between the lines ``before`` and ``after``."""
        self.write_config()
        done = subprocess.run(
            self.argv(program, *args, before=before, after=after),
            cwd=self.folder,
            env=self.variables(),
            capture_output=True,
            check=False,
            timeout=240,
        )
        out, err = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
        return clean(Done(done.returncode, out, err))

    def variables(self) -> dict[str, str]:
        """The environment of a process of its own."""
        first = filter(None, [self.environ.get("PYTHONPATH"), str(ROOT), *sys.path])
        return {**self.environ, "PYTHONPATH": os.pathsep.join(first)}

    @staticmethod
    def argv(program: str, *args: str, before: str = "", after: str = "") -> list[str]:
        """The command line of a process that runs ``program``."""
        module = PROGRAMS[program].__module__
        code = f"import sys; {before}\nfrom {module} import main; code = main()\n{after}\nsys.exit(code)"
        return [sys.executable, "-c", code, *args]

    @contextlib.contextmanager
    def _at_home(self) -> Iterator[None]:
        self.write_config()
        with mock.patch.dict(os.environ, self.environ, clear=True), contextlib.chdir(self.folder):
            yield

    def dead_port(self) -> int:
        """A port that nobody listens on, and nobody else can take while the stage stands."""
        holder = socket.socket()
        self.held.append(holder)
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])

    def silent_port(self) -> int:
        """A port that takes connections and never says a word."""
        port = self.dead_port()
        self.held[-1].listen()
        return port

    def close(self) -> None:
        for holder in self.held:
            holder.close()
