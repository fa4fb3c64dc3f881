"""The import closure against programs that nobody wrote for it: what they load, it holds."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
APP = "async def app(scope, receive, send):\n    raise RuntimeError\n"
#: For each installed package a program that starts it, and how that is called.
PROGRAMS = {
    "flask": (
        "import sys\nfrom flask.cli import main\nsys.argv[1:] = ['routes']\nmain()\n",
        ["FLASK_APP=app"],
    ),
    "uvicorn": ("import uvicorn\nuvicorn.Config('app:app').load()\n", []),
    "gunicorn": (
        "import sys\nfrom gunicorn.app.wsgiapp import run\n"
        "sys.argv[1:] = ['-b', 'unix:socket', 'app:app']\nrun()\n",
        [],
    ),
    "httpx": ("import httpx\nhttpx.main(['--help'])\n", []),
    "markdown_it": ("from markdown_it.cli.parse import main\nmain(['run.py'])\n", []),
    "nox": ("import sys\nfrom nox.__main__ import main\nsys.argv[1:] = ['--list']\nmain()\n", []),
}
NOXFILE = "import nox\n@nox.session\ndef tests(session):\n    pass\n"
#: The worker that was forked ends its parent, and so itself, once it is up.
GUNICORN = "import os, signal\ndef post_worker_init(worker):\n    os.kill(os.getppid(), signal.SIGTERM)\n"
#: Those that import by no computed name: what they do not reach does not count.
NARROW = {"httpx", "markdown_it"}
FILES = {"flask": "from flask import Flask\napp = Flask(__name__)\n", "uvicorn": APP, "gunicorn": APP}


def reality(folder: Path, **table: object) -> subprocess.CompletedProcess[str]:
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    (folder / "list.toml").write_text("\n".join(["[worker]", *lines]))
    argv = [sys.executable, str(ROOT / "scripts" / "reality.py"), str(folder / "list.toml")]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)


def committed(folder: Path) -> None:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    for words in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "as installed"]):
        subprocess.run(["git", *words], cwd=folder, check=True, stdin=subprocess.DEVNULL)


@pytest.mark.heavy
@pytest.mark.parametrize("package", PROGRAMS)
def test_nothing_that_an_installed_program_loads_is_missed(package: str, tmp_path: Path) -> None:
    """Its own code is the repository; a start loads by statements, by strings and by configuration."""
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    repository = tmp_path / "repository"
    shutil.copytree(
        Path(found.origin).parent, repository / package, ignore=shutil.ignore_patterns("__pycache__")
    )
    code, environ = PROGRAMS[package]
    (repository / "run.py").write_text(code)
    (repository / "app.py").write_text(FILES.get(package, ""))
    (repository / "gunicorn.conf.py").write_text(GUNICORN)
    (repository / "noxfile.py").write_text(NOXFILE)
    committed(repository)
    command = ["env", *environ, "python", "run.py"]
    done = reality(tmp_path, repository="repository", command=command, entrypoint=["run.py"])
    assert (done.returncode, done.stdout.count("\n")) == (0, 1), done.stdout + done.stderr
    counts = re.search(r"reached (\d+) of (\d+), loaded (\d+), missed 0", done.stdout)
    assert counts, done.stdout
    reached, total, loaded = map(int, counts.groups())
    assert loaded > 10
    assert reached < total or package not in NARROW


@pytest.mark.heavy
def test_nothing_that_our_own_worker_loads_is_missed(tmp_path: Path) -> None:
    """It also takes its fingerprint, for which it opens every file that it has."""
    repository = tmp_path / "repository"
    for path in ("predictions/worker", "drift_gate/__init__.py", "drift_gate/fingerprint.py"):
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy
        copy(ROOT / path, repository / path)
    committed(repository)
    command = ["python", "-c", "import predictions.worker.serve as serve; serve.app({}, None)"]
    done = reality(
        tmp_path, repository="repository", command=command, dockerfile="predictions/worker/Dockerfile"
    )
    assert (done.returncode, done.stdout.count("missed 0")) == (0, 1), done.stdout + done.stderr


@pytest.mark.heavy
def test_what_is_missed_is_printed_and_fails(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "run.py").write_text("open('data' + '.txt')\n")
    (repository / "data.txt").touch()
    committed(repository)
    done = reality(tmp_path, repository="repository", command=["python", "run.py"], paths=["run.py"])
    assert done.returncode == 1
    assert done.stdout.splitlines()[1].startswith("missed: data.txt (")


@pytest.mark.heavy
def test_without_a_list_there_is_nothing_to_do(tmp_path: Path) -> None:
    argv = [sys.executable, str(ROOT / "scripts" / "reality.py")]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "make reality LIST=" in done.stderr) == (2, True)
