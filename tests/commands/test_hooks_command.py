"""``deployment-drift hooks``: git calls the reminder, and whatever was there before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.repositories import WorkTree
from support.world import WORKER

from drift_gate.commands import main
from drift_gate.commands.hooks.places import EVENTS, Places
from drift_gate.errors import DriftConfigError

TOML = f"""
[defaults]
project = "test-project"
region = "us-west2"
target_ref = "origin/main"
[services.{WORKER}]
paths = ["worker/"]
"""


@pytest.fixture
def tree(tmp_path: Path) -> WorkTree:
    return WorkTree(tmp_path / "a folder's name")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A stand-in for the command that says how it was called."""
    path = tmp_path / "it's here"
    path.write_text('#!/bin/sh\necho "called: $*"\n')
    path.chmod(0o755)
    return path


def hook(tree: WorkTree, event: str, text: str) -> Path:
    path = tree.folder / ".git" / "hooks" / event
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.heavy
def test_commits_merges_rebases_and_linked_work_trees_are_reminded(tree: WorkTree, tmp_path: Path) -> None:
    """The command itself, called by git: each once, with what is missing then, and nothing for others."""
    tree.commit({"drift.toml": TOML, "worker/a.py": "X = 1\n", "docs/a.md": "1\n", ".gitignore": ".drift/\n"})
    tree.git("update-ref", "refs/remotes/origin/main", "HEAD")
    folder = Path(sys.executable).parent
    Places(tree.folder, tree.environ).install(folder / "deployment-drift")
    assert tree.commit({"docs/a.md": "2\n"}) == ""
    tree.git("checkout", "-qb", "feature")
    said = tree.commit({"worker/a.py": "X = 2\n"}, "Better odds")
    line = f"  once merged: deployment-drift plan {WORKER}"
    assert said.splitlines() == [f"drift: {WORKER} is made stale by {tree.head[:8]} Better odds", line]
    said = tree.commit({}, "Best odds", "--amend")
    assert said.splitlines() == [f"drift: {WORKER} is made stale by {tree.head[:8]} Best odds", line]
    tree.git("checkout", "-q", "main")
    assert tree.commit({"docs/a.md": "3\n"}) == ""
    tree.git("checkout", "-q", "feature")
    said = tree.done("rebase", "-q", "main").stderr
    assert said.splitlines() == [f"drift: {WORKER} is made stale by {tree.head[:8]} Best odds", line]
    sha = tree.head[:8]
    tree.git("checkout", "-q", "main")
    said = tree.done("merge", "-q", "--no-ff", "feature", "-m", "Merge").stderr
    assert said.splitlines() == [
        f"drift: {WORKER} is made stale by {sha} Best odds",
        f"  once pushed: deployment-drift plan {WORKER}",
    ]
    tree.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"), "origin/main")
    linked = WorkTree(tmp_path / "linked")
    said = linked.commit({"worker/a.py": "X = 3\n"}, "Elsewhere")
    assert said.splitlines() == [f"drift: {WORKER} is made stale by {linked.head[:8]} Elsewhere", line]


def test_what_was_there_before_goes_on(tree: WorkTree, program: Path) -> None:
    """It is called with what git says, ours comes after it, and its exit code is the hook's."""
    hook(tree, "post-commit", 'echo "before: $*"')
    merged = hook(tree, "post-merge", 'echo "before: $*"; exit 3')
    rewritten = hook(tree, "post-rewrite", 'echo "before: $* $(cat)"')
    texts = {path: path.read_bytes() for path in (merged, rewritten)}
    Places(tree.folder, tree.environ).install(program)
    said = tree.commit({"a": "1\n"})
    assert said.splitlines() == ["before: ", "called: remind post-commit"]
    tree.git("checkout", "-qb", "other")
    tree.commit({"a": "2\n"})
    old = tree.head
    said = tree.commit({}, "again", "--amend")
    assert said.splitlines()[2:] == [
        f"before: amend {old} {tree.head}",
        "called: remind post-rewrite amend",
    ]
    tree.git("checkout", "-q", "main")
    assert tree.done("merge", "-q", "other").stderr.splitlines() == [
        "before: 0",
        "called: remind post-merge 0",
    ]
    assert subprocess.run([merged, "0"], cwd=tree.folder, check=False).returncode == 3
    Places(tree.folder, tree.environ).remove()
    assert {path: path.read_bytes() for path in texts} == texts
    assert not list(merged.parent.glob("*.before-drift"))


