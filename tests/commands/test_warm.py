"""``warm`` leaves to later processes what it has read, and says what it did."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.world import WORKER, World

from drift_gate.commands import main
from drift_gate.runtime.child_process import pool
from drift_gate.runtime.disk_cache import FILE_NAME

TOML = f"""
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "main"
[services.{WORKER}]
dockerfile = "Dockerfile"
"""


@pytest.fixture
def image(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    world.toml = TOML
    world.first = world.history.commit(
        {
            "Dockerfile": 'FROM python\nCOPY predictions /p\nCMD ["python", "/p/worker/worker.py"]\n',
            "predictions/worker/worker.py": "import helper\n",
            "predictions/worker/helper.py": "",
        }
    )
    world.settings()
    for name, value in world.settings().environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(world.folder)
    return world


@pytest.fixture
def fresh() -> None:
    """What another test's process remembers would not be left."""
    pool().close(20)


def learned(world: World) -> Path:
    return Path(world.folder, ".git", "drift-gate", "learned", FILE_NAME)


@pytest.mark.usefixtures("fresh")
def test_what_it_has_read_is_there_for_the_next_process(
    image: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cloud Run knows no service yet, and is not asked. The check, in another process, finds all of it."""
    assert main.main(["warm"]) == 0
    assert capsys.readouterr().out == f"{WORKER}: 3 files count at {image.first[:12]}\n"
    image.cloud.deploy(WORKER, commit=image.first)
    read = learned(image).read_bytes()
    pool().close(20)
    assert image.verdict().report.status == "identical"
    assert learned(image).read_bytes() == read


@pytest.mark.usefixtures("fresh")
def test_a_cache_elsewhere(image: World, tmp_path: Path) -> None:
    """With ``DRIFT_CACHE_DIR`` the repository itself stays as it is."""
    image.environ = {**image.environ, "DRIFT_CACHE_DIR": str(tmp_path / "elsewhere")}
    image.cloud.deploy(WORKER, commit=image.first)
    assert image.verdict().report.status == "identical"
    [found] = (tmp_path / "elsewhere").rglob("*.sqlite")
    assert found.parts[-2:] == ("learned", FILE_NAME)
    assert not learned(image).exists()


@pytest.mark.heavy
@pytest.mark.usefixtures("fresh")
def test_a_worktree_shares_it(image: World, tmp_path: Path) -> None:
    image.history.git("worktree", "add", "--detach", str(tmp_path / "tree"), "main")
    (tmp_path / "tree" / "drift.toml").write_text(TOML)
    assert main.main(["-C", str(tmp_path / "tree"), "warm"]) == 0
    assert learned(image).exists()


@pytest.mark.heavy
@pytest.mark.usefixtures("fresh")
def test_it_says_that_nothing_could_be_kept(image: World, capsys: pytest.CaptureFixture[str]) -> None:
    (image.folder / ".git" / "drift-gate").write_text("in the way")
    assert main.main(["warm"]) == 0
    told = capsys.readouterr()
    assert "3 files count" in told.out
    assert "kept nowhere" in told.err


def test_a_repository_that_is_none_is_told(image: World, capsys: pytest.CaptureFixture[str]) -> None:
    Path(image.folder, "drift.toml").write_text(TOML.replace('"main"', '"mian"'))
    assert main.main(["warm"]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert f"{WORKER}: nothing could be read" in told.err
    assert "main" in told.err
