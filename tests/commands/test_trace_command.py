"""``deployment-drift trace``: a worker is started for real, and what it loads is held against what counts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.forkserver import GATE, forkserver
from support.traced import Project

from drift_gate.errors import DriftConfigError
from drift_gate.settings.file import load
from drift_gate.testing import HistoryBuilder
from drift_gate.testing.history import Content, File
from drift_gate.wiring import answers

DOCKERFILE = """\
FROM python:3.12
WORKDIR /srv
COPY app/ app/
COPY notes.md ./
CMD ["python", "-m", "app.main"]
"""
FILES = {
    "Dockerfile": DOCKERFILE,
    "app/__init__.py": "",
    "app/main.py": "from app.names import NAMES\n__builtins__.__dict__[NAMES[0]](NAMES[1])\n",
    "app/names.py": "NAMES = ['__imp' + 'ort__', 'app.' + 'plug' + 'in', 'notes.md']\n",
    "app/plugin.py": "open('notes.md').read()\nopen('elsewhere.txt').read()\n",
    "app/unused.py": "",
    "notes.md": "",
    "elsewhere.txt": "",
}
PROGRAM = str(Path(sys.executable).with_name("deployment-drift"))
UNUSED = "the image holds it, and nothing that the worker starts imports it"
OUTSIDE = "nothing that is declared for the service selects it"
RULES = 'dockerfile = "Dockerfile"'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "repo", FILES)


def test_a_file_that_no_closure_could_find_is_found_by_running(project: Project) -> None:
    """A name that is put together while the program runs, and a file that the image does not hold."""
    traced, loaded = project.trace("python", "-m", "app.main")
    assert [(each.path, each.why_not) for each in loaded.missed] == [
        ("app/plugin.py", UNUSED),
        ("elsewhere.txt", OUTSIDE),
    ]
    assert loaded.files == (
        "app/__init__.py",
        "app/main.py",
        "app/names.py",
        "app/plugin.py",
        "elsewhere.txt",
        "notes.md",
    )
    assert (loaded.reached, traced.interpreters) == (5, 1)


def test_what_was_declared_to_be_ignored_is_told_apart(project: Project, tmp_path: Path) -> None:
    rules = f'{RULES}\nignore = ["elsewhere.txt"]\nentrypoint = ["app.main", "app.plugin"]'
    _, loaded = Project(tmp_path / "repo", FILES, rules).trace("python", "-m", "app.main")
    assert (loaded.missed, loaded.ignored) == ((), ("elsewhere.txt",))


def test_what_git_does_not_hold_is_not_asked_about(project: Project) -> None:
    """Such as the packages of an environment inside the repository."""
    code = "import pathlib; pathlib.Path('new.py').touch(); import new, app"
    assert project.missed("python", "-c", code) == []


def test_a_path_behind_a_link_stands_for_the_link(tmp_path: Path) -> None:
    files: dict[str, Content] = {"real/data.txt": "", "linked": File("real", "120000")}
    project = Project(tmp_path / "repo", files, 'paths = ["/real/"]')
    assert project.missed("python", "-c", "open('linked/data.txt')") == ["linked"]


def test_outside_of_a_repository_there_is_nothing_to_hold_a_run_against(tmp_path: Path) -> None:
    (tmp_path / "drift.toml").write_text('[defaults]\nlive = "ledger"\n[services.worker]\n')
    with pytest.raises(DriftConfigError, match="is in no git repository"):
        answers.trace("worker", ["true"], settings=load(tmp_path, os.environ))


class TestTheCommandLine:
    def run(self, project: Project, *words: str) -> subprocess.CompletedProcess[str]:
        project.commit()
        return self.spawn(project, "trace", *words)

    def spawn(self, project: Project, *words: str) -> subprocess.CompletedProcess[str]:
        return forkserver().run(GATE, words, cwd=project.folder, env=os.environ)

    def test_what_is_missed_is_named_and_fails(self, project: Project) -> None:
        done = self.run(project, "worker", "--", "sh", "-c", f"echo talk; exec {sys.executable} -m app.main")
        first, *rest = done.stdout.splitlines()
        assert done.returncode == 1
        assert first.endswith(": reached 5 of 9, loaded 6, missed 2 (Pythons seen: 1)")
        assert rest == [f"missed: app/plugin.py ({UNUSED})", f"missed: elsewhere.txt ({OUTSIDE})"]
        assert "talk" in done.stderr

    @pytest.mark.parametrize(
        ("code", "status", "words"),
        [
            ("import app", 0, ""),
            pytest.param(
                *("import app; raise SystemExit(4)", 3, "the command ended with the exit code 4"),
                marks=pytest.mark.heavy,
            ),
            ("import app, os; os.kill(os.getpid(), 9)", 3, "the command was killed by signal 9"),
            ("import app.plugin; raise SystemExit(4)", 1, "the command ended with the exit code 4"),
        ],
    )
    def test_the_exit_code(self, code: str, status: int, words: str, project: Project) -> None:
        done = self.run(project, "worker", "--", sys.executable, "-c", code)
        assert (done.returncode, words in done.stderr) == (status, True)

    def test_nothing_that_was_seen_is_no_proof(self, project: Project) -> None:
        done = self.run(project, "worker", "--", sys.executable, "-I", "-c", "pass")
        assert (done.returncode, "no Python was seen to start" in done.stderr) == (3, True)

    @pytest.mark.parametrize(
        "words",
        [
            ("nobody", "--", "true"),
            ("worker",),
            ("--for", "x", "worker", "--", "true"),
            ("worker", "--", "nix"),
        ],
    )
    def test_usage(self, words: tuple[str, ...], project: Project) -> None:
        assert self.run(project, *words).returncode == 2

    @pytest.mark.heavy
    def test_what_is_kept_counts_once_it_is_committed(self, project: Project) -> None:
        """Of each commit what its own tree keeps: before that, the run finds it again."""
        words = ("trace", "--write", "worker", "--", sys.executable, "-m", "app.main")
        project.commit()
        for _ in range(2):
            done = self.spawn(project, *words)
            assert done.returncode == 1
        kept = (project.folder / "drift.loaded.json").read_text()
        assert json.loads(kept) == {
            "schema_version": 1,
            "services": {"worker": ["app/plugin.py", "elsewhere.txt"]},
        }
        history = HistoryBuilder(project.folder)
        history.commit({"drift.loaded.json": kept})
        history.check_out("main")
        done = self.spawn(project, *words)
        assert (done.returncode, ": reached 7 of 10, loaded 6, missed 0" in done.stdout) == (0, True)
        assert "plugin.py ← a run has loaded it" in self.spawn(project, "files", "worker").stdout

    def test_a_list_that_cannot_be_read_is_not_written_over(self, project: Project) -> None:
        project.commit()
        (project.folder / "drift.loaded.json").write_text("mine")
        done = self.spawn(project, "trace", "--write", "worker", "--", sys.executable, "-m", "app.main")
        assert (done.returncode, "it is no JSON" in done.stderr) == (2, True)
        assert (project.folder / "drift.loaded.json").read_text() == "mine"

    @pytest.mark.heavy
    @pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.heavy), signal.SIGTERM])
    def test_one_that_serves_is_ended_and_what_it_loaded_counts(self, number: int, project: Project) -> None:
        code = "import app.plugin, pathlib, time; pathlib.Path('ready').touch(); time.sleep(600)"
        project.commit()
        argv = [PROGRAM, "trace", "worker", "--", sys.executable, "-c", code]
        with subprocess.Popen(argv, cwd=project.folder, stdout=subprocess.PIPE, text=True) as process:
            awaited((project.folder / "ready").exists)
            process.send_signal(number)
            out, _ = process.communicate()
        assert (process.returncode, "missed: app/plugin.py" in out) == (1, True)


def awaited(happened: Callable[[], bool]) -> None:
    for _ in range(1200):
        if happened():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within a minute")
