"""Whole checks where there is no checkout: the history comes from a mirror of an address."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.world import WORKER, World

from drift_gate.commands import main

COPIES = "COPY predictions/worker/ ./\nCOPY shared/ ./shared/\n"
DOCKERFILE = f"FROM python:3.12\nWORKDIR /app\n{COPIES}CMD python worker.py\n"


@pytest.fixture
def remote(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world's repository as a remote: its settings stand elsewhere and name it by its address."""
    world.first = world.history.commit(
        {
            "Dockerfile": DOCKERFILE,
            "predictions/worker/worker.py": "import shared.odds\n",
            "shared/odds.py": "ODDS = 1\n",
            "shared/unused.py": "X = 1\n",
        }
    )
    world.history.git("config", "uploadpack.allowFilter", "true")
    world.history.git("config", "uploadpack.allowAnySHA1InWant", "true")
    address = world.folder.as_uri()
    world.toml = world.toml.replace("[defaults]", f'[defaults]\nrepository = "{address}"').replace(
        'paths = ["/predictions/worker/", "/shared/"]', 'dockerfile = "Dockerfile"'
    )
    world.cloud.deploy(WORKER, commit=world.first)
    elsewhere = world.folder.parent / "elsewhere"
    elsewhere.mkdir()
    world.folder = elsewhere
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(elsewhere))
    monkeypatch.setenv("CLOUD_RUN_EMULATOR_HOST", world.cloud.host)
    return world


def test_a_check_without_a_checkout(remote: World) -> None:
    """Target, counts, relevance and reasons are those of a checkout."""
    remote.history.commit({"shared/odds.py": "ODDS = 2\n"})
    head = remote.history.commit({"shared/unused.py": "X = 2\n"})
    report = remote.verdict().report
    assert report.target is not None
    assert (report.target.ref, report.target.commit) == ("refs/remotes/origin/main", head)
    assert (report.status, report.commits_behind) == ("behind", 1)
    (commit,) = report.undeployed
    assert commit.paths[0].because == ("predictions/worker/worker.py",)


def test_warm_makes_the_mirror(remote: World, capsys: pytest.CaptureFixture[str]) -> None:
    """What an image's build runs; the address is told, and where the target is."""
    remote.settings()
    assert main.main(["warm"]) == 0
    assert f"refs/remotes/origin/main is at {remote.first[:12]}" in capsys.readouterr().out
    assert list(Path(remote.folder, ".cache", "drift-gate").iterdir())


def test_a_remote_that_is_gone(remote: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown with the cause; ``warm`` ends with 3 and says why."""
    shutil.rmtree(remote.history.path)
    unknown = remote.verdict().report.unknown
    assert unknown is not None
    assert unknown.cause in ("not-found", "history-unavailable")
    assert main.main(["warm"]) == 3
    assert "Traceback" not in capsys.readouterr().err


def test_nothing_to_warm(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A configuration of paths alone is told so."""
    world.settings()
    monkeypatch.chdir(world.folder)
    assert main.main(["warm"]) == 0
    assert "nothing to mirror" in capsys.readouterr().err
