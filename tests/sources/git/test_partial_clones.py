"""Clones that hold less than they seem to: without files, without trees, without the objects they borrow."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.forkserver import GATE, forkserver
from support.world import CLOUD_RUN, WORKER, World

from drift_gate.policy.verdict import Verdict

APP = "predictions/worker/app.py"
COMPUTED = CLOUD_RUN.partition("paths = ")[0] + 'dockerfile = "Dockerfile"\n'
CURE = "git fetch --refetch --no-filter origin"

Clone = Callable[[str], World]


@pytest.fixture
def clone(world: World, tmp_path: Path) -> Clone:
    """A clone by ``git clone …`` of a history with one missing commit, whose remote is gone afterwards."""
    now = datetime.now(UTC)
    files: dict[str, str | bytes | None] = {
        "Dockerfile": "FROM python:3.12\nCOPY predictions /app/\nWORKDIR /app\nCMD python worker/app.py\n",
        APP: "A = 1\n",
    }
    live = world.history.commit(files, when=now - timedelta(hours=5))
    world.history.commit({APP: "A = 2\n"}, when=now - timedelta(hours=2))
    world.cloud.deploy(WORKER, commit=live)
    world.history.git("config", "uploadpack.allowFilter", "true")
    remote = world.folder

    def cloned(option: str) -> World:
        folder = tmp_path / "clone"
        address = remote.absolute().as_uri() if option.startswith("--") else str(remote)
        subprocess.run(["git", "clone", "-q", "--no-checkout", option, address, folder], check=True)
        remote.rename(tmp_path / "gone")
        world.folder = folder
        return world

    return cloned


def unknown_of(verdict: Verdict) -> str:
    assert verdict.report.unknown is not None
    assert verdict.report.unknown.cause == "history-unavailable"
    return verdict.report.unknown.message


def test_what_trees_suffice_for_is_answered_without_files(clone: Clone) -> None:
    """A file that cannot be read counts as changed."""
    verdict = clone("--filter=blob:none").verdict()
    assert (verdict.report.status, verdict.report.commits_behind) == ("behind", 1)


def test_one_mark_that_nobody_has_does_not_end_the_batch(clone: Clone) -> None:
    """Git 2.39 dies at the first object that is missing, and says nothing of the others."""
    world = clone("--filter=blob:none")
    head = subprocess.run(
        ["git", "rev-parse", "main~1"], cwd=world.folder, check=True, capture_output=True, text=True
    ).stdout.strip()
    world.cloud.deploy(WORKER, commit=head, env={"GIT_SHA": "1" * 40})
    verdict = world.verdict()
    assert verdict.report.unknown is None
    assert verdict.report.commits_behind == 1


def test_what_needs_files_says_what_kind_of_clone_it_is(clone: Clone, tmp_path: Path) -> None:
    """With the line that cures it: after that the same check knows. An older git is told what it can do."""
    world = clone("--filter=blob:none")
    world.toml = COMPUTED
    message = unknown_of(world.verdict())
    assert "is a partial clone (blob:none)" in message
    assert f"`{CURE}`" in message
    (tmp_path / "gone").rename(tmp_path / "repo")
    cured = subprocess.run(CURE.split(), cwd=world.folder, capture_output=True, check=False)
    if b"unknown option" in cured.stderr:
        assert "before git 2.36 clone it again without a filter" in message
        shutil.rmtree(world.folder)
        subprocess.run(["git", "clone", "-q", tmp_path / "repo", world.folder], check=True)
    (tmp_path / "repo").rename(tmp_path / "gone")
    report = world.verdict().report
    assert (report.status, report.commits_behind) == ("behind", 1)


def test_without_trees_nothing_is_known(clone: Clone) -> None:
    assert "is a partial clone (tree:0)" in unknown_of(clone("--filter=tree:0").verdict())


def test_borrowed_objects_that_are_gone_are_no_missing_ref(clone: Clone) -> None:
    """The ref is there, and what it names is not."""
    world = clone("-s")
    message = unknown_of(world.verdict())
    assert "refs/heads/main" in message
    assert "objects/info/alternates" in message
    world.toml = CLOUD_RUN.replace('target_ref = "main"', 'target_ref = "HEAD"')
    assert "has HEAD at" in unknown_of(world.verdict())


@pytest.mark.parametrize("names", [["later"], ["later", "evenlater"]])
def test_an_extension_that_git_does_not_know_is_named(clone: Clone, names: list[str]) -> None:
    world = clone("--filter=blob:none")
    with (world.folder / ".git" / "config").open("a") as config:
        config.write("[extensions]\n" + "".join(f"\t{name} = 1\n" for name in names))
    assert f"the repository extension {', '.join(names)};" in unknown_of(world.verdict())


class TestCutHistories:
    """A list of commits that is too short, with exit status 0, must be unknown, whatever made it short."""

    def unknown(self, world: World) -> str:
        unknown = world.verdict().report.unknown
        assert unknown is not None
        return unknown.cause

    @pytest.fixture
    def long(self, world: World) -> World:
        """Six missing commits, four of them to be cut off."""
        world.cloud.deploy(WORKER, commit=world.first)
        for _ in range(6):
            world.change()
        world.history.git("config", "uploadpack.allowAnySHA1InWant", "true")
        return world

    def shallow(self, world: World, folder: Path) -> None:
        address = world.folder.absolute().as_uri()
        subprocess.run(["git", "clone", "-q", "--depth=2", address, folder], check=True)

    def test_a_commit_fetched_by_itself_below_the_cut(self, long: World, tmp_path: Path) -> None:
        """Git lists two commits where six are missing."""
        folder = tmp_path / "clone"
        self.shallow(long, folder)
        fetch = ["git", "fetch", "-q", "--depth=1", "origin", long.first]
        subprocess.run(fetch, cwd=folder, check=True)
        listed = subprocess.run(
            ["git", "log", "--format=%H", f"{long.first}..HEAD"], cwd=folder, capture_output=True, check=True
        )
        assert len(listed.stdout.split()) == 2
        long.folder = folder
        assert self.unknown(long) == "shallow-history"

    def test_one_in_a_clone_that_was_full(self, long: World, tmp_path: Path) -> None:
        """A cut anywhere is one: nobody knows what lies behind it."""
        folder = tmp_path / "clone"
        history = long.history
        subprocess.run(["git", "clone", "-q", long.folder.absolute().as_uri(), folder], check=True)
        history.branch("side", long.first)
        live = [history.commit({"shared/odds.py": str(n)}, branch="side") for n in range(3)][-1]
        fetch = ["git", "fetch", "-q", "--depth=1", "origin", live]
        subprocess.run(fetch, cwd=folder, check=True)
        long.cloud.deploy(WORKER, commit=live)
        long.folder = folder
        assert self.unknown(long) == "shallow-history"

    def cut_remote(self, long: World, tmp_path: Path) -> str:
        """The address of a shallow remote that also has the live commit, by itself, below its cut."""
        remote = tmp_path / "remote"
        self.shallow(long, remote)
        git = ["git", "-C", str(remote)]
        subprocess.run([*git, "fetch", "-q", "--depth=1", "origin", long.first], check=True)
        for key in ("allowAnySHA1InWant", "allowFilter"):
            subprocess.run([*git, "config", f"uploadpack.{key}", "true"], check=True)
        return remote.absolute().as_uri()

    def test_a_mirror_of_a_remote_that_is_cut_itself(self, long: World, tmp_path: Path) -> None:
        address = self.cut_remote(long, tmp_path)
        long.toml = CLOUD_RUN.replace("[services", f'repository = "{address}"\n\n[services', 1)
        long.environ = {"DRIFT_CACHE_DIR": str(tmp_path / "cache")}
        assert self.unknown(long) == "shallow-history"

    def test_a_full_clone_of_a_remote_that_was_cut_since(self, world: World, tmp_path: Path) -> None:
        """It has the live commit and is to fetch the rest, of which the remote lacks the middle."""
        folder = tmp_path / "clone"
        world.cloud.deploy(WORKER, commit=world.first)
        subprocess.run(["git", "clone", "-q", world.folder.absolute().as_uri(), folder], check=True)
        for _ in range(6):
            world.change()
        world.history.git("config", "uploadpack.allowAnySHA1InWant", "true")
        address = self.cut_remote(world, tmp_path)
        subprocess.run(["git", "-C", str(folder), "remote", "set-url", "origin", address], check=True)
        world.folder, world.toml = folder, CLOUD_RUN.replace('"main"', '"origin/main"')
        for _ in range(2):  # what the first check fetched must not make the second one sure
            assert self.unknown(world) in ("shallow-history", "history-unavailable")


class TestDoctor:
    def run(self, world: World) -> subprocess.CompletedProcess[str]:
        environ = dict(world.settings().environ)
        return forkserver().run(GATE, ["doctor"], cwd=world.folder, env=environ)

    @pytest.mark.heavy
    @pytest.mark.parametrize(
        "option", ["--filter=blob:none", pytest.param("--filter=tree:0", marks=pytest.mark.heavy)]
    )
    def test_it_sees_a_partial_clone_before_the_first_check(self, clone: Clone, option: str) -> None:
        world = clone(option)
        world.toml = COMPUTED
        assert world.verdict().report.unknown is not None
        done = self.run(world)
        assert done.returncode != 0
        assert "is a partial clone" in done.stdout
        assert "fetch --refetch --no-filter" in done.stdout

    def test_a_full_clone_is_fine(self, clone: Clone) -> None:
        """Also one that is marked as partial and lacks nothing."""
        world = clone("--no-local")
        subprocess.run(["git", "config", "remote.origin.promisor", "true"], cwd=world.folder, check=True)
        assert "opens, with full history" in self.run(world).stdout
