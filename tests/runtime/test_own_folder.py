"""The folder of the gate's own files hides itself from git, and nobody else's folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drift_gate.runtime import own_folder


def test_a_new_folder_has_git_ignore_it(tmp_path: Path) -> None:
    own_folder.make(tmp_path / ".drift" / "deeper")
    assert (tmp_path / ".drift" / "deeper").is_dir()
    assert (tmp_path / ".drift" / ".gitignore").read_text() == "*\n"


def test_one_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    """Somebody may want git to keep the ledger."""
    (tmp_path / ".drift").mkdir()
    own_folder.make(tmp_path / ".drift")
    assert os.listdir(tmp_path / ".drift") == []


def test_a_folder_of_another_name_is_only_made(tmp_path: Path) -> None:
    own_folder.make(tmp_path / "state" / "x")
    assert os.listdir(tmp_path / "state") == ["x"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / ".drift").write_text("")
    with pytest.raises(OSError, match="exists"):
        own_folder.make(tmp_path / ".drift")