def test_to_install_or_remove_twice_is_as_once(tree: WorkTree, program: Path) -> None:
    before = hook(tree, "post-commit", "echo before").read_bytes()
    places = Places(tree.folder, tree.environ)
    first = places.install(program)
    assert first[0].endswith("post-commit, after post-commit.before-drift")
    assert places.install(program) == first
    assert tree.commit({"a": "1\n"}).splitlines() == ["before", "called: remind post-commit"]
    assert [line.partition(":")[0] for line in places.remove()] == list(EVENTS)
    assert places.remove() == ["nothing of deployment-drift is installed"]
    folder = tree.folder / ".git" / "hooks"
    assert [path.name for path in folder.iterdir() if path.suffix != ".sample"] == ["post-commit"]
    assert (folder / "post-commit").read_bytes() == before


def test_a_program_that_is_gone_is_no_failure(tree: WorkTree, program: Path) -> None:
    """A virtual environment that was deleted: commits go on, without a word."""
    Places(tree.folder, tree.environ).install(program)
    program.unlink()
    tree.commit({"a": "0\n"})
    assert tree.commit({"a": "1\n"}) == ""
    tree.git("branch", "other")
    tree.git("reset", "-q", "--hard", "HEAD~1")
    assert tree.done("merge", "-q", "other").stderr == ""


def test_an_interrupted_installation_loses_no_hook(tree: WorkTree, program: Path) -> None:
    """Both are there, and neither is ours: a person has to say which one is to stay."""
    kept = hook(tree, "post-commit", "echo new")
    hook(tree, "post-commit.before-drift", "echo old")
    with pytest.raises(DriftConfigError, match="is there already"):
        Places(tree.folder, tree.environ).install(program)
    assert "echo new" in kept.read_text()


def test_a_folder_that_others_manage_is_left_alone(tree: WorkTree, program: Path) -> None:
    tree.git("config", "core.hooksPath", ".husky/_")
    with pytest.raises(DriftConfigError, match=r"\.husky/_ \(core\.hooksPath\).*remind HOOK"):
        Places(tree.folder, tree.environ).install(program)
    assert not (tree.folder / ".husky").exists()
    tree.git("config", "core.hooksPath", ".git/hooks")
    assert len(Places(tree.folder, tree.environ).install(program)) == len(EVENTS)


def test_a_new_git_is_told_in_its_configuration(tree: WorkTree, program: Path) -> None:
    """What is written there runs as git runs it: by a shell, with more arguments. Our files are gone then.

    That git runs it is not shown here where git is older than 2.54.
    """
    Places(tree.folder, tree.environ, version=(2, 39)).install(program)
    places = Places(tree.folder, tree.environ, version=(2, 54))
    for _ in range(2):
        places.install(program)
    assert not (tree.folder / ".git" / "hooks" / "post-commit").exists()
    for event in EVENTS:
        assert tree.git("config", "--get-all", f"hook.drift-remind-{event}.event") == event
        line = tree.git("config", "--get-all", f"hook.drift-remind-{event}.command")
        alias = f'!f() {{ {line} "$@"; }}; f'
        assert tree.git("-c", f"alias.called={alias}", "called", "0") == f"called: remind {event} 0"
    assert len(places.remove()) == len(EVENTS)
    assert "drift" not in (tree.folder / ".git" / "config").read_text()


def test_the_command_says_what_it_did(
    tree: WorkTree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tree.folder)
    assert main.main(["hooks", "install"]) == 0
    assert capsys.readouterr().out.count(str(tree.folder / ".git" / "hooks")) == len(EVENTS)
    assert main.main(["hooks", "remove"]) == 0
    assert capsys.readouterr().out == "".join(f"{event}: removed\n" for event in EVENTS)
    monkeypatch.chdir(tmp_path)
    assert main.main(["hooks", "install"]) == 2
    assert "is in no git repository" in capsys.readouterr().err
