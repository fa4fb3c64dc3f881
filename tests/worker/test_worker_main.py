"""The worker as its image starts it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from drift_gate.evidence.content import in_view
from drift_gate.settings.file import load
from drift_gate.testing import HistoryBuilder
from drift_gate.wiring.answers import selection_at
from predictions.worker.__main__ import answers
from predictions.worker.version import COVERS

ROOT = Path(__file__).parents[2]
REQUEST = {"player_id": "p1", "player_name": "P", "game_id": "g1", "recent_points": [10, 20]}


def test_the_process_answers_line_by_line() -> None:
    """A request in, a prediction out."""
    done = subprocess.run(
        [sys.executable, "-m", "predictions.worker"],
        input=json.dumps(REQUEST) + "\n\n",
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"player_id": "p1", "game_id": "g1", "points": 15.0}


@pytest.mark.parametrize(
    "line", ["{", "[]", "{}", json.dumps({**REQUEST, "recent_points": []}), json.dumps({**REQUEST, "x": 1})]
)
def test_a_line_that_is_no_request_is_named(line: str) -> None:
    """The line's number, and nothing is made up for it."""
    with pytest.raises(ValueError, match="line 2 is no request"):
        list(answers([json.dumps(REQUEST), line]))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The image's folder: what the Dockerfile copies, and nothing else."""
    folder = tmp_path / "app"
    dockerfile = (ROOT / "predictions/worker/Dockerfile").read_text(encoding="utf-8")
    for line in dockerfile.splitlines():
        if line.startswith("COPY "):
            *sources, into = line.split()[1:]
            if into.startswith("/"):  # beside the application's folder
                continue
            for source in sources:
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, folder / into)
                else:
                    (folder / into).mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / source, folder / into)
    return folder


def test_the_image_says_which_files_it_holds(image: Path) -> None:
    """Each under the repository's path with the id that git gives it, with nothing else of the gate there."""
    environ = {"PYTHONPATH": str(image), "IMAGE_COMMIT": "4aa0c3b-dirty", "K_REVISION": "worker-00041-abc"}
    argv = [sys.executable, "-S", "-m", "predictions.worker", "--version-document"]  # -S: not this checkout
    done = subprocess.run(argv, cwd=image, env=environ, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    said = json.loads(done.stdout)
    held = [path.relative_to(image).as_posix() for path in image.rglob("*") if path.is_file()]
    paths = sorted(path for path in held if "__pycache__" not in path)
    hashed = subprocess.run(
        ["git", "hash-object", "--no-filters", "--stdin-paths"],
        input="\n".join(paths),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said["error"] is None
    assert said["files"] == dict(zip(paths, hashed.stdout.split(), strict=True))
    assert (said["commit"], said["dirty"], said["revision"]) == ("4aa0c3b", True, "worker-00041-abc")
    view = in_view(said["covers"], said["ignored"], said["unread"])
    assert [view("predictions/worker/new.py"), view("shared/odds.py")] == [True, False]


def test_the_fingerprint_belongs_to_what_the_gate_watches(image: Path, tmp_path: Path) -> None:
    """The image lacks nothing that the worker imports, and the fingerprint's own code counts."""
    history = HistoryBuilder(tmp_path / "repo")
    copied = [path for path in image.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    files = {path.relative_to(image).as_posix(): path.read_bytes() for path in copied}
    settings = (ROOT / "drift.toml").read_bytes()
    others = {"drift_gate/gate.py": b"", ".dockerignore": b"", "drift.toml": settings}
    history.commit({**files, **others})
    history.check_out("main")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    _, selected = selection_at("prediction-worker", None, settings=load(history.path, environ))
    assert selected.findings == ()
    assert {"drift_gate/fingerprint.py", "drift_gate/__init__.py"} <= set(selected.because)
    assert "drift_gate/gate.py" not in selected.because
    covered = in_view(COVERS, (), ())
    assert {path for path in selected.because if not covered(path)} <= {".dockerignore"}
