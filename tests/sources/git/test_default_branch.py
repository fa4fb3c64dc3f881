"""The branch that should be live: the remote's own default, else the usual name, and who said so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.default_branch import DefaultBranch, default_branch
from drift_gate.sources.git.process import Git
from drift_gate.testing import HistoryBuilder


def of(history: HistoryBuilder) -> DefaultBranch:
    git = Git(cwd=str(history.path), environ={"PATH": os.environ["PATH"]}, deadline=Deadline(60))
    return default_branch(git)


def test_as_the_remote_says(tmp_path: Path) -> None:
    """A clone knows its remote's HEAD, whatever that is called and whatever is checked out here."""
    origin = HistoryBuilder(tmp_path / "origin")
    commit = origin.commit({"a": "1"}, branch="trunk")
    origin.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    clone = origin.clone(tmp_path / "clone")
    clone.git("checkout", "-q", "-b", "mine")
    assert of(clone)[:2] == ("origin/trunk", commit)
    clone.git("remote", "set-head", "origin", "--delete")
    clone.git("update-ref", "refs/remotes/origin/master", commit)
    assert of(clone)[:2] == ("origin/master", commit)


def test_without_a_remote(tmp_path: Path) -> None:
    """main here, else whatever is checked out; without a commit there is nothing."""
    history = HistoryBuilder(tmp_path / "alone")
    with pytest.raises(SourceError, match="has no commit"):
        of(history)
    commit = history.commit({"a": "1"}, branch="work")
    history.check_out("work")
    assert of(history)[:2] == ("HEAD", commit)
    history.git("branch", "main", "work")
    assert of(history) == ("main", commit, "a branch of this repository: it has no remote")
