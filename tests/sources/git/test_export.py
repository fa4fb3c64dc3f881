"""The files of a commit as git holds them, whatever the work tree, the settings or the attributes say."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.limits import ENOUGH_S

from drift_gate.errors import SourceError
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.git.export import exported
from drift_gate.testing import HistoryBuilder
from drift_gate.testing.history import File

ENVIRON = {"PATH": os.environ["PATH"]}
WHEN = datetime(2026, 2, 5, 16, 37, tzinfo=UTC)
FILES = {
    "a.py": b"print(1)\r\n",
    "kept/b.txt": b"$Id$ $Format:%H$\n",
    ".gitattributes": b"*.py text eol=lf\n*.txt ident export-subst\nsecret.txt export-ignore\n"
    b"*.bin filter=evil\n",
    "secret.txt": b"still there\n",
    "model.bin": b"\0\1",
    "\udcff\udcfe": b"no UTF-8\n",
}


def content(folder: Path) -> dict[str, bytes]:
    return {
        os.fsdecode(os.path.relpath(file, folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and not file.is_symlink()
    }


@pytest.mark.parametrize("form", ["sha1", "sha256"])
def test_byte_by_byte_and_nothing_else(tmp_path: Path, form: str) -> None:
    """No conversion, no hook, no filter; nothing of the work tree; links and programs are such."""
    history = HistoryBuilder(tmp_path / "repo", object_format=form)
    made = FILES | {"run": File("#!/bin/sh\n", "100755"), "link": File("a.py", "120000")}
    commit = history.commit(made, when=WHEN)
    history.commit({"later.py": "1\n", "a.py": None})
    (history.path / "never-committed.py").write_text("secret = 1\n")
    (history.path / ".gitattributes").write_text("*.py -text\n")
    evil = tmp_path / "ran"
    history.git("config", "filter.evil.smudge", f"touch {evil}; cat")
    history.git("config", "filter.evil.required", "true")
    history.git("config", "core.autocrlf", "true")
    (tmp_path / ".gitconfig").write_text(
        f'[hook "evil"]\ncommand = touch {evil} #\nevent = post-index-change\nevent = reference-transaction\n'
    )
    environ = {**ENVIRON, "HOME": str(tmp_path)}
    with exported(
        str(history.path), commit, mirrored=False, environ=environ, deadline=Deadline(ENOUGH_S)
    ) as found:
        assert content(found.folder) == FILES | {"run": b"#!/bin/sh\n"}
        assert os.access(found.folder / "run", os.X_OK)
        assert os.readlink(found.folder / "link") == "a.py"
        assert found.committed_at == WHEN
    assert not found.folder.exists()
    assert not evil.exists()
    assert not (history.path / ".git" / "index").exists()


def test_from_an_address_the_one_commit_is_fetched(tmp_path: Path) -> None:
    history = HistoryBuilder(tmp_path / "repo")
    commit = history.commit({"a.py": "1\n"})
    history.commit({"a.py": "2\n"})
    history.git("config", "uploadpack.allowAnySHA1InWant", "true")
    address = history.path.as_uri()
    with exported(address, commit, mirrored=True, environ=ENVIRON, deadline=Deadline(ENOUGH_S)) as found:
        assert content(found.folder) == {"a.py": b"1\n"}


def test_a_commit_that_is_not_there_is_told(tmp_path: Path) -> None:
    history = HistoryBuilder(tmp_path / "repo")
    history.commit({"a.py": "1\n"})
    asked = exported(
        str(history.path), "1" * 40, mirrored=False, environ=ENVIRON, deadline=Deadline(ENOUGH_S)
    )
    with pytest.raises(SourceError), asked:
        pass
